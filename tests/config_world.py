"""A configuration in small, and its errors."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gatewayd.config import ConfigError, parse

SMALL = """
[gatewayd]
secret_key = "0123456789012345678901234567890123456789"
instance = "gw1"
[redis]
endpoint = "unix:/run/redis/redis-server.sock"
[bounces]
domain = "bounces.amazing.co"
[public]
base_url = "https://go.amazing.co"
listen = ["unix:/run/{instance}.sock"]
[labels.amazing]
allow_from = ["203.0.113.0/24", "2001:db8::/32"]
authorization = ["one", "two"]
api_key = "key"
callback_hosts = ["*.smartico.ai"]
directory = "players"
relays = ["main"]
sms_routes = [{prefix = "+44", via = ["world"]}]
[directories.players]
type = "sql"
driver = "sqlite3"
connect = {database = "/var/lib/players.db"}
query = "SELECT email, phone FROM players WHERE id = :ext_user_id"
[relays.main]
host = "127.0.0.1"
[smscs.world]
host = "127.0.0.1"
system_id = "gw"
password = "secret"
"""

RSA = rsa.generate_private_key(65537, 1024)
DKIM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
RSA_PUBLIC, EC_PUBLIC = (
    key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for key in (RSA, ec.generate_private_key(ec.SECP256R1()))
)

SECRETS = "/etc/gatewayd/secrets"
_KEYS = {
    "amazing.dkim.pem": DKIM,
    "amazing.ed25519.pem": DKIM,
    "sendgrid.pem": EC_PUBLIC,
    "postal.dkim": RSA_PUBLIC,
    "telnyx.public": "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=",
}
"""What is in those files of `SECRETS` that are no passwords."""


def with_secrets(text: str, directory: Path) -> dict[str, Any]:
    """The configuration in `text`, with every secret file that it names made in `directory`."""
    for name in re.findall(rf"file:{SECRETS}/([^\"]+)", text):
        (directory / name).write_text(_KEYS.get(name, "x" * 40))
    return tomllib.loads(text.replace(SECRETS, str(directory)))


def raw(**changes: Any) -> dict[str, Any]:
    """The small configuration with values changed by dotted path (double underscores)."""
    tree = tomllib.loads(SMALL)
    for path, value in changes.items():
        *tables, key = path.split("__")
        place: Any = tree
        for name in tables:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[key] = value
    return tree


def errors(**changes: Any) -> list[str]:
    """What is said about the changed configuration."""
    with pytest.raises(ConfigError) as caught:
        parse(raw(**changes), {})
    return caught.value.errors
