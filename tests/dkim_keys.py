"""A DKIM key, and an independent verifier."""

import base64
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ED25519 = Ed25519PrivateKey.generate()
RSA = generate_rsa(65537, 2048)


def pem(key: Any) -> str:
    """The private key as it stands in a configuration."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def record(key: Any) -> bytes:
    """The public key as it stands in DNS."""
    if key is ED25519:
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(raw)
    raw = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(raw)


def is_valid(raw: bytes, key: Any, number: int = 0) -> bool:
    """What dkimpy says of the signature that is `number` from the top."""
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record(key)

    try:
        good: bool = dkim.DKIM(raw).verify(number, dnsfunc=dns)
    except dkim.DKIMException:
        return False
    assert asked == [b"gw1._domainkey.amazing.co."] or not good
    return good
