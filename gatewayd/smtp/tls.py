"""Certificates for one relay: contexts are made once and again when a file changes."""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet.ssl import Certificate as TrustedCertificate
from twisted.internet.ssl import optionsForClientTLS, platformTrust, trustRootFromCertificates

from gatewayd.config import Relay
from gatewayd.smtp.connection import Trouble


class ClientTls:
    """Makes what Twisted needs to verify one relay's name and chain, and to show our certificate if it asks."""

    def __init__(self, relay: Relay) -> None:
        self._host = relay.host
        self._ca_file = relay.ca_file
        self._certificate = relay.certificate
        self._private_key = relay.private_key or relay.certificate
        self._made: tuple[object, Any] = (None, None)

    def options(self) -> Any:
        """For `startTLS` and `wrapClientTLS`. Raises Trouble where a file can't be used."""
        try:
            state = tuple(Path(path).stat().st_mtime_ns for path in self._files())
            if self._made[1] is None or self._made[0] != state:
                self._made = (state, self._make())
        except (OSError, ValueError, SSL.Error) as error:
            raise Trouble(f"a certificate or key file can't be used: {type(error).__name__}", lasting=True) from None
        return self._made[1]

    def _files(self) -> list[str]:
        return [path for path in (self._ca_file, self._certificate, self._certificate and self._private_key) if path]

    def _make(self) -> Any:
        trust: Any = platformTrust()
        if self._ca_file:
            found = x509.load_pem_x509_certificates(Path(self._ca_file).read_bytes())
            trust = trustRootFromCertificates([TrustedCertificate(crypto.X509.from_cryptography(one)) for one in found])
        extra: dict[str, Any] = {}
        if self._certificate:
            chain = [
                crypto.X509.from_cryptography(one)
                for one in x509.load_pem_x509_certificates(Path(self._certificate).read_bytes())
            ]
            key = load_pem_private_key(Path(self._private_key).read_bytes(), None)
            extra = {
                "privateKey": crypto.PKey.from_cryptography_key(key),  # type: ignore[arg-type]
                "certificate": chain[0],
                "extraCertChain": chain[1:],
            }
        return optionsForClientTLS(self._host, trustRoot=trust, extraCertificateOptions=extra)
