"""What one real message taught about a next hop. Pure."""

from msgspec import Struct


class Learned(Struct, frozen=True):
    """`story` line by line, and `lines` to paste under the next hop's table; `ok` where the message was taken."""

    ok: bool
    story: tuple[str, ...]
    lines: tuple[str, ...] = ()
