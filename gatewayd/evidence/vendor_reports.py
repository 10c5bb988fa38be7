"""The way of a vendor's report: is it the vendor's, is it about a message of ours, does it say anything? Then evidence.

Owns the order of these questions. Knows no HTTP server: the modules of gatewayd.evidence.vendors prove and read. Which
message a report is about says the signed token in its URL; of a vendor that has one URL for all, the one that it gives
back beside each status, or its own id, where the secret in that URL proves it.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.config import Provider
from gatewayd.config.providers import ProviderReports
from gatewayd.config.secret import Secret
from gatewayd.core.interfaces import EvidenceSink, IMeter
from gatewayd.core.model import Evidence, Inbound, Known, Receipt, part_of
from gatewayd.core.number_readings import readings
from gatewayd.core.redact import redact
from gatewayd.core.status import Event
from gatewayd.core.tally import Tally
from gatewayd.core.threads import InThread
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp.event import Forged, Unreadable
from gatewayd.evidence.post_troubles import PostTroubles
from gatewayd.evidence.vendors.proofs import PROOFS
from gatewayd.evidence.vendors.reading import VendorSaid, VendorText, read, read_texts
from gatewayd.evidence.vendors.request import ReportRequest

EVENTS: Mapping[str, Event] = {
    "accepted": Event.SENT,
    "delivered": Event.DELIVERED,
    "failed": Event.FAILED,
    "rejected": Event.REJECTED,
}
"""What each status of [providers.NAME.reports] states says of a message."""

_CHALLENGE = re.compile(rb"(?:^|&)hub\.challenge=([A-Za-z0-9_-]{1,200})(?:&|$)")
"""In the query of a GET (developers.facebook.com/docs/graph-api/webhooks/getting-started, "Verification Requests")."""

_BAD_NEWS = frozenset({Event.FAILED, Event.REJECTED})

FACTS_A_MESSAGE = 600
"""How many are recorded of one message: whoever holds its URL can call as often as he likes."""

ABOUT_ONE = 65_536
"""Octets of a report that is about one message; ABOUT_MANY of those on which a vendor has one URL for all."""

ABOUT_MANY = 1_048_576

ANSWERS_LATE = 1.0
"""Seconds beyond a provider's timeout after which no answer is awaited any more."""


class VendorReports:
    """Takes reports of `providers`, the tables of [providers.NAME]."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        keys: Keys,
        *,
        evidence: EvidenceSink,
        about: Callable[[str], Awaitable[Known | None]],
        ping: Callable[[], Awaitable[object]],
        providers: Mapping[str, Provider],
        base_url: str,
        meter: IMeter,
        troubles: PostTroubles,
        in_thread: InThread,
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._evidence = evidence
        self._about = about
        self._ping = ping
        self._providers = providers
        self._base_url = base_url.rstrip("/")
        self._meter = meter
        self._troubles = troubles
        self._in_thread = in_thread
        self._recorded = Tally(FACTS_A_MESSAGE)

    def reload(self, providers: Mapping[str, Provider]) -> None:
        """Use these tables from now on."""
        self._providers = providers

    def knows(self, provider: str) -> bool:
        """Whether it is configured."""
        return provider in self._providers

    def most_body(self, provider: str) -> int:
        """Octets that one report of a configured provider may have."""
        table = self._providers[provider]
        reports = table.reports
        return ABOUT_MANY if reports.token or reports.url_secret or table.inbound.secret else ABOUT_ONE

    def challenge(self, provider: str, request: Any) -> bytes:
        """What Meta wants to read before it takes a URL for the reports on all messages; empty where it asks nothing.

        Whoever asks gets his own word back: that proves nothing, and what comes then bears tokens of ours or settles
        nothing.
        """
        if request.method != b"GET" or not self._providers[provider].reports.token:
            return b""
        found = _CHALLENGE.search(request.query)
        return found[1] if found else b""

    def brings_texts(self, provider: str, token: str) -> bool:
        """Whether that is where texts of players come to, and not a message's reports."""
        return _is(token, self._providers[provider].inbound.secret)

    async def record(self, name: str, token: str, request: Any) -> None:
        """Return once all that a known provider's report says, or a player's text, is durable.

        A bad token, a report that says nothing and one that was told before are no reason to ask again. Raises Forged
        where the provider signs and this is not signed; Unreadable where its body is compressed; StoreUnavailable where
        it must come again.
        """
        provider, report = self._providers[name], self._report(name, token, request)
        brings_texts, by_ids = self.brings_texts(name, token), _is(token, provider.reports.url_secret)
        of_message = {} if by_ids else await self._facts(provider.reports, token, report)
        is_about_ours = brings_texts or of_message.keys() != {None}
        try:
            self._prove(name, provider, report)
        except (Forged, Unreadable) as fault:
            if is_about_ours:
                self._troubles.refused(f"providers.{name}", str(fault))
            raise
        if is_about_ours:
            self._troubles.good(f"providers.{name}")
        counts = brings_texts and await self._record_texts(name, provider, report)
        if by_ids:
            counts = await self._record_by_ids(name, provider, report) or counts
        if counts and of_message == {None: []}:
            return
        for message_id, facts in of_message.items():
            if message_id is None or not facts or self._recorded.is_full(message_id):
                self._meter.evidence(name, "none", "orphaned" if message_id is None else "ignored")
                continue
            counts = True
            known = await self._about(message_id)
            for said in facts:
                await self._record(name, provider, message_id, known, said)
                self._recorded.count(message_id)
        if not counts:
            # With the store down a report that counts gets 503: whatever does not must then get it too.
            await self._ping()

    def _report(self, name: str, token: str, request: Any) -> ReportRequest:
        return ReportRequest(
            request.method.decode("latin-1"),
            f"{self._base_url}/dlr/{name}/{token}",
            request.query.decode("latin-1"),
            {key.decode("latin-1"): value.decode("latin-1") for key, value in request.headers},
            request.body,
            self._clock.seconds(),
        )

    async def _record_texts(self, name: str, provider: Provider, report: ReportRequest) -> bool:
        """Make what players wrote durable; whether they wrote anything."""
        texts: tuple[VendorText, ...] = await self._in_thread(len(report.body), read_texts, provider.inbound, report)
        for one in texts:
            first, *others = self._hashes(provider, one.number) or ("",)
            await self._evidence.record_inbound(Inbound(name, first, one.text, tuple(others)))
        return bool(texts)

    async def _record_by_ids(self, name: str, provider: Provider, report: ReportRequest) -> bool:
        """Make durable what is said of the vendor's own ids, as of an SMSC's; whether it says anything."""
        counts = False
        for said in await self._read(provider.reports, report):
            event = _event(provider, said)
            if event is None or event is Event.SENT or not said.remote_id:
                self._meter.evidence(name, event or "none", "ignored")
                continue
            counts = True
            part = part_of(name, "", said.remote_id)
            await self._evidence.record_receipt(Receipt(name, (part,), event, _detail(said, event)))
        return counts

    def _hashes(self, provider: Provider, number: str) -> list[str]:
        """What a player's number may be known by; of instant messages it is any text, with or without a plus."""
        numbers = readings(number.encode("latin-1", "replace"))
        if provider.carries == "sms":
            found = (self._keys.number_hashes(one) for one in numbers)
        else:
            found = (
                self._keys.address_hashes(one) for one in (number, *numbers, *(f"+{one}" for one in numbers)) if one
            )
        return list(dict.fromkeys(one for hashes in found for one in hashes))

    async def _facts(
        self, table: ProviderReports, token: str, report: ReportRequest
    ) -> dict[str | None, list[VendorSaid]]:
        """What a report says by the message that it says it of; None for what is about none of ours."""
        facts = await self._read(table, report) if not report.is_compressed else ()
        if not table.token:
            return {self._keys.read(Purpose.REPORT, token): list(facts)}
        of_message: dict[str | None, list[VendorSaid]] = {}
        for said in facts:
            of_message.setdefault(self._message_of(said.token), []).append(said)
        return of_message or {None: []}

    async def _read(self, table: ProviderReports, report: ReportRequest) -> tuple[VendorSaid, ...]:
        facts: tuple[VendorSaid, ...] = await self._in_thread(len(report.body), read, table, report)
        return facts

    def _message_of(self, token: str) -> str | None:
        """Whose token it is, in either length."""
        return self._keys.read(Purpose.REPORT, token) or self._keys.read_short(Purpose.REPORT, token)

    def _prove(self, name: str, provider: Provider, report: ReportRequest) -> None:
        try:
            if report.is_compressed:
                raise Unreadable("its body is compressed")
            if signature := provider.reports.signature:
                PROOFS[signature](report, provider.reports.secret.reveal())
        except (Forged, Unreadable) as fault:
            self._meter.evidence(name, "forged" if isinstance(fault, Forged) else "unreadable", "ignored")
            self.log.warn("a report of {provider} was not taken: {reason}", provider=name, reason=str(fault))
            raise

    async def _record(
        self, name: str, provider: Provider, message_id: str, known: Known | None, said: VendorSaid
    ) -> None:
        event = _event(provider, said)
        # By a Redis that has forgotten its mark no way has it; but only the request to the vendor bore this URL.
        if event is None or known is None or known.route not in (name, ""):
            # Another word, a message that is kept no more, or one that another way has by now.
            result = "orphaned" if known is None else "ignored"
            self._meter.evidence(name, event or "none", result)
            return
        if event is Event.DELIVERED:
            self._troubles.arrived(f"providers.{name}", known.label)
        elif event in _BAD_NEWS and "delivered" in provider.reports.states.values():
            self._troubles.not_arrived(f"providers.{name}", known.label, message_id, said.word)
        detail = _detail(said, event)
        # One part that it accepted is enough for the whole, as in an answer: no other copy may leave.
        if said.remote_id and "*" in provider.answer.ids and event is not Event.SENT:
            # One that waits for its next try awaits no answer that could name parts: it counts before a copy leaves.
            patience = known.sent_at + provider.timeout + ANSWERS_LATE if known.is_on_the_wire else 0.0
            part = part_of(name, message_id, said.remote_id)
            await self._evidence.record_receipt(
                Receipt(name, (part,), event, detail, message_id=message_id, whole_after=patience)
            )
        else:
            await self._evidence.record(Evidence(message_id, event, name, detail))


def _is(token: str, secret: Secret) -> bool:
    """Whether the URL ends in this secret; one that is not set is no URL's."""
    return bool(secret) and hmac.compare_digest(token.encode(), secret.reveal().encode())


def _event(provider: Provider, said: VendorSaid) -> Event | None:
    state = provider.reports.states.get(said.word)
    return EVENTS[state] if state else None


def _detail(said: VendorSaid, event: Event) -> str:
    why = said.reason if event in _BAD_NEWS else ""
    return redact(f"{said.word} {why}".rstrip(), 100)
