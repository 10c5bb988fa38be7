"""The way of a provider's POST: is it the provider's, is it about a message of ours, is it news? Then it is evidence.

Owns the order of these questions and what may be fetched for them. Knows no HTTP server and no provider's format: the
modules of gatewayd.evidence.esp prove and read.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import EvidenceSink, IMeter
from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp import mailgun, mailjet, postmark, sendgrid, ses, sparkpost
from gatewayd.evidence.esp.event import EspEvent, EspRequest, Forged, Settings, Unreadable

Seen = Callable[[str], Awaitable[bool]]
Remember = Callable[[str, float], Awaitable[None]]
Fetch = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Status and body (at most 64 kB) of one GET that follows no redirect. Raises TemporaryFailure."""

READERS: dict[str, Callable[[EspRequest, Settings], tuple[EspEvent, ...]]] = {
    "ses": ses.read,
    "sendgrid": sendgrid.read,
    "mailgun": mailgun.read,
    "postmark": postmark.read,
    "mailjet": mailjet.read,
    "sparkpost": sparkpost.read,
}

# The key without which a provider's signature proves nothing.
_PROOFS: dict[str, str] = {"ses": "topic_arns", "sendgrid": "public_key", "mailgun": "signing_key"}

REMEMBERED = 7 * 86400.0
"""How long an event's key is kept: longer than any provider repeats it, or its signature counts."""

_FETCH_TIME = 5.0
_FETCH_SIZE = 65536
_CERTIFICATES = 8
_AT_ONCE = 64

_log = Logger()


class _Provider(Struct, frozen=True):
    secret: bytes
    settings: Settings
    confirm: bool


class EspEvents:
    """Takes providers' posts; `esp` are the tables of [esp.NAME]."""

    def __init__(
        self,
        clock: IReactorTime,
        keys: Keys,
        *,
        evidence: EvidenceSink,
        esp: Mapping[str, config.Esp],
        seen: Seen,
        remember: Remember,
        fetch: Fetch,
        meter: IMeter,
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._evidence = evidence
        self._providers: dict[str, _Provider] = {}
        self.reload(esp)
        self._seen = seen
        self._remember = remember
        self._fetch = fetch
        self._meter = meter
        self._certificates: dict[str, bytes] = {}
        self._places = DeferredSemaphore(_AT_ONCE)

    def reload(self, esp: Mapping[str, config.Esp]) -> None:
        """Use these tables from now on."""
        for name, table in esp.items():
            if name in _PROOFS and not getattr(table, _PROOFS[name]):
                _log.warn(
                    "esp.{provider}.{key} is missing: every event will be refused", provider=name, key=_PROOFS[name]
                )
        self._providers = {name: _provider(table) for name, table in esp.items() if name in READERS}

    def knows(self, provider: str, secret: str) -> bool:
        """Whether this is the secret of a configured provider; takes the same time for every wrong one."""
        known = self._providers.get(provider)
        same = hmac.compare_digest(secret.encode(), known.secret if known is not None else b"")
        return same and known is not None

    async def take(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        """Return once every event of a known provider's request is durable.

        Raises Forged or Unreadable where the request is worth nothing; TemporaryFailure or StoreUnavailable where
        the provider must send it again, which repeats nothing that was already taken.
        """
        try:
            events = await self._proven(name, headers, body)
        except (Forged, Unreadable) as fault:
            self._meter.evidence(name, "forged" if isinstance(fault, Forged) else "unreadable", "ignored")
            _log.warn("{provider} event not taken: {reason}", provider=name, reason=str(fault))
            raise
        about: dict[str, list[EspEvent]] = {}
        for event in events:
            message_id = self._keys.read(Purpose.ESP, event.token)
            if message_id is None:
                self._meter.evidence(name, _word(event), "orphaned")
            elif event.event is None:
                self._meter.evidence(name, "none", "ignored")
            else:
                about.setdefault(message_id, []).append(event)
        await self._apply_all(name, about)

    async def _proven(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[EspEvent, ...]:
        provider = self._providers[name]
        request = EspRequest(headers, body, self._clock.seconds())
        if name != "ses":
            return READERS[name](request, provider.settings)
        url = ses.certificate_url(body, provider.settings)
        if url:
            request = EspRequest(headers, body, request.now, await self._certificate(url))
        events = ses.read(request, provider.settings)
        confirmation = ses.confirmation_url(request, provider.settings)
        if confirmation:
            await self._confirm(confirmation, provider.confirm)
        return events

    async def _certificate(self, url: str) -> bytes:
        known = self._certificates.get(url)
        if known is not None:
            return known
        status, body = await self._get(url)
        if status != 200 or not body.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"):
            raise TemporaryFailure("the signing certificate could not be fetched")
        if len(self._certificates) >= _CERTIFICATES:
            self._certificates.clear()
        self._certificates[url] = body
        return body

    async def _confirm(self, url: str, allowed: bool) -> None:
        if not allowed:
            _log.warn("an SNS topic of ours asks for confirmation, which esp.ses.confirm switches off")
            return
        status, _ = await self._get(url)
        if status != 200:
            raise TemporaryFailure(f"SNS answered {status} to the confirmation")
        _log.info("SNS subscription confirmed")

    async def _get(self, url: str) -> tuple[int, bytes]:
        try:
            status, body = await Deferred.fromCoroutine(_called(self._fetch, url)).addTimeout(_FETCH_TIME, self._clock)
        except DeferredTimeoutError:
            raise TemporaryFailure("Amazon did not answer in time") from None
        if len(body) > _FETCH_SIZE:
            raise TemporaryFailure("Amazon's answer is too large")
        return status, body

    async def _apply_all(self, name: str, about: Mapping[str, list[EspEvent]]) -> None:
        """All messages side by side, the events of one in their order; every one is tried before any failure counts."""

        def apply(message_id: str, events: list[EspEvent]) -> Deferred[None]:
            return Deferred.fromCoroutine(self._apply(name, message_id, events))

        running = [self._places.run(apply, message_id, events) for message_id, events in about.items()]
        results: Any = await DeferredList(running, consumeErrors=True)
        for succeeded, result in results:
            if not succeeded:
                result.raiseException()

    async def _apply(self, name: str, message_id: str, events: list[EspEvent]) -> None:
        for event in events:
            key = f"{name}:{event.key}"
            if await self._seen(key):
                self._meter.evidence(name, _word(event), "ignored")
                continue
            await self._evidence.record(Evidence(message_id, _meaning(event), name, event.detail, event.hard))
            # Only now: a crash in between tells it twice, which the transition table ignores.
            await self._remember(key, REMEMBERED)


async def _called(fetch: Fetch, url: str) -> tuple[int, bytes]:
    return await fetch(url)


def _provider(given: config.Esp) -> _Provider:
    settings = Settings(
        signing_key=given.signing_key.reveal(),
        public_key=given.public_key.reveal(),
        topic_arns=given.topic_arns,
        username=given.username,
        password=given.password.reveal(),
    )
    return _Provider(given.secret.reveal().encode(), settings, given.confirm)


def _meaning(event: EspEvent) -> Event:
    assert event.event is not None
    return Event.MACHINE_OPENED if event.machine and event.event is Event.OPENED else event.event


def _word(event: EspEvent) -> str:
    return "none" if event.event is None else str(_meaning(event))
