"""Addresses that other people's words name, however they are written there. Pure."""

import re

from gatewayd.core.encoded import decodings

ADDRESS = re.compile(
    r"(?<![\w!#$%&'*+/=?^`{|}~@-])"
    r"((?:\"[^\"\s@]{1,64}\"|[\w!#$%&'*+/=?^`{|}~-][\w.!#$%&'*+/=?^`{|}~-]{0,127})"
    r"@(?:[\w](?:[\w-]{0,62})(?:\.[\w](?:[\w-]{0,62})){0,10}|\[[\d.:a-fA-F]{3,45}\]))"
)
"""An address inside prose; the domain may lack a dot, and either side may be beyond ASCII (RFC 6531)."""


def addresses_in(words: str) -> list[str]:
    """Those that `words` name, in their order and each once; then those that are in them once they are decoded."""
    found: list[str] = ADDRESS.findall(words)
    for decoded in decodings(words):
        found += ADDRESS.findall(decoded.text)
    return list(dict.fromkeys(found))
