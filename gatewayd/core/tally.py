"""How often strangers came about one thing, in bounded memory: the oldest are forgotten first. Pure."""

from collections import OrderedDict

REMEMBERED = 20_000  # names


class Tally:
    """Counts by name, up to `most` each, of the latest `REMEMBERED` names."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: OrderedDict[str, int] = OrderedDict()

    def is_full(self, name: str) -> bool:
        """Whether `name` was counted `most` times."""
        return self._counts.get(name, 0) >= self._most

    def count(self, name: str) -> None:
        """Once more."""
        self._counts[name] = self._counts.pop(name, 0) + 1
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
