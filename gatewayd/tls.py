"""Client-side TLS with the operator's own certificates: the one place where the files become a context."""

from typing import Any

from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates

from gatewayd import pem


def client_options(host: str, *, ca_file: str = "", certificate: str = "", private_key: str = "") -> Any:
    """What Twisted needs to verify `host`'s name and chain, and to show our certificate where it is asked for.

    `ca_file` (PEM, one or more authorities) replaces the system's store. `certificate` (PEM, chain behind it) and
    `private_key`, which may stand in the same file, are ours. Raises OSError or ValueError where a file can't be used.
    """
    trust: Any = platformTrust()
    if ca_file:
        found = pem.certificates(ca_file)
        trust = trustRootFromCertificates([Certificate(crypto.X509.from_cryptography(one)) for one in found])
    extra: dict[str, Any] = {}
    if certificate:
        key, (own, *chain) = pem.identity(certificate, private_key)
        # As they are: pyOpenSSL's own X509 objects are deprecated, and warn from inside Twisted.
        extra = {"privateKey": key, "certificate": own, "extraCertChain": chain}
    return optionsForClientTLS(host, trustRoot=trust, extraCertificateOptions=extra)


def fault(error: BaseException | None) -> str:
    """What TLS disliked, in OpenSSL's constant words, which hold no address; empty where it was not TLS."""
    if isinstance(error, VerificationError):
        return "the certificate is not for this host"
    if isinstance(error, SSL.Error):
        faults = error.args[0] if error.args else ()
        words = [str(each[-1]) for each in faults if isinstance(each, tuple) and each]
        return f"TLS failed: {', '.join(words) or 'no reason given'}"
    return ""
