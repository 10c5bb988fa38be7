"""How much an LMTP peer may use of us. Pure."""

from msgspec import Struct


class LmtpLimits(Struct, frozen=True):
    """What one session, and all of them together, may use. Seconds and bytes.

    Of a mail the first `kept` bytes are kept; the rest is read, counted and thrown away. A peer that leaves our replies
    unread for `unread` is hung up on.
    """

    max_size: int = 5_242_880
    kept: int = 1 << 20
    line: int = 2048
    buffer: int = 16 << 10
    errors: int = 5
    connections: int = 50
    idle: float = 60.0
    session: float = 600.0
    unread: float = 10.0
