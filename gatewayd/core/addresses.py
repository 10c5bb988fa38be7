"""Addresses that other people's words name, however they are written there. Pure."""

import re
from itertools import chain

from gatewayd.core.encoded import decodings

ADDRESS = re.compile(
    r"(?<![\w!#$%&'*+/=?^`{|}~@-])"
    r"((?:\"[^\"\s@]{1,64}\"|[\w!#$%&'*+/=?^`{|}~-][\w.!#$%&'*+/=?^`{|}~-]{0,127})"
    r"@(?:[\w](?:[\w-]{0,62})(?:\.[\w](?:[\w-]{0,62})){0,10}|\[[\d.:a-fA-F]{3,45}\]))"
)
"""An address inside prose; the domain may lack a dot, and either side may be beyond ASCII (RFC 6531)."""


def addresses_in(words: str) -> list[str]:
    """Those that `words` name, in their order and each once; then those that are in them once they are decoded."""
    found = chain(ADDRESS.findall(words), *(ADDRESS.findall(decoded.text) for decoded in decodings(words)))
    return list(dict.fromkeys(found))
