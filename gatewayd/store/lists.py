"""Where a short entry stands in the lists of a day (lua/shared/lists.lua), and a message's id in 16 bytes. Pure.

Reckoned here and not in Redis, which does it at ten times the price and has one core.
"""

from collections.abc import Sequence
from hashlib import sha1
from uuid import UUID

from msgspec import Raw

BUCKETS = 2048
"""Lists of a day: ten million messages are five thousand entries in each."""

ID = 16
"""Bytes of a message's id in a list."""

Entry = tuple[str, Raw]
"""The bucket of a name, and bytes that stand there."""


def _place(name: str) -> tuple[str, bytes]:
    digest = sha1(name.encode()).digest()
    return str(int.from_bytes(digest[8:10], "big") // 16 % BUCKETS), digest[:8]


def bucket_of(name: str) -> Entry:
    """The bucket of a name, and the 8 bytes with which its entries begin; as `bucket_of` of lua/shared/lists.lua."""
    bucket, tag = _place(name)
    return bucket, _text(tag)


def entry(name: str, message_id: str, more: bytes = b"") -> Entry:
    """What names a message there."""
    bucket, tag = _place(name)
    return bucket, _text(tag + _packed(message_id) + more)


def segments(message_id: str, smsc: str, remote_ids: Sequence[str]) -> list[Entry]:
    """What names the segments of a message by the ids that the SMSC gave them."""
    named = enumerate(remote_ids, 1)
    return [entry(remote_name(smsc, remote), message_id, bytes((segment,))) for segment, remote in named]


def remote_name(smsc: str, remote_id: str) -> str:
    """By what a segment is found that an SMSC took under this id."""
    return f"{smsc}:{remote_id}"


def packed(message_id: str) -> Raw:
    """A message's id in ID bytes."""
    return _text(_packed(message_id))


def _packed(message_id: str) -> bytes:
    return bytes.fromhex(message_id.replace("-", ""))


def _text(some: bytes) -> Raw:
    """Fewer than 32 bytes as a text of msgpack: the one that Redis' scripts read knows no bytes."""
    return Raw(bytes((0xA0 | len(some),)) + some)


def unpacked(ids: bytes) -> list[str]:
    """The ids that stand in a list one behind the other."""
    return [str(UUID(bytes=ids[at : at + ID])) for at in range(0, len(ids), ID)]
