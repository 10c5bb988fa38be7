"""The binds of one SMSC: how many of which kind, which of them has room, and what they are together.

Owns the list of links and what `bind` and `binds` make of it. It knows no message and nobody who waits.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.core.model import BindState
from gatewayd.smpp.bind import WAYS, Mode
from gatewayd.smpp.codec.codes import NO_SUCH_BIND
from gatewayd.smpp.link import Link
from gatewayd.smpp.session import Phase
from gatewayd.smpp.window import Window, WindowSlot

MakeLink = Callable[[int, Mode], Link]
"""`make(number, mode)`: a link that is not started yet."""


class Binds:
    """The links of [smscs.NAME], which is called `smsc` in the log."""

    log = Logger()

    def __init__(self, smsc: str, settings: config.Smsc, make: MakeLink) -> None:
        self._smsc = smsc
        self._settings = settings
        self._make = make
        self._handed_before = 0  # by binds that are gone
        self._links = [link for number in range(settings.binds) for link in self._made(number)]

    # As one thing ----------------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether some bind takes submits."""
        return any(link.window.bound and link.submits for link in self._links)

    @property
    def heard_since(self) -> float:
        """Since when receipts could come; 0 where we are not bound. A transmitter's receiver may be late."""
        bound = [link for link in self._links if link.bound]
        receiving = [link for link in bound if link.mode is not Mode.TRANSMITTER]
        return min((link.record.since for link in receiving or bound), default=0.0)

    @property
    def trouble(self) -> str:
        """Why a bind that is not there is not, or ""."""
        states = self.states()
        return next((state.last_error for state in states if state.last_error and state.phase != Phase.BOUND), "")

    @property
    def word(self) -> str:
        """How they stand, in a word or four."""
        if not self.up:
            return self._links[0].state().phase
        bound = sum(link.bound for link in self._links)
        return "bound" if bound == len(self._links) else f"degraded: {bound} of {len(self._links)} bound"

    @property
    def handed(self) -> int:
        """Submits that were taken since the process started."""
        return self._handed_before + sum(link.record.handed for link in self._links)

    @property
    def window(self) -> int:
        """All windows together, of those that may submit, bound or not."""
        return self._settings.window * sum(link.submits for link in self._links)

    def states(self) -> tuple[BindState, ...]:
        """Each of them, for people."""
        return tuple(link.state() for link in self._links)

    def in_flight(self) -> int:
        """Submits whose answer is awaited."""
        return sum(link.window.wire.session.in_flight for link in self._links if link.window.wire is not None)

    def waiting(self) -> int:
        """How many wait for one bind and no other."""
        return sum(link.window.waiting for link in self._links)

    def throughput(self) -> tuple[float, int]:
        """The mean time that an answer takes in seconds, 0 where none came yet; and the windows of those bound."""
        alive = [link for link in self._links if link.bound and link.submits]
        latencies = [link.record.latency for link in alive if link.record.latency]
        return (sum(latencies) / len(latencies) if latencies else 0.0), len(alive) * self._settings.window

    # A slot ----------------------------------------------------------------------------------------------------

    def take_now(self) -> WindowSlot | None:
        """A slot of the bind with the most room."""
        best, most = None, 0
        for link in self._links:
            free = link.window.free
            if free > most:
                best, most = link, free
        return best.window.take_now() if best is not None else None

    def rebind(self, window: Window, reason: str) -> None:
        """The SMSC says that the session behind `window` is not in order."""
        for link in self._links:
            if link.window is window:
                link.rebind(reason)

    # Their number and kind -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to keep them."""
        for link in self._links:
            link.startService()

    def stop(self) -> Deferred[Any]:
        """What is on the wire gets its answer; unbind. Fires once each of them has ended, well or not."""
        return DeferredList([self._stopped(link) for link in self._links])

    def reconfigure(self, settings: config.Smsc) -> None:
        """Add binds, or unbind the last ones; windows and times count at once."""
        self._settings = settings
        have = len({link.number for link in self._links})
        for number in range(have, settings.binds):
            for link in self._made(number):
                self._links.append(link)
                link.startService()
        for link in [link for link in self._links if link.number >= settings.binds]:
            self._let_go(link)
        for link in self._links:
            link.reconfigure(settings)

    def other_mode(self, link: Link, status: int) -> None:
        """With bind = "auto": where there is no transceiver, a transmitter with a receiver, and the other way round.

        The link itself only changes its mode: it tries again after its back-off, so that an SMSC which refuses
        everything isn't asked faster for that.
        """
        if self._settings.bind != "auto" or status not in NO_SUCH_BIND or link not in self._links:
            return
        if link.mode is Mode.TRANSCEIVER:
            link.mode = Mode.TRANSMITTER
            receiver = self._make(link.number, Mode.RECEIVER)
            self._links.append(receiver)
            receiver.startService()
            self.log.info("{smsc} has no transceiver: binding a transmitter and a receiver", smsc=self._smsc)
        elif link.mode is Mode.TRANSMITTER:
            link.mode = Mode.TRANSCEIVER
            for other in [other for other in self._links if other is not link and other.number == link.number]:
                self._let_go(other)

    def _made(self, number: int) -> list[Link]:
        modes, *_ = WAYS[self._settings.bind]
        return [self._make(number, mode) for mode in modes]

    def _let_go(self, link: Link) -> None:
        self._links.remove(link)
        self._handed_before += link.record.handed
        self._stopped(link)

    def _stopped(self, link: Link) -> Deferred[None]:
        return link.stopService().addErrback(self._not_stopped)

    def _not_stopped(self, failure: Failure) -> None:
        self.log.failure("a bind of {smsc} did not stop well", failure, smsc=self._smsc)
