"""What the commands print and end with, run in this process: a start of Python for each would take minutes.

One real start of each kind stands beside, in test_contract_check.py: that the two agree is shown there.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from gatewayd.ctl import main
from gatewayd.service import Options


def check(path: Path, text: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`twistd gatewayd --config path --check`, after `text` was written there."""
    path.write_text(text, "utf-8")
    words = ["--config", str(path), "--check"]
    before = dict(os.environ)
    os.environ.update(environ or {})
    try:
        return _run(words, lambda: Options().parseOptions(words))
    finally:
        os.environ.clear()
        os.environ.update(before)


def daemon(*words: str) -> subprocess.CompletedProcess[str]:
    """`twistd gatewayd words`, as far as it reads its command line."""
    return _run(list(words), lambda: Options().parseOptions(list(words)))


def ctl(*words: str) -> subprocess.CompletedProcess[str]:
    """`gatewayctl words`."""
    return _run(list(words), lambda: main(words))


def _run(words: list[str], call: Callable[[], int | None]) -> subprocess.CompletedProcess[str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = call() or 0
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())
