"""What a message costs, beside Kannel where it is installed: turn by turn, and the ratios of each round.

Run: PYTHONPATH=.:tests:tests/integration:tests/bench python tests/bench/speed.py [--rounds N] [--messages N]
     [--only PART ...] [--in-flight N] [--instructions] [--json FILE] [--table] [--profile FILE]

Parts: intake (stored, worked on by nobody), sms, http (SMS by a vendor's API and by SMPP, turn by turn), email, beside
(one SMS's life here and in Kannel). `sms` and `beside` run cold, as a campaign does: no player was looked up before.
`remembered` is sms with players who were. CPU is user and system time of the processes named, all threads; other load
on the machine inflates it, so look at ratios of one run, and at instructions.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import instructions
import kannel as kannels
from figures import Figures
from gateway import Gateway, gateway
from twisted.internet import task
from twisted.internet.defer import Deferred

PARTS = ("intake", "sms", "remembered", "http", "email", "beside")


class Bench:
    """The runs, and what they found."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self.found: dict[str, Any] = {}
        self.rows: list[tuple[str, str]] = []

    async def run(self) -> None:
        """All parts that are asked for."""
        for part in self._given.only or PARTS if self._given.rounds else ():
            await getattr(self, part)()
        if self._given.instructions:
            await self.count_instructions()

    async def _rounds(self, figures: Figures, one: Callable[[Figures], Awaitable[None]]) -> None:
        """A round to warm up, then those that count."""
        await one(Figures("warming up"))
        for _ in range(self._given.rounds):
            await one(figures)
        self._say(figures)

    def _say(self, figures: Figures) -> None:
        print(figures.line(), flush=True)
        total = figures.totals()
        self.found[figures.name] = {
            "us": total,
            "processes": figures.cpu,
            "rates": figures.rates,
            "calibrations": figures.calibrations,
        }
        self.rows.append((figures.name, f"{statistics.median(total):.0f} µs"))

    async def intake(self) -> None:
        """Messages taken and stored by a daemon that works on nothing else."""
        for kind in ("SMS", "email"):
            async with gateway(self._given.messages, self._given.rounds, cold=True, work=False) as one:
                await self._rounds(Figures(f"intake, {kind}"), partial(one.intake, kind))

    async def _lives(self, name: str, kind: str, *, cold: bool) -> None:
        given = self._given
        async with gateway(given.messages, given.rounds, cold=cold) as one:
            profiler = _profiler(given.profile, name, one) if given.profile else None
            await self._rounds(Figures(name), partial(one.round, kind, in_flight=given.in_flight))
            if profiler is not None:
                profiler.send_signal(2)
                profiler.wait()

    async def sms(self) -> None:
        """SMS posted, sent, delivered, and both statuses heard; nobody was looked up before."""
        await self._lives("SMS, a campaign", "SMS", cold=True)

    async def remembered(self) -> None:
        """The same to players whose look-up is remembered."""
        await self._lives("SMS, remembered players", "SMS", cold=False)

    async def http(self) -> None:
        """SMS by a vendor's HTTP API and its reports, and the same by SMPP, turn by turn."""
        given = self._given
        smpp, http = Figures("SMS by SMPP, remembered"), Figures("SMS by HTTP, remembered")
        async with (
            gateway(given.messages, given.rounds, cold=False) as one,
            gateway(given.messages, given.rounds, cold=False, by_http=True) as other,
        ):
            for number in range(given.rounds + 1):
                await one.round("SMS", smpp if number else Figures("warming up"), given.in_flight)
                await other.round("SMS", http if number else Figures("warming up"), given.in_flight)
        self._say(smpp)
        self._say(http)
        ratios = [there / here for here, there in zip(smpp.totals(), http.totals(), strict=True)]
        words = f"{statistics.median(ratios):.2f} (rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)})"
        print(f"HTTP / SMPP                     {words}", flush=True)
        self.rows.append(("HTTP / SMPP", words))

    async def email(self) -> None:
        """Emails with their success DSNs."""
        await self._lives("email, a campaign", "email", cold=True)

    async def beside(self) -> None:
        """gatewayd and Kannel turn by turn, on the same load."""
        given = self._given
        if not kannels.is_there():
            print("no Kannel on this machine: apt install kannel")
            return
        ours, theirs = Figures("SMS by gatewayd, beside"), Figures("SMS by Kannel, beside")
        async with gateway(given.messages, given.rounds, cold=True) as one, kannels.kannel() as boxes:
            for number in range(given.rounds + 1):
                await one.round("SMS", ours if number else Figures("warming up"), given.in_flight)
                await boxes.round(given.messages, theirs if number else Figures("warming up"), given.in_flight)
        self._say(ours)
        self._say(theirs)
        ratios = [here / there for here, there in zip(ours.totals(), theirs.totals(), strict=True)]
        self.found["ratios to Kannel"] = ratios
        words = f"{statistics.median(ratios):.2f} (rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)})"
        print(f"(gatewayd + Redis) / Kannel      {words}", flush=True)
        self.rows.append(("(gatewayd + Redis) / Kannel", words))

    async def count_instructions(self) -> None:
        """By callgrind."""
        if not instructions.is_there():
            print("no valgrind on this machine: apt install valgrind")
            return
        await instructions.count(self._given.only or PARTS, self._say_instructions)

    def _say_instructions(self, name: str, cost: instructions.Cost) -> None:
        name = f"instructions, {name}"
        words = f"{cost.all / 1e6:.2f} million ({cost.own / 1e6:.2f} without those at rest)"
        print(f"{name:<40} {words}", flush=True)
        self.found[name] = cost._asdict()
        self.rows.append((name, words))


def _profiler(path: str, name: str, one: Gateway) -> Any:
    program = str(Path(sys.executable).with_name("py-spy"))
    words = [program, "record", "-d", "3600", "-r", "200", "-f", "raw", "--nonblocking", "--gil"]
    words += ["-p", str(one.world.daemon.pid), "-o", f"{path}.{name.replace(' ', '-')}"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=2000, help="a round")
    parser.add_argument("--rounds", type=int, default=5, help="0: only what else is asked for")
    parser.add_argument("--in-flight", type=int, default=200, help="lives under way at a time; 0: all at once")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--instructions", action="store_true", help="count them, too: a minute or two a part")
    parser.add_argument("--profile", default="", metavar="FILE", help="py-spy's raw stacks of each life, to FILE.NAME")
    parser.add_argument("--json", default="", metavar="FILE", help="all figures of all rounds")
    parser.add_argument("--table", action="store_true", help="print the table of the manual")
    given = parser.parse_args()
    bench = Bench(given)
    task.react(lambda _: Deferred.fromCoroutine(_all(bench, given)))


async def _all(bench: Bench, given: argparse.Namespace) -> None:
    await bench.run()
    if given.json:
        Path(given.json).write_text(json.dumps(bench.found, indent=1))
    if given.table:
        print("\n| a message | CPU |\n|---|---|")
        for name, figure in bench.rows:
            print(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
