"""A file that is read as a whole: the configuration, and what it names: a secret, a certificate, a key."""

import errno
import os
import stat
from io import BytesIO, TextIOWrapper


def read(path: str | os.PathLike[str], most: int, *, waits: bool = False) -> bytes:
    """What is in a regular file of at most `most` bytes. Raises OSError.

    A device has no end, a pipe may have no beginning, and either would hold up the start, or a reload, for ever. With
    `waits` somebody is there who would end that, and it may be a pipe, as a shell makes one of <(COMMAND).
    """
    with open(path, "rb", opener=None if waits else _without_waiting) as opened:
        if not (waits or stat.S_ISREG(os.fstat(opened.fileno()).st_mode)):
            raise OSError(errno.EINVAL, "Not a regular file")
        # In pieces: Python makes room for as much as is asked for.
        found = bytearray()
        while len(found) <= most and (piece := opened.read(_PIECE)):
            found += piece
    if len(found) > most:
        raise OSError(errno.EINVAL, f"Has more than {most} bytes")
    return bytes(found)


def text(path: str | os.PathLike[str], *, waits: bool = False) -> str:
    """What is in a file of the operator's own text. Raises OSError, UnicodeDecodeError.

    Some editors begin it with a byte order mark, and line breaks are those of any text file.
    """
    return TextIOWrapper(BytesIO(read(path, MOST_TEXT, waits=waits)), "utf-8-sig").read()


MOST_TEXT = 16 * 1024 * 1024
_PIECE = 65536


def _without_waiting(path: str, flags: int) -> int:
    """Else opening a pipe waits for whoever writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)
