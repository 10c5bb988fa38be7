"""How many hosts, cores, Redis masters and bytes a load needs, from what speed.py and memory.py measured.

Run: python tests/bench/sizing.py [--per-day 100000000] [--figures speed.json] [--email-share 0.3] [--peak 3]

Plain arithmetic on a few figures, all of which can be given: it prints what it assumed. A day's load does not come
evenly: `--peak` is how many times the mean the busiest hour carries.
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


def needs(
    *,
    per_day: float,
    email_share: float,
    peak: float,
    sms_us: float,
    email_us: float,
    redis_us: float,
    cores: int,
    retention_days: float,
    outage_hours: float,
    sms_kept: float,
    email_kept: float,
    email_queued: float,
    sms_queued: float,
    aof_bytes: float,
    gib_a_master: float,
) -> Mapping[str, float]:
    """Processes, hosts, Redis masters, memory and disk. `_us`: µs of CPU a message; `_kept`, `_queued`: bytes."""
    rate = per_day / SECONDS * peak
    daemon = rate * (email_share * email_us + (1 - email_share) * sms_us) / 1e6
    redis = rate * redis_us / 1e6
    kept = per_day * retention_days * (email_share * email_kept + (1 - email_share) * sms_kept)
    queued = rate * outage_hours * 3600 * (email_share * email_queued + (1 - email_share) * sms_queued)
    # A master is one thread, and a copy of its memory is written at each rewrite of the file.
    masters = max(1, math.ceil(redis / LOAD), math.ceil((kept + queued) / 2**30 / gib_a_master))
    processes = max(1, math.ceil(daemon / LOAD))
    return {
        "messages a second in the busiest hour": rate,
        "cores of gatewayd": daemon,
        "processes (a core each)": processes,
        "hosts": math.ceil((processes + masters) / cores),
        "cores of Redis": redis,
        "Redis masters (labels spread over them)": masters,
        "GiB kept for retention, all masters": kept / 2**30,
        "GiB queued by an outage, all masters": queued / 2**30,
        "GiB a master, and again a replica": (kept + queued) / masters / 2**30,
        "MiB a second of AOF, all masters": rate * aof_bytes / 2**20,
    }


def measured(figures: Mapping[str, Any]) -> dict[str, float]:
    """What speed.py's JSON says of the CPU a message."""
    found: dict[str, float] = {}
    for key, name in (("sms_us", "SMS, a campaign"), ("email_us", "email, a campaign")):
        if name in figures:
            found[key] = statistics.median(figures[name]["processes"]["gatewayd"])
    if "SMS, a campaign" in figures:
        found["redis_us"] = statistics.median(figures["SMS, a campaign"]["processes"]["redis"])
    return found


def main() -> None:
    """Read the command line, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", default="", metavar="FILE", help="speed.py --json: its CPU counts over the others")
    for name, default in (
        ("per-day", 100_000_000.0),
        ("email-share", 0.3),
        ("peak", 3.0),
        ("sms-us", 1000.0),
        ("email-us", 1500.0),
        ("redis-us", 200.0),
        ("cores", 8),
        ("retention-days", 7.0),
        ("outage-hours", 4.0),
        ("sms-kept", 800.0),
        ("email-kept", 700.0),
        ("email-queued", 2700.0),
        ("sms-queued", 1300.0),
        ("aof-bytes", 6000.0),
        ("gib-a-master", 64.0),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = vars(parser.parse_args())
    path = given.pop("figures")
    given |= measured(json.loads(Path(path).read_text())) if path else {}
    print("assumed: " + ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in given.items()))
    for name, value in needs(**given).items():
        print(f"{name:<42} {value:10,.1f}")


if __name__ == "__main__":
    main()
