"""Instructions a message in user mode, by valgrind's callgrind: what no other load on the machine touches.

Two rounds with another number of messages; the difference over the difference is what a message costs. One start
serves all rounds of a configuration: nothing is counted before the first of them, which warms up.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import kannel as kannels
from callers import CALLERS
from figures import Figures
from gateway import Gateway, gateway

from redis_server import until

WARM, FEW, MANY = 60, 60, 360
"""Messages of the three rounds; 32 lives at a time. While it counts, all is fifty times slower."""

REST = 5.0
"""Seconds in which nothing is sent, to know what the processes do by themselves meanwhile."""


def is_there() -> bool:
    """Whether this machine has valgrind."""
    return all(map(shutil.which, ("valgrind", "callgrind_control")))


class Cost(NamedTuple):
    """Instructions for a message: all, and without what the processes do at rest in a time that valgrind stretches."""

    all: float
    own: float


class Callgrind:
    """The processes that are started with `prefix`; their counts are in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        out = f"--callgrind-out-file={directory}/%p"
        self.prefix = ("valgrind", "--tool=callgrind", out, "--quiet", "--instr-atstart=no")

    async def a_message(self, pids: Collection[int], send: Callable[[int], Awaitable[None]]) -> Cost:
        """What one message more costs these processes; `send` sends so many and sees them through."""
        _control(pids, "--instr=on")
        await send(WARM)
        at_rest, seconds = await self._counted(pids, _rest())
        few, many = [await self._counted(pids, send(messages)) for messages in (FEW, MANY)]
        _control(pids, "--instr=off")
        more, longer = many[0] - few[0], many[1] - few[1]
        return Cost(more / (MANY - FEW), (more - longer * at_rest / seconds) / (MANY - FEW))

    async def _counted(self, pids: Collection[int], work: Awaitable[None]) -> tuple[int, float]:
        """The instructions of these processes while `work` goes on, and its seconds."""
        _control(pids, "--zero")
        began = time.monotonic()
        await work
        seconds = time.monotonic() - began
        _control(pids, "--dump")
        # A dump is PID.1, PID.2 ...; the bare name is for the end of the process.
        dumps = list(self._directory.glob("*.*"))
        texts = [dump.read_text() for dump in dumps]
        for dump in dumps:
            dump.unlink()
        assert len(texts) == len(pids), f"{len(texts)} dumps of {len(pids)} processes"
        return sum(int(re.search(r"(?m)^totals: (\d+)", text)[1]) for text in texts), seconds  # type: ignore[index]


async def _rest() -> None:
    over = time.monotonic() + REST
    await until(lambda: time.monotonic() >= over, 2 * REST)


def _control(pids: Collection[int], order: str) -> None:
    for pid in pids:
        subprocess.run(["callgrind_control", order, str(pid)], check=True, capture_output=True, timeout=60)


class Counted(NamedTuple):
    """One figure: messages of `kind`, to players who were looked up before or, `cold`, who never were."""

    name: str
    kind: str
    cold: bool


_LIVES = {
    "sms": [Counted("SMS, a campaign", "SMS", True)],
    "remembered": [Counted("SMS, remembered", "SMS", False)],
    "email": [Counted("email, a campaign", "email", True), Counted("email, remembered", "email", False)],
}
_BY_HTTP = [Counted("SMS by HTTP, a campaign", "SMS", True), Counted("SMS by HTTP, remembered", "SMS", False)]
_INTAKE = [Counted("intake, SMS", "SMS", True), Counted("intake, email", "email", True)]

Say = Callable[[str, Cost], None]


async def count(parts: Collection[str], say: Say) -> None:
    """Tell `say` what a message costs in each of these parts of the bench, each figure as soon as it is known."""
    await _of_gateway([figure for part, figures in _LIVES.items() if part in parts for figure in figures], say)
    if "http" in parts:
        await _of_gateway(_BY_HTTP, say, by_http=True)
    if "intake" in parts:
        await _of_gateway(_INTAKE, say, work=False)
    if "beside" in parts and kannels.is_there():
        await _of_kannel(say)


async def _of_gateway(figures: Sequence[Counted], say: Say, *, work: bool = True, by_http: bool = False) -> None:
    """Of the daemon's process, in one start; nothing where there are no figures to find."""
    if not figures:
        return
    with TemporaryDirectory(prefix="callgrind-") as name:
        callgrind = Callgrind(Path(name))
        async with gateway(
            MANY, 2 * len(figures), cold=True, work=work, players=FEW, prefix=callgrind.prefix, by_http=by_http
        ) as one:
            for figure in figures:
                send = partial(_send, one, figure, lives=work)
                say(figure.name, await callgrind.a_message([one.world.daemon.pid], send))


async def _send(one: Gateway, figure: Counted, messages: int, *, lives: bool) -> None:
    one.count, one.cold = messages, figure.cold
    if lives:
        await one.round(figure.kind, Figures(figure.name), CALLERS)
    else:
        await one.intake(figure.kind, Figures(figure.name))


async def _of_kannel(say: Say) -> None:
    """Of both boxes."""
    with TemporaryDirectory(prefix="callgrind-") as name:
        callgrind = Callgrind(Path(name))
        async with kannels.kannel(callgrind.prefix) as boxes:

            async def send(messages: int) -> None:
                await boxes.round(messages, Figures("Kannel"), CALLERS)

            say("SMS by Kannel", await callgrind.a_message(boxes.pids.values(), send))
