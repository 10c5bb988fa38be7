"""What is asked at once: its results, whose failure it has, and that nothing is left behind."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from gatewayd.core.at_once import all_at_once


async def result_of(deferred: "Deferred[int]") -> int:
    """As a coroutine."""
    return await deferred


def asked(*waiting: "Deferred[int]") -> "Deferred[list[int]]":
    """All of them at once; a Deferred may be given as it is."""
    first, *rest = waiting
    work: list[Coroutine[Any, Any, int] | Deferred[int]] = [result_of(first), *rest]
    return Deferred.fromCoroutine(all_at_once(work))


def test_results_come_in_the_order_of_asking() -> None:
    """Whichever is there first."""
    one, two = Deferred[int](), Deferred[int]()
    found: list[list[int]] = []
    asked(one, two).addCallback(found.append)
    two.callback(2)
    assert not found
    one.callback(1)
    assert found == [[1, 2]]


def test_the_failure_is_the_first_ones_own() -> None:
    """As it was raised, without one around it; a later failure is nobody's."""
    one, two = Deferred[int](), Deferred[int]()
    failed: list[BaseException | None] = []

    def fail(failure: Failure) -> None:
        failed.append(failure.value)

    asked(one, two).addErrback(fail)
    trouble = KeyError("two")
    two.errback(trouble)
    assert failed == [trouble]
    one.errback(ValueError("one"))
    assert failed == [trouble]


def test_cancelled_it_cancels_all() -> None:
    """None of them goes on."""
    one, two = Deferred[int](), Deferred[int]()
    all_of_them = asked(one, two)
    ended: list[Any] = []
    all_of_them.addErrback(lambda failure: ended.append(failure.type))
    all_of_them.cancel()
    assert ended == [CancelledError]
    assert one.called
    assert two.called
