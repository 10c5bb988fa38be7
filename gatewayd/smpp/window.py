"""The window of one bind: how many submits may be on their way, and who waits for this very bind.

Owns the slots between the moment when somebody is promised one and the moment when a submit is written in it; from
then on the session counts it. It knows no message, no rate and no other bind.
"""

import math
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.at_most import has_ended
from gatewayd.core.line import Line
from gatewayd.core.slots import Slot
from gatewayd.smpp.session import Phase
from gatewayd.smpp.token import Token
from gatewayd.smpp.wire import Wire


class BindGone(Exception):
    """The bind for which somebody waited takes no submits any more: another one may."""


class WindowSlot(Slot):
    """A slot in the window of one bind: written once, or given back; both by itself."""

    __slots__ = ("window",)

    def __init__(self, window: "Window", give_back: Callable[[], None]) -> None:
        super().__init__(give_back)
        self.window = window

    def write(self, octets: bytes, token: Token) -> None:
        """Write one submit in this very call, on a window that is writable.

        Then the session holds its place until it is answered: nobody gets room by it.
        """
        self._give_back = None
        self.window.write_held(octets, token)


class Window:
    """The slots of one bind. `on_room` hears that somebody else may be served; nobody waits longer than `patience`."""

    def __init__(
        self,
        clock: IReactorTime,
        on_room: Callable[[], None] = lambda: None,
        patience: float = math.inf,
        too_long: Callable[[], Exception] = TimeoutError,
    ) -> None:
        self.wire: Wire | None = None
        self.closing = False  # what is begun is written still, nothing else begins
        self._clock = clock
        self._on_room = on_room
        self._line: Line[WindowSlot] = Line(clock, patience, too_long)
        self._held = 0  # promised, and not written yet
        self._drained: Deferred[None] | None = None

    @property
    def bound(self) -> bool:
        """Whether receipts and submits flow."""
        return self.wire is not None and self.wire.session.phase is Phase.BOUND and not self.closing

    @property
    def free(self) -> int:
        """How many more submits may begin."""
        if self.wire is None or self.closing or self.wire.congested:
            return 0
        return self.wire.session.free - self._held

    @property
    def waiting(self) -> int:
        """How many wait for this bind and no other."""
        return len(self._line)

    @property
    def writable(self) -> bool:
        """Whether a submit that has a slot may be written at this moment."""
        return self.wire is not None and self.wire.session.free > 0

    def take_now(self) -> WindowSlot | None:
        """A slot, where one is free at this moment."""
        if self.free <= 0:
            return None
        self._held += 1
        return WindowSlot(self, self._give_back)

    def take(self) -> Deferred[WindowSlot]:
        """Waits for a slot; to be awaited at once. Errs with BindGone, or with what `too_long` makes."""
        return self._line.join()

    def write_held(self, octets: bytes, token: Token) -> None:
        """For a slot that ends with it: write one submit on a window that is writable."""
        self._held -= 1
        assert self.wire is not None
        token.written_at = self._clock.seconds()
        self.wire.submit(octets, token, token.written_at)

    def serve(self) -> None:
        """There may be room: first for those who wait for this very bind, then for all others."""
        if self._drained is not None and self._is_drained():
            drained, self._drained = self._drained, None
            drained.callback(None)
        if self.closing:
            return
        self._line.serve_from(self.take_now)
        self._on_room()

    def give_up(self) -> None:
        """The bind takes no submits any more: who waits for it may look for another."""
        self._line.fail(BindGone)

    async def drain(self, longest: float) -> None:
        """Nothing new begins; returns once what is on its way has its answer, or after `longest` seconds."""
        self.closing = True
        self.give_up()
        if not self._is_drained():
            drained = self._drained = Deferred()
            await has_ended(drained, self._clock, longest)
            self._drained = None

    def _is_drained(self) -> bool:
        return self.wire is None or not (self._held or self.wire.session.in_flight)

    def _give_back(self) -> None:
        self._held -= 1
        self.serve()
