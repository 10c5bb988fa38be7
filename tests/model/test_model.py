"""A seeded model of instances, Redis, wire and clock: a few stories, always the same; any others by hand.

GATEWAYD_MODEL_SECONDS=600 plays new ones for so long, which belongs to every change of the store or the outboxes;
GATEWAYD_MODEL_SEED=123 plays that story first; GATEWAYD_MODEL_OLDER=3 lets Redis come back with an older dataset six
times as often as it does by itself (0.5). A failure prints its seed and the last of what happened. In every third story
several messages go to one number, and their SMSC gives some of them one id.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from model.redis_wire import Server
from model.world import World

SECONDS = float(os.environ.get("GATEWAYD_MODEL_SECONDS", "0"))
STORIES = 12
"""How many are played where no time is given."""

STEPS = 1500


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The Redis of all stories."""
    # A socket's path must be short.
    with TemporaryDirectory(prefix="mdl-") as directory:
        server = Server(Path(directory))
        yield server
        server.stop()


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("first", [0] if SECONDS else range(STORIES))
def test_promises_hold_in_every_story(first: int, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The real scripts, outboxes, keeper and tracker; connections, processes and clocks go wrong at every step.

    After each step of Redis: a message's content is there exactly while it stands in one place; counts reconcile; no
    segment is written twice. At the end of each story: all ended by its deadline, statuses were heard in order, what
    was answered 0 is known, every key has an end.
    """
    seed = int(os.environ.get("GATEWAYD_MODEL_SEED", "0")) or (random.SystemRandom().randrange(10**9) if SECONDS else 1)
    seed += first
    end, stories, steps, happened = time.monotonic() + SECONDS, 0, 0, Counter[str]()
    while not stories or time.monotonic() < end:
        world = World(server, seed + stories)
        world.play(STEPS)
        stories, steps = stories + 1, steps + world.steps
        happened += world.happened
    if SECONDS:
        with capsys.disabled():
            print(f"\nmodel: {stories} stories from seed {seed} on, {steps} steps, {dict(happened)}")  # noqa: T201
