"""The name that this host says in EHLO (RFC 5321 4.1.1.1): its full name where it has one.

Owns finding it out, once and off the reactor: a look-up may take long where the name service is down. Knows no relay.
"""

import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as TwistedTimeout
from twisted.internet.threads import deferToThreadPool

PATIENCE = 3.0
"""Seconds that the first connection waits for the look-up; a later one asks again."""

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

    def __init__(self, reactor: Any, ask: Callable[[], str] | None = None) -> None:
        self._reactor = reactor
        self._ask = ask or _ask
        self._known: str | None = None

    async def __call__(self) -> str:
        """Looked up once; where that took too long, the next call tries again."""
        if self._known is None:
            asked = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self._ask)
            asked.addTimeout(PATIENCE, self._reactor)
            try:
                self._known = await asked
            except (TwistedTimeout, CancelledError, OSError):
                return ""
        return self._known


async def no_name() -> str:
    """For whoever wants the address literal."""
    return ""


def _ask() -> str:
    return full_name(socket.gethostname(), _canonical)


def _canonical(name: str) -> str:
    try:
        return socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)[0][3]
    except OSError:
        return ""
