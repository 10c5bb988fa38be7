"""Certificates for one relay."""

from typing import Any

from gatewayd.config import Relay
from gatewayd.core.tls import RenewedOptions, UnusableFile, usable
from gatewayd.smtp.negotiation import RelayTrouble


class ClientTls:
    """Makes what Twisted needs to verify one relay's name and chain, and to show our certificate if it asks."""

    def __init__(self, relay: Relay) -> None:
        self._options = RenewedOptions(
            relay.host, ca_file=relay.ca_file, certificate=relay.certificate, private_key=relay.private_key
        )

    def options(self) -> Any:
        """For `startTLS` and `wrapClientTLS`. Raises RelayTrouble where a file can't be used."""
        try:
            return usable(self._options)
        except UnusableFile as error:
            # A person's to mend, but they have, as a rule: a renewal writes one file after the other.
            raise RelayTrouble(str(error)) from None
