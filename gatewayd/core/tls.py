"""Client-side TLS with the operator's own certificates: the one place where the files become a context."""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, DNSPattern, IPAddress_ID, IPAddressPattern, verify_service_identity
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from gatewayd.config import pem
from gatewayd.config.host_names import ascii_host


def client_options(
    host: str, *, ca_file: str = "", certificate: str = "", private_key: str = "", pins: Collection[str] = ()
) -> Any:
    """What Twisted needs to verify `host`'s name and chain, and to show our certificate where it is asked for.

    `ca_file` (PEM, one or more authorities) replaces the system's store. `certificate` (PEM, chain behind it) and
    `private_key`, which may stand in the same file, are ours. With `pins` (SHA-256 fingerprints, lower-case hex) the
    peer's certificate must be one of these, and neither its name, its chain nor its dates count.

    Raises OSError or ValueError where a file can't be used.
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
    if pins:
        return _Pinned(host, CertificateOptions(**extra).getContext(), pins)
    return _ByAuthority(host, optionsForClientTLS(host, trustRoot=trust, extraCertificateOptions=extra))


class RenewedOptions:
    """What `client_options` makes of the operator's files, made once and again when one of them changes.

    A certificate is renewed under its name: what is only read at the start would go on with the one that runs out.
    """

    def __init__(self, host: str, *, ca_file: str = "", certificate: str = "", private_key: str = "") -> None:
        self._host = host
        self._named = {"ca_file": ca_file, "certificate": certificate, "private_key": private_key}
        self._made: tuple[object, Any] = (None, None)

    def __call__(self) -> Any:
        """For the next connection. Raises OSError, ValueError or OpenSSL's Error where a file can't be used."""
        files = [Path(name).stat() for name in self._named.values() if name]
        state = [(one.st_mtime_ns, one.st_size, one.st_ino) for one in files]
        if self._made[0] != state:
            self._made = (state, client_options(self._host, **self._named))
        return self._made[1]


class UnusableFile(Exception):
    """A file of certificates or a key can't be used for the next connection; the text says which, or why."""


def usable(options: Callable[[], Any]) -> Any:
    """What `options()` gives. Raises UnusableFile."""
    try:
        return options()
    except (OSError, ValueError, SSL.Error) as error:
        raise UnusableFile(f"a certificate or key file can't be used: {_why_unusable(error)}") from None


def _why_unusable(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    # What OpenSSL says of a file nobody can act on; what pem.py says names it.
    return str(error) if isinstance(error, ValueError) else type(error).__name__


@implementer(IStreamClientEndpoint)
class Encrypted:
    """TLS over `plain`, with what `options()` gives for each connection."""

    def __init__(self, plain: IStreamClientEndpoint, options: Callable[[], Any]) -> None:
        self._plain = plain
        self._options = options

    def connect(self, protocolFactory: Any) -> Any:
        """Twisted: one connection. Raises UnusableFile."""
        return wrapClientTLS(usable(self._options), self._plain).connect(protocolFactory)


class WrongName(SSL.Error):
    """The chain is good, and the certificate is not for this host."""


@implementer(IOpenSSLClientConnectionCreator)
class _ByAuthority:
    """Connections on which an authority says who the peer is; where a certificate is disliked, the error says why.

    OpenSSL's own error says "certificate verify failed", whatever is wrong with the chain. The name we compare: Twisted
    26.10 logs that it can't read one, or finds none, and believes the certificate for every host.
    """

    def __init__(self, host: str, options: Any) -> None:
        self._options = options
        is_address = isIPAddress(host) or isIPv6Address(host)
        self._name = IPAddress_ID(host) if is_address else DNS_ID(ascii_host(host))

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """Twisted: a connection for one handshake."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        handshake = connection.do_handshake
        wrong: list[str] = []

        def verified(connection: Any, certificate: Any, error: int, depth: int, fine: bool) -> bool:
            if fine and depth == 0:
                wrong.extend(self._wrong_with_name(certificate))
            return bool(fine and not wrong)

        def said_in_full() -> None:
            try:
                handshake()
            except (SSL.WantReadError, SSL.WantWriteError):
                raise
            except SSL.Error as error:
                del connection.do_handshake
                if wrong:
                    raise WrongName([("gatewayd", "", wrong[0])]) from None
                words = _CHAIN.get(_verify_result(connection))
                if words is None:
                    raise
                raise SSL.Error([("gatewayd", "", f"{_DISLIKED}: {words}")]) from error
            else:
                # It refers to the connection, and the connection to it.
                del connection.do_handshake

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verified)
        connection.do_handshake = said_in_full
        return connection

    def _wrong_with_name(self, certificate: Any) -> list[str]:
        try:
            names = list(_names(certificate.to_cryptography()))
            verify_service_identity(names, [self._name], [])
        except VerificationError:
            return [_FOR_OTHERS]
        except (CertificateError, ValueError):
            # It has none, or can't be read at all.
            return [_FOR_NOBODY]
        return []


def _names(certificate: x509.Certificate) -> Iterator[DNSPattern | IPAddressPattern]:
    """The hosts that a certificate is for. Others beside them, such as an address as a name, are passed by."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in found.get_values_for_type(x509.DNSName):
        with suppress(CertificateError):
            yield DNSPattern.from_bytes(name.encode())
    for address in found.get_values_for_type(x509.IPAddress):
        # A network is no host.
        if isinstance(address, IPv4Address | IPv6Address):
            yield IPAddressPattern(address)


def _verify_result(connection: Any) -> int:
    """OpenSSL's X509_V_ERR_ number, which pyOpenSSL has no public way to; 0 where it has not this one any more."""
    try:
        return int(SSL._lib.SSL_get_verify_result(connection._ssl))  # type: ignore[attr-defined]
    except AttributeError:
        return 0


@implementer(IOpenSSLClientConnectionCreator)
class _Pinned:
    """Connections on which one certificate, and no authority, says who the peer is."""

    def __init__(self, host: str, context: Any, pins: Collection[str]) -> None:
        self._host = host
        self._context = context
        self._pins = frozenset(pins)
        context.set_verify(SSL.VERIFY_PEER, self._verified)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """Twisted: a connection for one handshake."""
        connection = SSL.Connection(self._context, None)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(ascii_host(self._host).encode())
        return connection

    def _verified(self, connection: Any, certificate: Any, error: int, depth: int, fine: int) -> bool:
        # OpenSSL asks for each certificate of the chain; the one at depth 0 it always asks for, and it alone is pinned.
        if depth:
            return True
        found = certificate.to_cryptography().fingerprint(SHA256()).hex()
        if found not in self._pins:
            # In the shape of OpenSSL's own errors, which Twisted takes apart. A fingerprint is no secret.
            reason = f"the certificate is none of certificate_pins: its SHA-256 fingerprint is {found}"
            raise SSL.Error([("gatewayd", "", reason)])
        return True


_FOR_OTHERS = "the certificate is not for this host"
_FOR_NOBODY = f"{_FOR_OTHERS}: its subjectAltName names none"
_DISLIKED = "certificate verify failed"
_UNKNOWN = "of an authority that this host does not know"
_SELF_SIGNED = "self-signed, and not known to this host"
_REMEDIED = (_UNKNOWN, _SELF_SIGNED)
"""What the operator mends by naming whom to believe."""

_CHAIN = {
    2: _UNKNOWN,
    9: "not valid yet: is a clock off, there or here?",
    10: "expired: they must renew it",
    18: _SELF_SIGNED,
    19: _UNKNOWN,
    20: _UNKNOWN,
    21: _UNKNOWN,
    23: "revoked by its authority",
    24: "signed by a certificate that is no authority's",
    26: "not made for servers",
    66: "its key is too short",
    68: "its signature's digest is too weak",
}
"""What is wrong with a certificate or its chain, by OpenSSL's X509_V_ERR_ numbers (x509_vfy.h)."""

_NO_MATCH = "it wants a client's certificate, or shares no cipher with us"
_TOO_OLD = "it takes neither TLS 1.2 nor 1.3, and older ones are not spoken here"

_HINTS = {
    "tlsv1 alert protocol version": _TOO_OLD,
    "unsupported protocol": _TOO_OLD,
    "tls alert handshake failure": _NO_MATCH,
    "sslv3 alert handshake failure": _NO_MATCH,
    "wrong version number": "the other side speaks no TLS on this port",
}
"""What an operator can do about what OpenSSL says."""

OURS_REFUSED = (
    "alert bad certificate",
    "alert unsupported certificate",
    "alert certificate revoked",
    "alert certificate expired",
    "alert certificate unknown",
    "alert unknown ca",
    "alert certificate required",
)
"""How OpenSSL names alerts about a client's certificate, behind the version of the protocol."""

_NONE_SHOWN = OURS_REFUSED[-1]


def fault(
    error: BaseException | None, remedy: str = "set ca_file", own: str = "set certificate and private_key"
) -> str:
    """What TLS disliked, as `disliked` says it; empty where it was not TLS."""
    if isinstance(error, WrongName):
        return disliked(error)
    return f"TLS failed: {disliked(error, remedy, own)}" if isinstance(error, SSL.Error) else ""


def faults(error: SSL.Error) -> list[str]:
    """OpenSSL's words for what was wrong; none of a failed call to the system, which has a number in that place."""
    said = error.args[0] if error.args and isinstance(error.args[0], list | tuple) else ()
    return [str(each[-1]) for each in said if isinstance(each, tuple) and each]


def disliked(error: SSL.Error, remedy: str = "set ca_file", own: str = "set certificate and private_key") -> str:
    """OpenSSL's constant words, which hold no address, and what to do.

    `remedy` is what to do about an authority that is not known here, `own` where a certificate of ours is wanted.
    """
    words = ", ".join(faults(error)) or "no reason given"
    if words.endswith(_REMEDIED):
        hint = remedy
    elif words.endswith(_NONE_SHOWN):
        hint = f"it wants a client's certificate{own and ': '}{own}"
    elif words.endswith(OURS_REFUSED):
        # Such an alert is never about its own.
        hint = "it refuses our certificate"
    else:
        hint = _HINTS.get(words, "")
    return f"{words}{hint and ': '}{hint}"
