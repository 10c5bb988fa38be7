"""Email's way out: one message to the first of its relays that takes it.

Owns the pools and what a relay's answer means for a message. Tries once; must not know the store, the tracker, the
retry policy or the other channel.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import TimeoutError as TwistedTimeout
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.config import Label, Relay
from gatewayd.core.errors import PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.interfaces import BeforeWire, IChannel
from gatewayd.core.model import Handed, Order, WayState
from gatewayd.core.tokens import Keys
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.connection import Trouble
from gatewayd.smtp.dkim import Signer
from gatewayd.smtp.mime import Brand, Mail, Unsendable, compose, esp_header, header_lines
from gatewayd.smtp.own_name import OwnName, no_name
from gatewayd.smtp.pacing import NotNow, Pacer, Patience, Places
from gatewayd.smtp.pool import Pool, Settings
from gatewayd.smtp.rate import Rate, Reserve
from gatewayd.smtp.replies import Answer, Verdict, is_hard, verdict_of
from gatewayd.smtp.timeouts import Timeouts

DRAIN = 20.0
BIG = 32768
PREVIEW_BURST = 5
DOMAIN_QUEUE = 20
DOMAIN_WAIT = 2.0
LONGEST_PAUSE = 300.0
BARE_FOR = 3600.0


@dataclass(frozen=True, slots=True)
class _House:
    """A label as far as sending goes."""

    label: Label
    brand: Brand
    signer: Signer | None
    previews: Pacer


class _Way:
    """One relay: its pool, and how its recipient domains are paced."""

    def __init__(self, reactor: Any, pool: Pool, settings: Settings) -> None:
        self.pool = pool
        self.patience = Patience(LONGEST_PAUSE, settings.jitter)
        self._reserve = settings.reserve
        self.bare_until = 0.0
        self.handed = 0
        self.throttled = 0
        self._reactor = reactor
        self.configure(pool.relay)

    def configure(self, relay: Relay) -> None:
        """Take over the limits of `relay`, which differs in nothing that a connection depends on."""
        self.pool.configure(relay)
        self.headers = header_lines(relay.headers).encode()
        limits = {name.lower(): limit for name, limit in relay.domains.items()}
        self._rates = {
            name: Rate(self._reactor, f"relay:{self.pool.name}:{name}", limit.rate, DOMAIN_WAIT, self._reserve)
            for name, limit in limits.items()
            if limit.rate
        }
        self._places = {
            name: Places(self._reactor, limit.connections, DOMAIN_QUEUE, DOMAIN_WAIT)
            for name, limit in limits.items()
            if limit.connections
        }

    async def enter(self, domain: str) -> Places | None:
        """Wait, a little, until a message to `domain` may go; what `leave` wants back. Raises NotNow."""
        self.patience.check(domain, self._reactor.seconds())
        places = self._places.get(domain)
        if places is not None:
            await places.take()
        rate = self._rates.get(domain)
        if rate is not None:
            try:
                self.pool.rate.check()
                with rate.line() as turn:
                    await turn()
            except BaseException:
                if places is not None:
                    places.give_back()
                raise
        return places


@implementer(IChannel)
class SmtpChannel(Service):
    """Hands email to relays. A Service: starting it probes the relays, stopping it lets what is on the wire finish.

    `return_domain` is [bounces] domain, empty without that table; `base_url` is [public]'s, empty without it.
    `own_name` is what EHLO says where a relay's table has no `helo`, empty for the address literal. `reserve`
    (IStore.reserve_soon) makes the rates of relays and domains count for all processes; without it they count for this
    one.
    """

    name = "smtp"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        relays: Mapping[str, Relay],
        labels: Mapping[str, Label],
        *,
        keys: Keys,
        return_domain: str = "",
        base_url: str = "",
        own_name: OwnName = no_name,
        jitter: Callable[[], float] = lambda: 0.5,
        reserve: Reserve | None = None,
        timeouts: Timeouts | None = None,
        drain: float = DRAIN,
    ) -> None:
        self._reactor = reactor
        self._keys = keys
        self._drain = drain
        self._return_domain = return_domain
        self._base_url = base_url
        self._settings = Settings(timeouts or Timeouts(), own_name, jitter, reserve)
        self._ways: dict[str, _Way] = {}
        self._houses: dict[str, _House] = {}
        self._leaving: list[Deferred[None]] = []
        self.reconfigure(relays, labels)

    # -- the service --------------------------------------------------------------------------------------------

    def startService(self) -> None:
        """Probe all relays."""
        Service.startService(self)
        for way in self._ways.values():
            way.pool.start()

    def stopService(self) -> Deferred[None]:
        """Take nothing new; what is on the wire gets its answer, within `drain` seconds."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        closing = [way.pool.stop() for way in self._ways.values()] + self._leaving
        done: Deferred[Any] = DeferredList(closing)
        done.addTimeout(self._drain, self._reactor)
        try:
            await done
        except (TwistedTimeout, CancelledError):
            for way in self._ways.values():
                way.pool.abort()

    def reconfigure(self, relays: Mapping[str, Relay], labels: Mapping[str, Label]) -> None:
        """Take over another configuration; connections to relays that stay the same stay open.

        Raises ValueError where a label's DKIM key can't sign; then nothing has changed.
        """
        houses = {name: self._house(name, label) for name, label in labels.items()}
        self._houses = houses
        old, self._ways = self._ways, {}
        for name, relay in relays.items():
            way = old.get(name)
            if way is not None and _same_way(way.pool.relay, relay):
                del old[name]
                if way.pool.relay != relay:
                    way.configure(relay)
            else:
                way = _Way(self._reactor, Pool(self._reactor, name, relay, self._settings), self._settings)
                if self.running:
                    way.pool.start()
            self._ways[name] = way
        for way in old.values():
            self._leaving.append(way.pool.stop())
        self._leaving = [leaving for leaving in self._leaving if not leaving.called]

    def _house(self, name: str, label: Label) -> _House:
        known = self._houses.get(name)
        if known is not None and known.label == label:
            return known
        domain = (label.bounce_domain or self._return_domain) if self._return_domain else ""
        brand = Brand(
            domain,
            self._base_url,
            label.track_opens,
            label.one_click_unsubscribe,
            header_lines(label.headers),
            label.complaint_address,
        )
        signer = Signer(label.dkim_keys) if label.dkim_keys else None
        return _House(label, brand, signer, Pacer(label.preview_rate, PREVIEW_BURST))

    def routes(self) -> Mapping[str, bool]:
        """See IChannel."""
        return {name: way.pool.up for name, way in self._ways.items()}

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel."""
        pools = [self._ways[name].pool for name in routes if name in self._ways]
        if any(pool.may_be_used for pool in pools):
            return ""
        return "; ".join(map(_why_down, pools)) or _NONE_CONFIGURED

    def heard_since(self, route: str) -> float:
        """See IChannel. What a relay knows later comes as returned mail or an ESP's event."""
        return 0.0

    def states(self) -> Mapping[str, WayState]:
        """How each relay stands, for people."""
        return {name: self._state(way) for name, way in self._ways.items()}

    def _state(self, way: _Way) -> WayState:
        pool = way.pool
        closed = way.patience.closed(self._reactor.seconds())
        slowed = f"{closed} recipient domains asked us to slow down" if closed else ""
        return WayState(
            up=pool.up,
            word="up" if pool.up else "down" if pool.trouble else "connecting",
            reason=pool.trouble or slowed,
            since=pool.since,
            in_flight=pool.in_flight,
            window=pool.relay.connections,
            rate=pool.relay.rate,
            handed=way.handed,
            throttled=way.throttled,
        )

    # -- one message --------------------------------------------------------------------------------------------

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """See IChannel."""
        house = self._houses.get(order.message.label)
        if house is None:
            raise TemporaryFailure("its label is not configured")
        self._pace_preview(order, house)
        mail: Mail | None = None
        setbacks: list[_Setback] = []
        for name in order.routes:
            way = self._ways.get(name)
            if way is None:
                continue
            try:
                self._check_usable(way.pool, order)
                # Not before: thousands of messages may wait for a relay that is down.
                mail = mail or await self._prepare(order, house)
                return await self._by(way, order, mail, before_wire)
            except _Setback as setback:
                setbacks.append(setback)
        raise _sum_up(setbacks)

    def _pace_preview(self, order: Order, house: _House) -> None:
        if order.message.activity_type:
            try:
                house.previews.take(self._reactor.seconds(), 0.0)
            except NotNow as error:
                raise TemporaryFailure("previews go slowly", not_before=error.not_before, counts=False) from None

    async def _prepare(self, order: Order, house: _House) -> Mail:
        """The finished mail; what takes long is done in a thread, so that it holds up nobody else's message."""
        content: Any = order.message.content
        big = len(getattr(content, "body", "")) + len(getattr(content, "text_body", "")) > BIG
        threaded = big or (house.signer is not None and house.signer.slow)
        try:
            if threaded:
                pool = self._reactor.getThreadPool()
                return await deferToThreadPool(self._reactor, pool, self._compose, order, house)
            return self._compose(order, house)
        except Unsendable as error:
            raise PermanentFailure(f"it can't be sent as mail: {error}") from None

    def _compose(self, order: Order, house: _House) -> Mail:
        mail = compose(order.message, order.address, house.brand, self._keys)
        if house.signer is None:
            return mail
        return house.signer.sign(mail, order.message.accepted_at, order.message.deadline)

    def _check_usable(self, pool: Pool, order: Order) -> None:
        if self._reactor.seconds() >= order.message.deadline:
            raise _Setback("its deadline passed")
        if not pool.may_be_used:
            raise _Setback(_why_down(pool))

    async def _by(self, way: _Way, order: Order, mail: Mail, before_wire: BeforeWire) -> Handed:
        """One relay. Raises _Setback where the next one should be tried."""
        pool = way.pool
        domain = mail.recipient.rpartition("@")[2].lower()
        content = (
            esp_header(pool.relay.provider, order.message.id, self._keys)
            + way.headers
            + mail.head
            + b"\r\n"
            + mail.body
        )
        envelope = Envelope(
            mail.sender,
            mail.recipient,
            order.message.id if self._return_domain else "",
            mail.needs_smtputf8,
            order.message.deadline,
        )
        try:
            places = await way.enter(domain)
            try:
                self._check_offer(pool, mail, content)
                answer = await self._submit(way, envelope, content, before_wire)
            finally:
                if places is not None:
                    places.give_back()
        except NotNow as error:
            raise _Setback(f"{pool.name}: {error.reason}", not_before=error.not_before, counts=False) from None
        except Trouble as trouble:
            raise _Setback(f"{pool.name} is in trouble: {trouble.reason}") from None
        return self._judge(way, domain, answer)

    def _check_offer(self, pool: Pool, mail: Mail, content: bytes) -> None:
        """Not by a relay that says in advance that it can't."""
        if mail.needs_smtputf8 and pool.knows("SMTPUTF8") is False:
            raise _Setback(f"{pool.name} does not take addresses beyond ASCII (5.6.7)", final=True)
        if 0 < pool.size_limit < len(content):
            raise _Setback(f"{pool.name} does not take messages of that size (5.3.4)", final=True)

    async def _submit(self, way: _Way, envelope: Envelope, content: bytes, before_wire: BeforeWire) -> Answer:
        """Once, and once more without parameters where the relay dislikes those; it is spared them for an hour."""
        now = self._reactor.seconds()
        bare = now < way.bare_until
        answer = await way.pool.submit(envelope, content, before_wire, bare=bare)
        if not bare and verdict_of(answer) is Verdict.BARE:
            answer = await way.pool.submit(envelope, content, _marked_already, bare=True)
            if verdict_of(answer) is not Verdict.BARE:
                way.bare_until = now + BARE_FOR
        return answer

    def _judge(self, way: _Way, domain: str, answer: Answer) -> Handed:
        name, said = way.pool.name, f"{way.pool.name} said {answer}" if answer.code else f"{way.pool.name}: {answer}"
        verdict = verdict_of(answer)
        if verdict is Verdict.TAKEN:
            way.handed += 1
            way.patience.took(domain)
            return Handed(route=name, detail=f"{answer.code} {answer.text}")
        if answer.ambiguous:
            raise Uncertain(said, route=name)
        if verdict in (Verdict.REFUSED, Verdict.BARE):
            raise PermanentFailure(said, hard=is_hard(answer))
        if verdict is Verdict.ROUTE:
            raise _Setback(said)
        if verdict is Verdict.DOMAIN:
            way.throttled += 1
            way.patience.refused(domain, self._reactor.seconds(), at_once=answer.code == 421)
        raise TemporaryFailure(said)


class _Setback(Exception):
    """This relay did not take it: the next may. `final` where this relay never will."""

    def __init__(
        self, reason: str, *, not_before: float | None = None, counts: bool = True, final: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before
        self.counts = counts
        self.final = final


_NONE_CONFIGURED = "none of its relays is configured"


def _why_down(pool: Pool) -> str:
    return f"{pool.name} is down: {pool.trouble}" if pool.trouble else f"{pool.name} is not used now"


def _sum_up(setbacks: list[_Setback]) -> Exception:
    """What to raise when no relay took it."""
    if not setbacks:
        return TemporaryFailure(_NONE_CONFIGURED)
    reason = "; ".join(setback.reason for setback in setbacks)
    if all(setback.final for setback in setbacks):
        return PermanentFailure(reason)
    times = [setback.not_before for setback in setbacks if setback.not_before is not None]
    # A relay that is only busy or paced will take it soon: that is no failed attempt.
    counts = all(setback.counts for setback in setbacks if not setback.final)
    return TemporaryFailure(reason, not_before=min(times) if times and not counts else None, counts=counts)


async def _marked_already(route: str) -> None:
    """The same attempt on the same route: the mark stands."""


_CONNECTION_KEYS = ("host", "port", "tls", "ca_file", "certificate", "private_key", "username", "password", "helo")


def _same_way(one: Relay, other: Relay) -> bool:
    return all(getattr(one, key) == getattr(other, key) for key in _CONNECTION_KEYS)
