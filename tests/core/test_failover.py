"""Which route takes a message, and what several setbacks mean: CONTRACT.md, "Failover"."""

from collections.abc import Mapping

import pytest
from twisted.internet.defer import Deferred

from gatewayd.core.errors import Failure, PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.failover import Setback, first_that_takes
from gatewayd.core.model import Handed


def sent(outcomes: Mapping[str, Handed | Setback | Exception], **also: tuple[str, ...]) -> tuple[object, list[str]]:
    """What comes of routes that behave so, and which of them were tried."""
    tried: list[str] = []

    async def attempt(route: str) -> Handed | Setback:
        tried.append(route)
        outcome = outcomes[route]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    done = Deferred.fromCoroutine(first_that_takes(outcomes, attempt, none="no route", **also))
    result: list[object] = []
    done.addCallbacks(result.append, lambda failure: result.append(failure.value))
    return result[0], tried


def test_the_first_that_takes_it_is_the_last_that_is_tried() -> None:
    """A setback leads to the next route, a success ends it."""
    taken = Handed("b", (), "")
    assert sent({"a": Setback("a is down"), "b": taken, "c": Setback("never asked")}) == (taken, ["a", "b"])


@pytest.mark.parametrize("error", [TemporaryFailure("busy"), PermanentFailure("no"), Uncertain("?", route="a")])
def test_what_is_said_of_the_message_itself_ends_the_attempt(error: Failure) -> None:
    """What an attempt raises is nobody else's: no other route is tried, and the exception is that very one."""
    assert sent({"a": error, "b": Handed("b", (), "")}) == (error, ["a"])


def test_setbacks_are_summed_up() -> None:
    """Each reason is told; where all are pacing it is no counted attempt, and the earliest moment counts."""
    failure, _ = sent({"a": Setback("a is busy", 20.0, counts=False), "b": Setback("b is busy", 10.0, counts=False)})
    assert isinstance(failure, TemporaryFailure)
    assert (failure.reason, failure.not_before, failure.counts) == ("a is busy; b is busy", 10.0, False)


def test_one_that_is_only_busy_makes_it_no_attempt() -> None:
    """Beside one that is down it will take the message soon; where none is only busy it counts."""
    failure, _ = sent({"a": Setback("a is busy", 20.0, counts=False), "b": Setback("b is down")})
    assert isinstance(failure, TemporaryFailure)
    assert (failure.not_before, failure.counts) == (20.0, False)
    failure, _ = sent({"a": Setback("a is in trouble", 20.0), "b": Setback("b is down")})
    assert isinstance(failure, TemporaryFailure)
    assert (failure.not_before, failure.counts) == (None, True)


def test_only_where_no_route_ever_takes_it_is_it_refused() -> None:
    """All final: permanent. A final one beside a busy one: later, without counting."""
    assert isinstance(sent({"a": Setback("too large", final=True)})[0], PermanentFailure)
    failure, _ = sent({"a": Setback("too large", final=True), "b": Setback("b is busy", 10.0, counts=False)})
    assert isinstance(failure, TemporaryFailure)
    assert (failure.not_before, failure.counts) == (10.0, False)


def test_without_a_route_it_waits() -> None:
    """No route is no reason to refuse; and what was taken before is not forgotten."""
    failure, _ = sent({}, progress=("id1",))
    assert isinstance(failure, TemporaryFailure)
    assert (failure.reason, failure.progress) == ("no route", ("id1",))
