"""By what a submit is found again. Its id is an SMSC's or a vendor's word, and may hold a player's number. Pure."""

import re
from hashlib import sha1

_SEALED = re.compile(r"\(([0-9a-f]{20})\)")
"""No SMSC's id has brackets around it: they are taken off where it is read (smpp/remote_ids.py)."""


def remote_hash(route: str, remote_id: str) -> bytes:
    """The 10 bytes that an id is known by in Redis, sealed or not; as in lua/shared/hash_of.lua, but raw."""
    known = _SEALED.fullmatch(remote_id)
    return bytes.fromhex(known[1]) if known else sha1(f"{route}:{remote_id}".encode()).digest()[:10]


def sealed(route: str, remote_id: str) -> str:
    """The id without what stands in it; all that it names is found by it still."""
    return f"({remote_hash(route, remote_id).hex()})"
