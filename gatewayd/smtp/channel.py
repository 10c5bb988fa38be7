"""Email's way out: one message to the first of its relays that takes it.

Owns the relays, and what a label adds to its mail. Tries once; must not know the store, the tracker, the retry policy
or the other channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from gatewayd.config import Label, Relay
from gatewayd.core.at_most import has_ended
from gatewayd.core.drain import DRAIN
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.failover import Setback, first_that_takes
from gatewayd.core.interfaces import BeforeWire, IChannel
from gatewayd.core.kept_ways import KeptWays
from gatewayd.core.model import Handed, Order
from gatewayd.core.rate import NotNow, OwnSequence, Rate, Reserve
from gatewayd.core.tokens import Keys
from gatewayd.smtp.added_headers import esp_header, header_lines
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.dkim import Signer
from gatewayd.smtp.mime import Brand, ComposedMail, Unsendable, compose
from gatewayd.smtp.own_name import OwnName, no_name
from gatewayd.smtp.pool import PoolSettings
from gatewayd.smtp.route import LIVE_KEYS, RelayRoute
from gatewayd.smtp.timeouts import Timeouts

BIG = 32768
"""Characters of a mail from which on it is composed in a thread."""

PREVIEW_BURST = 5
"""Previews of one label that may leave at once."""

_NONE_CONFIGURED = "none of its relays is configured"


@dataclass(frozen=True, slots=True)
class _LabelSending:
    """A label as far as sending goes."""

    label: Label
    brand: Brand
    signer: Signer | None
    previews: Rate


@implementer(IChannel)
class SmtpChannel(KeptWays[RelayRoute]):
    """Hands email to relays. A Service: starting it probes the relays, stopping it lets what is on the wire finish.

    `return_domain` is [bounces] domain, empty without that table; `base_url` is [public]'s, empty without it.
    `own_name` is what EHLO says where a relay's table has no `helo`, empty for the address literal. `reserve`
    (IStore.reserve_soon) makes the rates of relays and domains count for all processes; without it they count for this
    one.
    """

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
        self._settings = PoolSettings(timeouts or Timeouts(), own_name, jitter, reserve)
        self._labels: dict[str, _LabelSending] = {}
        super().__init__(relays, LIVE_KEYS, lambda name, relay: RelayRoute(reactor, name, relay, self._settings))
        self.reconfigure(relays, labels)

    # -- the service --------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        # What has not ended then is cancelled: it closes its connections at once.
        await has_ended(Deferred.fromCoroutine(super()._stop()), self._reactor, self._drain)

    def reconfigure(self, relays: Mapping[str, Relay], labels: Mapping[str, Label]) -> None:
        """Take over another configuration; connections to relays that stay the same stay open.

        Raises ValueError where a label's DKIM key can't sign; then nothing has changed.
        """
        self._labels = {name: self._sending(name, label) for name, label in labels.items()}
        self._replace(relays)

    def _sending(self, name: str, label: Label) -> _LabelSending:
        known = self._labels.get(name)
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
        own = OwnSequence(self._reactor, PREVIEW_BURST)
        previews = Rate(self._reactor, f"previews:{name}", label.preview_rate, 0.0, own.reserve)
        return _LabelSending(label, brand, signer, previews)

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel. A relay that is not known to be up yet has to be tried."""
        reasons = [self._ways[name].why_down() for name in routes if name in self._ways]
        return "; ".join(reasons) if all(reasons) and reasons else "" if reasons else _NONE_CONFIGURED

    def handed_by(self, provider: str) -> int:
        """Mails that relays of this `provider` took since the start; where none has it, those of no provider."""
        routes = [route for route in self._ways.values() if route.settings.provider in ("", provider)]
        of_it = [route for route in routes if route.settings.provider == provider]
        return sum(route.handed for route in of_it or routes)

    # -- one message --------------------------------------------------------------------------------------------

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """See IChannel. A relay that is busy is a setback like any other: relays are alike."""
        sending = self._labels.get(order.message.label)
        if sending is None:
            raise TemporaryFailure("its label is not configured")
        if order.message.activity_type:
            await self._pace_preview(sending)
        mail: ComposedMail | None = None

        async def by(name: str) -> Handed | Setback:
            nonlocal mail
            route = self._ways[name]
            if self._reactor.seconds() >= order.message.deadline:
                return Setback("its deadline passed")
            if why := route.why_down():
                return Setback(why)
            # Not before: thousands of messages may wait for a relay that is down.
            mail = mail or await self._prepare(order, sending)
            headers = esp_header(route.settings.provider, order.message.id, self._keys)
            return await route.try_once(order.message, self._envelope(order, mail), mail, headers, before_wire)

        routes = [name for name in order.routes if name in self._ways]
        return await first_that_takes(routes, by, none=_NONE_CONFIGURED)

    async def _pace_preview(self, sending: _LabelSending) -> None:
        try:
            with sending.previews.line() as turn:
                await turn()
        except NotNow as error:
            raise TemporaryFailure("previews go slowly", not_before=error.not_before, counts=False) from None

    async def _prepare(self, order: Order, sending: _LabelSending) -> ComposedMail:
        """The finished mail; what takes long is done in a thread, so that it holds up nobody else's message."""
        content: Any = order.message.content
        big = len(getattr(content, "body", "")) + len(getattr(content, "text_body", "")) > BIG
        threaded = big or (sending.signer is not None and sending.signer.slow)
        try:
            if threaded:
                pool = self._reactor.getThreadPool()
                return await deferToThreadPool(self._reactor, pool, self._compose, order, sending)
            return self._compose(order, sending)
        except Unsendable as error:
            raise PermanentFailure(f"it can't be sent as mail: {error}") from None

    def _compose(self, order: Order, sending: _LabelSending) -> ComposedMail:
        mail = compose(order.message, order.address, sending.brand, self._keys)
        if sending.signer is None:
            return mail
        return sending.signer.sign(mail, order.message.accepted_at, order.message.deadline)

    def _envelope(self, order: Order, mail: ComposedMail) -> Envelope:
        return Envelope(
            mail.sender,
            mail.recipient,
            order.message.id if self._return_domain else "",
            mail.needs_smtputf8,
            order.message.deadline,
        )
