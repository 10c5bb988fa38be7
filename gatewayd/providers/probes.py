"""Whether a vendor that nobody asks is still there: its trouble must be seen before the next campaign finds it.

Owns when that is looked at. A vendor that is there is not troubled with a handshake for it.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from gatewayd.core.regularly import Regularly
from gatewayd.providers.health import Health

LOOK_EVERY = 1.0
"""Seconds between two looks at whether a probe is due."""

PROBE_AFTER = 5.0
"""Seconds after the latest answer, or probe, at which the next probe is due."""

log = Logger()


class Probes(Regularly):
    """Those of one vendor, from start to stop.

    `knock` opens a connection to the vendor and closes it, `connect` does a TLS handshake on it, too; either raises
    what is wrong, and `unreachable` is told that. Nothing is looked at while a request `is_under_way`.
    """

    def __init__(
        self,
        clock: Any,
        provider: str,
        health: Health,
        *,
        knock: Callable[[], Awaitable[None]],
        connect: Callable[[], Awaitable[None]],
        is_under_way: Callable[[], bool],
        unreachable: Callable[[Exception], None],
    ) -> None:
        super().__init__(clock, LOOK_EVERY, self._look, f"looking at {provider}")
        self._clock = clock
        self._provider = provider
        self._health = health
        self._knock = knock
        self._connect = connect
        self._is_under_way = is_under_way
        self._unreachable = unreachable
        self._heard_at = -math.inf

    def heard(self) -> None:
        """It has just answered a request."""
        self._heard_at = self._clock.seconds()

    async def _look(self) -> None:
        health = self._health
        due = max(self._heard_at + PROBE_AFTER, 0.0 if health.reachable else health.down_until)
        if self._clock.seconds() < due or self._is_under_way():
            return
        try:
            await (self._knock() if health.reachable else self._connect())
        except CancelledError:
            raise
        except Exception as problem:
            self._unreachable(problem)
        else:
            if not health.reachable:
                log.info("provider {provider} is up again", provider=self._provider)
            health.connected(self._clock.seconds())
        finally:
            self.heard()
