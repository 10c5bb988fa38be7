"""What stands in Redis and what the scripts reply, as values of core.model, both ways. Pure.

Moments are milliseconds there and seconds here; what is not there is None or empty there. A record is the hash of a
message, by the short names of legend.py.
"""

import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from gatewayd.core.model import (
    CHANNEL_OF,
    Channel,
    Content,
    DeadLetter,
    Email,
    Kept,
    Known,
    Leased,
    Message,
    Receipt,
    ReportJob,
    Trace,
    TracedEvent,
)
from gatewayd.core.status import REPORTS, State
from gatewayd.store.legend import FIELDS, LONG
from gatewayd.store.moments import Moments
from gatewayd.store.story import queued_at, reports, timeline
from gatewayd.store.together import apart, long_text, who

_encode = msgspec.json.Encoder().encode
_texts = msgspec.json.Decoder(list[str]).decode
_message = msgspec.json.Decoder(Message).decode
_receipt = msgspec.json.Decoder(Receipt).decode

_CONTENT: Mapping[Channel, Callable[..., Content]] = {channel: kind for kind, channel in CHANNEL_OF.items()}
_LONGEST_ENVELOPE = 8 * LONG
"""Bytes of an envelope in the hash: shared/content.lua clears so many fields. A longer one goes with the content."""

_MOST_INSIDE = 4
"""Fields that a message's own content may take in its hash; a digit."""

_WORTH_DEFLATING = 512
"""Bytes."""

Record = Mapping[bytes, bytes]


def ms(seconds: float) -> int:
    """A moment or a time, rounded."""
    return round(seconds * 1000)


def record(flat: Sequence[bytes]) -> Record:
    """A hash of a message as HGETALL gives it, with each value in a field of its own."""
    return apart(dict(zip(flat[::2], flat[1::2], strict=True)))


def text(kept: Record, name: str) -> str:
    """A field by its name in the legend; a long text with what stands in further fields."""
    return long_text(kept, name).decode()


def stamp(kept: Record, name: str) -> int:
    """A moment by its name, in milliseconds of Redis' clock; 0 where there is none."""
    return int(kept.get(FIELDS[name].short.encode()) or 0)


def moment(kept: Record, name: str) -> float:
    """The same in seconds."""
    return stamp(kept, name) / 1000


def _long(name: str, value: str) -> Iterator[str]:
    """A text as fields and values, cut between characters: none for an empty one."""
    short, raw, start, number = FIELDS[name].short, value.encode(), 0, 0
    while start < len(raw):
        piece = raw[start : start + LONG].decode(errors="ignore")
        yield f"{short}{number}" if number else short
        yield piece
        start, number = start + len(piece.encode()), number + 1


# Messages that wait


def stored(message: Message, *, small: bool) -> tuple[str, str, list[str]]:
    """A message as it waits: the digest of what it says, what it says, and the texts of its hash.

    Only what many messages of a campaign may have in common is content; it stands once for all of them, and a short one
    in the hash: then the first two are empty. `small` is for one that waits in a queue, where memory counts for more
    than the time to deflate it.
    """
    content = message.content
    if isinstance(content, Email):
        envelope = [content.from_email_address, content.subject, content.reply_to_email_address, message.sealed_to]
        said = [content.body, content.text_body]
    else:
        envelope, said = [content.from_number, message.sealed_to], [content.body]
    texts = list(_long("who", who(message)))
    if inside := _inside(_encode(said + envelope)):
        return "", "", texts + inside
    head = _encode(envelope).decode()
    if len(head.encode()) > _LONGEST_ENVELOPE:
        said, head = said + envelope, ""
    whole = _encode(said)
    digest = _digest(whole)
    texts += [*_long("envelope", head), FIELDS["content"].short, digest]
    return digest, _deflated(whole) if small else whole.decode(), texts


def _inside(whole: bytes) -> list[str]:
    """What a short message says, as fields and values: the first begins with how many fields it takes.

    None where it is long: that many may say, and each would look at it whenever it looks at another field.
    """
    if len(whole) >= _MOST_INSIDE * LONG:
        return []
    fields = list(_long("content", f"0{whole.decode()}"))
    count = len(fields) // 2
    fields[1] = f"{count}{fields[1][1:]}"
    return fields if count <= _MOST_INSIDE else []


def _digest(whole: bytes) -> str:
    return b64encode(blake2b(whole, digest_size=15).digest()).decode()


def _deflated(whole: bytes) -> str:
    """Base64 of the deflated text, where that is shorter: a script's arguments are text."""
    if len(whole) < _WORTH_DEFLATING:
        return whole.decode()
    packed = b64encode(zlib.compress(whole, 1))
    return (packed if len(packed) < len(whole) else whole).decode()


def _inflated(content: bytes) -> bytes:
    return content if content.startswith(b"[") else zlib.decompress(b64decode(content))


def is_inside(kept: Record) -> bool:
    """Whether a record says itself what the message says."""
    return kept.get(FIELDS["content"].short.encode(), b"")[1:2] == b"["


def leased(
    message_id: str,
    lease: str,
    kept: Record,
    moments: Moments,
    content: bytes,
    url: bytes,
    body: bytes,
    *,
    now: float = 0.0,
    theirs: int = 0,
) -> Leased:
    """A row of lease_messages, with its times by our clock, by which it is `now` (0: it has time left).

    By Redis' clock it is `theirs`, in milliseconds: clocks that were set since it was accepted are apart by that.
    Raises ValueError where another version, or another program, wrote what can't be read."""
    short = FIELDS["segments_taken"].short
    count = int(text(kept, "segments_taken") or 0)
    taken = tuple(kept[f"{short}{number}".encode()].decode() for number in range(1, count + 1))
    message = _message(body) if body else _waiting(message_id, kept, content, url)
    deadline = moments.read(message.deadline)
    accepted_at = moments.read(message.accepted_at - _lag(kept))
    return Leased(
        message=replace(message, accepted_at=accepted_at, deadline=deadline),
        state=State(text(kept, "state") or State.QUEUED),
        attempts=int(text(kept, "tries") or 0),
        first_tried=moments.ours(stamp(kept, "first_try")),
        route=text(kept, "route"),
        marked_at=moments.ours(stamp(kept, "marked_at")),
        progress=taken or tuple(text(kept, "old_segments").split()),
        lease=lease,
        copies=int(text(kept, "copies") or 0),
        mark=int(stamp(kept, "marked_at")),
        story=timeline(kept, ()) if deadline <= now else (),
        taken_at=now - (theirs / 1000 - message.accepted_at) if theirs else 0.0,
        address_hash=text(kept, "address_hash"),
    )


def _lag(kept: Record) -> float:
    return int(text(kept, "deadline_lag") or 0) / 1000


def _waiting(message_id: str, kept: Record, content: bytes, url: bytes) -> Message:
    if not (text(kept, "uid") and text(kept, "user") and stamp(kept, "accepted_at")):
        raise ValueError("it is not said whose it is, or since when")
    channel, inside, head = Channel(text(kept, "channel")), text(kept, "content"), text(kept, "envelope")
    said = _texts(inside[1:] if is_inside(kept) else _inflated(content))
    bodies = 2 if channel is Channel.EMAIL else 1
    *senders, sealed_to = _texts(head) if head else said[bodies:]
    return Message(
        id=message_id,
        uid=text(kept, "uid"),
        label=text(kept, "label"),
        ext_user_id=text(kept, "user"),
        content=_CONTENT[channel](*senders, *said[:bodies]),
        accepted_at=moment(kept, "accepted_at"),
        deadline=moment(kept, "deadline"),
        callback_url=url.decode(),
        activity_type=text(kept, "activity"),
        sealed_to=sealed_to,
    )


# Receipts and reports


def parked(receipt: Receipt) -> str:
    """What is kept of a receipt that is to wait for its message, behind the moment since when, which Redis says."""
    return _encode(receipt).decode()


def unparked(payload: bytes) -> Receipt:
    """A receipt that waits, as it stands there: what `parked` was given behind its moment."""
    since, _, receipt = payload.partition(b"|")
    return replace(_receipt(receipt), parked_at=int(since) / 1000, parked_as=payload.decode())


def job(row: bytes, moments: Moments) -> ReportJob:
    """A report as shared/next_report.lua gives it."""
    message_id, letter, label, channel, since, tries, first, lease, stood, url = row.decode().split("\n", 9)
    return ReportJob(
        message_id=message_id,
        label=label,
        channel=Channel(channel),
        status=REPORTS[letter],
        callback_url=url,
        queued_at=moments.ours(int(since)),
        attempts=int(tries),
        first_tried=moments.ours(int(first)),
        lease=lease,
        stood=stood and f"{since} {stood}",
    )


# What is kept


def known(message_id: str, kept: Record, moments: Moments) -> Known | None:
    """What is known of a message; None for a hash that is not there."""
    if not kept:
        return None
    return Known(
        message_id=message_id,
        uid=text(kept, "uid"),
        label=text(kept, "label"),
        channel=Channel(text(kept, "channel")),
        ext_user_id=text(kept, "user"),
        state=State(text(kept, "state")),
        activity_type=text(kept, "activity"),
        address_hash=text(kept, "address_hash"),
        sent_at=moments.ours(_sent_at(kept) or stamp(kept, "marked_at")),
        queued_reports=text(kept, "queued_reports"),
        route=text(kept, "route"),
        parts=len(text(kept, "segments")),
        is_on_the_wire=text(kept, "state") == State.UNCERTAIN and "+" in text(kept, "lease"),
    )


def _sent_at(kept: Record) -> int:
    return stamp(kept, "sent_at") or queued_at(kept, "a")


def trace(message: Known, kept: Record, old_lines: Sequence[bytes]) -> Trace:
    """What is known of a message and its story, in one; `old_lines` are those of 0.1.0's timeline."""
    events = timeline(kept, tuple(map(_old_event, old_lines)))
    return Trace(
        ext_message_id=message.message_id,
        uid=message.uid,
        label=message.label,
        channel=message.channel,
        ext_user_id=message.ext_user_id,
        state=message.state,
        reports=reports(kept, message.queued_reports, events),
        timeline=events,
    )


def whole(
    message_id: str,
    kept: Record,
    old_lines: Sequence[bytes],
    moments: Moments,
    content: bytes,
    url: bytes,
    body: bytes,
) -> Kept | None:
    """All that is kept of one message; None for a hash that is not there."""
    message = known(message_id, kept, moments)
    if message is None:
        return None
    waits = body or content or is_inside(kept)
    return Kept(
        trace=trace(message, kept, old_lines),
        accepted_at=moment(kept, "accepted_at"),
        deadline=moment(kept, "deadline") + _lag(kept),
        sent_at=_sent_at(kept) / 1000,
        activity_type=message.activity_type,
        address_hash=message.address_hash,
        route=text(kept, "route"),
        attempts=int(text(kept, "tries") or 0),
        callback_url=url.decode(),
        waiting=leased(message_id, "", kept, moments, content, url, body).message if waits else None,
    )


_EFFORT = re.compile(r"\|(\d+) (\d+)\Z")
"""The end of a dead letter's reason: for how long it was tried, in ms, and how often. Version 0.1 wrote none."""


def effort(waited: float, tries: int) -> str:
    """For how many seconds and how often a report was tried, as it stands behind its reason."""
    return f"|{max(waited, 0.0) * 1000:.0f} {tries}"


def dead_letter(row: tuple[bytes, bytes, bytes | None]) -> DeadLetter:
    """A member of the set of dead letters, its score, and what the hash beside it says of it."""
    member, score, why = row
    message_id, _, letter = member.decode().partition("|")
    label, _, reason = (why or b"").decode().partition("|")
    found = _EFFORT.search(reason)
    waited, tries = (int(found[1]) / 1000, int(found[2])) if found else (None, None)
    reason = reason[: found.start()] if found else reason
    return DeadLetter(message_id, label, REPORTS[letter], float(score) / 1000, reason, waited, tries)


def counted(row: tuple[bytes, bytes]) -> tuple[tuple[str, Channel, str], int]:
    """A field and value of the hash of counts: label, channel and what is counted; how many."""
    label, channel, what = row[0].decode().split("|")
    return (label, Channel(channel), what), int(row[1])


def scope(member: bytes) -> tuple[str, Channel]:
    """A member of the set of what is paused: label and channel."""
    label, _, channel = member.decode().rpartition("|")
    return label, Channel(channel)


def named(kept: Record) -> dict[str, str]:
    """A record by the legend's names, for whoever supports it: moments and all as they stand in Redis."""
    names = {field.short: name for name, field in FIELDS.items()}
    found = {}
    for short, value in kept.items():
        raw = short.decode("utf-8", "replace")
        name = names[raw] if raw in names else f"{names.get(raw[:1], raw[:1])} {raw[1:]}"
        found[name] = value.decode("utf-8", "replace")
    return found


def _old_event(line: bytes) -> TracedEvent:
    at, event, detail = line.decode().split("|", 2)
    return TracedEvent(at=int(at) / 1000, event=event, detail=detail)
