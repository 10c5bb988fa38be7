"""One relay as a way for messages: its pool, how its recipient domains are paced, and what its answers mean.

Owns one try by one relay, and what of its answer concerns others than the message. Must not know labels, the other
relays or the store.
"""

from contextlib import nullcontext
from typing import Any

from gatewayd.config import Relay
from gatewayd.core.errors import PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.failover import Setback
from gatewayd.core.interfaces import BeforeWire
from gatewayd.core.model import Handed, Message, WayState
from gatewayd.core.own_reasons import OwnReasons
from gatewayd.core.rate import NotNow, Rate
from gatewayd.core.slots import Slot, Slots
from gatewayd.smtp.added_headers import header_lines
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.mime import ComposedMail
from gatewayd.smtp.negotiation import RelayTrouble
from gatewayd.smtp.pool import Pool, PoolSettings
from gatewayd.smtp.replies import RelayAnswer, RelayVerdict, Stage, is_hard, verdict_of
from gatewayd.smtp.slow_domains import SlowDomains

DOMAIN_QUEUE = 20
DOMAIN_WAIT = 2.0
"""Mails to one recipient domain that may wait for its slots, and for how many seconds."""

BARE_FOR = 3600.0
"""Seconds for which a relay that disliked parameters gets none."""

LIVE_KEYS = frozenset({"connections", "rate", "provider", "on_uncertain", "uncertain_wait", "headers", "domains"})
"""Keys of a relay's table that a reload may change on living connections."""


class RelayRoute:
    """The relay `name`. It tries once; who tries again, and where, is not decided here."""

    heard_since = 0.0
    """What a relay knows later comes as returned mail or an ESP's event."""

    tells_later = False
    """Few relays know more than that they took a mail."""

    def __init__(self, reactor: Any, name: str, relay: Relay, settings: PoolSettings) -> None:
        self.name = name
        self._reactor = reactor
        self._shared = settings
        self._pool = Pool(reactor, name, relay, settings)
        self._slow_domains = SlowDomains(settings.jitter)
        self._bare_until = 0.0
        self._handed = 0
        self._throttled = 0
        self._own_reasons = OwnReasons(reactor, "mail")
        self._limit(relay)

    # -- how it stands ------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Relay:
        """The table that it goes by."""
        return self._pool.relay

    @property
    def handed(self) -> int:
        """Mails that it took since the start."""
        return self._handed

    @property
    def up(self) -> bool:
        """Whether mail would go out now, as far as the latest connection tells."""
        return self._pool.health.up

    def why_down(self) -> str:
        """Why no message may be tried now; empty where one may."""
        if self._pool.may_be_used:
            return ""
        trouble = self._pool.health.trouble
        return f"{self.name} is down: {trouble}" if trouble else f"{self.name} is not used now"

    def state(self) -> WayState:
        """For people."""
        health = self._pool.health
        closed = self._slow_domains.closed(self._reactor.seconds())
        domains = "1 recipient domain" if closed == 1 else f"{closed} recipient domains"
        slowed = f"{domains} asked us to slow down" if closed else ""
        refuses = self._own_reasons.words()
        return WayState(
            up=health.up,
            word="up" if health.up else "down" if health.trouble else "connecting",
            reason=health.trouble or refuses or slowed,
            since=health.since,
            in_flight=self._pool.in_flight,
            window=self.settings.connections,
            rate=self.settings.rate,
            handed=self._handed,
            throttled=self._throttled,
            refuses=refuses,
            refuses_of=self._own_reasons.labels(),
        )

    # -- its life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Probe at once and from now on."""
        self._pool.start()

    async def stop(self) -> None:
        """Take nothing new; returns when what is on the wire has its answer. Cancelled, it closes all connections."""
        await self._pool.stop()

    def reconfigure(self, relay: Relay) -> None:
        """Go by `relay`, which differs in LIVE_KEYS only."""
        self._pool.configure(relay)
        self._own_reasons.forget()
        self._limit(relay)

    def _limit(self, relay: Relay) -> None:
        self.headers = header_lines(relay.headers).encode()
        limits = {name.lower(): limit for name, limit in relay.domains.items()}
        self._rates = {
            name: Rate(self._reactor, f"relay:{self.name}:{name}", limit.rate, DOMAIN_WAIT, self._shared.reserve)
            for name, limit in limits.items()
            if limit.rate
        }
        self._slots = {
            name: Slots(self._reactor, limit.connections, DOMAIN_WAIT, self._no_slot_in_time)
            for name, limit in limits.items()
            if limit.connections
        }

    # -- one message --------------------------------------------------------------------------------------------

    async def try_once(
        self, message: Message, envelope: Envelope, mail: ComposedMail, headers: bytes, before_wire: BeforeWire
    ) -> Handed | Setback:
        """Send it, with `headers` in front. Raises what ends the message's attempt as a whole."""
        domain = mail.recipient.rpartition("@")[2].lower()
        content = b"".join((headers, self.headers, mail.head, b"\r\n", mail.body))
        try:
            with await self._slot(domain):
                if never := self._never_takes(mail, content):
                    return never
                answer = await self._submit(envelope, content, before_wire)
        except NotNow as error:
            return Setback(f"{self.name}: {error.reason}", not_before=error.not_before, counts=False)
        except RelayTrouble as trouble:
            return Setback(f"{self.name} is in trouble: {trouble.reason}")
        self._note(message, answer)
        # The first mail after a start comes before the relay's EHLO: what that said was not known above.
        at_once = answer.stage is Stage.MAIL and not answer.ambiguous
        return (at_once and self._never_takes(mail, content)) or self._judge(domain, answer)

    async def _slot(self, domain: str) -> Slot | nullcontext[None]:
        """Wait, a little, until a message to `domain` may go. Raises NotNow."""
        self._slow_domains.check(domain, self._reactor.seconds())
        slots, rate = self._slots.get(domain), self._rates.get(domain)
        if slots is None and rate is None:
            return nullcontext()
        slot: Slot | nullcontext[None] = nullcontext()
        if slots is not None:
            if slots.waiting >= DOMAIN_QUEUE:
                raise NotNow("as many as allowed are under way to that domain", self._reactor.seconds() + 1.0)
            slot = await slots.take()
        if rate is not None:
            try:
                self._pool.rate.check()
                with rate.line() as turn:
                    await turn()
            except BaseException:
                slot.__exit__(None, None, None)
                raise
        return slot

    def _no_slot_in_time(self) -> NotNow:
        return NotNow("no slot became free in time", self._reactor.seconds() + 1.0)

    def _never_takes(self, mail: ComposedMail, content: bytes) -> Setback | None:
        """Why the relay, as its EHLO says, can't take this one: another may. None where it can, as far as is known."""
        if mail.needs_smtputf8 and self._pool.traits.knows("SMTPUTF8") is False:
            return Setback(f"{self.name} does not take addresses beyond ASCII (5.6.7)", final=True)
        if 0 < self._pool.traits.size_limit < len(content):
            return Setback(f"{self.name} does not take messages of that size (5.3.4)", final=True)
        return None

    async def _submit(self, envelope: Envelope, content: bytes, before_wire: BeforeWire) -> RelayAnswer:
        """Once, and once more without parameters where the relay dislikes those; it is spared them for an hour."""
        now = self._reactor.seconds()
        bare = now < self._bare_until
        answer = await self._pool.submit(envelope, content, before_wire, bare=bare)
        if not bare and verdict_of(answer) is RelayVerdict.BARE:
            answer = await self._pool.submit(envelope, content, _marked_already, bare=True)
            if verdict_of(answer) is not RelayVerdict.BARE:
                self._bare_until = now + BARE_FOR
        return answer

    def _note(self, message: Message, answer: RelayAnswer) -> None:
        """Whether it speaks of itself; one connection that was lost says nothing."""
        if not answer.code:
            self._own_reasons.in_vain(str(answer))
        elif verdict_of(answer) is RelayVerdict.ROUTE:
            self._own_reasons.refused(message.id, str(answer))
        elif verdict_of(answer) is RelayVerdict.REFUSED:
            self._own_reasons.rejected(message.label, message.id, str(answer), hard=is_hard(answer))
        else:
            self._own_reasons.works(message.label)

    def _judge(self, domain: str, answer: RelayAnswer) -> Handed | Setback:
        said = f"{self.name} said {answer}" if answer.code else f"{self.name}: {answer}"
        verdict = verdict_of(answer)
        if verdict is RelayVerdict.ACCEPTED:
            self._handed += 1
            self._slow_domains.accepted(domain)
            return Handed(route=self.name, detail=f"{answer.code} {answer.text}")
        if answer.ambiguous:
            raise Uncertain(said, route=self.name)
        if verdict is RelayVerdict.REFUSED or (verdict is RelayVerdict.BARE and answer.code >= 500):
            raise PermanentFailure(said, hard=is_hard(answer))
        if verdict is RelayVerdict.ROUTE:
            return Setback(said)
        if verdict is RelayVerdict.DOMAIN:
            self._throttled += 1
            self._slow_domains.refused(domain, self._reactor.seconds(), at_once=answer.code == 421)
        raise TemporaryFailure(said)


async def _marked_already(route: str) -> None:
    """The same attempt on the same route: the mark stands."""
