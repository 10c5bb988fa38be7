"""A reactor for connections to the internet only: its name resolver hides private and loopback addresses.

The check sits where the connection takes its address from, so a name that changes its answer gains nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

from gatewayd.core.host_addresses import Resolving
from gatewayd.core.public_addresses import is_public


class PublicOnly(Resolving):
    """Stands in for `reactor` where an endpoint is made; `nameResolver.hidden` counts what was hidden."""

    nameResolver: "_PublicResolver"

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, _PublicResolver(reactor.nameResolver))


@implementer(IHostnameResolver)
class _PublicResolver:
    hidden = 0

    def __init__(self, resolver: IHostnameResolver) -> None:
        self._resolver = resolver

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = _PublicReceiver(resolutionReceiver, self._hid)
        return self._resolver.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)

    def _hid(self) -> None:
        self.hidden += 1


@implementer(IResolutionReceiver)
class _PublicReceiver:
    def __init__(self, receiver: IResolutionReceiver, on_hidden: Callable[[], None]) -> None:
        self._receiver = receiver
        self._on_hidden = on_hidden

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:
        if is_public(address.host):
            self._receiver.addressResolved(address)
        else:
            self._on_hidden()

    def resolutionComplete(self) -> None:
        self._receiver.resolutionComplete()
