"""IEventClaims in memory."""

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Claim, IEventClaims


@implementer(IEventClaims)
class FakeClaims:
    """Claims in memory; `shared` is what two instances have in common. `down = True` makes every call fail."""

    def __init__(self, clock: Any, shared: dict[str, tuple[Claim, float]] | None = None) -> None:
        self._clock = clock
        self._held = {} if shared is None else shared
        self.down = False

    def keys(self) -> list[str]:
        """What is claimed or kept."""
        return list(self._held)

    async def claim(self, keys: Sequence[str]) -> list[Claim]:
        self._check_up()
        found = []
        for key in keys:
            state, until = self._held.get(key, (Claim.OURS, 0.0))
            if until <= self._clock.seconds():
                self._held[key] = (Claim.ANOTHERS, self._clock.seconds() + 60)
                state = Claim.OURS
            found.append(state)
        return found

    async def keep(self, keys: Sequence[str], seconds: float) -> None:
        self._check_up()
        for key in keys:
            self._held[key] = (Claim.DONE, self._clock.seconds() + seconds)

    async def release(self, keys: Sequence[str]) -> None:
        self._check_up()
        for key in keys:
            self._held.pop(key, None)

    def _check_up(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")
