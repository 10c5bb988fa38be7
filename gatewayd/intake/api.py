"""Smartico's endpoints: who may call, bytes to a Request, what became of it to JSON.

Owns the paths, the allow-lists, the Authorization check and the form of the answers. Must not know what makes a
request acceptable: that is accept's.
"""

import hmac
import ipaddress
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gatewayd.config import Label
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.interfaces import IMeter
from gatewayd.core.model import Channel
from gatewayd.http.door import Answer
from gatewayd.http.peers import Address, Network, Networks, address_in, behind_proxies
from gatewayd.http.routes import LeanResource, Route
from gatewayd.http.web import LeanSite
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.request_json import read_request

log = Logger()
Reply = Any
"""An Answer: LeanResource takes it, Klein's own types do not know it."""

CHANNELS: Mapping[bytes, Channel] = {b"email": Channel.EMAIL, b"sms": Channel.SMS, b"im": Channel.SMS}
"""The last part of the path; an instant message is an SMS."""

_NOT_FOUND = Answer(b"not found\n", 404, b"text/plain; charset=utf-8")
_UNIX_PEER = ipaddress.IPv4Address("127.0.0.1")
"""A caller on a unix socket is on this machine."""


class _Gate:
    """What one label asks of its callers."""

    def __init__(self, label: Label) -> None:
        self.networks = Networks(label.allow_from)
        self._secrets = tuple(secret.reveal().encode() for secret in label.authorization)
        self._open_sms = not label.sms_authorization

    def knows(self, headers: Sequence[bytes] | None, channel: Channel) -> bool:
        """Whether the Authorization header is one of the accepted values, in a time that tells nothing of them."""
        if self._open_sms and channel is Channel.SMS:
            return True
        given = headers[0] if headers and len(headers) == 1 else b""
        found = 0
        for secret in self._secrets:
            found |= hmac.compare_digest(given, secret)
        return bool(found)


class Api:
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
        self.reconfigure(labels, trusted_proxies)

    def reconfigure(self, labels: Mapping[str, Label], trusted_proxies: Sequence[Network]) -> None:
        """Go by these labels' secrets and allow-lists, and these proxies, from the next request on."""
        self._gates = {name: _Gate(label) for name, label in labels.items()}
        self._trusted = Networks(trusted_proxies)
        self._routes = {
            b"/%s/%s" % (name.encode(), kind): (name, channel) for name in labels for kind, channel in CHANNELS.items()
        }

    def resource(self) -> LeanResource:
        """The app for a site. `_find` knows every path, so that nothing is ever answered in Klein's words."""
        return LeanResource(self.app, self._find)

    def site(self, reactor: Any) -> LeanSite:
        """The api listener's site."""
        return LeanSite(reactor, self.resource(), max_body=self._max_body, door=self)

    @app.route("/<label>/email")
    @app.route("/<label>/sms")
    @app.route("/<label>/im")
    async def message(self, request: IRequest, label: str, channel: Channel) -> Reply:
        """One email, SMS or instant message: always status 200 and JSON, but for a peer that is on no allow-list."""
        began = self._clock.seconds()
        status, code = 200, ErrorCode.TAKEN
        asked = None
        try:
            self._check_caller(request, label, channel)
            asked = read_request(channel, self._body(request))
            answer = _taken(await self._acceptor.accept(label, asked))
        except CancelledError:
            raise
        except _Forbidden as refused:
            status, code = 403, refused.code
            answer = _refused(refused)
        except Refused as refused:
            code = refused.code
            answer = _refused(refused)
            if asked is None:
                self._say(label, channel, refused)
        except Exception:
            code = ErrorCode.INTERNAL
            request_id = self._new_id()
            log.failure(
                "request {request_id} to {label}/{channel} failed",
                request_id=request_id,
                label=label,
                channel=channel.value,
            )
            answer = _refused(Refused(code, f"internal error, see the log for request {request_id}"))
        known = label if label in self._gates else ""
        self._meter.intake(known, channel, code, self._clock.seconds() - began)
        return Answer(answer, status)

    @app.route("/")
    def elsewhere(self, request: IRequest) -> Reply:
        """Any other path."""
        return _NOT_FOUND

    def admit(self, request: Any) -> Answer | None:
        """Refuse on the request's head alone: other paths, and peers that the label isn't open to."""
        place = self._place(request.path)
        if place is None:
            return _NOT_FOUND
        label = place[0]
        if self._is_open_to(request, label):
            request.admitted_to = label
            return None
        log.info("refused a peer that {label} is not open to", label=label if label in self._gates else "(no label)")
        return self._early(request, _Forbidden(), 403)

    def too_large(self, request: Any) -> Answer:
        """The body is over the limit, by its Content-Length or as it came."""
        return self._early(request, Refused(ErrorCode.TOO_LARGE, f"the body has more than {self._max_body} bytes"))

    def not_http(self, request: Any) -> Answer:
        """What follows the request line is not HTTP; the peer is asked for first, as far as its headers were read."""
        refused = Refused(ErrorCode.INVALID_REQUEST, "the request's headers, or the chunks of its body, are not HTTP")
        return self.admit(request) or self._early(request, refused)

    def _early(self, request: Any, refused: Refused, status: int = 200) -> Answer:
        place = self._place(request.path)
        if place is not None:
            label, channel = place
            self._meter.intake(label if label in self._gates else "", channel, refused.code, 0.0)
            if status == 200:
                self._say(label, channel, refused)
        return Answer(_refused(refused), status)

    def _say(self, label: str, channel: Channel, refused: Refused) -> None:
        """A request that went no further, so that nobody else has logged it; what a stranger calls a label is not."""
        log.warn(
            "refused a request to {label}/{channel}: {code} {reason}",
            label=label if label in self._gates else "(no label)",
            channel=channel.value,
            code=refused.code.value,
            reason=refused.message,
        )

    def _find(self, method: bytes, path: bytes) -> Route:
        place = self._place(path)
        return ("message", {"label": place[0], "channel": place[1]}) if place else ("elsewhere", {})

    def _place(self, path: bytes) -> tuple[str, Channel] | None:
        """Which label and channel a path names; the label may be unknown."""
        found = self._routes.get(path)
        if found is not None:
            return found
        parts = path.split(b"/")
        if len(parts) != 3 or parts[0] or not parts[1]:
            return None
        channel = CHANNELS.get(unquote_to_bytes(parts[2]))
        return (unquote_to_bytes(parts[1]).decode("utf-8", "replace"), channel) if channel else None

    def _is_open_to(self, request: Any, label: str) -> bool:
        address = self._caller(request)
        if address is None:
            return False
        gate = self._gates.get(label)
        if gate is None:
            return any(address in other.networks for other in self._gates.values())
        return address in gate.networks

    def _caller(self, request: Any) -> Address | None:
        host = getattr(request.client, "host", None)
        peer = _UNIX_PEER if host is None else address_in(host)
        if peer is None or peer not in self._trusted:
            return peer
        headers = request.requestHeaders.getRawHeaders(b"X-Forwarded-For", ())
        return behind_proxies(peer, [header.decode("latin-1") for header in headers], self._trusted)

    def _check_caller(self, request: Any, label: str, channel: Channel) -> None:
        # On our own site the door has asked already; on any other nobody has.
        if getattr(request, "admitted_to", None) != label and not self._is_open_to(request, label):
            raise _Forbidden
        if request.method != b"POST":
            raise Refused(ErrorCode.INVALID_REQUEST, "the method is not POST")
        gate = self._gates.get(label)
        if gate is None or not gate.knows(request.requestHeaders.getRawHeaders(b"Authorization"), channel):
            raise Refused(ErrorCode.NOT_AUTHORISED, "not authorised")

    def _body(self, request: Any) -> bytes:
        body: bytes = request.content.read(self._max_body + 1)
        if len(body) > self._max_body:
            raise Refused(ErrorCode.TOO_LARGE, f"the body has more than {self._max_body} bytes")
        return body


class _Forbidden(Refused):
    def __init__(self) -> None:
        super().__init__(ErrorCode.NOT_AUTHORISED, "not authorised")


def _taken(message_id: str) -> bytes:
    return b'{"error_code":0,"ext_message_id":"%s"}' % message_id.encode()


def _refused(refused: Refused) -> bytes:
    return msgspec.json.encode({"error_code": refused.code.value, "error_message": refused.message})
