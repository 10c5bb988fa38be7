"""Fields of a message that hold several values, which are read and written together: a field has its price. Pure.

0.1.0 wrote each value into a field of its own, and such records are read, too: lua/shared/standing.lua and copy.lua
take such a field apart for the scripts, `apart` for rows.py.
"""

import re

from gatewayd.store.legend import FIELDS

TOGETHER: dict[str, tuple[str, ...]] = {
    "state": ("state", "queued_reports", "to_tell"),
    "route": ("marked_at", "route"),
}
"""Such a field, and the names of its values in the legend, in order."""

_PARTS = {"state": re.compile(rb"([^|]*)\|([^|]*)\|(.*)"), "route": re.compile(rb"(\d+) (.*)")}


def apart(kept: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """A record with each value in the field that has its name in the legend."""
    found = dict(kept)
    for field, names in TOGETHER.items():
        match = _PARTS[field].fullmatch(kept.get(_short(field), b""))
        for name, value in zip(names, match.groups(), strict=True) if match else ():
            # What an older version left in a field of its own has been true before.
            found[_short(name)] = value
    return found


def _short(name: str) -> bytes:
    return FIELDS[name].short.encode()
