"""The sandbox's directories: one sandbox in each, and a short one for the socket of Redis."""

import fcntl
import os
import tempfile
from pathlib import Path

from gatewayd.sandbox.story import SandboxFailed


def lock(directory: Path) -> int:
    """Its descriptor: as long as it is open the directory is ours. Two Redis would write over each other's files.

    Raises SandboxFailed where another sandbox has it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SandboxFailed(f"another sandbox runs in {directory}") from None
    except OSError:
        # A file system without locks: then nobody is told.
        pass
    return descriptor


def short_directory() -> Path:
    """Where the socket of Redis is: its path has 107 bytes, and --dir and TMPDIR may be deep."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="gwsb-", dir=usual if len(os.fsencode(usual)) < 80 else "/tmp"))


def kept_key(directory: Path) -> str:
    """The secret key of the sandbox in `directory`: under another one what an earlier run stored is not known."""
    path = directory / "secret.key"
    if not path.exists():
        path.touch(0o600)
        path.write_text(os.urandom(24).hex())
    return path.read_text()
