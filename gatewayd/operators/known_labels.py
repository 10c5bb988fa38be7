"""Of which labels an operator may say something: those of the configuration, and those of which Redis holds something.

A label that was taken out of the file is not gone: its messages wait for its return, and what is stored of its players
must still be found and removed.
"""

from collections.abc import Awaitable, Callable, Mapping

from gatewayd.config.wording import meant
from gatewayd.core.interfaces import IShownToPeople
from gatewayd.operators.orders import Wrong


class KnownLabels:
    """`configured` are those of now; `has_stops` says whether anybody is on a label's stop list."""

    def __init__(
        self,
        store: IShownToPeople,
        configured: Callable[[], Mapping[str, float]],
        has_stops: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._configured = configured
        self._has_stops = has_stops

    def configured(self) -> tuple[str, ...]:
        """Those of the configuration."""
        return tuple(self._configured())

    async def left_behind(self) -> tuple[str, ...]:
        """Those that the configuration has no more and a message was stored of: the counts of a label never go.

        Nobody can count or pause under a name that was in no configuration.
        """
        found = {label for label, _, _ in await self._store.counts()}
        found |= {label for label, _ in await self._store.paused()}
        return tuple(sorted(found.difference(self._configured())))

    async def check(self, label: str) -> None:
        """Raises Wrong where neither the configuration nor Redis has this label."""
        if label in self._configured():
            return
        left_behind = await self.left_behind()
        # A stop list may have been imported for a label that never sent anything.
        if label in left_behind or await self._has_stops(label):
            return
        raise _unknown(label, (*self._configured(), *left_behind))

    def check_configured(self, label: str) -> None:
        """Raises Wrong where the configuration has no such label."""
        if label not in self._configured():
            raise _unknown(label, self.configured())


def _unknown(label: str, known: tuple[str, ...]) -> Wrong:
    return Wrong(404, f"there is no label {label!r}{meant(label, known)}")
