"""A timeline as a person reads it."""

from gatewayd.core.model import TracedEvent
from gatewayd.operators.folding import folded


def events(*named: str) -> list[TracedEvent]:
    """One event a second, each "event: detail"."""
    return [TracedEvent(float(at), *text.split(": ", 1)) for at, text in enumerate(named)]


def test_repeated_tries_are_one_line_with_their_number() -> None:
    """The first and the latest time, and the latest detail, though a queue id in it differs each time."""
    tries = [f"again: main said 451 id={number}" for number in range(33)]
    steps = folded(events("taken: ", *tries, "sent: main"))
    assert [(step.event, step.times) for step in steps] == [("taken", 1), ("again", 33), ("sent", 1)]
    again = steps[1]
    assert (again.since, again.at, again.detail) == (1.0, 33.0, "main said 451 id=32")
    assert [step.tone for step in steps] == ["", "warn", "good"]


def test_tries_that_leave_two_events_each_fold_as_well() -> None:
    """Submitting and again, in turn."""
    steps = folded(events("taken: ", *["submitting: main", "again: 451 busy"] * 5, "rejected: 550"))
    assert [(step.event, step.times) for step in steps] == [
        ("taken", 1),
        ("submitting", 5),
        ("again", 5),
        ("rejected", 1),
    ]


def test_what_differs_stays_apart_and_nothing_is_lost() -> None:
    """Another reason is another line; the numbers of all lines add up."""
    timeline = events("again: 451 busy", "again: 421 closing", "again: 451 busy", "told: accepted", "told: delivered")
    steps = folded(timeline)
    assert sum(step.times for step in steps) == len(timeline)
    assert all(step.times == 1 for step in steps)
    assert folded([]) == []
