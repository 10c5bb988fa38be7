"""Callers who have just connected: all are fetched from the kernel in one turn, so that nobody waits there unseen.

Where there is no time for more of them, who has sent a whole request is told to try again on the bare socket: making
a connection of it first costs several times as much, and in an overload there is least of that. Must not know what is
asked for, nor when there is no time: those are the site's door, and the site.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.tcp import Port

from gatewayd.http.door import Door, as_bytes
from gatewayd.http.reader import NotHttp, RequestReader
from gatewayd.http.request import Request

IN_A_TURN = 2000
SECONDS_IN_A_TURN = 0.2
SECONDS_OF_REFUSALS = 0.5
"""Callers that are fetched in one turn of the reactor, and for how long: longer where some of them are turned away, for
then too many come. Twisted's own number begins at one, and grows by 20 a turn."""

PEEK = 65536
"""Bytes of a newcomer's that are looked at."""

_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class Hurried(Protocol):
    """What is asked of the listener (site.Site)."""

    door: Door
    max_body: int

    def fetched(self, bare: socket.socket, listening: socket.socket) -> float:
        """Seconds for which what this newcomer has sent waits already."""

    def left_waiting(self, listening: socket.socket) -> None:
        """This turn has not fetched all newcomers who were there."""

    def has_no_time(self, age: float) -> bool:
        """Whether who came `age` seconds ago should be turned away, if that can be done at once."""

    def date(self) -> bytes:
        """For the header of that name."""


class _ListeningSocket:
    """A listening socket that gives out only those newcomers who were not answered here."""

    def __init__(self, listening: socket.socket, site: Hurried, seconds: Callable[[], float]) -> None:
        self._socket = listening
        self._site = site
        self._seconds = seconds
        self._left = 0
        self._began = 0.0
        self._longest = 0.0
        self._has_all = False

    def begin_turn(self) -> None:
        """Begin to count."""
        self._has_all = False
        self._left = IN_A_TURN
        self._began = self._seconds()
        self._longest = SECONDS_IN_A_TURN

    def end_turn(self) -> None:
        """Who is still there keeps their time."""
        if not self._has_all:
            self._site.left_waiting(self._socket)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def accept(self) -> tuple[socket.socket, Any]:
        """As a socket's own; nobody is there when a turn has had its number."""
        while self._left > 0 and self._seconds() - self._began < self._longest:
            self._left -= 1
            try:
                bare, address = self._socket.accept()
            except BlockingIOError:
                self._has_all = True
                raise
            age = self._site.fetched(bare, self._socket)
            if not self._site.has_no_time(age) or not turn_away(bare, address, self._site):
                return bare, address
            self._longest = SECONDS_OF_REFUSALS
        raise BlockingIOError(errno.EAGAIN, "the others in the next turn")


def fetch_all(port: Any, site: Hurried) -> None:
    """Let this port fetch whoever waits in each turn, and turn away those for whom `site` has no time."""
    if isinstance(port, Port):
        _fetch_all(port, site)


def _fetch_all(port: Any, site: Hurried) -> None:
    listening = _ListeningSocket(port.socket, site, port.reactor.seconds)
    fetch = port.doRead

    def fetch_newcomers() -> None:
        listening.begin_turn()
        port.numberAccepts = IN_A_TURN
        fetch()
        listening.end_turn()

    # Twisted has no other place to say either.
    port.socket = listening
    port.doRead = fetch_newcomers


def fetch_the_last(port: Any) -> None:
    """Let this port fetch whoever waits once more when it closes: who is in its queue then is reset unanswered."""
    if isinstance(getattr(port, "socket", None), _ListeningSocket):
        close = port.connectionLost

        def fetch_and_close(reason: object) -> None:
            # Of those who come from now on the kernel takes one at most, and tells the others nothing: they come again.
            port.socket.listen(0)
            # Twisted closes a turn after it was told to, and fetches nobody in between.
            port.disconnecting = False
            port.doRead()
            port.disconnecting = True
            port.socket.close()
            close(reason)

        port.connectionLost = fetch_and_close


def turn_away(bare: socket.socket, address: Any, site: Hurried) -> bool:
    """Answer and close, where a whole request is there; False where it is not, and nothing was done."""
    try:
        came = bare.recv(PEEK, _LOOK)
        request = _whole(came, address[0] if isinstance(address, tuple) else "", site.max_body)
        if request is None:
            return False
        answer = site.door.admit(request) or site.door.busy(request)
        # What is left unread when a socket is closed would reset the connection, and the answer be lost.
        bare.recv(PEEK, _AT_ONCE)
        bare.send(as_bytes(answer, request, site.date()), _AT_ONCE)
    except OSError:
        return False
    bare.close()
    return True


def _whole(data: bytes, peer: str, max_body: int) -> Request | None:
    """The one request that is all of `data`, to be the last of its connection."""
    found: list[Request] = []
    reader = RequestReader(lambda: Request(peer, max_body), on_head=_ignore, on_piece=_ignore, on_end=found.append)
    try:
        goes_on = reader.feed(data)
    except NotHttp:
        return None
    finally:
        reader.end()
    if not goes_on or len(found) != 1 or reader.has_begun:
        return None
    found[0].keep_alive = False
    return found[0]


def _ignore(*_: object) -> None:
    """The whole is what counts here."""
