"""The work for a report: one GET that tells Smartico a status, and what its answer means (SMARTICO.md 4).

Owns the callback's address, and what its answer means; callback_answer.py reads it. It tries once: when to try again,
and when to give up after 48 hours, is report_attempts.py's. Knows nothing of connections or of Redis.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from urllib.parse import quote, unquote, urlsplit

import msgspec
from twisted.internet.interfaces import IReactorTime

from gatewayd.config import Label
from gatewayd.core.callback_urls import bare_host
from gatewayd.core.errors import AnsweredInVain, PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import ICallbacks
from gatewayd.core.model import Channel, Degraded, ReportJob
from gatewayd.core.retry import STILL_SO
from gatewayd.core.status import Report
from gatewayd.work.callback_answer import NOT_FOUND, read_answer, secrets_in
from gatewayd.work.refused_statuses import MAX_HOSTS, RefusedStatuses

YOUNG = 600.0
"""Seconds during which Smartico may not know our id yet: until then "was not found" is asked again."""

NEW = 30.0
"""Seconds of these in which that says nothing of the host: its campaigns begin before it has stored our ids."""

MOST_WAITING = 100_000
"""Messages that are remembered because a status of theirs waits; of more, it comes when it is due, after a mend too."""


class _Target(msgspec.Struct, frozen=True):
    api_key: str
    callback_url: str
    hosts: frozenset[str]


class _NotTaken(Exception):
    """The host heard us and took nothing; `failure` says what that means for the status.

    `whose`: the message of which alone the answer speaks, "" where it speaks of no message.
    """

    def __init__(self, host: str, failure: TemporaryFailure | PermanentFailure, suspect: str, whose: str = "") -> None:
        super().__init__(host)
        self.host = host
        self.failure = failure
        self.suspect = suspect
        self.whose = whose


class Reporter:
    """Tells statuses, by the labels' keys and URLs. Results are counted by who settles them: report_attempts.py.

    `on_mended` hears of the messages whose statuses were not taken by what a label's key or URL was before a reload.
    """

    def __init__(
        self,
        clock: IReactorTime,
        callbacks: ICallbacks,
        labels: Mapping[str, Label],
        on_mended: Callable[[Collection[str]], None] = lambda message_ids: None,
    ) -> None:
        self._clock = clock
        self._callbacks = callbacks
        self._on_mended = on_mended
        self._waiting: dict[str, set[str]] = {}  # by label, the messages of which a status was told in vain
        self._targets: dict[str, _Target] = {}
        self._refused = RefusedStatuses(clock)
        self._nowhere: dict[str, tuple[str, float]] = {}
        """Labels whose statuses have no address: why, and until when that is believed."""
        self.reconfigure(labels)

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Use these labels from the next report on; what was refused under a key or URL that is another now is past."""
        before = self._targets
        self._targets = {
            name: _Target(quote(label.api_key.reveal(), safe=""), label.callback_url, _named_hosts(label))
            for name, label in labels.items()
        }
        self._nowhere = {
            name: said
            for name, said in self._nowhere.items()
            if name not in self._targets or not self._targets[name].callback_url
        }
        self._refused.forget(lambda label: self._targets.get(label) != before.get(label))
        changed = [name for name in self._waiting if name in self._targets and self._targets[name] != before.get(name)]
        if changed:
            self._on_mended(set().union(*map(self._waiting.pop, changed)))

    def degraded(self) -> Iterator[Degraded]:
        """Labels whose statuses have nowhere to go, and hosts that take none."""
        for label, (why, until) in self._nowhere.items():
            if self._clock.seconds() < until:
                yield Degraded("callbacks", label, f"{label}: Smartico hears no status: {why}; statuses wait")
        yield from self._refused.degraded()

    def refusing(self) -> dict[str, str]:
        """See RefusedStatuses."""
        return self._refused.refusing()

    async def tell(self, job: ReportJob) -> None:
        """Tell one status, and return once Smartico took it.

        Raises TemporaryFailure where another try may succeed, PermanentFailure where none will: a dead letter.
        """
        target = self._targets.get(job.label)
        waiting = self._waiting.setdefault(job.label, set())
        try:
            await self._tell_counted(job, target)
        except (TemporaryFailure, PermanentFailure) as failure:
            if self._targets.get(job.label) != target:
                # What the label said before a reload was not taken; what it says now was not tried.
                raise TemporaryFailure(failure.reason, not_before=self._clock.seconds(), counts=False) from None
            if isinstance(failure, PermanentFailure):
                waiting.discard(job.message_id)
            elif sum(map(len, self._waiting.values())) < MOST_WAITING:
                waiting.add(job.message_id)
            raise
        waiting.discard(job.message_id)

    async def _tell_counted(self, job: ReportJob, target: _Target | None) -> None:
        """Once, and count what its host refuses; by what a reload has changed meanwhile it says nothing."""
        try:
            host = await self._tell(job, target)
        except _NotTaken as refused:
            if self._targets.get(job.label) != target:
                raise refused.failure from None
            self._refused.count(
                refused.host, job.label, refused.failure.reason, suspect=refused.suspect, whose=refused.whose
            )
            raise refused.failure from None
        self._refused.took(host, job.label)

    async def _tell(self, job: ReportJob, target: _Target | None) -> str:
        """The host that took it."""
        url = target and (job.callback_url or target.callback_url)
        if target is None or not url:
            why = "the label has no callback_url" if target else "the label is not configured any more"
            self._nowhere[job.label] = why, self._clock.seconds() + STILL_SO
            raise TemporaryFailure(why)
        bare, host = _hosts_in(url)
        try:
            status, body = await self._callbacks.get(
                _address(url, target.api_key, job.channel, job.message_id, job.status),
                allow_private=bare in target.hosts,
                asker=job.message_id,
            )
        except AnsweredInVain as vain:
            raise _NotTaken(host, vain, "" if vain.is_readable else "callback_url") from None
        if not 200 <= status <= 299:
            failure = TemporaryFailure(f"callback answered HTTP {status} ({host})")
            raise _NotTaken(host, failure, _suspected(status))
        code, words = read_answer(body, chain((target.api_key, unquote(target.api_key)), secrets_in(url)))
        if code == 0:
            return host
        if code is None:
            failure = TemporaryFailure(f"callback's answer is not JSON with an error_code ({host})")
            raise _NotTaken(host, failure, "callback_url")
        reason = f"callback answered error_code {code}" + (f": {words}" if words else "") + f" ({host})"
        if code != NOT_FOUND:
            raise _NotTaken(host, TemporaryFailure(reason), "api_key")
        tried_for = self._tried_for(job)
        if tried_for < NEW:
            raise TemporaryFailure(reason)
        unknown = TemporaryFailure(reason) if tried_for < YOUNG else PermanentFailure(reason)
        raise _NotTaken(host, unknown, "api_key", job.message_id)

    def _tried_for(self, job: ReportJob) -> float:
        """Seconds. After an outage of our own the first try comes late: that status is told more than once, too."""
        now = self._clock.seconds()
        return now - max(job.queued_at, job.first_tried or now)


def _suspected(status: int) -> str:
    """Which key of the label an HTTP status speaks against."""
    if status in (401, 403):
        return "api_key"
    return "callback_url" if 300 <= status <= 499 and status not in (408, 425, 429) else ""


def _address(callback_url: str, quoted_key: str, channel: Channel, ext_message_id: str, status: Report) -> str:
    """Where to GET: the callback's own query is kept, ours is added. It holds the key: never log it."""
    before, _, _ = callback_url.partition("#")
    joint = "?" if "?" not in before else "" if before[-1] in "?&" else "&"
    kind = Channel.SMS if channel is Channel.IM else channel
    ours = f"type={kind}&ext_message_id={ext_message_id}&status={status}&api_key={quoted_key}"
    return f"{before}{joint}{ours}"


def _named_hosts(label: Label) -> frozenset[str]:
    """Hosts that the label lists by name and not by pattern: only these may be private."""
    return frozenset(bare_host(host.lower()) for host in label.callback_hosts if "*" not in host)


@lru_cache(maxsize=MAX_HOSTS)
def _hosts_in(url: str) -> tuple[str, str]:
    """The host of a callback's URL, bare as the labels' hosts are, and as people read it, with its port."""
    try:
        parts = urlsplit(url)
        return bare_host(parts.hostname or ""), parts.netloc.rpartition("@")[2]
    except ValueError:
        return "", ""
