"""The lines of an audit log, and the keyed chain that binds each to all before it: what writes and what verifies share.

Pure. Whoever has no key of the installation can neither make a line nor move one unseen.
"""

import hashlib
import hmac

import msgspec

START = "0" * 64
CONTINUED = "continued"
"""The decision that begins a file whose chain goes on from another one; its reason is that one's head."""
GAP = "gap"
"""The decision that says that lines were missing here when the daemon started; its reason begins with their head."""
MISSING = "missing"
"""The decision that says how many were not written before it, and why: `verify` says so for good."""


class AuditLine(msgspec.Struct, frozen=True):
    """One decision as it stands in the file; `chain` is over the line before and all other fields of this one."""

    at: str
    instance: str
    decision: str
    label: str
    channel: str
    ext_message_id: str
    uid: str
    ext_user_id: str
    reason: str
    chain: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(AuditLine).decode


def key_of(secret: bytes) -> bytes:
    """The chain's own key, of an installation's secret one."""
    return hashlib.blake2b(b"audit", key=hashlib.blake2b(secret).digest(), digest_size=32).digest()


def bound(key: bytes, before: str, line: AuditLine) -> str:
    """The chain of `line`, whose own is "" yet, behind the line whose chain is `before`."""
    return hmac.digest(key, before.encode() + b"\n" + encode(line), "sha256").hex()
