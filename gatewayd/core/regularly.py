"""What is done every few seconds for as long as we run.

Unlike Twisted's TimerService it goes by the clock that it is given, and cancels at the end what is under way, or waits
for it where that was begun to be finished.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()


class Regularly(Service):
    """Does `work` every `interval` seconds, the first time at once or (`at_once=False`) after the first interval.

    The next one waits for the end of the one before; at the stop the one that is under way is cancelled, or waited for
    (`finishes`). `work` answers for its own failures: one that it raises is said with
    `purpose`, once until it works again. It may be this host's, which has no memory or thread to give, and pass.
    """

    def __init__(
        self,
        clock: Any,
        interval: float,
        work: Callable[[], Coroutine[Any, Any, None] | None],
        purpose: str,
        *,
        at_once: bool = True,
        finishes: bool = False,
    ) -> None:
        self._interval = interval
        self._work = work
        self._purpose = purpose
        self._at_once = at_once
        self._finishes = finishes
        self._loop = LoopingCall(self._once)
        self._loop.clock = clock
        self._under_way: Deferred[None] | None = None
        self._has_failed = False

    def startService(self) -> None:
        """Begin."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(self._interval, now=self._at_once)

    def stopService(self) -> Any:
        """End; with `finishes` once what is under way has ended."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()
        if self._under_way is not None and not self._finishes:
            self._under_way.cancel()
        return self._under_way

    def _once(self) -> Deferred[None]:
        self._under_way = under_way = Deferred.fromCoroutine(self._work_once())
        under_way.addErrback(lambda failure: failure.trap(CancelledError))
        return under_way

    async def _work_once(self) -> None:
        try:
            working = self._work()
            if working is not None:
                await working
        except CancelledError:
            raise
        except Exception:
            if not self._has_failed:
                log.failure(
                    "a bug: {purpose} failed; it goes on every {interval:g} s; said once until it works again",
                    purpose=self._purpose,
                    interval=self._interval,
                )
            self._has_failed = True
        else:
            self._has_failed = False
