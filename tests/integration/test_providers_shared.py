"""One vendor and two processes: what they share of it is what the vendor allows, as for SMSCs."""

import json
import threading
import time
from typing import Any

import pytest
from evenness import fullest_second, tries
from outside import Daemon, Outside, free_port, until
from outside_vendor import Asked, Vendor

RATE, BUCKET = 30.0, 3.0


class Limiter:
    """A vendor's: `RATE` requests a second, and `BUCKET` at once; whatever comes faster is answered 429."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.throttled = 0
        self._left, self._at = BUCKET, time.monotonic()
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Any:
        """By a bucket that fills evenly."""
        with self._lock:
            now = time.monotonic()
            self._left, self._at = min(BUCKET, self._left + (now - self._at) * RATE), now
            if self._left < 1.0:
                self.throttled += 1
                return 429, b"{}", {}
            self._left -= 1.0
            self.taken.append(now)
            return 200, b'{"id": "V"}', {}


def another(world: Outside, name: str) -> Daemon:
    """A second process on the same Redis, with listeners of its own."""
    api, admin = free_port(), free_port()
    path = world.directory / f"{name}.toml"
    world.write(
        path,
        gatewayd=world.settings["gatewayd"] | {"instance": name},
        api={"listen": [f"tcp:{api}:interface=127.0.0.1"]},
        admin={"listen": [f"tcp:{admin}:interface=127.0.0.1"]},
        public=world.settings["public"] | {"listen": [f"unix:{world.directory / f'public-{name}'}"]},
        bounces=world.settings["bounces"] | {"listen": [f"unix:{world.directory / f'lmtp-{name}'}"]},
    )
    daemon = Daemon(world, path, api, admin)
    world.daemons.append(daemon)
    return daemon


def handed(world: Outside, daemon: Daemon) -> int:
    """How many messages this process gave to the vendor."""
    told = json.loads(world.ctl("status", "--json", config=daemon.config).stdout)
    return int(next(way["handed"] for way in told["routes"] if way["name"] == "vendor"))


def backlog(limiter: Limiter, count: int) -> list[int]:
    """`count` messages wait in each of two processes and are let go at once; how many each handed over."""
    with Outside() as world:
        vendor = Vendor()
        vendor.answer = limiter.answer
        world.peers.append(vendor)
        fields = {"to": "{to}", "text": "{text}", "id": "{message_id}"}
        world.settings["providers"] = {"vendor": {"url": vendor.url, "fields": fields, "rate": f"{RATE:g}/s"}}
        world.label["sms_routes"] = [{"prefix": "", "via": ["vendor"]}]
        world.start()
        other = another(world, "gw2")
        other.start()
        daemons = (world.daemon, other)
        # What a pause has laid aside leaves both at once: posted at this rate, it would be no backlog.
        assert world.ctl("pause", "amazing").returncode == 0
        for _ in range(count):
            for daemon in daemons:
                assert world.post("/amazing/sms", world.sms_fields(), port=daemon.api).json["error_code"] == 0
        assert world.ctl("resume", "amazing").returncode == 0
        until(lambda: len(limiter.taken) >= 2 * count, what="all are taken")
        assert len(vendor.asked) - limiter.throttled == 2 * count, "each once"
        return [handed(world, daemon) for daemon in daemons]


@pytest.mark.pace
def test_two_daemons_keep_one_vendors_rate() -> None:
    """A backlog in both leaves at the vendor's rate against a limiter that forgives a bucket of 3.

    Evenly: no second holds over 110 % of it, at least 95 % are taken a second, under 2 % are throttled, by both.
    """
    for one in tries():
        limiter = Limiter()
        by_each = backlog(limiter, 60)
        moments = limiter.taken
        fullest, rate = fullest_second(moments), (len(moments) - 1) / (moments[-1] - moments[0])
        # Whoever hears first that they may go on has more of them: 10 and 110 on a busy machine.
        one.judge(
            fullest <= 1.1 * RATE
            and rate >= 0.95 * RATE
            and limiter.throttled < 0.02 * len(moments)
            and min(by_each) > 0,
            f"{fullest} in a second, {rate:.1f} a second, {limiter.throttled} throttled, {by_each}",
        )
