"""The work for a report: one GET that tells Smartico a status, and what its answer means (SMARTICO.md 4).

Owns the callback's address and the reading of its answer. It tries once: when to try again, and when to give up after
48 hours, is report_attempts.py's. Knows nothing of connections or of Redis.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from urllib.parse import quote, urlsplit

import msgspec
from twisted.internet.interfaces import IReactorTime

from gatewayd.config import Label
from gatewayd.core import half_pairs
from gatewayd.core.callback_urls import bare_host
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import ICallbacks
from gatewayd.core.memory import Memory
from gatewayd.core.model import Channel, Degraded, ReportJob
from gatewayd.core.redact import redact
from gatewayd.core.retry import STILL_SO
from gatewayd.core.status import Report

YOUNG = 600.0
"""Seconds during which Smartico may not know our id yet: until then "was not found" is asked again."""

NEW = 30.0
"""Seconds of these in which that says nothing of the host: its campaigns begin before it has stored our ids."""

NOT_FOUND = 1
_LONGEST_REASON = 180

_USUAL_ANSWER = re.compile(rb'\s*\{\s*"error_code"\s*:\s*"?(\d{1,9})"?\s*,?\s*\}\s*')
# A string that is not ended goes on to the end: begun again at each of its quotes, it would cost the square of that.
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)


class _Target(msgspec.Struct, frozen=True):
    api_key: str
    callback_url: str
    hosts: frozenset[str]


REFUSED_IN_A_ROW = 5
"""Refusals without a status taken between them, after which a host is said to take none."""

MAX_HOSTS = 1000

MOST_WAITING = 100_000
"""Messages that are remembered because a status of theirs waits; of more, it comes when it is due, after a mend too."""


class _Refusals(msgspec.Struct, frozen=True):
    """The latest of `host` was at `at` (seconds since the epoch), of a status of `label`.

    `suspect` is the label's key that may be wrong: then these are of that label alone, for the host may take those of
    others; "" where the host has a trouble of its own. `whose` are the messages that it does not know: told again, the
    statuses of one say no more of the host.
    """

    at: float
    host: str
    label: str
    suspect: str = ""
    in_a_row: int = 0
    reason: str = ""
    whose: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether it takes none, as far as can be seen."""
        return self.in_a_row >= REFUSED_IN_A_ROW

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.reason} ({self.in_a_row} times in a row)"

    @property
    def name(self) -> str:
        """Of whom they are."""
        return _of_label(self.label, self.host) if self.suspect else self.host


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
        # Bounded: a label's callback_hosts may be a pattern, and a request name any host of it.
        self._refusals: Memory[_Refusals] = Memory(MAX_HOSTS, STILL_SO)
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
        for refusals in list(self._lately_refused()):
            if self._targets.get(refusals.label) != before.get(refusals.label):
                self._refusals.forget(refusals.name)
        changed = [name for name in self._waiting if name in self._targets and self._targets[name] != before.get(name)]
        if changed:
            self._on_mended(set().union(*map(self._waiting.pop, changed)))

    def refusing(self) -> dict[str, str]:
        """Hosts that answer, and take no status, or none of a label: why, by host. One that says no is not up."""
        found: dict[str, str] = {}
        for refusals in self._lately_refused():
            if refusals.is_all:
                why = f"{refusals.label}: {refusals.words}" if refusals.suspect else refusals.words
                found[refusals.host] = f"{found[refusals.host]}; {why}" if refusals.host in found else why
        return found

    def degraded(self) -> Iterator[Degraded]:
        """Those hosts, and the labels whose statuses they refuse; and labels whose statuses have nowhere to go."""
        for label, (why, until) in self._nowhere.items():
            if self._clock.seconds() < until:
                yield Degraded("callbacks", label, f"{label}: Smartico hears no status: {why}; statuses wait")
        for refusals in self._lately_refused():
            if refusals.is_all:
                suspect, label = refusals.suspect, refusals.label
                whose, hint = (
                    (f" of {label}", f"is {suspect} of {label} right? Statuses") if suspect else ("", "statuses")
                )
                text = f"Smartico at {refusals.host} takes no status{whose}: {refusals.words}; {hint} wait"
                yield Degraded("callbacks", refusals.name, text)

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
            self._count(refused, job.label)
            raise refused.failure from None
        self._refusals.forget(host)
        self._refusals.forget(_of_label(job.label, host))

    def _count(self, refused: _NotTaken, label: str) -> None:
        new = _Refusals(self._clock.seconds(), refused.host, label, refused.suspect, reason=refused.failure.reason)
        before = self._refusals.get(new.name) or new
        in_a_row, whose = before.in_a_row, before.whose
        if refused.whose not in whose:
            in_a_row += 1
        if refused.whose and in_a_row <= REFUSED_IN_A_ROW:
            whose |= {refused.whose}
        self._refusals.put(new.name, msgspec.structs.replace(new, in_a_row=in_a_row, whose=whose))

    def _lately_refused(self) -> Iterator[_Refusals]:
        """Of whoever is asked no more nothing is said for ever."""
        for some in self._refusals.since(self._clock.seconds() - STILL_SO, MAX_HOSTS):
            for _, refusals in some:
                yield refusals

    async def _tell(self, job: ReportJob, target: _Target | None) -> str:
        """The host that took it."""
        url = target and (job.callback_url or target.callback_url)
        if target is None or not url:
            why = "the label has no callback_url" if target else "the label is not configured any more"
            self._nowhere[job.label] = why, self._clock.seconds() + STILL_SO
            raise TemporaryFailure(why)
        bare, host = _hosts_in(url)
        status, body = await self._callbacks.get(
            _address(url, target.api_key, job.channel, job.message_id, job.status),
            allow_private=bare in target.hosts,
            asker=job.message_id,
        )
        if not 200 <= status <= 299:
            failure = TemporaryFailure(f"callback answered HTTP {status} ({host})")
            raise _NotTaken(host, failure, _suspected(status))
        code, words = read_answer(body)
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


def _of_label(label: str, host: str) -> str:
    """What is counted of one label's statuses at a host."""
    return f"{label} at {host}"


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


def read_answer(body: bytes) -> tuple[int | None, str]:
    """`error_code` and the redacted `error_message` of an answer; the code is None where there is none to be found.

    The documentation prints `{"error_code": 0,}`, and what sends it may call it text/html: so a byte order mark,
    trailing commas and a number in quotes are read as they were meant. An answer without any content is a yes.
    """
    usual = _USUAL_ANSWER.fullmatch(body)
    if usual is not None:
        return int(usual[1]), ""
    text = body.decode("utf-8-sig", "replace").strip().strip("\0")
    if not text:
        return 0, ""
    answer = _lenient_json(text)
    if not isinstance(answer, dict):
        return None, ""
    words = answer.get("error_message")
    return _number(answer.get("error_code")), redact(words, _LONGEST_REASON) if isinstance(words, str) else ""


def _lenient_json(text: str) -> object:
    for candidate in (text, _STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", text)):
        try:
            return half_pairs.decoded(candidate.encode())
        except (msgspec.DecodeError, RecursionError):
            continue
    return None


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", value):
        return int(value)
    return None


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
