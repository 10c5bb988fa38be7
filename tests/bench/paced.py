"""Callers in a process of their own, who post at a rate and not as they are answered: what they measure is the daemon.

In the bench's own process their answers wait behind its SMSC and its Smartico, which do as much as the daemon does.
`post_all` runs this file; by hand: python tests/bench/paced.py PORT RATE FILE, with a file that `pack` made.
"""

import gc
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator

from twisted.internet.threads import deferToThread

CALLERS = 32
GOOD = b'"error_code":0'
_SIZE = 4


def pack(posts: Iterable[bytes]) -> bytes:
    """Posts with their lengths before them."""
    return b"".join(len(post).to_bytes(_SIZE, "big") + post for post in posts)


def unpack(packed: bytes) -> Iterator[bytes]:
    """What `pack` was given."""
    at = 0
    while at < len(packed):
        size = int.from_bytes(packed[at : at + _SIZE], "big")
        yield packed[at + _SIZE : at + _SIZE + size]
        at += _SIZE + size


async def post_all(posts: list[bytes], port: int, rate: float) -> list[float]:
    """Post these at `rate` a second; the seconds that each answer took. AssertionError where one was not taken."""

    def run() -> str:
        with tempfile.NamedTemporaryFile() as file:
            file.write(pack(posts))
            file.flush()
            words = [sys.executable, __file__, str(port), str(rate), file.name]
            return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout

    found = json.loads(await deferToThread(run))
    assert found["taken"] == len(posts), f"{len(posts) - found['taken']} of {len(posts)} were not taken"
    seconds: list[float] = found["seconds"]
    return seconds


def main(port: int, rate: float, packed: bytes) -> None:
    """Post all of it by CALLERS connections, and print what was seen as JSON."""
    posts = list(unpack(packed))
    posts.reverse()
    count = len(posts)
    ready = selectors.EpollSelector()
    resting = [socket.create_connection(("127.0.0.1", port)) for _ in range(CALLERS)]
    for caller in resting:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ready.register(caller, selectors.EVENT_READ)
    asked_at: dict[socket.socket, float] = {}
    heard = dict.fromkeys(resting, b"")
    seconds: list[float] = []
    taken = 0
    gc.disable()
    begun = time.monotonic()
    while len(seconds) < count:
        now = time.monotonic()
        while posts and resting and count - len(posts) < (now - begun) * rate:
            caller = resting.pop()
            asked_at[caller] = time.monotonic()
            caller.sendall(posts.pop())
        due = (count - len(posts) + 1) / rate + begun - now
        for key, _ in ready.select(max(due, 0.0) if posts and resting else None):
            caller = key.fileobj  # type: ignore[assignment]
            heard[caller] += caller.recv(65536)
            now = time.monotonic()
            if not heard[caller].endswith(b"}"):
                assert heard[caller], "the daemon hung up"
                continue
            seconds.append(now - asked_at[caller])
            taken += GOOD in heard[caller]
            heard[caller] = b""
            resting.append(caller)
    sys.stdout.write(json.dumps({"seconds": seconds, "taken": taken}))


if __name__ == "__main__":
    with open(sys.argv[3], "rb") as packed_file:  # noqa: PTH123
        main(int(sys.argv[1]), float(sys.argv[2]), packed_file.read())
