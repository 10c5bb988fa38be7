"""A timeline as a person reads it: what was tried again and again is one line, and each line has its colour. Pure."""

import re
from collections.abc import Sequence

from msgspec import Struct

from gatewayd.core.model import TracedEvent

_TONES = {
    "delivered": "good",
    "sent": "good",
    "told": "good",
    "failed": "bad",
    "rejected": "bad",
    "bounced": "bad",
    "given up": "bad",
    "complained": "bad",
    "again": "warn",
    "tell again": "warn",
    "uncertain": "warn",
    "paused": "warn",
}
"""How good the news is, by the first word of an event."""

_LONGEST_CYCLE = 3
"""Events that one try leaves at most: submitting, uncertain, again."""


class Step(Struct, frozen=True):
    """One line: `times` events of one kind, the first at `since` and the latest at `at`, which `detail` is of."""

    at: float
    event: str
    detail: str
    tone: str = ""
    times: int = 1
    since: float = 0.0


def folded(timeline: Sequence[TracedEvent]) -> list[Step]:
    """`timeline` with what repeats itself, alone or as two or three events in turn, folded into one line each."""
    steps: list[Step] = []
    index = 0
    while index < len(timeline):
        length, times = _cycle(timeline, index)
        for offset in range(length):
            alike = timeline[index + offset : index + length * times : length]
            # The store folds what is alike to the letter: such an event came often by itself.
            latest, often = alike[-1], sum(event.times for event in alike)
            tone = _TONES.get(latest.event.partition(" (")[0], "")
            steps.append(Step(latest.until or latest.at, latest.event, latest.detail, tone, often, alike[0].at))
        index += length * times
    return steps


def _cycle(timeline: Sequence[TracedEvent], start: int) -> tuple[int, int]:
    """How many events from `start` on repeat themselves, and how often; (1, 1) where they do not."""
    for length in range(1, _LONGEST_CYCLE + 1):
        times = 1
        pattern = [_kind(event) for event in timeline[start : start + length]]
        if len(pattern) < length:
            break
        while [_kind(event) for event in timeline[start + times * length : start + (times + 1) * length]] == pattern:
            times += 1
        if times > 1:
            return length, times
    return 1, 1


def _kind(event: TracedEvent) -> tuple[str, str]:
    """What two events must share to be one line: numbers (of a queue id, a time) do not tell them apart."""
    return event.event, re.sub(r"\d+", "0", event.detail)
