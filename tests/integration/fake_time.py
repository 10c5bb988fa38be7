"""A clock that can be set, for the processes that are started under it: libfaketime's (Debian's package `faketime`)."""

import os
from pathlib import Path

from conftest import PACKAGES, missing
from gatewayd.sandbox.redis_process import embedded_server

LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")


def library() -> str | None:
    """The one to preload; None where it is not installed."""
    found = (Path(place) / "faketime" / "libfaketime.so.1" for place in LIBRARIES)
    return next((str(path) for path in found if path.exists()), None)


def redis_program() -> str:
    """Debian's redis-server has jemalloc, which asks for the time before libfaketime can tell it."""
    embedded = embedded_server()
    if embedded is None:
        missing("the embedded extra's server", "pip install -e '.[embedded]'")
    assert embedded is not None
    return embedded


class FakeTime:
    """What the processes that are started between `begin` and `end` take for the time: ours, and so many seconds."""

    def __init__(self, file: Path) -> None:
        found = library()
        if found is None:
            missing("libfaketime", f"apt-get install {PACKAGES['libfaketime']}")
        fields = {"LD_PRELOAD": str(found), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        self._fields = {**fields, "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self._file = file
        self.set(0)

    def begin(self) -> None:
        """From now on."""
        os.environ.update(self._fields)

    def end(self) -> None:
        """No more; what was started goes on with it."""
        for name in self._fields:
            os.environ.pop(name, None)

    def set(self, seconds: float) -> None:
        """Their clock is so far from ours."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.replace(self._file)
