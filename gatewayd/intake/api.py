"""Smartico's endpoints: who may call, bytes to a SendRequest, what became of it to JSON.

Owns the paths, the allow-lists, the Authorization check and the form of the answers. Must not know what makes a
request acceptable: that is accept's.
"""

import hmac
import ipaddress
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.config import Label
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.interfaces import IMeter
from gatewayd.core.model import Channel, Degraded
from gatewayd.http.door import Answer
from gatewayd.http.peers import Address, Network, Networks, address_in, behind_proxies
from gatewayd.http.request import Request as HttpRequest
from gatewayd.http.routes import Route, Routes
from gatewayd.http.site import Site
from gatewayd.intake.accept import BEGUN_WITHIN, Acceptor
from gatewayd.intake.request_json import read_request
from gatewayd.intake.rules import SendRequest
from gatewayd.intake.stored_once import NO_MEMORY
from gatewayd.intake.turned_away import TurnedAway

log = Logger()
Reply = Any
"""An Answer: Routes takes it, Klein's own types do not know it."""

CHANNELS: Mapping[bytes, Channel] = {b"email": Channel.EMAIL, b"sms": Channel.SMS, b"im": Channel.SMS}
"""The last part of the path; an instant message is an SMS where its label has no ways of their own for it."""

MOST_FROM_A_STRANGER = 16
"""Connections of one peer to whom no label is open: all that it gets are refusals."""

SAY_AGAIN = 10.0
"""Seconds between two log lines about one closed peer."""

MOST_SAID = 1000

_Scope = tuple[str, Channel]
_NOT_FOUND = Answer(b"not found\n", 404, b"text/plain; charset=utf-8")
_UNIX_PEER = ipaddress.IPv4Address("127.0.0.1")
"""A caller on a unix socket is on this machine."""


class _Gate:
    """What one label asks of its callers."""

    def __init__(self, label: Label) -> None:
        self.networks = Networks(label.allow_from)
        self._secrets = tuple(secret.reveal().encode() for secret in label.authorization)
        self._open_sms = not label.sms_authorization

    def why_unknown(self, headers: Sequence[bytes], channel: Channel) -> str:
        """Why these Authorization headers do not do, in a time that tells nothing of the accepted values; "" if so."""
        if self._open_sms and channel is not Channel.EMAIL:
            return ""
        if len(headers) != 1:
            return "more than one Authorization header" if headers else "no Authorization header"
        found = 0
        for secret in self._secrets:
            found |= hmac.compare_digest(headers[0], secret)
        return "" if found else "the Authorization header is none of the label's"


class ApiPaths:
    """The api listener's app. `new_id` makes the request ids under which failures are logged."""

    app = Klein()

    def __init__(
        self,
        clock: IReactorTime,
        acceptor: Acceptor,
        labels: Mapping[str, Label],
        meter: IMeter,
        *,
        trusted_proxies: Sequence[Network] = (),
        max_body: int = 2_097_152,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._clock = clock
        self._acceptor = acceptor
        self._meter = meter
        self._max_body = max_body
        self._new_id = new_id
        self._gates: dict[str, _Gate] = {}
        self._routes: dict[bytes, tuple[str, Channel]] = {}
        self._trusted = Networks(())
        self._said_closed: dict[str, float] = {}
        self._turned_away = TurnedAway(clock)
        self.reconfigure(labels, trusted_proxies)

    def reconfigure(self, labels: Mapping[str, Label], trusted_proxies: Sequence[Network]) -> None:
        """Go by these labels' secrets and allow-lists, and these proxies, from the next request on."""
        self._gates = {name: _Gate(label) for name, label in labels.items()}
        self._turned_away.forget()
        self._trusted = Networks(trusted_proxies)
        self._routes = {
            b"/%s/%s" % (name.encode(), kind): (name, channel) for name in labels for kind, channel in CHANNELS.items()
        } | {b"/%s/im" % name.encode(): (name, Channel.IM) for name, label in labels.items() if label.im_via}

    def degraded(self) -> Iterator[Degraded]:
        """The labels of which every request is refused."""
        return self._turned_away.degraded()

    def site(self, reactor: Any) -> Site:
        """What the listener serves. `_find` knows every path, so that nothing is ever answered in Klein's words."""
        routes = Routes(self.app, self._find)
        return Site(
            reactor,
            routes.answer,
            name="api",
            max_body=self._max_body,
            door=self,
            most_from=self._most_from,
            patience=BEGUN_WITHIN,
        )

    @app.route("/<label>/email")
    @app.route("/<label>/sms")
    @app.route("/<label>/im")
    async def message(self, request: HttpRequest, label: str, channel: Channel) -> Reply:
        """One email, SMS or instant message of a caller whom `admit` let in: always status 200 and JSON."""
        began = self._clock.seconds()
        code, why = ErrorCode.TAKEN, ""
        asked = None
        try:
            asked = _read(channel, request)
            answer = _taken(await self._acceptor.accept(label, asked, request.came_at))
        except CancelledError:
            raise
        except Refused as refused:
            code, why = refused.code, refused.message
            answer = _refused(refused)
            if asked is None:
                self._say(label, channel, refused.code, refused.message)
        except Exception:
            code, why = ErrorCode.INTERNAL, "a bug, the log has its traceback"
            request_id = self._new_id()
            log.failure(
                "request {request_id} to {label}/{channel} failed",
                request_id=request_id,
                label=label,
                channel=channel.value,
            )
            answer = _refused(Refused(code, f"internal error, see the log for request {request_id}"))
        self._meter.intake(label if label in self._gates else "", channel, code, self._clock.seconds() - began)
        if label in self._gates:
            self._turned_away.answered(label, channel, code, why)
        return Answer(answer)

    @app.route("/")
    def elsewhere(self, request: HttpRequest) -> Reply:
        """Any other path."""
        return _NOT_FOUND

    # The door (http.door) ------------------------------------------------------------------------------------------

    def admit(self, request: HttpRequest) -> Answer | None:
        """Refuse on the head alone: other paths, closed peers, other methods, too much, and who has no secret."""
        scope = self._scope_of(request.path)
        if scope is None:
            return _NOT_FOUND
        label, channel = scope
        gate = self._gates.get(label)
        address = self._caller(request)
        if fault := self._why_closed(address, label, request.peer):
            self._say_closed(fault)
            return self._early(scope, Refused(ErrorCode.NOT_AUTHORISED, "not authorised"), 403)
        if not request.method:
            return None  # its head can't be read: `not_http` says so
        if request.method != b"POST":
            # No request of Smartico's, which it would count as: somebody who looks whether we are there.
            refused = Refused(ErrorCode.INVALID_REQUEST, "the method is not POST")
            self._say(*scope, refused.code, refused.message)
            return self._early(scope, refused)
        if int(request.header(b"content-length") or 0) > self._max_body:
            return self.too_large(request)
        fault = "no label has this name"
        if gate is not None:
            fault = gate.why_unknown(request.all_headers(b"authorization"), channel)
        if fault:
            return self._refuse(scope, Refused(ErrorCode.NOT_AUTHORISED, "not authorised"), f"not authorised: {fault}")
        return None

    def too_large(self, request: HttpRequest) -> Answer:
        """The body is over the limit, by its Content-Length or as it came."""
        refused = Refused(ErrorCode.TOO_LARGE, f"the body has more than {self._max_body} bytes")
        return self._refuse(self._scope_of(request.path), refused)

    def not_http(self, request: HttpRequest) -> Answer:
        """What follows the request line is not HTTP; the peer is asked for first, as far as its headers were read."""
        refused = Refused(ErrorCode.INVALID_REQUEST, "the request's headers, or the chunks of its body, are not HTTP")
        return self.admit(request) or self._refuse(self._scope_of(request.path), refused)

    def busy(self, request: HttpRequest) -> Answer:
        """More is asked at once than can be answered in time: nothing was read of this one's content."""
        return self._refuse(self._scope_of(request.path), Refused(ErrorCode.TRY_AGAIN, "too many requests at once"))

    def _most_from(self, host: str) -> int:
        """The connections of one peer: few, unless some label is open to it, or it is a proxy."""
        address = address_in(host) if host else _UNIX_PEER
        if address is None:
            return MOST_FROM_A_STRANGER
        known = address in self._trusted or any(address in gate.networks for gate in self._gates.values())
        return sys.maxsize if known else MOST_FROM_A_STRANGER

    def _refuse(self, scope: _Scope | None, refused: Refused, reason: str = "") -> Answer:
        if scope is not None:
            self._say(*scope, refused.code, reason or refused.message)
            if scope[0] in self._gates:
                self._turned_away.answered(*scope, refused.code, reason or refused.message)
        return self._early(scope, refused)

    def _early(self, scope: _Scope | None, refused: Refused, status: int = 200) -> Answer:
        if scope is not None:
            label, channel = scope
            self._meter.intake(label if label in self._gates else "", channel, refused.code, 0.0)
        return Answer(_refused(refused), status)

    def _say(self, label: str, channel: Channel, code: ErrorCode, reason: str) -> None:
        """A request that went no further, so that nobody else has logged it; what a stranger calls a label is not."""
        log.warn(
            "refused a request to {label}/{channel}: {code} {reason}",
            label=label if label in self._gates else "(no label)",
            channel=channel.value,
            code=code.value,
            reason=reason,
            # An overload refuses thousands: some, and how many, say it.
            log_limited=code is ErrorCode.TRY_AGAIN,
        )

    def _say_closed(self, fault: str) -> None:
        """Once in a while for each caller, and a few of many: strangers must not write our log."""
        now = self._clock.seconds()
        said = self._said_closed.get(fault)
        if said is not None and said > now - SAY_AGAIN:
            return
        if len(self._said_closed) >= MOST_SAID:
            self._said_closed.clear()
        self._said_closed[fault] = now
        log.info("403: {fault}", fault=fault, log_limited=True)

    def _find(self, method: bytes, path: bytes) -> Route:
        scope = self._scope_of(path)
        return ("message", {"label": scope[0], "channel": scope[1]}) if scope else ("elsewhere", {})

    def _scope_of(self, path: bytes) -> tuple[str, Channel] | None:
        """Which label and channel a path names; the label may be unknown."""
        found = self._routes.get(path)
        if found is not None:
            return found
        parts = path.split(b"/")
        if len(parts) != 3 or parts[0] or not parts[1]:
            return None
        label, kind = unquote_to_bytes(parts[1]), unquote_to_bytes(parts[2])
        if kind not in CHANNELS:
            return None
        return self._routes.get(b"/%s/%s" % (label, kind)) or (label.decode("utf-8", "replace"), CHANNELS[kind])

    def _why_closed(self, address: Address | None, label: str, peer: str) -> str:
        """Why a caller at `address` has no business with this label; "" where it may ask."""
        if address is None:
            return f"the proxy {peer} names no readable caller in X-Forwarded-For"
        gate = self._gates.get(label)
        if gate is not None:
            return "" if address in gate.networks else f"{address} is not in labels.{label}.allow_from"
        known = any(address in other.networks for other in self._gates.values())
        return "" if known else f"{address} is in no label's allow_from"

    def _caller(self, request: HttpRequest) -> Address | None:
        peer = address_in(request.peer) if request.peer else _UNIX_PEER
        if peer is None or peer not in self._trusted:
            return peer
        headers = request.all_headers(b"x-forwarded-for")
        return behind_proxies(peer, [header.decode("latin-1") for header in headers], self._trusted)


def _read(channel: Channel, request: HttpRequest) -> SendRequest:
    """As read_request; where there is no memory for it, it may come again."""
    try:
        return read_request(channel, request.body)
    except MemoryError:
        raise Refused(ErrorCode.TRY_AGAIN, NO_MEMORY) from None


def _taken(message_id: str) -> bytes:
    return b'{"error_code":0,"ext_message_id":"%s"}' % message_id.encode()


def _refused(refused: Refused) -> bytes:
    return msgspec.json.encode({"error_code": refused.code.value, "error_message": refused.message})
