"""Certificates for one relay: contexts are made once and again when a file changes."""

from pathlib import Path
from typing import Any

from OpenSSL import SSL

from gatewayd.config import Relay
from gatewayd.core.tls import client_options
from gatewayd.smtp.negotiation import RelayTrouble


class ClientTls:
    """Makes what Twisted needs to verify one relay's name and chain, and to show our certificate if it asks."""

    def __init__(self, relay: Relay) -> None:
        self._host = relay.host
        self._ca_file = relay.ca_file
        self._certificate = relay.certificate
        self._private_key = relay.private_key or relay.certificate
        self._made: tuple[object, Any] = (None, None)

    def options(self) -> Any:
        """For `startTLS` and `wrapClientTLS`. Raises RelayTrouble where a file can't be used."""
        try:
            state = tuple(Path(path).stat().st_mtime_ns for path in self._files())
            if self._made[1] is None or self._made[0] != state:
                self._made = (state, self._make())
        except (OSError, ValueError, SSL.Error) as error:
            raise RelayTrouble(
                f"a certificate or key file can't be used: {type(error).__name__}", lasting=True
            ) from None
        return self._made[1]

    def _files(self) -> list[str]:
        return [path for path in (self._ca_file, self._certificate, self._certificate and self._private_key) if path]

    def _make(self) -> Any:
        return client_options(
            self._host, ca_file=self._ca_file, certificate=self._certificate, private_key=self._private_key
        )
