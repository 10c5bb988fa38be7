"""How an SMSC is reached: TCP, or TLS whose certificate must be good for the host's name.

Owns the reading of certificate files; knows no session.
"""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates

from gatewayd import config

CONNECT_TIMEOUT = 10.0


def endpoint_of(reactor: Any, smsc: config.Smsc) -> IStreamClientEndpoint:
    """The endpoint of one SMSC. Files are read each time, so that a renewed certificate counts at the next connect.

    Raises OSError or ValueError where one of them cannot be read; connecting takes at most `CONNECT_TIMEOUT`.
    """
    plain = HostnameEndpoint(reactor, smsc.host, smsc.port, timeout=CONNECT_TIMEOUT)
    if not smsc.tls:
        return plain
    trust: Any = platformTrust()
    if smsc.ca_file:
        authorities = x509.load_pem_x509_certificates(Path(smsc.ca_file).read_bytes())
        trust = trustRootFromCertificates(
            [Certificate.loadPEM(each.public_bytes(Encoding.PEM)) for each in authorities]
        )
    own: dict[str, Any] = {}
    if smsc.certificate:
        pem = Path(smsc.certificate).read_bytes()
        ours, *chain = x509.load_pem_x509_certificates(pem)
        key = load_pem_private_key(Path(smsc.private_key).read_bytes() if smsc.private_key else pem, None)
        if key.public_key() != ours.public_key():
            # Told here: inside Twisted it would be a traceback, and a connection that never comes.
            raise ValueError("private_key does not belong to certificate")
        own = {"certificate": ours, "privateKey": key, "extraCertChain": chain}
    return wrapClientTLS(optionsForClientTLS(smsc.host, trustRoot=trust, extraCertificateOptions=own), plain)
