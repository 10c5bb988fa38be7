"""SMS or instant messages by HTTP as a way out: all vendors of a kind, and what an answer means for the message.

Owns the vendors. It tries once: it never retries a message, and imports no store, no track and no other channel. What
is asked is templates.py's, what an answer says answers.py's, waiting and connections vendor.py's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from zope.interface import implementer

from gatewayd.config import Provider
from gatewayd.core.errors import Down, NotWritten, PermanentFailure, TemporaryFailure, Unanswered, Uncertain
from gatewayd.core.failover import Setback, first_that_takes
from gatewayd.core.interfaces import BeforeWire, IChannel, ISharedRoutes
from gatewayd.core.kept_ways import KeptWays, OnAnswer, count_nothing
from gatewayd.core.model import Handed, Order, part_of
from gatewayd.core.pace import Reserve
from gatewayd.core.redact import redact, without_addresses
from gatewayd.http_client.answers import asked_for
from gatewayd.providers.answers import Reading, Verdict, read
from gatewayd.providers.exchange import Answered
from gatewayd.providers.templates import filled
from gatewayd.providers.vendor import LIVE_KEYS, Vendor
from gatewayd.providers.words import words_of

ReportUrl = Callable[[str, str], str]
"""`report_url(provider, message_id)`: where reports about this message go; "" where nobody listens."""

_OWN_TROUBLE = frozenset({401, 402, 403, 404, 405, 407, 408, 421})
"""Statuses beside 3xx and 5xx that fault the vendor, or our account with it, and no message."""

_SLOW_DOWN = 429
_UNAVAILABLE = 503


@implementer(IChannel, ISharedRoutes)
class HttpChannel(KeptWays[Vendor]):
    """All vendors of one kind. `reserve` is IStore.reserve."""

    def __init__(
        self,
        reactor: Any,
        providers: Mapping[str, Provider],
        *,
        report_url: ReportUrl,
        reserve: Reserve,
        jitter: Callable[[], float],
        on_answer: OnAnswer = count_nothing,
    ) -> None:
        self._reactor = reactor
        self._report_url = report_url
        self._reserve = reserve
        self._jitter = jitter
        self._on_answer = on_answer
        super().__init__(providers, LIVE_KEYS, self._vendor)

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """As IChannel.send."""
        return await first_that_takes(
            order.routes, lambda route: self.attempt(route, order, before_wire), none="no provider is routed to"
        )

    async def attempt(self, route: str, order: Order, before_wire: BeforeWire) -> Handed | Setback:
        """See ISharedRoutes."""
        vendor = self._ways.get(route)
        if vendor is None or not vendor.up:
            return Setback(self._why_down(route))
        url = self._report_url(route, order.message.id)
        asked = filled(vendor.settings, words_of(order, vendor.settings, url, self._reactor.seconds()))

        async def mark() -> None:
            await before_wire(route)

        try:
            answer = await vendor.ask(asked, order.message.id, mark)
        except Down as down:
            return Setback(str(down))
        except NotWritten:
            raise TemporaryFailure(f"{route} closed its connection", not_before=0.0, counts=False) from None
        except Unanswered as lost:
            self._on_answer(route, "none", vendor.settings.timeout)
            raise Uncertain(f"{route}: {lost}", route=route) from None
        self._on_answer(route, str(answer.status), answer.seconds)
        reading = read(vendor.settings.answer, answer.status, answer.body)
        return self._outcome(vendor, order, answer, reading)

    def _outcome(self, vendor: Vendor, order: Order, answer: Answered, reading: Reading) -> Handed | Setback:
        """What the answer means for the message: raised where it is the message's, a Setback where the vendor's own."""
        name, now = vendor.name, self._reactor.seconds()
        # Where the directory has no addresses of instant messages, it is the player's id, which may stay.
        about = () if order.address == order.message.ext_user_id else (order.address,)
        why = without_addresses(reading.why, about) if reading.why else ""
        said = f"{answer.status}" + (f" ({why})" if why else "")
        reason = f"{name} answered {said}"
        later = asked_for(answer.retry_after, now) or 0.0
        verdict = reading.verdict
        if verdict is Verdict.TEMPORARY and answer.status == _SLOW_DOWN:
            verdict = Verdict.THROTTLED
        if verdict is Verdict.TAKEN:
            vendor.health.answered(now)
            vendor.accepted(order.message, answer)
            # Which message a report is about says its URL; an id only tells parts apart, where there may be several.
            # But where all reports come to one URL without a token of ours, it is all that they are known by.
            by_ids = bool(vendor.settings.reports.url_secret)
            of = "" if by_ids else order.message.id
            several = by_ids or "*" in vendor.settings.answer.ids
            parts = tuple(part_of(name, of, one) for one in reading.ids) if several else ()
            return Handed(name, parts, redact(" ".join(reading.ids), 200, about))
        if verdict is Verdict.UNREADABLE:
            lost = f"{name} answered {answer.status}, and what it said can't be read"
            vendor.health.unanswered(now, lost)
            raise Uncertain(lost, route=name)
        if verdict is Verdict.REJECTED:
            vendor.health.answered(now)
            vendor.own_reasons.rejected(order.message.label, order.message.id, said)
            raise PermanentFailure(reason)
        if verdict is Verdict.THROTTLED:
            vendor.health.answered(now)
            vendor.own_reasons.in_vain(said)
            until = vendor.throttled(order.message.id, answer, later)
            if until is None:
                raise TemporaryFailure(f"{reason} again, and takes others", not_before=later or None)
            raise TemporaryFailure(reason, not_before=until, counts=False)
        vendor.own_reasons.refused(order.message.id, said)
        if answer.status in _OWN_TROUBLE or (not 200 <= answer.status < 300 and not 400 <= answer.status < 500):
            vendor.health.failed(now, reason, later if answer.status == _UNAVAILABLE else 0.0)
            self.log.warn("{reason}", reason=reason, message_id=order.message.id)
        else:
            vendor.health.answered(now)
        return Setback(reason, not_before=later or None)

    def reconfigure(self, providers: Mapping[str, Provider]) -> None:
        """New configuration: what stays as it was keeps its connections."""
        self._replace(providers)

    def _vendor(self, name: str, settings: Provider) -> Vendor:
        return Vendor(self._reactor, name, settings, reserve=self._reserve, jitter=self._jitter)
