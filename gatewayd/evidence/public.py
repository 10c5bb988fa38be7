"""What the world may reach: the open pixel, the unsubscribe page and its button, events of providers and of vendors.

Owns these paths and their answers, which are the same for a good token and a bad one. Must not know what becomes of
evidence, nor how a provider proves itself. Nothing here logs a peer, an address or a token.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.core import errors
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink, IEventClaims, IMeter
from gatewayd.core.model import Degraded, Evidence, Known
from gatewayd.core.status import Event
from gatewayd.core.tally import Tally
from gatewayd.core.threads import InThread, one_at_a_time
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.amazon import Fetch
from gatewayd.evidence.esp import form
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.basic import WrongCredentials
from gatewayd.evidence.esp.event import Forged, Unreadable
from gatewayd.evidence.esp_events import GIVE_UP_ON_5XX, LARGEST, SMALL, EspEvents
from gatewayd.evidence.post_troubles import PostTroubles
from gatewayd.evidence.unsubscribe import BUTTON, ONE_CLICK, unsubscribe_pages
from gatewayd.evidence.vendor_reports import VendorReports
from gatewayd.http.door import BAD_REQUEST, Answer
from gatewayd.http.peers import address_in
from gatewayd.http.request import Request
from gatewayd.http.routes import Route, Routes
from gatewayd.http.site import Site

FORM: Final = 1024
"""Bytes of a body on the paths that are open to everybody."""

MOST_FROM_ONE: Final = 64
"""Connections of one address of the internet's, behind which a household or an office may be."""

_OPEN_TO_ALL: Final = ("pixel", "unsubscribe_page", "unsubscribe")
"""The endpoints on those paths: nobody has to prove anything there."""

_FACTS_A_TOKEN: Final = 50
"""How often one message's pixel or link is recorded: whoever holds the mail can ask as often as he likes."""

PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""43 bytes: one transparent point."""

_NO_STORE: Final = (b"Cache-Control", b"no-store")
_NO_SNIFF: Final = (b"X-Content-Type-Options", b"nosniff")
_LATER: Final = (b"Retry-After", b"10")
_PLAIN: Final = b"text/plain; charset=utf-8"

_SHOWN: Final = Answer(PIXEL, content_type=b"image/gif", headers=(_NO_STORE, _NO_SNIFF))
_TAKEN: Final = Answer(b"ok\n", content_type=_PLAIN)
_REPORTED: Final = Answer(b"OK", content_type=_PLAIN)
"""To a vendor's report: Fortytwo comes again until it reads just this, and BulkSMS until it reads anything."""
_HEARD: Final = Answer(b"", content_type=_PLAIN)
"""To a player's text: some vendors, as Twilio, send the player what is answered."""
_NOT_FOUND: Final = Answer(b"not found\n", 404, _PLAIN)
_ASK_AGAIN: Final = Answer(b"not authorised\n", 401, _PLAIN, ((b"WWW-Authenticate", b'Basic realm="events"'),))
"""Postmark repeats for 10 hours what was not answered with 200, but gives up on a 403."""
_FORGED: Final = Answer(b"not authorised\n", 403, _PLAIN)
_UNREADABLE: Final = Answer(b"cannot be read\n", 400, _PLAIN)
_TOO_LARGE: Final = Answer(b"too large\n", 413, _PLAIN)
_TRY_AGAIN: Final = Answer(b"try again\n", 503, _PLAIN, (_LATER, _NO_STORE))
_SLOW_DOWN: Final = Answer(b"try again\n", 429, _PLAIN, (_LATER, _NO_STORE))

_log = Logger()
Reply = Any
"""An Answer: Routes takes it, Klein's own types do not know it."""


class PublicPaths:
    """The public listener's paths; also its door (http.door): a wrong ESP secret is told so before its body is read."""

    app = Klein()

    def __init__(
        self,
        clock: IReactorTime,
        keys: Keys,
        *,
        evidence: EvidenceSink,
        esp: Mapping[str, config.Esp],
        base_url: str,
        claims: IEventClaims,
        ping: Callable[[], Awaitable[object]],
        fetch: Fetch,
        meter: IMeter,
        providers: Mapping[str, config.Provider],
        about: Callable[[str], Awaitable[Known | None]],
        mails_out: Callable[[str], int],
        in_thread: InThread | None = None,
    ) -> None:
        self._keys = keys
        self._evidence = evidence
        self._ping = ping
        self._recorded = Tally(_FACTS_A_TOKEN)
        self._meter = meter
        self._pages = unsubscribe_pages()
        self._page_headers = (
            _NO_STORE,
            _NO_SNIFF,
            (b"Content-Security-Policy", self._pages.policy.encode()),
            (b"Referrer-Policy", b"no-referrer"),
            (b"X-Robots-Tag", b"noindex, nofollow"),
            (b"Vary", b"Accept-Language"),
        )
        self._troubles = PostTroubles(clock, mails_out)
        in_thread = in_thread or one_at_a_time(clock, SMALL)
        self._events = EspEvents(
            clock,
            keys,
            evidence=evidence,
            esp=esp,
            base_url=base_url,
            claims=claims,
            fetch=fetch,
            meter=meter,
            in_thread=in_thread,
            troubles=self._troubles,
        )
        self._reports = VendorReports(
            clock,
            keys,
            evidence=evidence,
            about=about,
            ping=ping,
            providers=providers,
            base_url=base_url,
            meter=meter,
            troubles=self._troubles,
            in_thread=in_thread,
        )

    def site(self, reactor: Any) -> Site:
        """What the listener serves, with its door."""
        routes = Routes(self.app, find)
        return Site(reactor, routes.answer, name="public", max_body=LARGEST, door=self, most_from=_most_from)

    def reload(self, esp: Mapping[str, config.Esp], providers: Mapping[str, config.Provider]) -> None:
        """Use these tables of [esp.NAME] and [providers.NAME] from now on."""
        self._events.reload(esp)
        self._reports.reload(providers)
        self._troubles.forget()

    def degraded(self) -> Iterator[Degraded]:
        """Whose posts are refused."""
        return self._troubles.degraded()

    def admit(self, request: Request) -> Answer | None:
        """None lets the request in."""
        found = find(request.method, request.path)
        if found is None or found[0] in _OPEN_TO_ALL:
            # All that a stranger has to say is a form of one field.
            request.most_body = FORM
        elif found[0] == "esp_event":
            if not self._events.knows(**found[1]):
                return _NOT_FOUND
            request.most_body = self._events.most_body(found[1]["provider"])
        elif found[0] == "report":
            if not self._reports.knows(found[1]["provider"]):
                return _NOT_FOUND
            request.most_body = self._reports.most_body(found[1]["provider"])
        return None

    def too_large(self, request: Request) -> Answer:
        """413."""
        return _TOO_LARGE

    def not_http(self, request: Request) -> Answer:
        """400."""
        return BAD_REQUEST

    def busy(self, request: Request) -> Answer:
        """Whoever has a fact for us comes again."""
        return _again(request)

    @app.route("/o/<token>.gif", methods=["GET", "HEAD"])
    async def pixel(self, request: Request, token: str) -> Reply:
        """A mail's picture was fetched: by a person, or by a machine that says so."""
        message_id = self._keys.read(Purpose.OPEN, token)
        machine = request.method == b"HEAD" or is_machine(_header(request, "user-agent"))
        event = Event.MACHINE_OPENED if machine else Event.OPENED
        if message_id is None:
            self._meter.evidence("open", event, "orphaned")
            return _SHOWN
        if self._recorded.is_full(f"{event} {message_id}"):
            self._meter.evidence("open", event, "ignored")
            return _SHOWN
        self._recorded.count(f"{event} {message_id}")
        try:
            await self._evidence.record(Evidence(message_id, event, "open"))
        except StoreUnavailable:
            # Nobody would fetch it again: this open is lost, and the mail must not show a broken picture for it.
            self._meter.evidence("open", event, "ignored")
            _log.warn("an open of {message_id} was lost: Redis did not answer", message_id=message_id)
        return _SHOWN

    @app.route("/u/<token>", methods=["GET", "HEAD"])
    def unsubscribe_page(self, request: Request, token: str) -> Reply:
        """The question, with a button. Scanners follow links: asking for the page changes nothing."""
        return self._page(request, done=False)

    @app.route("/u/<token>", methods=["POST"])
    async def unsubscribe(self, request: Request, token: str) -> Reply:
        """One-click (RFC 8058 3.2) or the page's button; how often does not matter."""
        fields = form.pairs(_header(request, "content-type"), request.body)
        how = next((name for name, field in (("one-click", ONE_CLICK), ("page", BUTTON)) if field in fields), "")
        if not how:
            return self._page(request, done=False, status=400)
        who = self._keys.read_subscription(token)
        if who is None:
            self._meter.evidence("unsubscribe", Event.UNSUBSCRIBED, "orphaned")
            # With the store down a good token gets 503: a bad one must then get it too.
            await self._ping()
        elif self._recorded.is_full(f"{Event.UNSUBSCRIBED} {who.message_id}"):
            self._meter.evidence("unsubscribe", Event.UNSUBSCRIBED, "ignored")
        else:
            await self._evidence.record(
                Evidence(
                    who.message_id, Event.UNSUBSCRIBED, "unsubscribe", how, label=who.label, user_hash=who.user_hash
                )
            )
            self._recorded.count(f"{Event.UNSUBSCRIBED} {who.message_id}")
        return self._page(request, done=True)

    @app.route("/esp/<provider>/<path:secret>", methods=["POST", "HEAD"])
    async def esp_event(self, request: Request, provider: str, secret: str) -> Reply:
        """A provider's events; the answer comes once all of them are durable. HEAD (Mandrill) only looks."""
        if not self._events.knows(provider, secret):
            return _NOT_FOUND
        if request.method == b"HEAD":
            return _TAKEN
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        await self._events.record(provider, headers, request.body, request.path.decode("latin-1"))
        return _TAKEN

    @app.route("/dlr/<provider>/<token>", methods=["GET", "HEAD", "POST"])
    async def report(self, request: Request, provider: str, token: str) -> Reply:
        """What a vendor says of a message, or a player wrote to it; the answer comes once it is durable.

        It is the same for a bad token.
        """
        if not self._reports.knows(provider):
            return _NOT_FOUND
        taken = _HEARD if self._reports.brings_texts(provider, token) else _REPORTED
        if request.method != b"HEAD":
            challenge = self._reports.challenge(provider, request)
            if challenge:
                return Answer(challenge, content_type=_PLAIN, headers=(_NO_STORE, _NO_SNIFF))
            await self._reports.record(provider, token, request)
        return taken

    @app.handle_errors(WrongCredentials)
    def wrong_credentials(self, request: Any, failure: Failure) -> Reply:
        """Not the user name and password of the configuration."""
        return _ASK_AGAIN

    @app.handle_errors(Forged)
    def forged(self, request: Any, failure: Failure) -> Reply:
        """No proof that a provider sent it."""
        return _FORGED

    @app.handle_errors(Unreadable)
    def unreadable(self, request: Any, failure: Failure) -> Reply:
        """Not in the provider's form."""
        return _UNREADABLE

    @app.handle_errors(StoreUnavailable, errors.Failure)
    def try_again(self, request: Any, failure: Failure) -> Reply:
        """Not durable: the caller keeps it and comes again."""
        return _again(request)

    def _page(self, request: Request, *, done: bool, status: int = 200) -> Answer:
        language = self._pages.choose(_header(request, "accept-language"))
        page = self._pages.page(language)
        headers = (*self._page_headers, (b"Content-Language", language.encode()))
        return Answer(page.done if done else page.ask, status, b"text/html; charset=utf-8", headers)


def find(method: bytes, path: bytes) -> Route | None:
    """The endpoint of a path and its arguments, without the cost of Klein's rules; None leaves it to them."""
    parts = unquote(path.decode("latin-1"), errors="replace").split("/", 3)
    if len(parts) < 3 or parts[0]:
        return None
    _, kind, name, *rest = parts
    reading = method in (b"GET", b"HEAD")
    if kind == "o" and reading and not rest and name.endswith(".gif") and name != ".gif":
        return "pixel", {"token": name.removesuffix(".gif")}
    if kind == "u" and name and not rest and (reading or method == b"POST"):
        return "unsubscribe_page" if reading else "unsubscribe", {"token": name}
    if kind == "esp" and method in (b"POST", b"HEAD") and name and rest and rest[0]:
        return "esp_event", {"provider": name, "secret": rest[0]}
    if kind == "dlr" and (reading or method == b"POST") and name and rest and rest[0]:
        return "report", {"provider": name, "token": rest[0]}
    return None


def _again(request: Request) -> Answer:
    """503, or what else makes this caller come again."""
    endpoint, arguments = find(request.method, request.path) or ("", {})
    gives_up = endpoint == "esp_event" and arguments["provider"] in GIVE_UP_ON_5XX
    return _SLOW_DOWN if gives_up else _TRY_AGAIN


def _header(request: Request, name: str) -> str:
    return (request.header(name.encode()) or b"").decode("utf-8", "replace")


def _most_from(host: str) -> int:
    """The connections that one peer may have; a private address is a proxy's, and brings everybody."""
    address = address_in(host)
    return MOST_FROM_ONE if address is not None and address.is_global else sys.maxsize
