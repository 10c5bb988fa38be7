"""The name that this host says in EHLO (RFC 5321 4.1.1.1): its full name where it has one.

Owns finding it out, once and off the reactor: a look-up may take long where the name service is down. Knows no relay.
"""

import re
import socket
from collections.abc import Awaitable, Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TwistedTimeout

PATIENCE = 3.0
"""Seconds that a connection waits for the look-up."""

_FULL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})*\.(?!-)(?=[a-z0-9-]*[a-z])[a-z0-9-]{2,63}")
_NO_NAMES = (".localdomain", ".localhost", ".in-addr.arpa", ".ip6.arpa")

OwnName = Callable[[], Awaitable[str]]
"""The full name, empty where the host has none."""


def full_name(own: str, canonical: Callable[[str], str]) -> str:
    """The host name `own` with its domain, by `canonical` where it has none; empty where there is no full name."""
    for name in (own, canonical(own) if "." not in own else ""):
        name = name.rstrip(".").lower()
        if len(name) <= 253 and _FULL.fullmatch(name) and not name.endswith(_NO_NAMES):
            return name
    return ""


class HostsOwnName:
    """`await own_name()`: this host's full name, empty where it has none or could not be told in time."""

    def __init__(
        self,
        reactor: Any,
        ask: Callable[[], str] | None = None,
        in_thread: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._reactor = reactor
        self._ask = ask or _ask
        self._in_thread = in_thread or _in_daemon
        self._known: str | None = None
        self._is_asked = False
        self._waiting: list[Deferred[str]] = []

    async def __call__(self) -> str:
        """Looked up once, and again where no name server could say; who comes meanwhile waits for the same look-up."""
        if self._known is not None:
            return self._known
        if not self._is_asked:
            self._is_asked = True
            self._in_thread(self._look_up)
        told: Deferred[str] = Deferred()
        self._waiting.append(told)
        told.addTimeout(PATIENCE, self._reactor)
        try:
            return await told
        except (TwistedTimeout, CancelledError):
            return ""

    def _look_up(self) -> None:
        """In a thread."""
        try:
            found: str | None = self._ask()
        except OSError:
            found = None
        self._reactor.callFromThread(self._found, found)

    def _found(self, name: str | None) -> None:
        self._known = name
        self._is_asked = False
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            if not told.called:
                told.callback(name or "")


def _in_daemon(work: Callable[[], None]) -> None:
    """Name servers that are dead hold a thread for half a minute: the process's end does not wait for it."""
    Thread(target=work, name="own-name", daemon=True).start()


async def no_name() -> str:
    """For whoever wants the address literal."""
    return ""


def _ask() -> str:
    return full_name(socket.gethostname(), canonical)


def canonical(name: str, look_up: Callable[..., Any] = socket.getaddrinfo) -> str:
    """What a name server, or /etc/hosts, calls the host `name`; empty where it has none.

    Raises OSError where none could say: at boot a host's name servers may not be there yet.
    """
    try:
        return str(look_up(name, None, flags=socket.AI_CANONNAME)[0][3])
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return ""
        raise
