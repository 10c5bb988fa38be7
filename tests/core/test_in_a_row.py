"""What goes wrong time after time: from how many on it counts, and what ends that."""

from twisted.internet.task import Clock

from gatewayd.core.in_a_row import InARow


def counts(row: InARow) -> dict[str, tuple[int, str]]:
    """What is found, by name."""
    return {name: (run.count, run.why) for name, run in row.found()}


def test_enough_in_a_row_are_found_until_one_works() -> None:
    """Of each name by itself, with why the latest failed."""
    row = InARow(Clock(), 2)
    row.failed("a", "one")
    row.failed("b")
    assert counts(row) == {}
    row.failed("a", "two")
    assert counts(row) == {"a": (2, "two")}
    row.failed("a", "three")
    assert counts(row) == {"a": (3, "three")}
    row.worked("a")
    row.failed("a")
    assert counts(row) == {}
    row.failed("b")
    row.forget()
    assert counts(row) == {}


def test_an_hour_after_the_latest_it_counts_no_more() -> None:
    """Somebody's tries are not told all night; each new one begins the hour, and after it the count, anew."""
    clock = Clock()
    row = InARow(clock, 2)
    for _ in range(2):
        row.failed("a", "why")
        clock.advance(3600)
    assert counts(row) == {"a": (2, "why")}
    clock.advance(1)
    assert counts(row) == {}
    row.failed("a", "why")
    assert counts(row) == {}


def test_who_comes_again_counts_once() -> None:
    """Where it is said whose failure it is; more than enough of them are not remembered."""
    row = InARow(Clock(), 2)
    row.failed("a", whose="x")
    row.failed("a", whose="x")
    assert counts(row) == {}
    row.failed("a", whose="y")
    row.failed("a", whose="z")
    assert [(run.count, run.whose) for _, run in row.found()] == [(2, {"x", "y"})]
