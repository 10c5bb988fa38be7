"""A peer that does not read what we write: it is not read from either, so that our answers to it have an end.

Owns nothing but the pause and its limit. What is said on the connection it does not know.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from gatewayd.core.lateness import READING, overslept

LONGEST = 10.0
"""Seconds that a peer may leave what we wrote unread before it is given up."""


@implementer(IPushProducer)
class UnreadGuard:
    """Stands between a protocol and its transport's buffer: full (64 kB), reading stops; empty again, it goes on.

    `give_up` is called where it stays full for `longest` seconds, and is to end the connection; `on_room` where it is
    empty again. `begin` with the first octets, for TLS pauses a producer in its handshake; `end` before loseConnection,
    which would wait for us, and in connectionLost.
    """

    def __init__(
        self,
        clock: IReactorTime,
        transport: Any,
        give_up: Callable[[], None],
        longest: float = LONGEST,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.full = False
        self._clock = clock
        self._transport = transport
        self._give_up = give_up
        self._longest = longest
        self._on_room = on_room
        self._timer: IDelayedCall | None = None
        self._begun = False

    def begin(self) -> None:
        """Watch the buffer from now on."""
        self._begun = True
        self._transport.registerProducer(self, True)

    def end(self) -> None:
        """Watch no more."""
        self._cancel()
        if self._begun:
            self._begun = False
            self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """Twisted: the buffer is full."""
        if not self.full:
            self.full = True
            self._transport.pauseProducing()
            self._timer = self._clock.callLater(self._longest, self._over)

    def resumeProducing(self) -> None:
        """Twisted: the buffer is empty."""
        self._cancel()
        if self.full:
            self.full = False
            self._transport.resumeProducing()
            self._on_room()

    def stopProducing(self) -> None:
        """Twisted: the connection is gone."""
        self._begun = False
        self._cancel()

    def _over(self) -> None:
        timer, self._timer = self._timer, None
        if overslept(timer, self._clock.seconds()):
            # The process was away, not the peer.
            self._timer = self._clock.callLater(READING, self._over)
            return
        self._give_up()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
