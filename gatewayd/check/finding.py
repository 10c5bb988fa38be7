"""What one look found, and how long a look may take. Pure."""

from collections.abc import Iterable

from msgspec import Struct

PATIENCE = 10.0
"""Seconds that one neighbour has in all, from the first packet to the last."""

LISTENED = 1.0
"""Seconds for which a connection is watched once it stands and nothing is to be said on it: in TLS 1.3 what the other
side thinks of our certificate, or of our having none, comes behind the handshake (RFC 8446 4.4.2.4).
"""

OK, WARN, SKIP, FAIL = "ok", "warn", "skip", "FAIL"


class Finding(Struct, frozen=True):
    """One line of `gatewayctl check`. Only FAIL makes the command fail; WARN is for a person to weigh."""

    word: str
    what: str
    found: str


def failed(findings: Iterable[Finding]) -> bool:
    """Whether any of them is a failure."""
    return any(finding.word == FAIL for finding in findings)
