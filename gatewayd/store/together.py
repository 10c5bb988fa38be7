"""Fields of a message that hold several values, which are read and written together: a field has its price. Pure.

0.1.0 wrote each value into a field of its own, and such records are read, too: functions of lua/shared take such a
field apart for the scripts, `apart` for rows.py.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

import msgspec

from gatewayd.core.model import Message
from gatewayd.store.legend import FIELDS, LONG

TOGETHER: dict[str, tuple[str, ...]] = {
    "state": ("state", "queued_reports", "to_tell"),
    "route": ("marked_at", "route"),
    "label": ("label", "channel", "callback"),
    "fingerprint": ("fingerprint", "player_bucket", "deadline"),
}
"""Such a field, and the names of its values in the legend, in order. To a script `state_of` and so on give them."""

_PARTS = {
    "state": re.compile(rb"([^|]*)\|([^|]*)\|(.*)"),
    "route": re.compile(rb"(-?\d*) (.*)"),
    "label": re.compile(rb"([^|]*)\|([^|]*)\|(.*)"),
    "fingerprint": re.compile(rb"([^|]*)\|(\d*)\|(\d+)"),
}

_encode = msgspec.json.Encoder().encode
_texts = msgspec.json.Decoder(list[str]).decode


def apart(kept: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """A record with each value in the field that has its name in the legend, a long text whole."""
    found = dict(kept)
    for field, names in TOGETHER.items():
        match = _PARTS[field].fullmatch(kept.get(_short(field), b""))
        for name, value in zip(names, match.groups(), strict=True) if match else ():
            # What an older version left in a field of its own has been true before.
            found[_short(name)] = value
    if kept.get(_short("route")) != found.get(_short("route")):
        # It stands there as the age of the message.
        age, accepted_at = found[_short("marked_at")], int(kept.get(_short("accepted_at"), 0))
        found[_short("marked_at")] = b"%d" % (accepted_at + int(age)) if age else b"0"
    if said := long_text(kept, "who"):
        # What can't be read says nothing: whoever needs it misses it.
        with suppress(msgspec.DecodeError):
            for name, text in zip(("user", "uid", "activity"), _texts(said), strict=False):
                found[_short(name)] = text.encode()
    return found


def who(message: Message) -> str:
    """Who gets a message, and what its caller calls it, as the field `who` has it."""
    texts = [message.ext_user_id, message.uid, message.activity_type]
    return _encode(texts if message.activity_type else texts[:2]).decode()


def long_text(kept: Mapping[bytes, bytes], name: str) -> bytes:
    """A field by its name, with what stands in further fields."""
    short = _short(name)
    value = piece = kept.get(short, b"")
    number = 1
    while len(piece) >= LONG - 3 and (piece := kept.get(short + b"%d" % number, b"")):
        value += piece
        number += 1
    return value


@cache
def _short(name: str) -> bytes:
    return FIELDS[name].short.encode()
