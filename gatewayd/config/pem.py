"""PEM files and keys: what is in them, or in one line why they can't be used.

Owns the reading of certificates and private keys. Knows no connection, no configuration key and no secret's source.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key, load_pem_public_key

from gatewayd.config import small_file

MOST_BYTES = 16 * 1024 * 1024
"""Of a PEM file: all the authorities that a system knows are less than 1 MiB."""
RSA_LEAST_BITS = 1024
SVIX_LEAST_OCTETS = 16


def certificates(path: str) -> list[x509.Certificate]:
    """All certificates in a file, at least one. Raises OSError or ValueError."""
    try:
        return x509.load_pem_x509_certificates(small_file.read(path, MOST_BYTES))
    except ValueError:
        raise ValueError(f"{path} holds no certificate in PEM form") from None


def private_key(path: str) -> Any:
    """The key in a file. Raises OSError or ValueError."""
    try:
        return load_pem_private_key(small_file.read(path, MOST_BYTES), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} holds no unencrypted private key in PEM form") from None


def identity(certificate: str, key: str) -> tuple[Any, list[x509.Certificate]]:
    """Our key, and our certificate with its chain behind it; without a file for it the key stands by the certificate.

    Raises OSError, or ValueError also where the two don't belong together: inside Twisted that would be a traceback,
    and a connection that never comes.
    """
    chain, own = certificates(certificate), private_key(key or certificate)
    if own.public_key() != chain[0].public_key():
        raise ValueError("private_key does not belong to certificate")
    return own, chain


def signing_key(text: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """A key that DKIM can sign with (RFC 6376 3.3, RFC 8463). Raises ValueError."""
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the DKIM private key is not an unencrypted PEM key") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("the DKIM private key is neither RSA nor Ed25519")
    if isinstance(key, RSAPrivateKey) and key.key_size < RSA_LEAST_BITS:
        raise ValueError("the DKIM private key is shorter than 1024 bits")
    return key


def verifying_key(text: str) -> EllipticCurvePublicKey:
    """An ECDSA public key: in PEM form, or the bare base64 that SendGrid shows. Raises ValueError."""
    try:
        is_pem = "-----BEGIN" in text
        key = load_pem_public_key(text.encode()) if is_pem else load_der_public_key(b64decode(text))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key") from None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("is not an ECDSA public key")
    return key


def rsa_verifying_key(text: str) -> RSAPublicKey:
    """An RSA public key: PEM, bare base64, or the DKIM record in which Postal shows its own. Raises ValueError."""
    try:
        if "-----BEGIN" in text:
            key = load_pem_public_key(text.encode())
        else:
            key = load_der_public_key(b64decode("".join(text.rpartition("p=")[2].split()).rstrip(";")))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("is not an RSA public key")
    return key


def certificate(text: str) -> x509.Certificate:
    """A certificate in PEM form. Raises ValueError."""
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        raise ValueError("is not a certificate in PEM form") from None


def faults(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a table's `ca_file`, `certificate` and `private_key`: pairs of the key and why."""
    given = {key: table.get(key) for key in ("ca_file", "certificate", "private_key")}
    paths = {key: path for key, path in given.items() if isinstance(path, str) and path}
    wrong = dict(_unreadable(paths))
    yield from wrong.items()
    if "private_key" in paths and "certificate" not in paths:
        yield "certificate", "is required with private_key"
    elif "certificate" in paths and not wrong.keys() & {"certificate", "private_key"}:
        try:
            identity(paths["certificate"], paths.get("private_key", ""))
        except (OSError, ValueError) as error:
            yield "private_key", str(error).removeprefix("private_key ")


def faults_of_https(at: str, table: Mapping[str, Any]) -> Iterator[str]:
    """The same as lines, for a table with a `url`, which must be https where it names any."""
    if str(table.get("url")).startswith("http://"):
        for key in ("ca_file", "certificate"):
            if table.get(key):
                yield f"{at}.{key}: needs an https URL"
    for key, fault in faults(table):
        yield f"{at}.{key}: {fault}"


def _unreadable(paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, path in paths.items():
        if "-----BEGIN" in path:
            # No word more: an error goes to the log, too.
            yield key, "is the path of a PEM file, and not what stands in it"
            continue
        try:
            if key == "private_key":
                private_key(path)
            else:
                certificates(path)
        except OSError as error:
            yield key, f"cannot read {path}: {error.strerror}"
        except ValueError as error:
            yield key, str(error)


def svix_key(text: str) -> bytes:
    """The secret that Resend shows, whsec_ and base64. Raises ValueError: under an empty one anybody signs."""
    try:
        key = b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < SVIX_LEAST_OCTETS:
        raise ValueError(f"is not what Resend shows: whsec_ and at least {SVIX_LEAST_OCTETS} bytes in base64")
    return key


def ed25519_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key in base64, as Telnyx gives it. Raises ValueError."""
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("is not a public key of Telnyx: 32 bytes in base64")
    return key
