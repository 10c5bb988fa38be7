"""The way of a provider's POST: is it the provider's, is it about a message of ours, is it news? Then it is evidence.

Owns the order of these questions. Knows no HTTP server and no provider's format: the modules of gatewayd.evidence.esp
prove and read, and amazon.py fetches what SES is proven by.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd import config
from gatewayd.config.esp import ESP_NEEDS
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import Claim, EvidenceSink, IEventClaims, IMeter
from gatewayd.core.model import Channel, Evidence
from gatewayd.core.slots import Slots
from gatewayd.core.status import Event
from gatewayd.core.threads import InThread
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.amazon import Amazon, Fetch
from gatewayd.evidence.esp import (
    brevo,
    form,
    kumomta,
    mailgun,
    mailjet,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    ses,
    smtp2go,
    sparkpost,
)
from gatewayd.evidence.esp.event import EspEvent, EspRequest, Forged, Settings, Unreadable
from gatewayd.evidence.post_troubles import PostTroubles

READERS: dict[str, Callable[[EspRequest, Settings], tuple[EspEvent, ...]]] = {
    "ses": ses.read,
    "sendgrid": sendgrid.read,
    "mailgun": mailgun.read,
    "postmark": postmark.read,
    "mailjet": mailjet.read,
    "sparkpost": sparkpost.read,
    "brevo": brevo.read,
    "mandrill": mandrill.read,
    "smtp2go": smtp2go.read,
    "resend": resend.read,
    "postal": postal.read,
    "kumomta": kumomta.read,
}

LARGEST = 4_194_304
"""Octets of a batch at most: Mandrill's thousand opens are half of it, as each quotation mark takes three in a form."""

ONE_EVENT = 1_048_576
"""Octets of a post of a provider that sends no batches."""

_BATCHES = frozenset({"sendgrid", "mailjet", "sparkpost", "brevo", "mandrill", "kumomta"})

GIVE_UP_ON_5XX = frozenset({"brevo"})
"""Who throws away what was answered with 5xx, and repeats it after 429 (developers.brevo.com/docs/retry-mechanism)."""

SMALL = 65_536
"""Octets up to which a post is read at once, and not in a thread."""

REMEMBERED = 7 * 86400.0
"""How long an event's key is kept: longer than any provider repeats it, or its signature counts."""

_AT_ONCE = 1000  # messages that are recorded at a time, of all requests

_FAREWELL = "the subscription of an SNS topic has ended; no events of it come until it is subscribed again"

_log = Logger()


class _EspProvider(Struct, frozen=True):
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
        base_url: str,
        claims: IEventClaims,
        fetch: Fetch,
        meter: IMeter,
        in_thread: InThread,
        troubles: PostTroubles,
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._evidence = evidence
        self._in_thread = in_thread
        self._providers: dict[str, _EspProvider] = {}
        self.reload(esp)
        self._claims = claims
        self._base_url = base_url.rstrip("/")
        self._amazon = Amazon(clock, fetch)
        self._meter = meter
        self._troubles = troubles
        self._at_work = Slots(clock, _AT_ONCE)

    def reload(self, esp: Mapping[str, config.Esp]) -> None:
        """Use these tables from now on."""
        for name, table in esp.items():
            if name in ESP_NEEDS and not getattr(table, ESP_NEEDS[name]):
                _log.warn(
                    "esp.{provider}.{key} is missing: every event will be refused", provider=name, key=ESP_NEEDS[name]
                )
        self._providers = {name: _provider(table) for name, table in esp.items() if name in READERS}

    @staticmethod
    def most_body(provider: str) -> int:
        """Octets that one post of this provider may have."""
        return LARGEST if provider in _BATCHES else ONE_EVENT

    def knows(self, provider: str, secret: str) -> bool:
        """Whether this is the secret of a configured provider; takes the same time for every wrong one."""
        known = self._providers.get(provider)
        same = hmac.compare_digest(secret.encode(), known.secret if known is not None else b"")
        return same and known is not None

    async def record(self, name: str, headers: Mapping[str, str], body: bytes, path: str = "") -> None:
        """Return once every event of a known provider's request is durable. `path` is the request's, as it came.

        Raises Forged or Unreadable where the request is worth nothing; TemporaryFailure or StoreUnavailable where
        the provider must send it again, which repeats nothing that was already taken.
        """
        try:
            events = await self._proven(name, headers, body, path)
        except (Forged, Unreadable) as fault:
            self._meter.evidence(name, "forged" if isinstance(fault, Forged) else "unreadable", "ignored")
            _log.warn("an event of {provider} was refused: {reason}", provider=name, reason=str(fault))
            self._troubles.refused(f"esp.{name}", str(fault))
            raise
        except TemporaryFailure as trouble:
            # What it is proven by could not be had: it comes again, and in vain for as long as that lasts.
            self._troubles.refused(f"esp.{name}", str(trouble))
            raise
        self._troubles.good(f"esp.{name}")
        if name == "ses" and ses.is_farewell(body):
            _log.warn("esp.ses: {why}", why=_FAREWELL)
            self._troubles.ended("esp.ses", _FAREWELL)
        about: list[tuple[str, EspEvent]] = []
        for event in events:
            message_id = self._message(event)
            if message_id is not None:
                self._troubles.matched(f"esp.{name}")
            elif event.event is not None:
                self._troubles.stranger(f"esp.{name}")
            if event.event is None:
                self._meter.evidence(name, "none", "ignored" if message_id else "orphaned")
            elif message_id is None:
                self._meter.evidence(name, _word(event), "orphaned")
            else:
                about.append((message_id, event))
        await self._apply_all(name, about)

    def _message(self, event: EspEvent) -> str | None:
        """Which message it is about: by our token, else by the signed part of our Message-ID or envelope sender."""
        return (
            self._keys.read(Purpose.ESP, event.token)
            or self._keys.read(Purpose.MESSAGE_ID, _before_at(event.mail_id))
            or self._keys.read(Purpose.BOUNCE, _before_at(event.sender).rpartition("+")[2])
        )

    async def _proven(self, name: str, headers: Mapping[str, str], body: bytes, path: str) -> tuple[EspEvent, ...]:
        provider = self._providers[name]
        if form.is_compressed(headers, body):
            raise Unreadable("its body is compressed")
        request = EspRequest(headers, body, self._clock.seconds(), url=self._base_url + path)
        if name != "ses":
            return await self._read(name, request, provider.settings)
        url = ses.certificate_url(body, provider.settings)
        if url:
            request = replace(request, certificate=await self._amazon.certificate(url))
        events = await self._read(name, request, provider.settings)
        confirmation = ses.confirmation_url(request, provider.settings)
        if confirmation:
            await self._amazon.confirm(confirmation, allowed=provider.confirm)
        return events

    async def _read(self, name: str, request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
        events: tuple[EspEvent, ...] = await self._in_thread(len(request.body), READERS[name], request, settings)
        return events

    async def _apply_all(self, name: str, about: Sequence[tuple[str, EspEvent]]) -> None:
        """Claim all events at once, record those that are news, and keep the claims of those that are durable.

        Claimed before it acts: the same event posted five times at once is one event. All messages side by side, the
        events of one in their order; every one is tried before any failure counts.
        """
        news: dict[str, tuple[str, EspEvent]] = {}
        for message_id, event in about:
            if (key := _key(name, event)) in news:
                self._meter.evidence(name, _word(event), "ignored")
            else:
                news[key] = (message_id, event)
        if not news:
            return
        claims = dict(zip(news, await self._claims.claim(list(news)), strict=True))
        of_message: dict[str, list[str]] = {}
        for key, claim in claims.items():
            if claim is Claim.OURS:
                of_message.setdefault(news[key][0], []).append(key)
            else:
                self._meter.evidence(name, _word(news[key][1]), "ignored")
        done: list[str] = []

        async def record(of_one: list[str]) -> None:
            with await self._at_work.take():
                await self._record(name, [(key, *news[key]) for key in of_one], done)

        running = [Deferred.fromCoroutine(record(of_one)) for of_one in of_message.values()]
        results: Any = await DeferredList(running, consumeErrors=True)
        # Only now: a crash in between tells them again, which the transition table ignores.
        await self._claims.keep(done, REMEMBERED)
        durable = set(done)
        if undone := [key for of_one in of_message.values() for key in of_one if key not in durable]:
            await self._claims.release(undone)
        for succeeded, result in results:
            if not succeeded:
                result.raiseException()
        if Claim.ANOTHERS in claims.values():
            raise TemporaryFailure("another request is recording the same event")

    async def _record(self, name: str, events: Sequence[tuple[str, str, EspEvent]], done: list[str]) -> None:
        for key, message_id, event in events:
            fact = Evidence(
                message_id, _meaning(event), name, event.detail, event.hard, channel=Channel.EMAIL, at=event.at
            )
            await self._evidence.record(fact)
            done.append(key)


def _provider(given: config.Esp) -> _EspProvider:
    settings = Settings(
        signing_key=given.signing_key.reveal(),
        public_key=given.public_key.reveal(),
        topic_arns=given.topic_arns,
        username=given.username,
        password=given.password.reveal(),
    )
    return _EspProvider(given.secret.reveal().encode(), settings, given.confirm)


def _meaning(event: EspEvent) -> Event:
    assert event.event is not None
    return Event.MACHINE_OPENED if event.machine and event.event is Event.OPENED else event.event


def _key(name: str, event: EspEvent) -> str:
    """Under which name it is remembered: what a provider calls it may be long, and may hold an address."""
    return f"{name}:{hashlib.blake2b(event.key.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def _before_at(address: str) -> str:
    return address.strip().lstrip("<").partition("@")[0]


def _word(event: EspEvent) -> str:
    return "none" if event.event is None else str(_meaning(event))
