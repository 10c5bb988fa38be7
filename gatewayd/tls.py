"""Client-side TLS with the operator's own certificates: the one place where the files become a context."""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import crypto
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates


def client_options(host: str, *, ca_file: str = "", certificate: str = "", private_key: str = "") -> Any:
    """What Twisted needs to verify `host`'s name and chain, and to show our certificate where it is asked for.

    `ca_file` (PEM, one or more authorities) replaces the system's store. `certificate` (PEM, chain behind it) and
    `private_key`, which may stand in the same file, are ours. Raises OSError or ValueError where a file can't be used.
    """
    trust: Any = platformTrust()
    if ca_file:
        found = x509.load_pem_x509_certificates(Path(ca_file).read_bytes())
        trust = trustRootFromCertificates([Certificate(crypto.X509.from_cryptography(one)) for one in found])
    extra: dict[str, Any] = {}
    if certificate:
        read = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
        key = load_pem_private_key(Path(private_key or certificate).read_bytes(), None)
        if key.public_key() != read[0].public_key():
            # Said here: inside Twisted it would be a traceback, and a connection that never comes.
            raise ValueError("private_key does not belong to certificate")
        # As they are: pyOpenSSL's own X509 objects are deprecated, and warn from inside Twisted.
        extra = {"privateKey": key, "certificate": read[0], "extraCertChain": read[1:]}
    return optionsForClientTLS(host, trustRoot=trust, extraCertificateOptions=extra)
