"""A file that the configuration names and that is read as a whole: a secret, a certificate, a key."""

import errno
import os
import stat


def read(path: str | os.PathLike[str], most: int) -> bytes:
    """What is in a regular file of at most `most` bytes. Raises OSError.

    A device has no end, a pipe may have no beginning, and either would hold up the start, or a reload, for ever.
    """
    with open(path, "rb", opener=_without_waiting) as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file")
        found = opened.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EINVAL, f"Has more than {most} bytes")
    return found


def _without_waiting(path: str, flags: int) -> int:
    """Else opening a pipe waits for whoever writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)
