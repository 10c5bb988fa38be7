"""Prints what `[redis] replicas` costs: CPU of gatewayd and of Redis for an SMS, and how long a caller waits.

Run: PYTHONPATH=tests/bench:.:tests:tests/integration python tests/bench/replicas.py [--rounds N] [--messages N]

Three Redis with Sentinels, and three daemons that differ in `replicas` alone, measured turn by turn: a median of the
rounds, and its ratio to `replicas = 0`. A caller's wait is longer by what the machine's other load does to two Redis
more, so only figures of one run are compared.
"""

import argparse
import statistics
from collections import defaultdict
from contextlib import AsyncExitStack

from daemon import World
from failover_rounds import NAME
from figures import cpu
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.sandbox.smsc import Behaviour
from redis_server import until
from redis_trio import Trio

CALLERS = 8
HEADINGS = ("gatewayd us", "master us", "replicas us", "wait ms", "longest of 20 ms")


class Turns:
    """The daemons by their `replicas`, and what each turn found."""

    def __init__(self, trio: Trio, worlds: dict[int, World]) -> None:
        self.trio = trio
        self.worlds = worlds
        self.found: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        self._posted = 0

    async def one(self, replicas: int, messages: int) -> tuple[float, ...]:
        """So many SMS all the way, by a few callers: the figures of HEADINGS."""
        world = self.worlds[replicas]
        master = await self.trio.master()
        pids = [world.daemon.pid, *(self.trio.servers[(master + number) % 3].pid for number in range(3))]
        began = [cpu(pid) for pid in pids]
        waits: list[float] = []
        ids: set[str] = set()
        left = [messages]

        async def call() -> None:
            while left[0] > 0:
                left[0] -= 1
                self._posted += 1
                asked = reactor.seconds()
                said = await world.sms(f"p{1 + self._posted % 500}", f"text {self._posted}")
                waits.append(reactor.seconds() - asked)
                assert said.error_code == 0, said
                ids.add(said.ext_message_id)

        await gatherResults([Deferred.fromCoroutine(call()) for _ in range(CALLERS)])

        def over() -> bool:
            heard = {one.ext_message_id for one in world.smartico.heard if one.status == "delivered"}
            return ids <= heard

        await until(over, 120)
        spent = [(cpu(pid) - before) / messages * 1e6 for pid, before in zip(pids, began, strict=True)]
        waits.sort()
        longest = waits[len(waits) * 19 // 20]
        return spent[0], spent[1], spent[2] + spent[3], 1e3 * statistics.median(waits), 1e3 * longest

    def print(self) -> None:
        """A table for the manual."""
        print("| replicas | " + " | ".join(HEADINGS) + " |\n|---|" + "---|" * len(HEADINGS))
        usual = [statistics.median(column) for column in zip(*self.found[0], strict=True)]
        for replicas, rows in self.found.items():
            medians = [statistics.median(column) for column in zip(*rows, strict=True)]
            pairs = zip(medians, usual, strict=True)
            cells = [f"{one:.0f} ({one / base:.2f})" if base else f"{one:.0f}" for one, base in pairs]
            print(f"| {replicas} | " + " | ".join(cells) + " |", flush=True)


async def run(rounds: int, messages: int) -> None:
    """All rounds."""
    trio = Trio()
    try:
        await trio.start()
        async with AsyncExitStack() as stack:
            worlds = {}
            for replicas in (0, 1, 2):
                world = World(reactor, players=500, behaviour=Behaviour(receipt_delay=0.02))
                await stack.enter_async_context(world)
                world.settings["redis"] = {
                    "sentinels": trio.sentinels,
                    "master": NAME,
                    "replicas": replicas,
                    "key_prefix": f"cost{replicas}:",
                }
                world.settings["gatewayd"]["log_level"] = "info"
                await world.start()
                worlds[replicas] = world
            turns = Turns(trio, worlds)
            for replicas in worlds:
                await turns.one(replicas, messages)
            for number in range(rounds):
                for replicas in worlds:
                    turns.found[replicas].append(await turns.one(replicas, messages))
                print(f"round {number + 1}", flush=True)
            turns.print()
    finally:
        trio.remove()


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--messages", type=int, default=300)
    given = options.parse_args()
    task.react(lambda _: Deferred.fromCoroutine(run(given.rounds, given.messages)))


if __name__ == "__main__":
    main()
