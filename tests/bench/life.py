"""Prints CPU µs a message of the daemon and of Redis: intake alone, a whole SMS, a whole email with both callbacks.

Run: PYTHONPATH=.:tests:tests/integration python tests/bench/life.py [--messages N] [--rounds N] [--profile FILE]

The daemon and Redis are processes of their own; callers and simulators run in this one and are not counted. CPU is
utime + stime of /proc/PID/stat, all threads. Other load on the machine inflates it, by half and more where cores are
shared, so before and after each round a fixed piece of Python is measured, and the median of all rounds is given in
thousandths of that, too: compare those between runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from daemon import SECRET, World
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from gatewayd.sandbox.smsc import Behaviour
from redis_server import until

CALLERS = 32
HTML = "<html><body>" + "<p>Get the offer of the week, and some more words of it.</p>" * 30 + "</body></html>"
TICK = os.sysconf("SC_CLK_TCK")


class Flow:
    """What is posted: no more at a time than `most` whose life has not ended; 0 is all at once."""

    def __init__(self, posts: list[bytes], most: int) -> None:
        self.posts = posts
        self.most = most or len(posts)
        self.under_way = 0
        self.resting: list[Caller] = []

    def ended(self) -> None:
        """A message's life is over."""
        self.under_way -= 1
        if self.resting:
            self.resting.pop().go_on()


class Caller(Protocol):
    """One of Smartico's connections: posts what is waiting, one after the other, and counts what is taken."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.taken = 0
        self.refused = 0
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin."""
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)  # type: ignore[attr-defined]
        self.go_on()

    def go_on(self) -> None:
        """Post the next one, now or when there is room; hang up when there is none."""
        assert self.transport is not None
        flow = self.flow
        if not flow.posts:
            self.transport.loseConnection()
        elif flow.under_way >= flow.most:
            flow.resting.append(self)
        else:
            flow.under_way += 1
            self.transport.write(flow.posts.pop())

    def dataReceived(self, data: bytes) -> None:
        """An answer: the daemon writes each in one piece."""
        if b'"error_code":0' in data:
            self.taken += 1
        else:
            self.refused += 1
        self.go_on()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """All is posted."""
        self.done.callback(None)


def post(world: World, channel: str, **fields: str) -> bytes:
    """One request, ready to be written."""
    body = msgspec.json.encode(fields)
    head = (
        f"POST /amazing/{channel} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def texts(world: World, serial: str, count: int) -> list[bytes]:
    """SMS to players of their own."""
    return [
        post(world, "sms", ext_user_id=f"p{n}", body=f"Get the offer {n}", im_uid=f"{serial}-{n}")
        for n in range(1, count + 1)
    ]


def mails(world: World, serial: str, count: int) -> list[bytes]:
    """Emails of 2 KB to players of their own."""
    return [
        post(
            world,
            "email",
            ext_user_id=f"p{n}",
            from_email_address="Amazing <noreply@amazing.co>",
            reply_to_email_address="Amazing <noreply@amazing.co>",
            subject=f"The best offer your can find on the market, number {n}",
            body=HTML,
            text_body="Get the offer",
            email_uid=f"{serial}-{n}",
            callback_url=world.callback,
        )
        for n in range(1, count + 1)
    ]


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def calibrate() -> float:
    """Seconds of CPU for a fixed piece of work of the kind that the daemon does."""
    began = time.process_time()
    value = {f"key {n}": ["value", n, n * 0.5] for n in range(20)}
    for _ in range(3000):
        words = repr(value).split(",")
        value = {f"key {n}": [words[n], n, n * 0.5] for n in range(20)}
        value = {key: ["value", *rest[1:]] for key, rest in value.items()}
    return time.process_time() - began


class Figures:
    """What the rounds of one piece of work cost a message, in µs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.daemon: list[float] = []
        self.redis: list[float] = []
        self.rates: list[float] = []
        self.ratios: list[float] = []
        self.calibrations: list[float] = []

    def lines(self) -> str:
        """For people."""
        daemon, redis, quick = min(self.daemon), min(self.redis), min(self.calibrations) * 1e3
        return (
            f"{self.name:<22} daemon {daemon:5.0f} µs (median {statistics.median(self.daemon):5.0f}, "
            f"{statistics.median(self.ratios):5.2f} x calibration, which takes {quick:.0f} ms at best), "
            f"redis {redis:4.0f} µs (median {statistics.median(self.redis):4.0f}), {max(self.rates):5.0f}/s"
        )


async def measure(
    figures: Figures, world: World, flow: Flow, finished: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """One round."""
    count, port = len(flow.posts), world.api
    calibration = calibrate() / 2
    pids = world.daemon.pid, world.redis.pid
    began, before = time.monotonic(), [cpu(pid) for pid in pids]
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    callers = [await connectProtocol(endpoint, Caller(flow)) for _ in range(CALLERS)]
    for caller in callers:
        await caller.done
    taken = sum(caller.taken for caller in callers)
    assert taken == count, f"{count - taken} of {count} were not taken"
    await finished()
    seconds = time.monotonic() - began
    daemon, redis = (cpu(pid) - was for pid, was in zip(pids, before, strict=True))
    calibration += calibrate() / 2
    figures.calibrations.append(calibration)
    figures.daemon.append(daemon / count * 1e6)
    figures.redis.append(redis / count * 1e6)
    figures.rates.append(count / seconds)
    figures.ratios.append(daemon / count / calibration * 1e3)


async def intake(count: int, rounds: int) -> None:
    """Messages taken and stored by a daemon that works on nothing else."""
    async with World(reactor, players=count) as world:
        world.settings["gatewayd"]["work"] = []
        await world.start()
        for kind, make in (("intake, SMS", texts), ("intake, email of 2 KB", mails)):
            figures = Figures(kind)
            for number in range(rounds):
                await measure(figures, world, Flow(make(world, f"{kind} {number}", count), 0), _at_once)
            print(figures.lines())


async def _at_once() -> None:
    pass


async def lives(kind: str, count: int, rounds: int, in_flight: int, profile: str) -> None:
    """Messages posted, sent, delivered, and both statuses heard."""
    async with World(reactor, players=count, behaviour=Behaviour(receipt_delay=0.05)) as world:
        world.settings["smscs"]["world"] |= {"rate": "", "window": 100}
        await world.start()
        figures = Figures(f"whole life, {kind}")
        profiler = None
        for number in range(rounds + 1):
            if profile and number == 1:
                program = str(Path(sys.executable).with_name("py-spy"))
                words = [program, "record", "-d", "3600", "-r", "200", "-f", "raw", "--nonblocking", "--gil"]
                words += ["-p", str(world.daemon.pid), "-o", f"{profile}.{kind}"]
                profiler = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            world.smartico.heard.clear()
            flow = Flow((texts if kind == "SMS" else mails)(world, f"{kind} {number}", count), in_flight)
            world.smartico.on_heard = lambda heard, flow=flow: flow.ended() if heard.status == "delivered" else None

            async def told() -> None:
                await until(lambda: len(world.smartico.heard) >= 2 * count, 120)

            await measure(figures if number else Figures("warming up"), world, flow, told)
            assert len(world.smartico.heard) == 2 * count
        if profiler is not None:
            profiler.send_signal(2)
            profiler.wait()
        print(figures.lines())


async def bench(messages: int, rounds: int, in_flight: int, profile: str, only: str) -> None:
    """All of it."""
    print(
        f"{messages} messages a round, {CALLERS} callers, {in_flight or 'all'} lives under way at a time; "
        f"the best of {rounds} rounds, and their median"
    )
    if only in ("", "intake"):
        await intake(messages, rounds)
    for kind in ("SMS", "email"):
        if only in ("", kind):
            await lives(kind, messages, rounds, in_flight, profile)


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, default=200, help="lives under way at a time; 0: all posted at once")
    parser.add_argument("--only", choices=["intake", "SMS", "email"], default="")
    parser.add_argument("--profile", default="", metavar="FILE", help="py-spy's raw stacks of each life, to FILE.KIND")
    given = parser.parse_args()
    task.react(
        lambda _: Deferred.fromCoroutine(
            bench(given.messages, given.rounds, given.in_flight, given.profile, given.only)
        )
    )


if __name__ == "__main__":
    main()
