"""Instructions a message in user mode, by valgrind's callgrind: what no other load on the machine touches.

Twice with another number of messages; the difference over the difference is what a message costs, start-up left out.
"""

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import kannel as kannels
from figures import Figures
from gateway import gateway

from redis_server import until

FEW, MANY = 60, 360
UNDER_WAY = 8
"""Lives at a time: under callgrind all is fifty times slower, and an accept that takes 3 s is refused."""


def is_there() -> bool:
    """Whether this machine has valgrind."""
    return shutil.which("valgrind") is not None


def _under(directory: Path) -> tuple[str, ...]:
    return ("valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/%p", "--quiet")


def _counted(directory: Path) -> int:
    """All instructions in the files that callgrind left."""
    texts = (path.read_text() for path in directory.iterdir())
    return sum(int(re.search(r"(?m)^(?:summary|totals): (\d+)", text)[1]) for text in texts)  # type: ignore[index]


async def of_gateway(kind: str, *, cold: bool) -> float:
    """Instructions of the daemon's process for one message of `kind`.

    Remembered players: both runs are to the same few, so that the messages that make the difference look nobody up.
    """
    counts = []
    for messages in (FEW, MANY):
        with TemporaryDirectory(prefix="callgrind-") as name:
            directory, players = Path(name), messages if cold else FEW
            async with gateway(messages, 1, cold=cold, players=players, prefix=_under(directory)) as one:
                await one.round(kind, Figures(kind), UNDER_WAY)
                one.world.daemon.terminate()
                await one.world.daemon.exit_status(120)
            counts.append(_counted(directory))
    return (counts[1] - counts[0]) / (MANY - FEW)


async def of_kannel() -> float:
    """Instructions of both boxes for one SMS."""
    counts = []
    for messages in (FEW, MANY):
        with TemporaryDirectory(prefix="callgrind-") as name:
            directory = Path(name)
            async with kannels.kannel(_under(directory)) as boxes:
                await boxes.round(messages, Figures("Kannel"), UNDER_WAY)
                boxes.stop()
                await until(lambda directory=directory: len(list(directory.iterdir())) >= 2, 60)  # type: ignore[misc]
            counts.append(_counted(directory))
    return (counts[1] - counts[0]) / (MANY - FEW)
