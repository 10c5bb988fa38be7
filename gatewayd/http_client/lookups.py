"""Names looked up once at a time. Knows no rule on addresses, and keeps no answer longer than its askers wait for it.

The system's resolver holds a thread until a name server answers or is given up, which takes half a minute where three
are dead. A callback host of that kind must not take them all: every other host's name would wait for it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from socket import getaddrinfo
from threading import Thread
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

AT_A_TIME = 20
"""Names that may be looked up at a time."""


@implementer(IHostnameResolver)
class OneAtATime:
    """Who asks for a name that is being looked up hears the answer to that look-up."""

    def __init__(self, resolver: IHostnameResolver) -> None:
        self._resolver = resolver
        self._asked: dict[tuple[object, ...], _Lookup] = {}

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """As the resolver's own; nobody can cancel what others wait for as well."""
        key = (hostName, portNumber, addressTypes and tuple(addressTypes), transportSemantics)
        lookup = self._asked.get(key)
        if lookup is None:
            lookup = _Lookup(hostName, lambda: self._asked.pop(key, None))
            self._resolver.resolveHostName(lookup, hostName, portNumber, addressTypes, transportSemantics)
        lookup.join(resolutionReceiver)
        if not lookup.complete:
            self._asked[key] = lookup
        return lookup


@implementer(IHostResolution, IResolutionReceiver)
class _Lookup:
    def __init__(self, name: str, forget: Callable[[], object]) -> None:
        self.name = name
        self.complete = False
        self._forget = forget
        self._addresses: list[IAddress] = []
        self._receivers: list[IResolutionReceiver] = []

    def join(self, receiver: IResolutionReceiver) -> None:
        self._receivers.append(receiver)
        receiver.resolutionBegan(self)
        if self.complete:
            self._tell()

    def cancel(self) -> None:
        """It goes on: others may wait for it."""

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nobody needs to know."""

    def addressResolved(self, address: IAddress) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        self.complete = True
        self._forget()
        self._tell()

    def _tell(self) -> None:
        receivers, self._receivers = self._receivers, []
        for receiver in receivers:
            for address in self._addresses:
                receiver.addressResolved(address)
            receiver.resolutionComplete()


def in_threads_of_their_own(reactor: Any, look_up: Callable[..., Any] = getaddrinfo) -> IHostnameResolver:
    """A resolver whose look-ups hold up neither mail, for which the reactor's threads are, nor the process's end.

    Of one name there is one at a time, whoever asks.
    """
    threads: Any = ThreadPool(0, AT_A_TIME, "names")
    threads.threadFactory = partial(Thread, daemon=True)
    threads.start()
    return OneAtATime(GAIResolver(reactor, lambda: threads, look_up))
