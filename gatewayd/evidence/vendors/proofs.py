"""How a vendor proves that a report is its own: one function a vendor, in a table. Pure; compared in constant time.

Sources, read 2026-11-27: twilio.com/docs/usage/security (X-Twilio-Signature), developer.vonage.com "Signing messages",
developers.telnyx.com "Receiving webhooks", plivo.com "Validating requests" (X-Plivo-Signature-V3); of Twilio's shared
keys, its library for Python 9.13.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gatewayd.core import paths
from gatewayd.evidence.esp.event import Forged, check_age
from gatewayd.evidence.vendors.request import ReportRequest

VONAGE_WINDOW = 24 * 3600.0
"""Vonage repeats for a day what we did not take."""

TELNYX_WINDOW = 300.0
"""Telnyx names this tolerance, and repeats within seconds."""


_TWILIO_ALGORITHM = re.compile(r"(?:^|,) *algorithm *= *([^, ]+)", re.ASCII)
_TWILIO_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
"""As Twilio's own library for Python, 9.13, has them."""


def twilio(request: ReportRequest, secret: str) -> None:
    """HMAC-SHA1 over the URL and the sorted fields of a form; of another body the URL names its SHA-256.

    Or an HMAC by what a header says, where the account signs with a key for that alone: `secret` is that key then. It
    has no time in it: who repeats a report says nothing new.
    """
    given = _header(request, "x-twilio-signature")
    asked = _TWILIO_ALGORITHM.search(request.headers.get("x-twilio-webhooks-signature-settings", ""))
    algorithm = _TWILIO_ALGORITHMS.get(asked[1].upper()) if asked else "sha1"
    if algorithm is None:
        raise Forged("signed by an algorithm that is not known")
    query = dict(request.query_fields())
    fields = request.form()
    if not fields and request.body:
        digest = hashlib.sha256(request.body).hexdigest()
        if not _same([query.get("bodySHA256", "").lower()], [digest]):
            raise Forged("the body is not the signed one")
    values: dict[str, set[str]] = {}
    for name, value in fields:
        values.setdefault(name, set()).add(value)
    text = "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    _check([given], (_mac(secret, url + text, algorithm) for url in _spellings(_whole(request))))


def vonage(request: ReportRequest, secret: str) -> None:
    """`sig` over the other fields, sorted: an HMAC of the account's algorithm, or MD5 with the secret behind."""
    fields = _vonage_fields(request)
    given = fields.pop("sig", "").lower()
    if not given:
        raise Forged("not signed")
    text = "".join(f"&{name}={_vonage_plain(fields[name])}" for name in sorted(fields))
    algorithm = {128: "sha512", 64: "sha256", 40: "sha1", 32: "md5"}.get(len(given))
    if algorithm is None:
        raise Forged("the signature has no known length")
    expected = [hmac.new(secret.encode(), text.encode(), algorithm).hexdigest()]
    if algorithm == "md5":
        expected.append(hashlib.md5((text + secret).encode(), usedforsecurity=False).hexdigest())
    _check([given], expected)
    check_age(_moment(fields.get("timestamp", "")), request.now, VONAGE_WINDOW)


def telnyx(request: ReportRequest, secret: str) -> None:
    """Ed25519 over time and body; `secret` is the account's public key, in base64."""
    stamp = _header(request, "telnyx-timestamp")
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret, validate=True))
        signature = base64.b64decode(_header(request, "telnyx-signature-ed25519"), validate=True)
        key.verify(signature, stamp.encode() + b"|" + request.body)
    except (InvalidSignature, ValueError, binascii.Error):
        raise Forged("wrong signature") from None
    check_age(_moment(stamp), request.now, TELNYX_WINDOW)


def plivo(request: ReportRequest, secret: str) -> None:
    """V3: HMAC-SHA256 over the URL with its query sorted, the sorted fields and a nonce; there may be several.

    It has no time in it: who repeats a report says nothing new.
    """
    nonce = _header(request, "x-plivo-signature-v3-nonce")
    names = ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
    given = [one.strip() for name in names for one in request.headers.get(name, "").split(",") if one.strip()]
    if not given:
        raise Forged("not signed")
    fields: dict[str, list[str]] = {}
    for name, value in request.form():
        fields.setdefault(name, []).append(value)
    query: dict[str, list[str]] = {}
    for name, value in request.query_fields():
        query.setdefault(name, []).append(value)
    if request.method == "GET":
        query = query | fields
        fields = {}
    text = "&".join(f"{name}={value}" for name in sorted(query) for value in sorted(query[name]))
    behind = ("?" if text or fields else "") + text + ("." if text and fields else "")
    behind += "".join(name + value for name in sorted(fields) for value in sorted(fields[name]))
    _check(given, (_mac(secret, f"{url}{behind}.{nonce}", "sha256") for url in _spellings(request.url)))


PROOFS: Mapping[str, Callable[[ReportRequest, str], None]] = {
    "twilio": twilio,
    "vonage": vonage,
    "telnyx": telnyx,
    "plivo": plivo,
}
"""Each raises Forged where a report does not prove that the vendor sent it."""


def _header(request: ReportRequest, name: str) -> str:
    value = request.headers.get(name, "").strip()
    if not value:
        raise Forged("not signed")
    return value


def _mac(secret: str, text: str, algorithm: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "replace"), algorithm)).decode()


def _check(given: Iterable[str], expected: Iterable[str]) -> None:
    if not _same(given, expected):
        raise Forged("wrong signature")


def _same(given: Iterable[str], expected: Iterable[str]) -> bool:
    """Whether any of the one is any of the other, in a time that tells nothing of either."""
    wanted, found = [text.encode() for text in expected], False
    for one in given:
        for other in wanted:
            found |= hmac.compare_digest(one.encode("utf-8", "replace"), other)
    return found


def _whole(request: ReportRequest) -> str:
    return f"{request.url}?{request.query}" if request.query else request.url


def _spellings(url: str) -> tuple[str, ...]:
    """The URL as it is, and with its port left out, or written where its scheme has it anyway: Twilio does either."""
    parts = urlsplit(url)
    port = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    bare = re.sub(r":[0-9]+$", "", parts.netloc)
    netloc = bare if bare != parts.netloc else parts.netloc + port
    return url, urlunsplit(parts._replace(netloc=netloc))


def _vonage_fields(request: ReportRequest) -> dict[str, str]:
    if request.method == "GET":
        return dict(request.query_fields())
    if request.is_form:
        return dict(request.form())
    try:
        data = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Forged("not signed") from None
    if not isinstance(data, dict):
        raise Forged("not signed")
    return {name: text for name, value in data.items() if (text := paths.text_of(value)) is not None}


def _vonage_plain(value: str) -> str:
    return value.replace("&", "_").replace("=", "_")


def _moment(text: str) -> float:
    """Seconds since the epoch, of a number of them or of a date and time in UTC."""
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    try:
        return datetime.strptime(text[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise Forged("the signature has no time") from None
