"""What the lines of a stored timeline mean: when each status was born and heard, and letters as words. Pure."""

import re
from collections.abc import Sequence

from msgspec.structs import replace

from gatewayd.core.model import Trace, TracedEvent, TracedReport
from gatewayd.core.status import REPORTS, Event, Report

_EVIDENCE = frozenset({str(event) for event in Event} | {"receipt"})
"""Events that can give birth to a status that is not named like them."""

_PUT_BACK = frozenset({"again", "uncertain"})

_LETTERED = frozenset({"told", "given up", "told to retry", "told to drop", "replayed"})
"""Events whose detail begins with status.LETTERS."""


def reports_of(queued: str, timeline: Sequence[TracedEvent]) -> tuple[TracedReport, ...]:
    """The statuses `queued` (letters, in order), each with when it was queued and when the caller heard it first."""
    heard: dict[Report, float] = {}
    for event in timeline:
        if event.event == "told" and event.detail in REPORTS:
            heard.setdefault(REPORTS[event.detail], event.at)
    start = timeline[0].at if timeline else 0.0
    return tuple(
        TracedReport(status, _born(status, timeline, heard.get(status), start), heard.get(status, 0.0))
        for status in (REPORTS[letter] for letter in queued)
    )


def _born(status: Report, timeline: Sequence[TracedEvent], heard: float | None, start: float) -> float:
    """When the fact came: the event of that name, or (a receipt, an open that implies delivery) the latest evidence."""
    own = "sent" if status is Report.ACCEPTED else str(status)
    for event in timeline:
        if event.event == own:
            return event.at
    evidence = [event.at for event in timeline if event.event in _EVIDENCE and (heard is None or event.at <= heard)]
    return evidence[-1] if evidence else start


def tried(timeline: Sequence[TracedEvent]) -> tuple[int, str]:
    """How often a message was begun to be written, and why that or what waited last did not end it, "" for nothing.

    A further segment of a long SMS is no further try, unless nothing else was written.
    """
    submits = [event for event in timeline if event.event == "submitting"]
    begun = [event for event in submits if ", segment " not in event.detail]
    put_back = [event for event in timeline if event.event in _PUT_BACK]
    latest = max(put_back, key=lambda event: event.until or event.at, default=None)
    return sum(event.times for event in begun or submits), latest.detail if latest else ""


def in_words(trace: Trace) -> Trace:
    """`trace` with the letters of its timeline written out."""
    return replace(trace, timeline=tuple(map(_spoken, trace.timeline)))


def _spoken(event: TracedEvent) -> TracedEvent:
    match = re.match(r"([adfrcou]+)( |$)", event.detail) if event.event in _LETTERED else None
    if match is None:
        return event
    words = ", ".join(REPORTS[letter] for letter in match[1])
    rest = event.detail[match.end() :]
    return replace(event, detail=f"{words}: {rest}" if rest else words)
