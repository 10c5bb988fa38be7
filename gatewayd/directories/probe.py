"""Asks a directory that nobody asks: one that is down must be seen before the next campaign finds it down."""

from typing import Any
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.regularly import Regularly
from gatewayd.directories.recipients import Recipients
from gatewayd.directories.remembered import Remembered

EVERY = 2.5
"""Seconds between two looks."""

QUIET = 5.0
"""Seconds for which a directory that answered is believed to answer still; one in trouble or doubt is asked at each
look."""

log = Logger()


class Probe(Regularly):
    """Looks for a player that nobody can be, in each directory that was not asked lately or did not answer."""

    def __init__(self, clock: Any, recipients: Recipients) -> None:
        super().__init__(clock, EVERY, self._look, "looking at directories")
        self._clock = clock
        self._recipients = recipients
        self._asking: dict[str, Deferred[None]] = {}
        self._began = 0.0

    def startService(self) -> None:
        """Begin to look."""
        self._began = self._clock.seconds()
        super().startService()

    def stopService(self) -> None:
        """End."""
        super().stopService()
        for asking in list(self._asking.values()):
            asking.cancel()

    def _look(self) -> None:
        now = self._clock.seconds()
        for name, label, directory in self._recipients.in_use():
            if name not in self._asking and (
                directory.trouble or directory.in_doubt or now - max(directory.answered_at, self._began) >= QUIET
            ):
                asking = Deferred.fromCoroutine(self._ask(name, label, directory))
                if not asking.called:
                    self._asking[name] = asking
                asking.addErrback(lambda failure: failure.trap(CancelledError))

    async def _ask(self, name: str, label: str, directory: Remembered) -> None:
        try:
            await directory.find(label, f"gatewayd-probe-{uuid4().hex}", fresh=True)
        except TemporaryFailure:
            # It has said so itself, and is asked again at the next look.
            return
        except CancelledError:
            raise
        except Exception:
            log.failure(
                "directory {directory} raised what it may not: a bug of it or of gatewayd; asked again soon",
                directory=name,
            )
        finally:
            self._asking.pop(name, None)
