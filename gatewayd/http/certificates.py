"""What our own TLS listeners show: read when they open, and again, for the next connections, when it is asked for."""

from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

UNUSABLE = (OSError, ValueError, SSL.Error, crypto.Error, VerifyError)
"""What Python, OpenSSL and Twisted raise of files that can't be used, or don't belong together."""


@implementer(IOpenSSLServerConnectionCreator)
class ShownCertificate:
    """The certificate of one listener, which is `description`, a Twisted server endpoint string of the kind ssl:.

    `options` is what Twisted has read by it; a connection keeps what it began with.
    """

    def __init__(self, description: str, options: Any) -> None:
        self.description = description
        self._context: SSL.Context = options.getContext()
        self.certificate = _certificate(options)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Twisted: a connection for one handshake."""
        return SSL.Connection(self._context, None)

    def read_again(self) -> bool:
        """Whether the files hold another certificate now, which is shown from now on; the key and the chain go with it.

        Raises one of UNUSABLE where they can't be used: then the former ones are kept.
        """
        options = _read(self.description)
        context, certificate, former = options.getContext(), _certificate(options), self.certificate
        self._context, self.certificate = context, certificate
        return certificate != former


class _ReadOnly:
    """In a reactor's place where an endpoint is read and nothing shall listen."""

    options: Any = None

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, **_: Any) -> None:
        self.options = contextFactory


def _read(description: str) -> Any:
    """What Twisted makes of the files that `description` names. Raises what their reading does."""
    reading = _ReadOnly()
    serverFromString(reading, description).listen(Factory())
    return reading.options


def _certificate(options: Any) -> x509.Certificate:
    found: x509.Certificate = options.certificate.to_cryptography()
    return found
