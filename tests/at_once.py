"""Coroutines that do not have to wait, and what they give."""

from typing import Any

from twisted.internet.defer import Deferred


def run(work: Any) -> Any:
    """The result of a coroutine that does not have to wait."""
    results: list[Any] = []
    failures: list[Any] = []
    Deferred.fromCoroutine(work).addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "it waits"
    return results[0]
