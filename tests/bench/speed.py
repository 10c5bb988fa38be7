"""What a message costs, beside Kannel where it is installed: turn by turn, and the ratios of each round.

Run: PYTHONPATH=.:tests:tests/integration:tests/bench python tests/bench/speed.py [--rounds N] [--messages N]
     [--only PART ...] [--in-flight N] [--no-instructions] [--json FILE] [--table] [--profile FILE]

Parts: intake (stored, worked on by nobody), sms, http (SMS by a vendor's API and by SMPP), email (and SMS), beside (one
SMS's life here and in Kannel); the last three turn by turn. All run cold, as a campaign does: no player was looked up
before. `http` and `email` then run with players who were, as `remembered` does for SMS. CPU is user and system time of
the processes named, all threads; other load on the machine inflates it, so look at ratios of one run, and at
instructions, which are counted where valgrind is installed. A ratio "by calibration" takes out what the machine itself
was slower in the one round than in the other.
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

Round = Callable[[Figures], Awaitable[None]]

PLAYERS = ("a campaign", "remembered")

PARTS = ("intake", "sms", "remembered", "http", "email", "beside")


class Bench:
    """The runs, and what they found."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self.found: dict[str, Any] = {}
        self.costs: list[Figures] = []
        self.ratios: list[tuple[str, str]] = []

    async def run(self) -> None:
        """All parts that are asked for."""
        for part in self._given.only or PARTS if self._given.rounds else ():
            await getattr(self, part)()
        if self._given.instructions:
            await self.count_instructions()

    async def _rounds(self, figures: Figures, one: Round) -> None:
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
        self.costs.append(figures)

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
        await self._lives("SMS, remembered", "SMS", cold=False)

    async def http(self) -> None:
        """SMS by a vendor's HTTP API and its reports, and the same by SMPP."""
        given = self._given
        async with (
            gateway(given.messages, given.rounds, cold=True) as one,
            gateway(given.messages, given.rounds, cold=True, by_http=True) as other,
        ):
            for players in PLAYERS:
                one.cold = other.cold = players is PLAYERS[0]
                await self._by_turns(
                    f"HTTP / SMPP, {players}",
                    (Figures(f"SMS by SMPP, {players}"), partial(one.round, "SMS", in_flight=given.in_flight)),
                    (Figures(f"SMS by HTTP, {players}"), partial(other.round, "SMS", in_flight=given.in_flight)),
                )

    async def email(self) -> None:
        """Emails with their success DSNs, and SMS by the same daemon."""
        given = self._given
        async with gateway(given.messages, 2 * given.rounds + 1, cold=True) as one:
            profiler = _profiler(given.profile, "email and SMS", one) if given.profile else None
            for players in PLAYERS:
                one.cold = players is PLAYERS[0]
                await self._by_turns(
                    f"email / SMS, {players}",
                    (Figures(f"SMS beside email, {players}"), partial(one.round, "SMS", in_flight=given.in_flight)),
                    (Figures(f"email, {players}"), partial(one.round, "email", in_flight=given.in_flight)),
                )
            if profiler is not None:
                profiler.send_signal(2)
                profiler.wait()

    async def beside(self) -> None:
        """gatewayd and Kannel on the same load."""
        given = self._given
        if not kannels.is_there():
            print("no Kannel on this machine: apt install kannel")
            return
        async with gateway(given.messages, given.rounds, cold=True) as one, kannels.kannel() as boxes:
            await self._by_turns(
                "(gatewayd + Redis) / Kannel",
                (Figures("SMS by Kannel, beside"), partial(boxes.round, given.messages, in_flight=given.in_flight)),
                (Figures("SMS by gatewayd, beside"), partial(one.round, "SMS", in_flight=given.in_flight)),
            )

    async def _by_turns(self, name: str, below: tuple[Figures, Round], above: tuple[Figures, Round]) -> None:
        """Rounds of both, turn by turn, and the ratio `name` of each pair of rounds."""
        for number in range(self._given.rounds + 1):
            for figures, one_round in (below, above):
                await one_round(figures if number else Figures("warming up"))
        self._say(below[0])
        self._say(above[0])
        ratios, pace = above[0].ratios_to(below[0])
        self.found[f"ratios, {name}"] = ratios
        calibrated = [ratio / slower for ratio, slower in zip(ratios, pace, strict=True)]
        words = (
            f"{statistics.median(ratios):.2f} (rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)}; "
            f"by calibration {statistics.median(calibrated):.2f})"
        )
        print(f"{name:<32} {words}", flush=True)
        self.ratios.append((name, words))

    async def count_instructions(self) -> None:
        """By callgrind."""
        if not instructions.is_there():
            print("no valgrind on this machine: apt install valgrind")
            return
        if not self._given.rounds and not kannels.is_there():
            print("no Kannel on this machine: apt install kannel")
        await instructions.count(self._given.only or PARTS, self._say_instructions)

    def _say_instructions(self, name: str, cost: instructions.Cost) -> None:
        name = f"instructions, {name}"
        words = f"{cost.all / 1e6:.2f} million ({cost.own / 1e6:.2f} without those at rest)"
        print(f"{name:<40} {words}", flush=True)
        self.found[name] = cost._asdict()
        self.ratios.append((name, words))


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
    parser.add_argument(
        "--instructions", action=argparse.BooleanOptionalAction, default=True, help="count them: a minute or two a part"
    )
    parser.add_argument("--profile", default="", metavar="FILE", help="py-spy's raw stacks of each life, to FILE.NAME")
    parser.add_argument("--json", default="", metavar="FILE", help="all figures of all rounds")
    parser.add_argument("--table", action="store_true", help="print the table of README and manual")
    given = parser.parse_args()
    bench = Bench(given)
    task.react(lambda _: Deferred.fromCoroutine(_all(bench, given)))


async def _all(bench: Bench, given: argparse.Namespace) -> None:
    await bench.run()
    if given.json:
        Path(given.json).write_text(json.dumps(bench.found, indent=1))
    if given.table:
        print("\n" + "\n".join(_table(bench)))


def _table(bench: Bench) -> list[str]:
    """What README and manual 8.1 have, by the medians; and with which pace of the machine to compare it."""
    lines = [
        "| work | CPU of gatewayd a message | CPU of Redis a message | in one process, as measured |",
        "|---|---|---|---|",
    ]
    for figures in bench.costs:
        if "redis" in figures.cpu:
            ours, redis = (statistics.median(figures.cpu[name]) / 1000 for name in ("gatewayd", "redis"))
            rate = statistics.median(figures.rates)
            lines.append(f"| {figures.name} | {ours:.2f} ms | {redis:.2f} ms | {rate:,.0f}/s |")
    lines += ["", "| beside | |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in bench.ratios)]
    paces = [pace * 1000 for figures in bench.costs for pace in figures.calibrations]
    if paces:
        lines.append(
            f"| the machine's calibration | {statistics.median(paces):.0f} ms ({min(paces):.0f} to {max(paces):.0f}) |"
        )
    return lines


if __name__ == "__main__":
    main()
