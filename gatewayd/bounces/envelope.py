"""What an LMTP peer says in MAIL and RCPT: an address, and parameters. Pure.

Knows RFC 5321, 1870 (SIZE), 6152 (BODY), 6531 (SMTPUTF8). Knows no session.
"""

import re

_PATH = re.compile(r"(FROM|TO):\s?<([^<>\x00-\x20\x7f]{0,1024})>((?: [^\x00-\x20\x7f]+)*) *", re.IGNORECASE)
_BODIES = frozenset({"7BIT", "8BITMIME"})


def read_path(word: str, rest: str) -> tuple[str, list[str]] | None:
    """The address and the parameters behind `word` (FROM or TO); None where that is not what `rest` has."""
    path = _PATH.fullmatch(rest)
    if path is None or path[1].upper() != word:
        return None
    return path[2], path[3].split()


def refused_parameters(parameters: list[str], max_size: int) -> tuple[int, str] | None:
    """Code and text for the first parameter of MAIL that can't be met; None where there is none."""
    for parameter in parameters:
        name, _, value = parameter.upper().partition("=")
        if name == "SIZE" and value.isdecimal() and len(value) <= 20:
            if int(value) > max_size:
                return 552, "5.3.4 message too big"
        elif (name, value) != ("SMTPUTF8", "") and not (name == "BODY" and value in _BODIES):
            return 555, "5.5.4 unknown parameter"
    return None
