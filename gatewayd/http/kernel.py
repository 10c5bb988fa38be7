"""What the kernel knows of a connection and tells nobody who does not ask: Linux, TCP. Of others it says nothing."""

import socket
import sys

_LAST_DATA_RECV = slice(52, 56)
_BYTES_ACKED = slice(120, 128)
"""In struct tcp_info: milliseconds since data came, and the octets that the other host has taken in all."""


def waited(bare: socket.socket | None) -> float | None:
    """Seconds since the last bytes came to this connection; None where the kernel does not say (a unix socket)."""
    said = _said(bare, _LAST_DATA_RECV)
    return None if said is None else said / 1000


def read_by_caller(bare: socket.socket | None) -> int | None:
    """Octets that the caller's host has taken of what we said, in all; None where the kernel does not say."""
    return _said(bare, _BYTES_ACKED)


def has_spoken(bare: socket.socket | None) -> bool:
    """Whether something came that nobody has read."""
    if bare is None:
        return False
    try:
        return bool(bare.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def _said(bare: socket.socket | None, part: slice) -> int | None:
    if bare is None:
        return None
    try:
        info = bare.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, part.stop)
    except OSError:
        return None
    return int.from_bytes(info[part], sys.byteorder) if len(info) == part.stop else None
