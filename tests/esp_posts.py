"""What posts of providers that came later share: a request, its words."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp.event import EspRequest

NOW = 1_790_000_000.0
KEYS = Keys(b"k" * 32)
MESSAGE = "913456a5-c59b-4a33-ab16-e25625543500"
TOKEN = KEYS.token(Purpose.ESP, MESSAGE)
MAIL_ID = f"<{KEYS.token(Purpose.MESSAGE_ID, MESSAGE)}@amazing.example>"


def posted(data: object, headers: dict[str, str] | None = None, now: float = NOW, url: str = "") -> EspRequest:
    """A POST with `data` as its JSON body, or as it is where it is bytes."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return EspRequest(headers or {}, body, now, url=url)


# Mandrill ----------------------------------------------------------------------------------------------------------

URL = "https://go.amazing.example/esp/mandrill/0123456789abcdef"


def by_mandrill(events: object, *, key: str = "mandrill-key", url: str = URL, **fields: str) -> EspRequest:
    """A webhook as Mandrill signs it, posted to URL."""
    pairs = {"mandrill_events": json.dumps(events)} | fields
    signed = url + "".join(name + pairs[name] for name in sorted(pairs))
    signature = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-mandrill-signature": signature}
    return EspRequest(headers, urlencode(pairs).encode(), NOW, url=URL)


# Resend ------------------------------------------------------------------------------------------------------------

SECRET = "whsec_" + base64.b64encode(b"resend secret of 24 byte").decode()


def by_resend(
    data: object, *, stamp: str = str(int(NOW)), secret: bytes = b"resend secret of 24 byte", name: str = "svix"
) -> EspRequest:
    """A webhook as Svix signs it."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    digest = hmac.new(secret, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,b2xk v1,{base64.b64encode(digest).decode()}"
    headers = {f"{name}-id": "msg_1", f"{name}-timestamp": stamp, f"{name}-signature": signature}
    return EspRequest(headers, body, NOW)


def bounce(kind: str, group: str, message: str) -> dict[str, Any]:
    """What Resend says of a bounce."""
    return {"bounce": {"type": kind, "subType": group, "message": message}}
