"""Prints what failovers under load lost or sent twice: rounds of every kind, one after the other.

Run: PYTHONPATH=.:tests:tests/integration python tests/bench/failovers.py [--rounds N] [--messages N] [--replicas N]

Three Redis, three Sentinels and the daemon are processes of their own; callers, SMSC, relay and Smartico run in this
one. With `--replicas 0` it shows what is lost without WAIT. Exit status 1 where anything was lost or sent twice.
"""

import argparse
import sys

from daemon import World
from failover_rounds import KINDS, Round, play, prepare
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from gatewayd.sandbox.smsc import Behaviour
from redis_trio import Trio


async def rounds(count: int, messages: int, replicas: int) -> list[Round]:
    """So many rounds, printed as they end."""
    found = []
    trio = Trio()
    try:
        await trio.start()
        async with World(reactor, players=messages, behaviour=Behaviour(receipt_delay=0.3)) as world:
            await prepare(world, trio, replicas)
            for number in range(count):
                kind = list(KINDS)[number % len(KINDS)]
                one = await play(world, trio, kind, number, messages)
                found.append(one)
                print(f"{number + 1:>3} {one}", flush=True)
                for text in one.lost + one.twice:
                    print(f"    {text}")
            if any(one.lost or one.twice for one in found):
                print(world.daemon.log[-20_000:])
    finally:
        trio.remove()
    return found


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--messages", type=int, default=300)
    options.add_argument("--replicas", type=int, default=1)
    given = options.parse_args()

    async def run(_: object) -> None:
        found = await rounds(given.rounds, given.messages, given.replicas)
        lost, twice = (
            sum(len(each) for each in column) for column in ([r.lost for r in found], [r.twice for r in found])
        )
        print(f"{len(found)} rounds, {sum(one.accepted for one in found)} accepted: {lost} lost, {twice} twice")
        if lost or twice:
            sys.exit(1)

    task.react(lambda _: Deferred.fromCoroutine(run(None)))


if __name__ == "__main__":
    main()
