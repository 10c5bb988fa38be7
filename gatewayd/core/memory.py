"""A memory of what happened lately, by key, bounded in number and age. Pure."""

from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar


class Aged(Protocol):
    """What is remembered."""

    @property
    def at(self) -> float:
        """The moment from which its age counts, in seconds."""


K = TypeVar("K", bound=Hashable)
T = TypeVar("T", bound=Aged)


class Memory(Generic[K, T]):
    """The latest of each key: `most` keys at most, and none for much longer than `kept_for` seconds."""

    def __init__(self, most: int, kept_for: float) -> None:
        self._most = most
        self._kept_for = kept_for
        self._by_key: dict[K, T] = {}  # the oldest stand in front
        # As the dict's own: each message asks several times.
        self.get: Callable[[K], T | None] = self._by_key.get

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: K) -> bool:
        return key in self._by_key

    def put(self, key: K, new: T) -> None:
        """Remember `new`, and forget what else was remembered of this key.

        Of the others the two oldest go, where they are too many or too old; no more at a time, so that no message pays
        for a crowd of others.
        """
        by_key = self._by_key
        by_key.pop(key, None)
        by_key[key] = new
        too_old = new.at - self._kept_for
        for first in list(islice(by_key, 2)):
            if len(by_key) > self._most or by_key[first].at < too_old:
                del by_key[first]

    def forget(self, key: K) -> None:
        """Where it is not known, this does nothing."""
        self._by_key.pop(key, None)

    def forget_all(self) -> None:
        """As if nothing had been put."""
        self._by_key.clear()

    def since(self, moment: float, at_once: int) -> Iterator[list[tuple[K, T]]]:
        """What is remembered now of this moment and later, in lists of `at_once` at most."""
        rows = [(key, kept) for key, kept in self._by_key.items() if kept.at >= moment]
        for start in range(0, len(rows), at_once):
            yield rows[start : start + at_once]
