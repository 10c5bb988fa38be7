"""A reactor for connections to the internet only: its name resolver hides private and loopback addresses.

The check sits where the connection takes its address from, so a name that changes its answer gains nothing.
"""

from collections.abc import Sequence
from typing import Any

from gatewayd.core.host_addresses import Choosing, Resolving
from gatewayd.core.public_addresses import is_public


class PublicOnly(Resolving):
    """Stands in for `reactor` where an endpoint is made; `hidden` counts the addresses that were hidden."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, Choosing(reactor, self._public))
        self.hidden = 0

    def _public(self, addresses: Sequence[Any]) -> list[Any]:
        public = [address for address in addresses if is_public(address.host)]
        self.hidden += len(addresses) - len(public)
        return public
