"""DKIM signatures of our own (RFC 6376, RFC 8463), for labels that give a key. Pure.

relaxed/relaxed, no l=. The fields that a reader sees are oversigned: named once more than they occur, so that nobody
can add another. Signing costs about 0.4 ms with RSA; the caller decides where to spend it.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from gatewayd.config import Dkim
from gatewayd.config.pem import signing_key
from gatewayd.smtp.mime import ComposedMail

OVERSIGNED = (
    "from",
    "subject",
    "date",
    "reply-to",
    "sender",
    "to",
    "cc",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
)
SIGNED = (*OVERSIGNED, "list-id", "feedback-id", "cfbl-address", "cfbl-feedback-id")
QUEUED_FOR = 5 * 86400.0
"""Seconds after a message's deadline for which its signature is good: Postfix keeps a mail that long."""

# A field's lines, each taken at one go.
_FIELD = re.compile(rb"^([^:\r\n]+):([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n", re.MULTILINE)
_SPACE = re.compile(rb"[ \t]+")

_Key = RSAPrivateKey | Ed25519PrivateKey


class Signer:
    """Signs with each of a label's keys. Raises ValueError where one is not RSA or Ed25519 in PEM form."""

    def __init__(self, keys: Sequence[Dkim]) -> None:
        self._keys = [(signing_key(one.private_key.reveal()), one.domain, one.selector) for one in keys]

    @property
    def slow(self) -> bool:
        """Whether signing costs enough to be done off the reactor (RSA: 0.4 ms; Ed25519: 0.05 ms)."""
        return any(isinstance(key, RSAPrivateKey) for key, _, _ in self._keys)

    def sign(self, mail: ComposedMail, now: float, deadline: float) -> ComposedMail:
        """`mail` with its DKIM-Signatures in front, dated `now`. Nothing in it may change from here on.

        They are good for as long as a relay may still hold a mail that it took at `deadline`; both are seconds since
        the epoch.
        """
        digest = base64.b64encode(hashlib.sha256(relaxed_body(mail.body)).digest()).decode()
        fields = fields_of(mail.head)
        names = list(_names(fields))
        text = b"".join(_relaxed_fields(fields, names))
        rest = f" t={int(now)}; x={int(deadline + QUEUED_FOR)};\r\n bh={digest};\r\n h={_folded(names)};\r\n b="
        signatures = [
            _signature(key, text, f"d={domain};\r\n s={selector};{rest}") for key, domain, selector in self._keys
        ]
        return ComposedMail(
            b"".join([*signatures, mail.head]), mail.body, mail.sender, mail.recipient, mail.needs_smtputf8
        )


def _signature(key: _Key, text: bytes, tags: str) -> bytes:
    algorithm = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    unsigned = f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; {tags}".encode()
    signed = text + _relaxed("dkim-signature", unsigned.partition(b":")[2])
    if isinstance(key, RSAPrivateKey):
        raw = key.sign(signed, PKCS1v15(), SHA256())
    else:
        raw = key.sign(hashlib.sha256(signed).digest())
    signature = base64.b64encode(raw).decode()
    lines = "\r\n ".join(signature[start : start + 72] for start in range(0, len(signature), 72))
    return unsigned + lines.encode() + b"\r\n"


def fields_of(head: bytes) -> dict[str, list[bytes]]:
    """The fields of a header by lower-case name, as they are, in their order."""
    fields: dict[str, list[bytes]] = {}
    for match in _FIELD.finditer(head):
        fields.setdefault(match[1].decode("latin-1").strip().lower(), []).append(match[2])
    return fields


def relaxed_body(body: bytes) -> bytes:
    """The body in relaxed form (RFC 6376 3.4.4)."""
    if b"  " in body or b"\t" in body or b" \r\n" in body:
        body = _SPACE.sub(b" ", body).replace(b" \r\n", b"\r\n")
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def _names(fields: dict[str, list[bytes]]) -> Iterator[str]:
    for name in SIGNED:
        yield from (name for _ in fields.get(name, ()))
        if name in OVERSIGNED:
            yield name


def _relaxed_fields(fields: dict[str, list[bytes]], names: list[str]) -> Iterator[bytes]:
    left = {name: list(values) for name, values in fields.items()}
    for name in names:
        # From the bottom up, as a verifier takes them; a name without a field left counts as empty.
        if left.get(name):
            yield _relaxed(name, left[name].pop()) + b"\r\n"


def _relaxed(name: str, value: bytes) -> bytes:
    return name.encode() + b":" + _SPACE.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t")


def _folded(names: list[str]) -> str:
    lines, line = [], ""
    for name in names:
        if line and len(line) + len(name) > 66:
            lines.append(line)
            line = ""
        line += f":{name}" if line or lines else name
    return "\r\n ".join([*lines, line])
