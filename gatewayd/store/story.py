"""What a record says of a message's story: its timeline and its reports, from the fields of legend.py. Pure.

The statuses and when they were heard stand in fields of their own, which nothing trims; 0.1.0 read them out of its
timeline, whose lines are read here, too.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from gatewayd.core.model import TracedEvent, TracedReport
from gatewayd.core.status import REPORTS
from gatewayd.core.timeline import reports_of
from gatewayd.store.legend import FIELDS

_ACCEPTED, _UID = FIELDS["accepted_at"].short.encode(), FIELDS["uid"].short.encode()
_STEP, _DETAIL, _REPORT = (FIELDS[name].short.encode() for name in ("step", "detail", "report"))
_MARKED_AT, _ROUTE = FIELDS["marked_at"].short.encode(), FIELDS["route"].short.encode()
_SUBMITTING = _STEP + b"submitting|"
_TO_TELL = FIELDS["to_tell"].short.encode()

HASHED = 9
"""Characters behind the beginning of a long step: a tilde and eight of its hash."""


def timeline(kept: Mapping[bytes, bytes], old: Sequence[TracedEvent]) -> tuple[TracedEvent, ...]:
    """Each step once, in the order in which they came first."""
    start = int(kept.get(_ACCEPTED) or 0)
    steps = list(old)
    # An erased message begins its story anew: when it came is forgotten, and what was heard is in its reports alone.
    if not old and _UID in kept:
        steps.append(TracedEvent(start / 1000, "taken"))
        steps += _first_mark(kept, start)
    steps += _steps(kept, start)
    if old or _UID in kept:
        steps += _heard(kept, start)
    return tuple(sorted(steps, key=lambda step: step.at))


def reports(kept: Mapping[bytes, bytes], queued: str, events: Sequence[TracedEvent]) -> tuple[TracedReport, ...]:
    """The statuses `queued` (letters, in order), each with when it was queued and when the caller heard it first."""
    start = int(kept.get(_ACCEPTED) or 0)
    found = []
    for report in reports_of(queued, events):
        letter = next(letter for letter, status in REPORTS.items() if status is report.status)
        if at := queued_at(kept, letter):
            numbers = _numbers(kept.get(_REPORT + letter.encode(), b""))
            heard = (start + numbers[1]) / 1000 if len(numbers) > 1 else 0.0
            report = replace(report, at=at / 1000, answered_at=heard)
        found.append(report)
    return tuple(found)


def queued_at(kept: Mapping[bytes, bytes], letter: str) -> int:
    """When this status was queued, in ms by Redis' clock: that is when what it says came about; 0 for never."""
    numbers = _numbers(kept.get(_REPORT + letter.encode(), b""))
    if numbers:
        return int(kept.get(_ACCEPTED) or 0) + numbers[0]
    letters, _, rest = kept.get(_TO_TELL, b"").decode().partition(" ")
    return int(rest.partition(" ")[0] or 0) if letters.startswith(letter) else 0


def _first_mark(kept: Mapping[bytes, bytes], start: int) -> Iterator[TracedEvent]:
    """Which stands there only as long as there was no other one: see lua/shared/copy.lua."""
    marked_at = int(kept.get(_MARKED_AT) or 0)
    if marked_at and not any(name.startswith(_SUBMITTING) for name in kept):
        yield TracedEvent(max(marked_at, start) / 1000, "submitting", kept.get(_ROUTE, b"").decode("utf-8", "replace"))


def _steps(kept: Mapping[bytes, bytes], start: int) -> Iterator[TracedEvent]:
    for name, value in kept.items():
        if name.startswith(_STEP):
            event, _, detail = _whole(kept, name[len(_STEP) :]).decode("utf-8", "replace").partition("|")
            yield _event(event, detail, start, *_numbers(value))


def _whole(kept: Mapping[bytes, bytes], words: bytes) -> bytes:
    head, tilde, digest = words[:-HASHED], words[-HASHED : 1 - HASHED], words[1 - HASHED :]
    first = kept.get(_DETAIL + digest + b"1")
    if tilde != b"~" or first is None:
        return words
    rest, number = [first], 2
    while (more := kept.get(_DETAIL + digest + b"%d" % number)) is not None:
        rest.append(more)
        number += 1
    return head + b"".join(rest)


def _heard(kept: Mapping[bytes, bytes], start: int) -> Iterator[TracedEvent]:
    for letter in REPORTS:
        numbers = _numbers(kept.get(_REPORT + letter.encode(), b""))
        if len(numbers) > 1:
            yield _event("told", letter, start, *numbers[1:])


def _event(event: str, detail: str, start: int, first: int, last: int = 0, times: int = 1) -> TracedEvent:
    until = (start + last) / 1000 if times > 1 else 0.0
    # The acceptance is stamped by our clock and the steps by Redis', a millisecond apart: none comes before it.
    return TracedEvent((start + max(first, 0)) / 1000, event, detail, until, times)


def _numbers(value: bytes) -> list[int]:
    return [int(number) for number in value.split()]
