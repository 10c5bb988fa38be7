"""CPU of other processes, the machine's own pace, and the figures of several rounds."""

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has had, all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def calibrate() -> float:
    """Seconds of CPU for a fixed piece of work of the kind that the daemon does: compare it between runs."""
    began = time.process_time()
    value = {f"key {n}": ["value", n, n * 0.5] for n in range(20)}
    for _ in range(3000):
        words = repr(value).split(",")
        value = {f"key {n}": [words[n], n, n * 0.5] for n in range(20)}
        value = {key: ["value", *rest[1:]] for key, rest in value.items()}
    return time.process_time() - began


@dataclass
class Figures:
    """What the rounds of one piece of work cost a message, in µs of CPU by process, and how many went a second."""

    name: str
    cpu: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    calibrations: list[float] = field(default_factory=list)

    def totals(self) -> list[float]:
        """µs a message of all processes together, a figure a round."""
        return [sum(parts) for parts in zip(*self.cpu.values(), strict=True)]

    def ratios_to(self, other: "Figures") -> tuple[list[float], list[float]]:
        """What a message costs to what it costs there, for each pair of rounds; and how much slower the machine was."""
        ratios = [ours / theirs for ours, theirs in zip(self.totals(), other.totals(), strict=True)]
        pace = [ours / theirs for ours, theirs in zip(self.calibrations, other.calibrations, strict=True)]
        return ratios, pace

    def line(self) -> str:
        """For people."""
        parts = ", ".join(f"{name} {statistics.median(values):.0f}" for name, values in self.cpu.items())
        total = self.totals()
        return (
            f"{self.name:<32} {statistics.median(total):6.0f} µs (best {min(total):.0f}; {parts}), "
            f"{statistics.median(self.rates):6.0f}/s, calibration {statistics.median(self.calibrations) * 1e3:.0f} ms"
        )


class Meter:
    """One round: begun before the work, ended after it."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._calibration = calibrate()
        self._before = {name: cpu(pid) for name, pid in pids.items()}
        self._began = time.monotonic()

    def end(self, figures: Figures, count: int) -> None:
        """Add what `count` messages cost."""
        seconds = time.monotonic() - self._began
        for name, pid in self._pids.items():
            spent = cpu(pid) - self._before[name]
            figures.cpu.setdefault(name, []).append(spent / count * 1e6)
        figures.rates.append(count / seconds)
        figures.calibrations.append((self._calibration + calibrate()) / 2)
