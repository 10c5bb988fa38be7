"""How many hosts, cores, Redis masters and bytes a load needs, from what speed.py and store_cost.py measured.

Run: python tests/bench/sizing.py [--per-day 100000000] [--figures speed.json] [--email-share 0.3] [--peak 3] ...

Plain arithmetic on a few figures, each of which can be given: it prints what it assumed, and the table of manual 8.7.
The defaults are manual 8.1's. A day's load does not come evenly: `--peak` is how many times the mean the busiest hour
carries. `--replicas-gatewayd` and `--replicas-redis` are how many times the CPU of gatewayd and of a master grow where
replicas are waited for (manual 8.6); `--room` is how many times its data a Redis needs of memory, for what changes
while its file is rewritten.
"""

import argparse
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOAD = 0.6
"""The part of a core that is planned for: queues grow without end where it comes near 1."""

SECONDS = 86_400
GIB = 2**30
DISK = 2.0
"""Times its memory, for the append-only file and its rewrite (manual 8.1)."""

PROCESSES_A_MASTER = 2
"""A process has one Redis: each master needs some of its own, on two hosts at least."""

CPU = ("sms_us", "email_us", "redis_sms_us", "redis_email_us")
ASSUMED: dict[str, float] = {
    "per_day": 100_000_000,
    "email_share": 0.3,
    "peak": 3,
    "sms_us": 740,
    "email_us": 1205,
    "redis_sms_us": 120,
    "redis_email_us": 165,
    "replicas": 2,
    "replicas_gatewayd": 1.2,
    "replicas_redis": 1.6,
    "retention_days": 7,
    "outage_hours": 4,
    "sms_kept": 649,
    "email_kept": 548,
    "sms_queued": 638,
    "email_queued": 1515,
    "sms_written": 2105,
    "email_written": 3970,
    "gib_a_master": 64,
    "room": 1.5,
    "cores": 16,
    "gib_a_host": 256,
}
"""`_us`: µs of CPU a message; `_kept`, `_queued`: bytes of Redis a message; `_written`: of its append-only file."""


def needs(**given: float) -> list[tuple[str, float]]:
    """Processes, masters, hosts, memory and disk, for what ASSUMED names; in the order in which they are worked out."""
    one = argparse.Namespace(**ASSUMED | given)
    mails = one.email_share

    def each(sms: float, email: float) -> float:
        return (1 - mails) * sms + mails * email

    rate = one.per_day / SECONDS * one.peak
    copies = 1 + one.replicas
    slower, busier = (one.replicas_gatewayd, one.replicas_redis) if one.replicas else (1.0, 1.0)
    daemon = rate * each(one.sms_us, one.email_us) * slower / 1e6
    redis = rate * each(one.redis_sms_us, one.redis_email_us) * busier / 1e6
    kept = one.per_day * one.retention_days * each(one.sms_kept, one.email_kept) / GIB
    queued = rate * one.outage_hours * 3600 * each(one.sms_queued, one.email_queued) / GIB
    by_cpu, by_memory = redis / LOAD, (kept + queued) / one.gib_a_master
    # A master is one thread: beyond that, or its memory, there must be another one.
    masters = max(1, math.ceil(by_cpu), math.ceil(by_memory))
    processes = max(math.ceil(daemon / LOAD), PROCESSES_A_MASTER * masters)
    memory = (kept + queued) * copies * one.room
    # All Redis of a master are as busy as that at most; a process of gatewayd takes 150 MB (manual 8.1).
    cores = daemon / LOAD + redis * copies / LOAD
    hosts_by_cores, hosts_by_memory = math.ceil(cores / one.cores), math.ceil(memory / one.gib_a_host)
    return [
        ("messages a second in the busiest hour", rate),
        ("cores of gatewayd", daemon),
        ("cores of Redis, all masters", redis),
        ("GiB kept for retention, all masters", kept),
        ("GiB queued by an outage, all masters", queued),
        ("Redis masters by their CPU", math.ceil(by_cpu)),
        ("Redis masters by their memory", math.ceil(by_memory)),
        ("Redis masters, labels spread over them", masters),
        ("Redis servers, replicas among them", masters * copies),
        ("processes of gatewayd", processes),
        ("GiB of memory, all Redis servers, with room", memory),
        ("GiB of disk, all Redis servers", (kept + queued) * copies * DISK),
        ("MiB a second of append-only file, all masters", rate * each(one.sms_written, one.email_written) / 2**20),
        ("hosts by their cores", hosts_by_cores),
        ("hosts by their memory", hosts_by_memory),
        ("hosts", max(hosts_by_cores, hosts_by_memory, copies)),
        ("million messages a day that a label may have", one.per_day / max(by_cpu, by_memory) / 1e6),
        ("the same where memory sets no end", one.per_day / by_cpu / 1e6),
    ]


def measured(figures: Mapping[str, Any]) -> dict[str, float]:
    """What speed.py's JSON says of the CPU a message."""
    found: dict[str, float] = {}
    for kind, name in (("sms", "SMS, a campaign"), ("email", "email, a campaign")):
        if name in figures:
            processes = figures[name]["processes"]
            found[f"{kind}_us"] = statistics.median(processes["gatewayd"])
            found[f"redis_{kind}_us"] = statistics.median(processes["redis"])
    return found


def assumptions(given: Mapping[str, float]) -> str:
    """What was assumed, as options."""
    return " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in given.items())


def table(**given: float) -> list[str]:
    """The lines of the manual's table."""
    rows = [
        f"| {name} | {value:,.0f} |" if value >= 20 else f"| {name} | {value:.3g} |" for name, value in needs(**given)
    ]
    return ["| what | how much |", "|---|---|", *rows]


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", default="", metavar="FILE", help="speed.py --json: its CPU counts over the others")
    for name, default in ASSUMED.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=float, default=default, metavar="N", help=f"{default:g}"
        )
    given = vars(parser.parse_args())
    path = given.pop("figures")
    given |= measured(json.loads(Path(path).read_text())) if path else {}
    print(f"assumed: {assumptions(given)}\n")
    print("\n".join(table(**given)))


if __name__ == "__main__":
    main()
