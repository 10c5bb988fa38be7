"""`gatewayctl export` of a player of whom very much is kept: all of it, in order, and in little memory."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

STEPS, IN_A_STEP = 20, 500
MEMORY = 64 * 1024 * 1024
"""What the command may have beside what it begins with; the messages as Python's dicts would take twice that."""

PROGRAM = """
import resource, sys
from pathlib import Path
from gatewayd.ctl import main
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (most, most))
sys.exit(main(sys.argv[1:]))
"""


def kept(number: int) -> dict[str, Any]:
    """A message as the admin listener shows it; the later its number, the earlier it was accepted."""
    lines = [{"at": "2026-11-29T11:44:43.902Z", "event": f"event {n}", "detail": f"of {number}"} for n in range(12)]
    return {
        "ext_message_id": f"{number:08x}-0000-4000-8000-000000000000",
        "uid": f"uid-{number}",
        "accepted_at": f"2026-11-29T11:44:{99_999 - number}Z",
        "reports": [{"status": "accepted", "at": "2026-11-29T11:44:43.902Z", "answered_at": None}] * 2,
        "timeline": lines,
    }


class Kept(BaseHTTPRequestHandler):
    """An admin listener that has so many of one player."""

    def do_POST(self) -> None:
        """One step."""
        at = int(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["cursor"])
        messages = [kept(number) for number in range(at * IN_A_STEP, (at + 1) * IN_A_STEP)]
        answer = {"cursor": str((at + 1) % STEPS), "seen": len(messages), "messages": messages}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer | ({"keyed_hash": "4f", "stop_list": {}} if not at else {})).encode())

    def log_message(self, *words: object) -> None:
        """Nothing."""


def run(tmp_path: Path, memory: int) -> "subprocess.CompletedProcess[str]":
    """The command, which may have so much memory."""
    with HTTPServer(("127.0.0.1", 0), Kept) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = tmp_path / "gatewayd.toml"
        config.write_text(f'[admin]\nlisten = ["tcp:{server.server_port}:interface=127.0.0.1"]\n')
        words = [sys.executable, "-c", PROGRAM, str(memory), "--config", str(config), "export", "amazing", "1001"]
        try:
            return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        finally:
            server.shutdown()


@pytest.mark.timeout(300)
def test_an_export_of_very_many_messages_takes_little_memory(tmp_path: Path) -> None:
    """Each once, and the earliest first."""
    done = run(tmp_path, MEMORY)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert list(told) == ["label", "ext_user_id", "keyed_hash", "stop_list", "messages"]
    assert told["messages"] == [kept(number) for number in reversed(range(STEPS * IN_A_STEP))]


@pytest.mark.timeout(300)
def test_who_has_too_little_memory_hears_so(tmp_path: Path) -> None:
    """In a sentence, and there is nothing that could pass for all of it."""
    done = run(tmp_path, MEMORY // 16)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "gatewayctl: this host gives no memory for it\n"
