"""What stands in Redis and what the scripts reply, as values of model.py: rows, lines and payloads, both ways. Pure.

Moments are milliseconds there and seconds here; what is not there is None or empty there.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gatewayd.core.model import (
    Channel,
    DeadLetter,
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
from gatewayd.core.timeline import reports_of
from gatewayd.store.moments import Moments

_encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message).decode
_receipt = msgspec.json.Decoder(Receipt).decode


def ms(seconds: float) -> int:
    """A moment or a time, rounded."""
    return round(seconds * 1000)


def body(message: Message, moments: Moments) -> str:
    """A message as it waits, with its times by Redis' clock."""
    kept = replace(message, accepted_at=moments.kept(message.accepted_at), deadline=moments.kept(message.deadline))
    return _encode(kept).decode()


def leased(row: Sequence[Any], moments: Moments) -> Leased:
    """A row of take.lua, with its times by our clock.

    Raises ValueError where another version wrote a body that can't be read.
    """
    _id, text, state, tries, first, route, marked, progress = row
    kept = _message(text)
    return Leased(
        message=replace(kept, accepted_at=moments.read(kept.accepted_at), deadline=moments.read(kept.deadline)),
        state=State(state.decode()),
        attempts=int(tries),
        first_tried=moments.ours(int(first)),
        route=route.decode(),
        marked_at=moments.ours(int(marked)),
        stamp=int(marked),
        progress=tuple(progress.decode().split()),
    )


def parked(receipt: Receipt) -> str:
    """A receipt that waits for its message, behind the moment since when it does."""
    return f"{ms(receipt.parked_at)}|{_encode(receipt).decode()}"


def unparked(payload: bytes) -> Receipt:
    """What `parked` was given."""
    return _receipt(payload.split(b"|", 1)[1])


def job(row: Sequence[Any], moments: Moments) -> ReportJob:
    """A job as prelude.lua gives it."""
    message_id, letter, label, channel, url, queued, tries, first = row
    return ReportJob(
        message_id=message_id.decode(),
        label=label.decode(),
        channel=Channel(channel.decode()),
        status=REPORTS[letter.decode()],
        callback_url=url.decode(),
        queued_at=moments.ours(int(queued)),
        attempts=int(tries),
        first_tried=moments.ours(int(first)),
    )


def known(message_id: str, row: Sequence[Any], moments: Moments) -> Known | None:
    """A reply of about.lua."""
    words = (value and value.decode() for value in row)
    uid, label, channel, user, state, activity, address, sent, queued, route = words
    if not state:
        return None
    return Known(
        message_id=message_id,
        uid=uid or "",
        label=label or "",
        channel=Channel(channel),
        ext_user_id=user or "",
        state=State(state),
        activity_type=activity or "",
        address_hash=address or "",
        sent_at=moments.ours(int(sent or 0)),
        queued_reports=queued or "",
        route=route or "",
    )


def trace(message: Known, lines: Sequence[bytes]) -> Trace:
    """What is known of a message and its timeline, in one."""
    timeline = tuple(map(_event, lines))
    return Trace(
        ext_message_id=message.message_id,
        uid=message.uid,
        label=message.label,
        channel=message.channel,
        ext_user_id=message.ext_user_id,
        state=message.state,
        reports=reports_of(message.queued_reports, timeline),
        timeline=timeline,
    )


def kept(row: Sequence[Any]) -> Kept:
    """A row of export.lua."""
    lines, text = row[-2:]
    values = [(value or b"").decode() for value in row[:-2]]
    (
        message_id,
        uid,
        label,
        channel,
        user,
        state,
        told,
        taken,
        deadline,
        sent,
        activity,
        address,
        route,
        tries,
        url,
    ) = values
    timeline = tuple(map(_event, lines))
    reports = reports_of(told, timeline)
    return Kept(
        trace=Trace(message_id, uid, label, Channel(channel), user, State(state), reports, timeline),
        accepted_at=int(taken or 0) / 1000,
        deadline=int(deadline or 0) / 1000,
        sent_at=int(sent or 0) / 1000,
        activity_type=activity,
        address_hash=address,
        route=route,
        attempts=int(tries or 0),
        callback_url=url,
        waiting=_message(text) if text else None,
    )


def dead_letter(member: bytes, score: bytes, why: bytes | None) -> DeadLetter:
    """A member of the set of dead letters, and what the hash beside it says of it."""
    message_id, _, letter = member.decode().partition("|")
    label, _, reason = (why or b"").decode().partition("|")
    return DeadLetter(message_id, label, REPORTS[letter], float(score) / 1000, reason)


def counts(flat: Sequence[bytes]) -> dict[tuple[str, Channel, str], int]:
    """The hash of counts, by label, channel and what is counted."""
    found = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        label, channel, what = name.decode().split("|")
        found[label, Channel(channel), what] = int(value)
    return found


def scopes(members: Sequence[bytes]) -> frozenset[tuple[str, Channel]]:
    """The set of what is paused, by label and channel."""
    pairs = (member.decode().rpartition("|") for member in members)
    return frozenset((label, Channel(channel)) for label, _, channel in pairs)


def _event(line: bytes) -> TracedEvent:
    at, event, detail = line.decode().split("|", 2)
    return TracedEvent(at=int(at) / 1000, event=event, detail=detail)
