"""How an SMSC is reached: TCP, or TLS whose certificate must be good for the host's name, or be one that is pinned.

Knows no session.
"""

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from gatewayd import config
from gatewayd.core.tls import client_options

CONNECT_TIMEOUT = 10.0  # seconds


@implementer(IHandshakeListener)
class Dialled(Protocol):
    """A connection that knows whether TLS, where it was asked for, has begun."""

    def __init__(self) -> None:
        self._is_encrypted = False

    def handshakeCompleted(self) -> None:
        """Twisted: TLS is there."""
        self._is_encrypted = True

    def in_full(self, trouble: str) -> str:
        """`trouble`, and that it is TLS which never began: many who speak none just wait, or hang up."""
        if self._is_encrypted or not ISSLTransport.providedBy(self.transport):
            return trouble
        return f"{trouble}, and TLS had not begun: does the other side speak it on this port?"


def each_host(smsc: config.Smsc) -> tuple[config.Smsc, ...]:
    """The account once for each of its hosts, the first one first; a further host without a port has the first's."""
    others = []
    for text in smsc.more_hosts:
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, str(smsc.port)
        others.append(smsc.model_copy(update={"host": host.strip("[]"), "port": int(port)}))
    return (smsc, *others)


def endpoint_of(reactor: Any, smsc: config.Smsc) -> IStreamClientEndpoint:
    """The endpoint of one SMSC. Files are read each time, so that a renewed certificate counts at the next connect.

    Raises OSError or ValueError where one of them cannot be read; connecting takes at most `CONNECT_TIMEOUT`.
    """
    plain = HostnameEndpoint(reactor, smsc.host, smsc.port, timeout=CONNECT_TIMEOUT)
    if not smsc.tls:
        return plain
    options = client_options(
        smsc.host,
        ca_file=smsc.ca_file,
        certificate=smsc.certificate,
        private_key=smsc.private_key,
        pins=smsc.certificate_pins,
    )
    return wrapClientTLS(options, plain)
