"""Certificates for tests: an authority of our own, made anew each time."""

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates

_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)
_NOW = datetime.datetime.now(datetime.UTC)
DAYS = (-1, 2)
"""From and to which a certificate is valid, in days from now."""


class Authority:
    """An issuer whose certificate is in `ca_file`; `fingerprint` is that of the server certificate made last."""

    def __init__(self, directory: Path) -> None:
        self.fingerprint = ""
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {directory.name}"[:64])])
        self._certificate = self._sign(self._name, self._key, ca=True)
        self.ca_file = str(self._write("ca.pem", self._certificate.public_bytes(Encoding.PEM)))

    def server(
        self, name: str, *, client_certificates: bool = False, days: tuple[int, int] = DAYS
    ) -> CertificateOptions:
        """A context for a server called `name` (a host name or an IP address), valid from and to `days` from now."""
        certificate, key = self._issue(name, days)
        self.fingerprint = x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()
        # cryptography's own objects: pyOpenSSL warns of its X509.
        ours = x509.load_pem_x509_certificate(certificate)
        trust = None
        if client_certificates:
            trust = trustRootFromCertificates([Certificate.loadPEM(Path(self.ca_file).read_bytes())])
        return CertificateOptions(privateKey=load_pem_private_key(key, None), certificate=ours, trustRoot=trust)

    def endpoint(
        self, reactor: Any, name: str, *, client_certificates: bool = False, days: tuple[int, int] = DAYS
    ) -> SSL4ServerEndpoint:
        """A TLS endpoint on a free port of loopback."""
        context = self.server(name, client_certificates=client_certificates, days=days)
        return SSL4ServerEndpoint(reactor, 0, context, interface="127.0.0.1")

    def naming(self, *names: x509.GeneralName) -> CertificateOptions:
        """A context for a server whose certificate has just these subjectAltNames; without any it has none."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        return CertificateOptions(privateKey=key, certificate=self._sign(subject, key, names=names))

    def itself(self, reactor: Any) -> SSL4ServerEndpoint:
        """A TLS endpoint on a free port of loopback that shows the authority's own certificate as the server's."""
        context = CertificateOptions(privateKey=self._key, certificate=self._certificate)
        return SSL4ServerEndpoint(reactor, 0, context, interface="127.0.0.1")

    def client(self, name: str, days: tuple[int, int] = DAYS) -> tuple[str, str]:
        """The files of a client certificate and its key, valid from and to `days` from now."""
        certificate, key = self._issue(name, days)
        return str(self._write(f"{name}.pem", certificate)), str(self._write(f"{name}.key", key))

    def files(self, name: str, days: tuple[int, int] = DAYS) -> tuple[str, str]:
        """The files of a server certificate and its key, valid from and to `days` from now."""
        return self.client(name, days)

    def _issue(self, name: str, days: tuple[int, int] = DAYS) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, alternative=name, days=days)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), private

    def _sign(
        self,
        subject: x509.Name,
        key: Any,
        *,
        ca: bool = False,
        alternative: str = "",
        names: tuple[x509.GeneralName, ...] = (),
        days: tuple[int, int] = DAYS,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + datetime.timedelta(days=days[0]))
            .not_valid_after(_NOW + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            # What RFC 5280 asks for, and Python from 3.13 on.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if ca:
            builder = builder.add_extension(_SIGNS, critical=True)
        if alternative:
            try:
                name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(alternative))
            except ValueError:
                name = x509.DNSName(alternative)
            names = (name,)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self._directory / name
        path.write_bytes(content)
        return path
