"""That an operator lifted a label's guard for a time: a key each, which goes by itself.

Where Redis' memory is full nothing is accepted, guard or not; but what an operator says then is not to be lost.
"""

from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts


class LiftedGuards:
    """Keys `lifted:LABEL`, "1", that live for as long as the guard is lifted."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def lift(self, label: str, seconds: float) -> None:
        """From now on; again, it counts from then, and with 0 the guard stands again. Raises StoreUnavailable."""
        if seconds <= 0:
            await self._link.command("DEL", self._link.key("lifted", label))
        else:
            words = ("SET", self._link.key("lifted", label), "1", "PX", max(int(seconds * 1000), 1))
            await self._link.run(all_scripts()["write_when_full"], words)

    async def lifted(self, label: str) -> float:
        """Seconds for which it is lifted still; 0 where it is not. Raises StoreUnavailable."""
        left = await self._link.command("PTTL", self._link.key("lifted", label))
        return max(int(left), 0) / 1000
