"""Certificates for tests: an authority, and what it issues."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Issued:
    """Paths of a certificate and its key."""

    def __init__(self, path: Path, key: Path) -> None:
        self.path = str(path)
        self.key = str(key)


class Authority(Issued):
    """An authority of our own."""

    def __init__(
        self, path: Path, key: Path, certificate: x509.Certificate, secret: ec.EllipticCurvePrivateKey
    ) -> None:
        super().__init__(path, key)
        self._certificate = certificate
        self._secret = secret

    def issue(self, name: str) -> Issued:
        """A certificate for one host name."""
        secret = ec.generate_private_key(ec.SECP256R1())
        builder = _begin(name, self._certificate.subject, secret).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
        )
        directory = Path(self.path).parent
        return Issued(*_write(directory / name, builder.sign(self._secret, hashes.SHA256()), secret))


def authority(directory: Path) -> Authority:
    """A new authority, its files in `directory`."""
    directory.mkdir()
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {directory.name}")])
    builder = _begin(f"authority {directory.name}", name, secret).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    certificate = builder.sign(secret, hashes.SHA256())
    return Authority(*_write(directory / "authority", certificate, secret), certificate, secret)


def _begin(name: str, issuer: x509.Name, secret: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
    )


def _write(stem: Path, certificate: x509.Certificate, secret: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
    path, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path, key
