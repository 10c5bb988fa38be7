"""Prints what Redis pays for a message: memory while it waits and while it is kept, commands and CPU of its life.

Run: PYTHONPATH=.:tests:tests/integration python tests/bench/store_cost.py [--messages N] [--written]
     [--instructions] [--at-once N]

A private Redis without persistence; the store's own scripts, as many at once as a busy daemon has. Manual 8.1 is made
from the lines that begin with a bar. An email has 1,900 bytes of HTML, an SMS has 70 characters; each message has a
player, a number, a uid and remote ids of its own, and its life's two callbacks were heard by the process that sent it.

With --written: what a message's life adds to the append-only file, and what is left of that by a rewrite.

With --instructions: what each step of an SMS costs a Redis that writes its file, counted by valgrind, so that no other
load on the machine shows; of what is asked, not of what Redis does by itself, which goes by real time. Fewer at once
cost more each, for a call has a price of its own.
"""

import argparse
import os
import random
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Email, Evidence, Handed, Message, Receipt, ReportJob, Sms
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys
from gatewayd.sandbox.redis_process import find_server
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, until

WORDS = [
    "offer",
    "week",
    "bonus",
    "free",
    "spins",
    "game",
    "table",
    "player",
    "league",
    "prize",
    "today",
    "until",
    "midnight",
    "claim",
    "yours",
    "terms",
    "apply",
]
AT_ONCE = 20
GROUPS = 20
"""Of messages that go their way together under callgrind, where all is fifty times slower."""
ATTEMPT = "123456"
WEEK = 7 * 86400.0


class Bench:
    """A store on an empty Redis, and its messages."""

    def __init__(self, server: RedisServer) -> None:
        self.keys = Keys(b"k" * 32)
        prefix = RedisStore.key_prefix("gatewayd:")
        arguments = RedisStore.script_arguments("gw1", 10_000_000, WEEK, "3f9c0d2e1a7b")
        self.link = RedisLink(reactor, server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=prefix)
        self.store = RedisStore(self.link, reactor, "gw1")
        self.server = server
        self._to_tell: list[ReportJob] = []
        self.store.feed_reports(lambda: True, self._to_tell.append)

    def message(self, number: int, channel: Channel, *, same_body: bool = False, uid: str = "") -> Message:
        """The content that the table is about."""
        now = time.time()
        text = "" if same_body else f"{number:08d}"
        words = random.Random(0 if same_body else number)
        body = (text + "".join(f"<p>{' '.join(words.choices(WORDS, k=9))}.</p>" for _ in range(40)))[:1900]
        uid = uid or f"5f2c7a90-1e7b-4a6e-9d3f-{number:012d}"
        content = (
            Email("news@amazing.co", "The offer of the week", body=body)
            if channel is Channel.EMAIL
            else Sms("Amazing", text.ljust(70, "x"))
        )
        deadline = now + (86400 if channel is Channel.EMAIL else 14400)
        message_id = self.keys.message_ids("amazing", channel, uid)[0]
        url = "https://api.smartico.ai/4711/callback"
        return Message(message_id, uid, "amazing", f"{10_000_000 + number}", content, now, deadline, url)

    async def accept(self, message: Message, *, lease: bool) -> None:
        """As intake does."""
        stops = self.keys.user_hashes("amazing", message.ext_user_id) + self.keys.number_hashes(self.number(message))
        outcome, _ = await self.store.accept(
            message,
            "f" * 22,
            player_hash=stops[0],
            stop_hashes=stops,
            lease=lease,
            until=time.time() + 60,
            attempt=ATTEMPT,
        )
        assert outcome in (Acceptance.STORED, Acceptance.LEASED)
        self.store.heard(ATTEMPT)

    def number(self, message: Message) -> str:
        """A number for each player."""
        return "+4477" + message.ext_user_id

    def steps(self) -> dict[str, Callable[[Message], Coroutine[Any, Any, None]]]:
        """An SMS from its acceptance to the second callback's answer."""
        return {
            "accept": lambda message: self.accept(message, lease=True),
            "mark": self._mark,
            "sent": self._sent,
            "accepted heard": lambda _: self.heard(),
            "receipt": self._receipt,
            "delivered heard": lambda _: self.heard(),
        }

    async def _mark(self, message: Message) -> None:
        number = self._number_hash(message)
        assert await self.store.mark(message, "world", number, lease=ATTEMPT, stop_hashes=(number,))

    async def _sent(self, message: Message) -> None:
        remote = message.id[:8]
        await self.store.settle_sent(message.id, Channel.SMS, Handed("world", (remote,), remote))

    async def _receipt(self, message: Message) -> None:
        text, number = "stat:DELIVRD err:000", self._number_hash(message)
        await self.store.record_receipt(Receipt("world", (message.id[:8],), Event.DELIVERED, text, number), park=True)

    def _number_hash(self, message: Message) -> str:
        return self.keys.number_hashes(self.number(message))[0]

    async def sms(self, message: Message) -> None:
        """All of it."""
        for step in self.steps().values():
            await step(message)

    async def email(self, message: Message) -> None:
        """An email from its acceptance to the second callback's answer."""
        await self.accept(message, lease=True)
        address = self.keys.address_hashes(message.ext_user_id + "@player.test")[0]
        await self.store.mark(message, "main", address, lease=ATTEMPT, stop_hashes=(address,))
        await self.store.settle_sent(message.id, Channel.EMAIL, Handed("main", (), "250 2.0.0 Ok: queued as 4XyZ1234"))
        await self.heard()
        await self.store.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn", "2.0.0 delivered"))
        await self.heard()

    async def heard(self) -> None:
        """What is to be told by now was heard."""
        jobs, self._to_tell[:] = self._to_tell[:], []
        await gatherResults([Deferred.fromCoroutine(self._heard(job)) for job in jobs])

    async def _heard(self, job: ReportJob | None) -> None:
        while job is not None:
            job = await self.store.report_heard(job)

    async def figures(self) -> tuple[int, int, float]:
        """Bytes, commands run and CPU seconds of Redis so far."""
        memory = _value(await self.link.command("INFO", "memory"), "used_memory")
        stats = await self.link.command("INFO", "commandstats")
        calls = sum(
            int(line.partition("calls=")[2].partition(",")[0])
            for line in stats.decode().split()
            if "calls=" in line and "evalsha" not in line
        )
        with Path(f"/proc/{self.server.pid}/stat").open() as file:
            times = file.read().rpartition(")")[2].split()[11:13]
        return int(memory), calls, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    async def measured(self, what: str, number: int, one: Callable[[int], Awaitable[None]]) -> None:
        """Do `one` for each of `number` messages on an empty Redis, and print what one cost."""
        await self.link.command("FLUSHALL")
        await one(-1)
        bytes_before, calls_before, cpu_before = await self.figures()
        for start in range(0, number, AT_ONCE):
            some = [Deferred.fromCoroutine(one(each)) for each in range(start, min(start + AT_ONCE, number))]
            await gatherResults(some)
        memory, calls, cpu = await self.figures()
        each = (memory - bytes_before) / number, (calls - calls_before) / number, (cpu - cpu_before) / number * 1e6
        print(f"| {what} | {each[0]:,.0f} B | {each[1]:.1f} | {each[2]:.0f} µs |", flush=True)


def _value(info: bytes, name: str) -> str:
    return next(line.partition(":")[2] for line in info.decode().splitlines() if line.startswith(name + ":"))


class Counted:
    """A Redis under callgrind."""

    def __init__(self, directory: Path) -> None:
        self._files = directory
        program = directory / "redis"
        real = find_server(os.environ) or "redis-server"
        out = f"--callgrind-out-file={directory}/counts.%p"
        # From a command's arrival to its reply and its words for the file.
        part = "--toggle-collect=readQueryFromClient"
        program.write_text(f'#!/bin/sh\nexec valgrind --tool=callgrind {out} {part} --quiet {real} "$@"\n')
        program.chmod(0o755)
        self.server = RedisServer(str(program))

    def instructions(self) -> int:
        """Since they were asked for last."""
        subprocess.run(["callgrind_control", "-d", str(self.server.pid)], check=True, capture_output=True)
        total = 0
        for path in self._files.glob("counts.*"):
            found = re.search(r"(?m)^(?:summary|totals): (\d+)", path.read_text())
            total += int(found[1]) if found else 0
            path.unlink()
        return total


async def count(at_once: int) -> None:
    """Each step of all messages, and what it took."""
    with TemporaryDirectory(prefix="counts-") as name:
        counted = Counted(Path(name))
        await counted.server.start("--appendfsync", "everysec", patience=100.0)
        bench = Bench(counted.server)
        bench.link.startService()
        figures = dict.fromkeys(bench.steps(), 0.0)
        await bench.link.command("PING")
        for group in range(-1, GROUPS):
            messages = [bench.message(group * at_once + number, Channel.SMS) for number in range(at_once)]
            for name, step in bench.steps().items():
                counted.instructions()
                await gatherResults([Deferred.fromCoroutine(step(message)) for message in messages])
                # The first group finds nothing: scripts are loaded, lists begin.
                figures[name] += counted.instructions() if group >= 0 else 0
        for name, total in [*figures.items(), ("all", sum(figures.values()))]:
            print(f"{name:16}{total / (GROUPS * at_once):10,.0f}")
        await bench.link.stopService()
        counted.server.remove()


async def written(number: int) -> None:
    """Bytes of the file, which also go to each replica."""
    server = RedisServer()
    await server.start("--appendfsync", "no", "--auto-aof-rewrite-percentage", "0")
    bench = Bench(server)
    bench.link.startService()

    async def told(name: str) -> int:
        return int(_value(await bench.link.command("INFO", "persistence"), name))

    async def is_rewritten() -> bool:
        return await told("aof_rewrite_in_progress") + await told("aof_rewrite_scheduled") == 0

    try:
        for channel, one in ((Channel.SMS, bench.sms), (Channel.EMAIL, bench.email)):
            await bench.link.command("FLUSHALL")
            await one(bench.message(-1, channel))
            before = await told("aof_current_size")
            for start in range(0, number, AT_ONCE):
                some = [bench.message(each, channel) for each in range(start, min(start + AT_ONCE, number))]
                await gatherResults([Deferred.fromCoroutine(one(message)) for message in some])
            added = await told("aof_current_size") - before
            await bench.link.command("BGREWRITEAOF")
            await until(is_rewritten, 60)
            left = await told("aof_current_size")
            print(f"{channel}: {added / number:,.0f} B, and {left / number:,.0f} B after a rewrite", flush=True)
    finally:
        await bench.link.stopService()
        server.remove()


async def run(options: argparse.Namespace) -> None:
    """All lines of the table."""
    if options.instructions:
        await count(options.at_once)
        return
    if options.written:
        await written(options.messages)
        return
    server = RedisServer()
    await server.start("--appendonly", "no")
    bench = Bench(server)
    bench.link.startService()
    number, message = options.messages, bench.message
    print("| one message | memory of Redis | commands | CPU of Redis |\n|---|---|---|---|")
    cases: dict[str, Callable[[int], Any]] = {
        "SMS, waits": lambda n: bench.accept(message(n, Channel.SMS), lease=False),
        "SMS, kept": lambda n: bench.sms(message(n, Channel.SMS)),
        "email of 1,900 bytes, waits": lambda n: bench.accept(message(n, Channel.EMAIL), lease=False),
        "email, kept": lambda n: bench.email(message(n, Channel.EMAIL)),
        "email of a campaign with one body, waits": lambda n: bench.accept(
            message(n, Channel.EMAIL, same_body=True), lease=False
        ),
        "SMS with a uid of 100 characters, kept": lambda n: bench.sms(
            message(n, Channel.SMS, uid=f"{n:08d}".rjust(100, "u"))
        ),
    }
    try:
        for what, one in cases.items():
            await bench.measured(what, number, one)
    finally:
        await bench.link.stopService()
        server.remove()


def main() -> None:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000, help="of each kind (20000)")
    parser.add_argument("--written", action="store_true", help="what a message adds to the append-only file")
    parser.add_argument("--instructions", action="store_true", help="count what each step of an SMS costs")
    parser.add_argument("--at-once", type=int, default=10, help="messages that share a call there (10)")
    options = parser.parse_args()
    task.react(lambda _: Deferred.fromCoroutine(run(options)))


if __name__ == "__main__":
    main()
