"""Crash rounds with real processes: what is lost and what goes out twice, as a table.

Run: PYTHONPATH=.:tests:tests/integration python tests/bench/crashes.py [--rounds 50] [--messages 500] [--seed N]

A round is a world of its own: 70 % SMS and 30 % emails are posted under load while something dies, each again under
its uid until it is taken, as Smartico would. It is over when every message was told as delivered, or is held because
the crash came between its mark and the wire. The exit status is 1 where anything was lost, told wrongly or (SMS) sent
twice, a daemon logged a traceback, or what a round waits for did not come.
"""

import argparse
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from daemon import Daemon, World
from fake_time import FakeTime, library, redis_program
from load import TOLD, Load, copies, copies_now, mails
from msgspec.structs import replace
from outside_redis import Redis
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.task import react

from gatewayd.sandbox.conversation import Act
from gatewayd.sandbox.smartico import BROKEN, OK
from gatewayd.sandbox.smsc import Behaviour
from gatewayd.store import RedisStore
from gatewayd.store.legend import KEYS
from redis_server import later, until

FIGURES = ("rounds", "accepted", "delivered", "held", "lost", "wrong", "SMS twice", "mail twice", "seconds")


@dataclass
class Round:
    """One of them, while it runs."""

    world: World
    chance: random.Random
    texts: Load
    clock: FakeTime | None = None  # what Redis and the daemons go by, where the kind sets it

    def ask_redis(self, *words: str) -> str:
        """What redis-cli would print."""
        return Redis(self.world.redis.directory).ask(*words)

    async def amid(self, share: float) -> None:
        """Return once this share of the SMS has been submitted."""
        least = share * (len(self.texts.ids) + self.texts.left)
        await self.world.smsc.until(lambda: len(self.world.smsc.submits) >= least, 60)

    async def stop(self) -> None:
        """SIGTERM, and its end."""
        self.world.daemon.terminate()
        assert await self.world.daemon.exit_status() == 0

    async def peer(self, name: str) -> Daemon:
        """Another process, ready."""
        one = self.world.another(name)
        one.prefix = self.world.daemon.prefix
        await one.start()
        await one.ready()
        # Success reports come to who is there in the end.
        self.world.relay.dsn_to = UNIXClientEndpoint(reactor, str(self.world.directory / f"lmtp-{name}"))
        return one


async def killed(at: Round) -> None:
    """kill -9, twice, and a restart at once."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.daemon.kill()
        await at.world.daemon.start()


async def stopped(at: Round) -> None:
    """SIGSTOP for some seconds, SIGCONT, twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.daemon.signal(signal.SIGSTOP)
        await later(at.chance.uniform(1, 6))
        at.world.daemon.signal(signal.SIGCONT)


async def redis_killed(at: Round) -> None:
    """Redis is killed, twice, and comes back with what it had."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.redis.kill()
        await later(at.chance.uniform(0.1, 4))
        await at.world.redis.start()


async def both_killed(at: Round) -> None:
    """Redis and the daemon at once."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.redis.kill()
        at.world.daemon.kill()
        await later(at.chance.uniform(0, 1))
        await at.world.redis.start()
        await at.world.daemon.start()


async def taken_over(at: Round) -> None:
    """One of two is killed for good; the other one takes its work over."""
    peer = await at.peer("gw2")
    await at.amid(0.3)
    at.world.daemon.kill()
    at.world.daemon = peer


async def outslept(at: Round) -> None:
    """One of two is stopped until the other one has nothing of it left to take over, and goes on then."""
    peer = await at.peer("gw2")
    await at.amid(0.3)
    sleeper, at.world.daemon = at.world.daemon, peer
    sleeper.signal(signal.SIGSTOP)
    instances = RedisStore.key_prefix("gatewayd:") + KEYS["instances"].short
    try:
        # It comes whether or not the sleeper held leases: the log has a line only where it did.
        await until(lambda: not at.ask_redis("ZSCORE", instances, "gw1"), 60, lambda: peer.log[-3000:])
        await later(at.chance.uniform(0, 2))
    finally:
        # What it has in hand, it alone can end.
        sleeper.signal(signal.SIGCONT)


async def succeeded(at: Round) -> None:
    """The older process of a name is stopped, and goes on after its successor has begun."""
    await at.amid(0.3)
    older = at.world.daemon
    older.signal(signal.SIGSTOP)
    at.world.daemon = await at.peer("gw1")
    await later(at.chance.uniform(0.1, 1.5))
    older.signal(signal.SIGCONT)


async def redis_stopped(at: Round) -> None:
    """Redis is stopped for some seconds, longer than a call waits, and goes on with what was asked meanwhile; twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.redis.signal(signal.SIGSTOP)
        await later(at.chance.uniform(1, 14))
        at.world.redis.signal(signal.SIGCONT)


async def redis_cut_off(at: Round) -> None:
    """All connections to Redis are cut, often, and it forgets its scripts."""
    for share in (0.1, 0.3, 0.5, 0.7):
        await at.amid(share)
        for _ in range(6):
            at.ask_redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await later(at.chance.uniform(0.01, 0.6))
        at.ask_redis("SCRIPT", "FLUSH")


async def redis_full(at: Round) -> None:
    """Redis' memory is full for some seconds, twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.ask_redis("CONFIG", "SET", "maxmemory", "1")
        await later(at.chance.uniform(2, 10))
        at.ask_redis("CONFIG", "SET", "maxmemory", "0")


async def redis_read_only(at: Round) -> None:
    """Redis is another one's replica for some seconds, on connections that live; twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.ask_redis("REPLICAOF", "127.0.0.1", "1")
        await later(at.chance.uniform(1, 10))
        at.ask_redis("REPLICAOF", "NO", "ONE")


async def terminated(at: Round) -> None:
    """SIGTERM and a restart, three times; reloads come in a crowd before, and behind the signal."""
    for share in (0.2, 0.5, 0.8):
        await at.amid(share)
        for _ in range(20):
            at.world.daemon.hang_up()
            await later(at.chance.uniform(0, 0.05))
        await at.stop()
        await at.world.daemon.start()


async def terminated_asleep(at: Round) -> None:
    """SIGTERM, and SIGSTOP amid its drain, longer than that may take; twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        at.world.daemon.terminate()
        await later(at.chance.uniform(0, 1))
        at.world.daemon.signal(signal.SIGSTOP)
        await later(at.chance.uniform(1, 30))
        at.world.daemon.signal(signal.SIGCONT)
        await at.stop()
        await at.world.daemon.start()


async def terminated_without_redis(at: Round) -> None:
    """Redis is stopped or dead, and the daemon is stopped meanwhile; twice."""
    for share in (0.2, 0.6):
        await at.amid(share)
        dies = at.chance.random() < 0.5
        if dies:
            at.world.redis.kill()
        else:
            at.world.redis.signal(signal.SIGSTOP)
        await later(at.chance.uniform(0, 5))
        await at.stop()
        if dies:
            await at.world.redis.start()
        else:
            at.world.redis.signal(signal.SIGCONT)
        await at.world.daemon.start()


async def terminated_on_a_full_disk(at: Round) -> None:
    """Redis' append-only file may not grow for 40 s, and the daemon is stopped meanwhile."""
    await at.amid(0.4)
    at.ask_redis("CONFIG", "SET", "appendfsync", "everysec")
    files = [file.stat().st_size for file in at.world.redis.directory.rglob("*.aof")]
    resource.prlimit(at.world.redis.pid, resource.RLIMIT_FSIZE, (max(files) + 2000, resource.RLIM_INFINITY))
    await later(40)
    await at.stop()
    resource.prlimit(at.world.redis.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # Until it has written what it holds back it takes nothing.
    await later(1.5)
    await at.world.daemon.start()


async def neighbours_failed(at: Round) -> None:
    """The daemon is killed, three times, while the SMSC is late, mute or cuts the line, and others fail besides.

    The relay dies between a mail's last dot and its answer, Smartico answers 500.
    """
    world, friendly = at.world, at.world.smsc.behaviour
    for share in (0.2, 0.5, 0.7):
        await at.amid(share)
        kinds = {"answer_delay": 4.0}, {"submit_mute": True}, {"reset_every": 5}, {"receipt_before_answer": True}
        world.smsc.behaviour = replace(friendly, **at.chance.choice(kinds))
        world.relay.decide = lambda step, _: Act.DROP if step == "." and at.chance.random() < 0.5 else None
        world.smartico.answers = lambda _: BROKEN if at.chance.random() < 0.5 else OK
        await later(at.chance.uniform(0.2, 3))
        world.daemon.kill()
        world.smsc.behaviour = friendly
        world.relay.decide = lambda step, _: None
        world.smartico.answers = lambda _: OK
        await world.daemon.start()


async def clock_set(at: Round) -> None:
    """Redis is killed, and then all clocks are set back by an hour, and on again; two processes."""
    assert at.clock is not None
    await at.peer("gw2")
    for share, offset in ((0.2, -3600.0), (0.6, 0.0)):
        await at.amid(share)
        at.world.redis.kill()
        await at.world.redis.start()
        await later(at.chance.uniform(0, 6))
        at.clock.set(offset)


async def clock_set_on_amid_a_kill(at: Round) -> None:
    """One of two is killed, and all clocks are set on by an hour before the other one takes that for its death."""
    assert at.clock is not None
    peer = await at.peer("gw2")
    await at.amid(0.4)
    at.world.daemon.kill()
    await later(at.chance.uniform(0, 3))
    at.clock.set(3600.0)
    at.world.daemon = peer


async def all_slept(at: Round) -> None:
    """A virtual machine is paused with all that is on it, and goes on six hours later, all connections dead; twice."""
    assert at.clock is not None
    for share, offset in ((0.2, 6.0), (0.6, 12.0)):
        await at.amid(share)
        for one in (at.world.daemon, at.world.redis):
            one.signal(signal.SIGSTOP)
        await later(at.chance.uniform(0, 1))
        at.clock.set(offset * 3600)
        at.world.smsc.reset()
        at.world.relay.drop_all()
        for one in (at.world.redis, at.world.daemon):
            one.signal(signal.SIGCONT)


KINDS: dict[str, Callable[[Round], Awaitable[None]]] = {
    "the daemon (kill -9)": killed,
    "nobody (SIGSTOP, SIGCONT)": stopped,
    "Redis (kill -9)": redis_killed,
    "both (kill -9)": both_killed,
    "one of two (kill -9)": taken_over,
    "one of two sleeps (SIGSTOP)": outslept,
    "the older of one name (SIGSTOP)": succeeded,
    "nobody; Redis sleeps (SIGSTOP)": redis_stopped,
    "nobody; Redis is cut off": redis_cut_off,
    "nobody; Redis is full": redis_full,
    "nobody; Redis takes no writes": redis_read_only,
    "the daemon (SIGTERM)": terminated,
    "the daemon (SIGTERM, SIGSTOP)": terminated_asleep,
    "the daemon (SIGTERM), Redis away": terminated_without_redis,
    "the daemon (SIGTERM), Redis' disk full": terminated_on_a_full_disk,
    "the daemon (kill -9), neighbours fail": neighbours_failed,
    "Redis (kill -9); clocks are set back": clock_set,
    "one of two (kill -9); clocks are set on": clock_set_on_amid_a_kill,
    "nobody; all sleep for hours": all_slept,
}

CLOCKED = (clock_set, clock_set_on_amid_a_kill, all_slept)
"""Kinds that need libfaketime."""


async def play(kind: Callable[[Round], Awaitable[None]], messages: int, chance: random.Random) -> Counter[str]:
    """One round's figures."""
    behaviour = Behaviour(answer_delay=chance.uniform(0.005, 0.05), receipt_delay=chance.uniform(0.05, 0.5))
    sms = messages * 7 // 10
    found: Counter[str] = Counter(rounds=1)
    began = time.monotonic()
    world = World(reactor, players=messages, behaviour=behaviour)
    # As systemd does. And a disk of Redis that is full shall be no signal to it.
    os.environ["RUNTIME_DIRECTORY"] = str(world.directory)
    clock = FakeTime(world.directory / "clock") if kind in CLOCKED else None
    if clock is not None:
        world.redis.program = redis_program()
        # Started by Python itself: a library is preloaded for the whole process or not at all.
        world.daemon.prefix = ()
        clock.begin()
    program = world.redis.directory / "redis.sh"
    program.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec '{world.redis.program}' \"$@\"\n")
    program.chmod(0o755)
    world.redis.program = str(program)
    async with world:
        world.label["sms_deadline"] = "1h"
        world.settings["smscs"]["world"]["response_timeout"] = "3s"
        await world.start()
        texts, subjects = Load(world, "sms", sms), Load(world, "email", messages - sms, 4)
        held: set[str] = set()
        try:
            try:
                await kind(Round(world, chance, texts, clock))
            except (AssertionError, TooLate):
                # What became of the messages is counted all the same.
                found["cut short"] += 1
                traceback.print_exc()
            await texts.done
            await subjects.done
            held = await texts.all_settled(lambda: copies_now(world), 180)
            await subjects.all_final(180)
        except (AssertionError, TooLate):
            found["cut short"] += 1
            traceback.print_exc()
        told = [load.statuses(text) for load in (texts, subjects) for text in load.ids]
        found["accepted"] = len(told)
        found["delivered"] = sum(statuses == TOLD for statuses in told)
        found["held"] = len(held)
        found["lost"] = found["accepted"] - found["delivered"] - found["held"]
        found["wrong"] = sum(statuses not in (TOLD, []) for statuses in told)
        found["SMS twice"] = sum(many > 1 for many in copies(world).values())
        found["mail twice"] = sum(many > 1 for many in mails(world).values())
        logs = {one.log for one in (world.daemon, *world.others)}
        found["tracebacks"] = sum(log.count("Traceback") for log in logs)
        for log in logs:
            if "Traceback" in log:
                print(log[max(log.index("Traceback") - 200, 0) :][:3000])
    if clock is not None:
        clock.end()
    found["seconds"] = round(time.monotonic() - began)
    return found


async def rounds(options: argparse.Namespace) -> int:
    """All rounds, the kinds in turn. The exit status."""
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    print(f"seed {seed}, {options.rounds} rounds of {options.messages} messages", flush=True)
    can = [name for name, kind in KINDS.items() if kind not in CLOCKED or library() is not None]
    if len(can) < len(KINDS):
        print("without libfaketime (Debian: faketime) no clock can be set", flush=True)
    table: dict[str, Counter[str]] = {name: Counter() for name in can if options.only in name}
    for number in range(options.rounds):
        name = list(table)[number % len(table)]
        found = await play(KINDS[name], options.messages, chance)
        table[name] += found
        print(f"{number + 1:3d} {name}: {', '.join(f'{key} {found[key]}' for key in found if found[key])}", flush=True)
    total = sum(table.values(), Counter[str]())
    print("\n| what dies | " + " | ".join(FIGURES) + " |\n|---|" + "---|" * len(FIGURES))
    for name, row in (*table.items(), ("all", total)):
        print("| " + " | ".join([name, *(str(row[heading]) for heading in FIGURES)]) + " |")
    return int(any(total[heading] for heading in ("lost", "wrong", "SMS twice", "tracebacks", "cut short")))


def main(_: Any, *words: str) -> Deferred[None]:
    """For twisted.internet.task.react."""
    parser = argparse.ArgumentParser(description="crash rounds with real processes")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", default="", help="the kinds whose names hold this text")

    async def run() -> None:
        if status := await rounds(parser.parse_args(words)):
            raise SystemExit(status)

    return Deferred.fromCoroutine(run())


if __name__ == "__main__":
    react(main, sys.argv[1:])
