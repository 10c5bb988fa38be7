"""Prints what failovers under load lost, sent twice or told twice: rounds of every kind, one after the other.

Run: PYTHONPATH=.:tests:tests/integration python tests/bench/failovers.py [--rounds N] [--messages N] [--replicas N]
[--peers N]

Three Redis, three Sentinels, the daemon and its peers are processes of their own; callers, SMSC, relay and Smartico run
in this one. Receipts come to a peer where there is one. With `--replicas 0` it shows what is lost without WAIT. Exit
status 1 where anything was lost, sent or told twice.
"""

import argparse
import sys

from daemon import World
from failover_rounds import KINDS, Round, play, prepare
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from gatewayd.sandbox.smsc import Behaviour
from redis_trio import Trio


async def rounds(count: int, messages: int, replicas: int, peers: int) -> list[Round]:
    """So many rounds, printed as they end."""
    found = []
    trio = Trio()
    try:
        await trio.start()
        behaviour = Behaviour(receipt_delay=0.3, receipt_on_other_bind=peers > 0)
        async with World(reactor, players=messages, behaviour=behaviour) as world:
            await prepare(world, trio, replicas, peers=peers)
            for number in range(count):
                kind = list(KINDS)[number % len(KINDS)]
                one = await play(world, trio, kind, number, messages)
                found.append(one)
                print(f"{number + 1:>3} {one}", flush=True)
                for text in one.lost + one.twice + one.told_twice:
                    print(f"    {text}")
            if any(one.lost or one.twice or one.told_twice for one in found):
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
    options.add_argument("--peers", type=int, default=1)
    given = options.parse_args()

    async def run(_: object) -> None:
        found = await rounds(given.rounds, given.messages, given.replicas, given.peers)
        lost, twice, told = (sum(len(getattr(one, name)) for one in found) for name in ("lost", "twice", "told_twice"))
        accepted = sum(one.accepted for one in found)
        print(f"{len(found)} rounds, {accepted} accepted: {lost} lost, {twice} twice, {told} told twice")
        if lost or twice or told:
            sys.exit(1)

    task.react(lambda _: Deferred.fromCoroutine(run(None)))


if __name__ == "__main__":
    main()
