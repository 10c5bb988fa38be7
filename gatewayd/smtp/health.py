"""Whether a relay is up, since when and why not, and when to knock again.

Owns that one judgement. A relay is up when its latest connection worked; one that does not answer in time is not up
before it does. Must not know connections or messages.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.core.retry import RELAY_BROKEN, RELAY_LASTING, Backoff

NO_ANSWER = "it does not answer"


class RelayHealth:
    """How the relay `name` stands. `trouble` is why it is down, for people; empty while it is up or not known yet."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, name: str, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._name = name
        self._broken = Backoff(RELAY_BROKEN, jitter)
        self._lasting = Backoff(RELAY_LASTING, jitter)
        self.up = False
        self.mute = False
        """It is down because all connections are busy and none of them says anything."""
        self.trouble = ""
        self.since = 0.0
        self.not_before = 0.0

    @property
    def may_open(self) -> bool:
        """Whether a connection may be tried by now."""
        return self._clock.seconds() >= self.not_before

    def worked(self) -> None:
        """A connection can take mail."""
        self._broken.worked()
        self._lasting.worked()
        self.not_before = 0.0
        self.answers()

    def answers(self) -> None:
        """It says something on a connection that is open already."""
        self._say(True, "")

    def silent(self, why: str = NO_ANSWER, *, mute: bool = False) -> None:
        """What was asked got no answer in time."""
        self._say(False, why)
        self.mute = mute

    def failed(self, reason: str, *, lasting: bool, alone: bool) -> None:
        """No connection could be opened; `alone`: there is no other that still works."""
        backoff = self._lasting if lasting else self._broken
        self.not_before = max(self.not_before, backoff.failed(self._clock.seconds()))
        self.trouble = reason
        if alone:
            self._say(False, reason)

    def _say(self, up: bool, reason: str) -> None:
        changed = up != self.up or not self.since
        self.up = up
        self.mute = False
        self.trouble = reason
        if not changed:
            return
        self.since = self._clock.seconds()
        if up:
            self._log.info("relay {relay} is up", relay=self._name)
        else:
            self._log.warn("relay {relay} is down: {reason}", relay=self._name, reason=reason)
