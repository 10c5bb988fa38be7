"""Several things at once, whose failure is the first one's own and not one that wraps it."""

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, ensureDeferred, gatherResults

T = TypeVar("T")


async def all_at_once(asked: "Iterable[Coroutine[Any, Any, T] | Deferred[T]]") -> list[T]:
    """The results in order. All begin in this turn of the reactor: what is asked of the store so shares one call to it.

    Raises what the first that fails raises, when it does; the others go on. Cancelled, it cancels all.
    """
    try:
        return list(await gatherResults([ensureDeferred(one) for one in asked], consumeErrors=True))
    except FirstError as first:
        first.subFailure.raiseException()
