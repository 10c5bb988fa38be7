"""Where a short entry stands in the lists of a day (lua/shared/lists.lua), and a message's id in 16 bytes. Pure.

Reckoned here and not in Redis, which does it at ten times the price and has one core.
"""

from collections.abc import Sequence
from hashlib import sha1
from uuid import UUID

from msgspec import Raw

from gatewayd.core.remote_names import remote_hash

BUCKETS = 2048
"""Lists of a day: ten million messages are five thousand entries in each."""

ID = 16
"""Bytes of a message's id in a list."""

Entry = tuple[str, Raw]
"""The bucket of a name, and bytes that stand there."""


def _place(digest: bytes) -> tuple[str, bytes]:
    return str(int.from_bytes(digest[8:10], "big") // 16 % BUCKETS), digest[:8]


def entry(name: str, message_id: str) -> Entry:
    """What names a message there; where it stands is as `bucket_of` of lua/shared/lists.lua says."""
    bucket, tag = _place(sha1(name.encode()).digest())
    return bucket, _text(tag + _packed(message_id))


def bucket_of_remote(smsc: str, remote_id: str) -> Entry:
    """The bucket of what an SMSC took under this id, and the 8 bytes with which its entries begin."""
    bucket, tag = _place(remote_hash(smsc, remote_id))
    return bucket, _text(tag)


def segments(message_id: str, smsc: str, remote_ids: Sequence[str]) -> list[Entry]:
    """What names the segments of a message by the ids that the SMSC gave them."""
    packed_id, found = _packed(message_id), []
    for segment, remote in enumerate(remote_ids, 1):
        bucket, tag = _place(remote_hash(smsc, remote))
        found.append((bucket, _text(tag + packed_id + bytes((segment,)))))
    return found


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
