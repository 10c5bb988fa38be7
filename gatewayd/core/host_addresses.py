"""Which addresses of a host a connection led to nothing at: those are tried last.

Twisted's HostnameEndpoint goes on to a name's next address only where TCP does not come about. Where one of a balanced
name's machines takes connections and then says nothing, or hangs up, it would be asked for ever, and the good one
beside it never. Knows no name server, and nothing of what is said over a connection.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer


@implementer(IReactorPluggableNameResolver)
class Resolving:
    """Stands in for `reactor` where an endpoint is made: its names are looked up by `nameResolver`."""

    def __init__(self, reactor: Any, resolver: IHostnameResolver) -> None:
        self._reactor = reactor
        self.nameResolver = resolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Refused: the real reactor's resolver counts."""
        raise RuntimeError("the real reactor's resolver counts")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IHostnameResolver)
class Choosing:
    """As the resolver of `reactor`; which of a name's addresses are tried, and in which order, says `choose`."""

    def __init__(self, reactor: Any, choose: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._reactor = reactor
        self._choose = choose

    def resolveHostName(self, resolutionReceiver: IResolutionReceiver, *asked: Any, **more: Any) -> IHostResolution:
        """See IHostnameResolver."""
        receiver = _Chosen(resolutionReceiver, self._choose)
        found: IHostResolution = self._reactor.nameResolver.resolveHostName(receiver, *asked, **more)
        return found


@implementer(IResolutionReceiver)
class _Chosen:
    def __init__(self, receiver: IResolutionReceiver, choose: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self._receiver = receiver
        self._choose = choose
        self._found: list[IAddress] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        for address in self._choose(self._found):
            self._receiver.addressResolved(address)
        self._receiver.resolutionComplete()


class HostAddresses:
    """Those of one host. Who connects by `network` says of each connection what came of it."""

    def __init__(self) -> None:
        self._fruitless: dict[tuple[str, int], None] = {}  # address and port; the latest of them at the end

    def network(self, reactor: Any) -> Any:
        """`reactor` for an endpoint of this host's."""
        return Resolving(reactor, Choosing(reactor, self.in_order))

    def led_nowhere(self, transport: Any) -> None:
        """What this connection was opened for did not come about."""
        key = _key(transport.getPeer())
        self._fruitless.pop(key, None)
        self._fruitless[key] = None

    def led_there(self, transport: Any) -> None:
        """It did."""
        if self._fruitless:
            self._fruitless.pop(_key(transport.getPeer()), None)

    def in_order(self, addresses: Sequence[IAddress]) -> list[IAddress]:
        """As the resolver has them, those that led nowhere behind all others, the latest at the very end."""
        if not self._fruitless:
            return list(addresses)
        named = {_key(address) for address in addresses}
        self._fruitless = {key: None for key in self._fruitless if key in named}
        places = {key: place for place, key in enumerate(self._fruitless, 1)}
        return sorted(addresses, key=lambda address: places.get(_key(address), 0))


def _key(address: Any) -> tuple[str, int]:
    """Of what has neither host nor port, as a socket in memory, there is one only."""
    return getattr(address, "host", ""), getattr(address, "port", 0)
