"""Returned mail: from a mail for one of our signed addresses to the evidence that it is.

Owns who may be written to (only the bearer of a token of ours), which mails count for which purpose, and the table from
verdicts to events. The LMTP session is in lmtp.py, the reading in dsn.py. Whose message it is comes from the token; the
mail's own text only says what happened to it.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet import interfaces, protocol
from twisted.internet.defer import Deferred

from gatewayd.bounces.dsn import judge
from gatewayd.bounces.lmtp import Arrived, LmtpSession
from gatewayd.bounces.lmtp_commands import LmtpLimits
from gatewayd.bounces.named import recipients_named
from gatewayd.bounces.parts import Mail, header_fields, take_apart
from gatewayd.bounces.reading import BounceReading, Kind
from gatewayd.bounces.senders import is_report
from gatewayd.core.interfaces import EvidenceSink, IMeter
from gatewayd.core.log import Logger
from gatewayd.core.model import Channel, Evidence, Known
from gatewayd.core.redact import redact
from gatewayd.core.status import Event
from gatewayd.core.tally import Tally
from gatewayd.core.threads import InThread, one_at_a_time
from gatewayd.core.tokens import Keys, Purpose, Subscription

PREFIXES: dict[str, Purpose] = {
    "b": Purpose.BOUNCE,
    "fbl": Purpose.COMPLAINT,
    "u": Purpose.UNSUBSCRIBE_MAIL,
}
"""What stands before the plus in an address of ours: MAIL FROM, CFBL-Address, and the mailto in List-Unsubscribe."""

LOOP_HEADER = "x-gw-id"
SMALL = 8192
"""Octets up to which a mail is read at once: the way to a thread and back costs more than a usual report does."""

_MAX_RECEIVED = 50
_MAILS_A_TOKEN = 20
_WORDS = 10
_SIGNED = re.compile(r"prvs=[^=@]{1,40}=", re.IGNORECASE)
"""What a mail server on the way out may set before MAIL FROM (BATV), and not every one takes off again."""

_BETWEEN = re.compile(r"""(?:[\s"'<>()\[\]]|%20|\+)+""")
"""What stands between the words of a subject: some mail programs take that of our link as it stands in it."""

_WRAPPED = re.compile(r"unsubscribe(?:\s|%20|\+)+([a-z2-7\s]{60,500})", re.IGNORECASE)
"""The subject of our link, whose token some mail programs break into lines."""

_TOKEN = re.compile(r"[a-z2-7]{60,400}", re.IGNORECASE)
_LINKS = 4
"""Tokens that are tried of the List-Unsubscribe in a returned original."""

EVENTS: dict[Kind, Event] = {
    Kind.FAILED: Event.FAILED,
    Kind.DELIVERED: Event.DELIVERED,
    Kind.RELAYED: Event.DELIVERED,
    Kind.COMPLAINED: Event.COMPLAINED,
    Kind.UNSUBSCRIBED: Event.UNSUBSCRIBED,
}
"""What counts of a verdict. A failure that a report states with a 5.x code becomes `bounced`: it may come late."""

_COMPLAINTS = frozenset({Kind.COMPLAINED, Kind.UNSUBSCRIBED})


class Addressed(Struct, frozen=True):
    """What an address of ours says: which message, and why somebody writes about it."""

    purpose: Purpose
    message_id: str


class Inspected(Struct, frozen=True):
    """A verdict, and what else of the mail decides whether it counts. `named` are the players' addresses in it.

    `links` are words of the returned original's List-Unsubscribe, of which one may say whose it is.
    """

    verdict: BounceReading
    report: bool
    auto_submitted: bool
    loops: bool
    subject: str = ""
    named: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Inspected {self.verdict!r}>"


class ReturnedMail(protocol.Factory):
    """The listener's factory. `domains` are the return-path domains, in any case.

    The peer hears 250 once `evidence` has made the fact durable. `about` is IStore.about.
    `internal_relays` are host names: what one of them only passed on is not delivered yet. `in_thread` is for tests
    that have no thread pool.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        keys: Keys,
        domains: Collection[str],
        evidence: EvidenceSink,
        about: Callable[[str], Awaitable[Known | None]],
        max_size: int = 5_242_880,
        internal_relays: Collection[str] = (),
        meter: IMeter | None = None,
        limits: LmtpLimits | None = None,
        in_thread: InThread | None = None,
    ) -> None:
        self._reactor = reactor
        self._keys = keys
        self._evidence = evidence
        self._about = about
        self._meter = meter
        self._limits = limits or LmtpLimits()
        self._in_thread = in_thread or one_at_a_time(reactor, SMALL)
        self._sessions: set[LmtpSession[Addressed]] = set()
        self._mails_of = Tally(_MAILS_A_TOKEN)
        self._emptied: Deferred[None] | None = None
        self.draining = False
        self.reconfigure(domains=domains, max_size=max_size, internal_relays=internal_relays)

    def reconfigure(
        self,
        *,
        domains: Collection[str],
        max_size: int = 5_242_880,
        internal_relays: Collection[str] = (),
    ) -> None:
        """Take other values from now on; sessions that are open keep their limits."""
        self._domains = frozenset(domain.rstrip(".").lower() for domain in domains)
        self._internal_relays = frozenset(name.rstrip(".").lower() for name in internal_relays)
        self._sized = LmtpLimits(
            **{name: getattr(self._limits, name) for name in LmtpLimits.__struct_fields__ if name != "max_size"},
            max_size=max_size,
        )

    def buildProtocol(self, addr: interfaces.IAddress | None) -> protocol.Protocol | None:
        """A session; a peer too many is told so and dropped."""
        if self.draining or len(self._sessions) >= self._limits.connections:
            return _Busy()
        session: LmtpSession[Addressed] = LmtpSession(
            self._reactor, self._sized, find=self.find, record=self.record, over=self._over
        )
        self._sessions.add(session)
        return session

    async def drain(self, limit: float) -> None:
        """Take no more sessions, hang up those that are open, and wait for mails that are being stored.

        Returns once the last session is gone, after `limit` seconds at the latest.
        """
        self.draining = True
        for session in tuple(self._sessions):
            session.expire("4.3.2 shutting down")
        if not self._sessions:
            return
        self._emptied = Deferred()
        overdue = self._reactor.callLater(limit, self._empty)
        await self._emptied
        if overdue.active():
            overdue.cancel()

    def _empty(self) -> None:
        if self._emptied is not None and not self._emptied.called:
            self._emptied.callback(None)

    def find(self, address: str) -> Addressed | None:
        """What an address says, if it bears a token of ours at one of our domains; case does not matter."""
        local, _, domain = address.rpartition("@")
        local = _SIGNED.sub("", local)
        if domain.rstrip(".").lower() not in self._domains:
            return None
        prefix, _, token = local.partition("+")
        purpose = PREFIXES.get(prefix.lower())
        message_id = self._keys.read(purpose, token) if purpose else None
        return Addressed(purpose, message_id) if purpose and message_id else None

    async def record(self, arrived: Arrived[Addressed]) -> None:
        """Deal with one mail for good. Raises StoreUnavailable where its fact could not be made durable."""
        message_id = arrived.recipient.message_id
        if self._mails_of.is_full(message_id):
            self.log.warn(
                "so many mails have come back about {message_id} that one more is not read", message_id=message_id
            )
            return
        raw = arrived.raw
        inspected: Inspected = await self._in_thread(len(raw), inspect, raw, arrived.null_sender)
        if inspected.verdict.others:
            inspected = replace(inspected, verdict=await self._of_ours(message_id, inspected.verdict))
        evidence = self.evidence(arrived.recipient, inspected, null_sender=arrived.null_sender)
        if evidence is not None:
            await self._evidence.record(evidence)
        else:
            self._ignored(arrived.recipient, inspected.verdict)
        # Only what was dealt with counts: a mail that is refused while the store is down comes again.
        self._mails_of.count(message_id)

    def _ignored(self, to: Addressed, verdict: BounceReading) -> None:
        self.log.info(
            "{purpose} mail about {message_id} changes nothing: {kind} {status}",
            purpose=str(to.purpose),
            message_id=to.message_id,
            kind=str(verdict.kind),
            status=verdict.status or "-",
            will_retry_until=verdict.will_retry_until[:60],
            # A campaign is answered by thousands who are away.
            log_limited=True,
        )
        if self._meter is not None:
            self._meter.evidence("dsn", str(verdict.kind), "ignored")

    async def _of_ours(self, message_id: str, worst: BounceReading) -> BounceReading:
        """What a report on several recipients says of the message's own; the worst where it does not name that one."""
        known = await self._about(message_id)
        name = known.address_hash if known else ""
        ours = (one for one in (worst, *worst.others) if name in self._keys.address_hashes(one.recipient))
        return next(ours, worst)

    def evidence(self, to: Addressed, inspected: Inspected, *, null_sender: bool) -> Evidence | None:
        """The fact that a mail is evidence of; None where it is none, or may not be one for this purpose."""
        verdict = inspected.verdict
        if inspected.loops:
            return None
        if verdict.kind in _COMPLAINTS and verdict.parsed:
            # Once the message's record is gone, the link that its mail had says whose it was.
            who = self._whose(to.message_id, inspected.links)
            label, user_hash = (who.label, who.user_hash) if who is not None else ("", "")
            detail = _detail(inspected)
            return Evidence(to.message_id, EVENTS[verdict.kind], "arf", detail, label=label, user_hash=user_hash)
        if to.purpose is Purpose.UNSUBSCRIBE_MAIL:
            # Apple Mail marks what its user asked for as auto-replied; its wording tells it from a vacation notice.
            asked = not inspected.auto_submitted or verdict.kind is Kind.UNSUBSCRIBED
            return self._unsubscribed(to.message_id, inspected.subject) if asked and not null_sender else None
        if verdict.kind in _COMPLAINTS:
            return None
        if to.purpose is Purpose.COMPLAINT or not (null_sender or (inspected.report and verdict.parsed)):
            return None
        event = self._event(verdict)
        if event is None:
            return None
        return Evidence(to.message_id, event, "dsn", _detail(inspected), verdict.hard, channel=Channel.EMAIL)

    def _unsubscribed(self, message_id: str, subject: str) -> Evidence | None:
        """Only what bears the subject of our link asks for it: vacation notices and replies come here too.

        The subject also says whose it is, for the time when the message's record is gone.
        """
        words = _BETWEEN.split(subject.strip(), _WORDS)
        if wrapped := _WRAPPED.search(subject):
            # Some break a line that is too long for them in the middle of the token.
            words.append("".join(wrapped[1].split()))
        who = self._whose(message_id, words)
        if who is None:
            return None
        return Evidence(
            message_id, Event.UNSUBSCRIBED, "unsubscribe", "by mail", label=who.label, user_hash=who.user_hash
        )

    def _whose(self, message_id: str, words: Iterable[str]) -> Subscription | None:
        """What the first of `words` says that is a token of our unsubscribe link in this message."""
        given = map(self._keys.read_subscription, words)
        return next((one for one in given if one is not None and one.message_id == message_id), None)

    def _event(self, verdict: BounceReading) -> Event | None:
        if verdict.kind is Kind.RELAYED and verdict.remote_mta.rstrip(".").lower() in self._internal_relays:
            return None
        if verdict.kind is Kind.FAILED and verdict.parsed and verdict.status.startswith("5"):
            return Event.BOUNCED
        return EVENTS.get(verdict.kind)

    def _over(self, session: LmtpSession[Addressed]) -> None:
        if session.busy:
            return
        self._sessions.discard(session)
        if not self._sessions:
            self._empty()


def inspect(raw: bytes, null_sender: bool) -> Inspected:
    """All that is asked of a mail, in one go; pure, and slow enough to keep off the reactor's thread."""
    mail = take_apart(raw)
    verdict = judge(mail, null_sender=null_sender)
    return Inspected(
        verdict=verdict,
        report=is_report(mail),
        auto_submitted=(mail.header("auto-submitted") or "no").partition(";")[0].strip().lower() != "no",
        loops=mail.count("received") > _MAX_RECEIVED or mail.header(LOOP_HEADER) is not None,
        subject=mail.header("subject") or "",
        named=recipients_named(mail, verdict) if verdict.diagnostic or verdict.others else (),
        links=_links(mail) if verdict.kind in _COMPLAINTS else (),
    )


def _links(mail: Mail) -> tuple[str, ...]:
    """What may be a token in the original's List-Unsubscribe: each way of ours has one."""
    given = dict(reversed(header_fields(mail.returned))).get("list-unsubscribe", "")
    return tuple(_TOKEN.findall(given)[:_LINKS])


def _detail(inspected: Inspected) -> str:
    verdict = inspected.verdict
    said = " ".join(filter(None, (verdict.action or verdict.feedback_type, verdict.status, verdict.diagnostic)))
    return redact(said if verdict.parsed else f"unparsed bounce: {said}", 200, about=inspected.named)


class _Busy(protocol.Protocol):
    """One word to a peer that comes when there is no room."""

    def connectionMade(self) -> None:
        """Say so and hang up."""
        assert self.transport is not None
        self.transport.write(b"421 4.3.2 too many connections\r\n")
        self.transport.loseConnection()
