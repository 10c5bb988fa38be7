"""Whether this Redis keeps what it is given, looked at while we run: persistence, eviction, its disk, the two clocks.

`gatewayctl check` looks deeper, once; this says it when somebody changes a setting under a running gateway.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Channel, Degraded, some_names
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink

LOOK_AT_REDIS = 5.0
"""Seconds between two looks."""

CLOCK_OFF = 2.0
"""Seconds by which two clocks may differ: with NTP they differ by milliseconds."""

FOREIGN_FOR = 30.0
"""Seconds for which it is said that another program wrote a key of ours: what meets it is tried again more often."""


class Condition:
    """What the latest `look` at Redis found; the log has it once, until it is over.

    `clock` is the reactor's, `wall` this host's.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, link: RedisLink, instance: str, wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._link = link
        self._instance = instance
        self._found: tuple[Degraded, ...] = ()
        self._logged: frozenset[str] = frozenset()  # names of what was found when Redis last told anything

    def degraded(self) -> tuple[Degraded, ...]:
        """What is wrong with Redis, or with one of the two clocks."""
        return self._found

    async def look(self) -> None:
        """Ask Redis, for the next `LOOK_AT_REDIS` seconds."""
        try:
            about = fields(await self._link.command("INFO"))
            began = self._wall()
            seconds, microseconds = await self._link.command("TIME")
            ended = self._wall()
            foreign = await self._foreign()
        except CancelledError:
            raise
        except StoreUnavailable:
            # That it is away, whoever asks for what is degraded finds out first.
            self._found = ()
        except Exception:
            # INFO or TIME may be forbidden to us, which `check` says; what was not read is not claimed.
            self._found = ()
        else:
            theirs = int(seconds) + int(microseconds) / 1e6
            self._found = (*troubles(about), *clocks_apart(self._instance, theirs, began, ended), *foreign)
            self._log_news()

    async def _foreign(self) -> Iterable[Degraded]:
        """Redis does not say which key it is; those that all messages need are looked at."""
        if self._clock.seconds() - self._link.foreign_at > FOREIGN_FOR:
            return ()
        found = {}
        for name, kind in shared_keys(self._link.prefix, self._instance).items():
            is_a = (await self._link.command("TYPE", name)).decode()
            if is_a not in (kind, "none"):
                found[name] = f"{name}, which is a {is_a} and no {kind}"
        which = some_names(list(found.values())) if found else f"one or some under {self._link.prefix}"
        text = f"another program wrote keys of ours in Redis: {which}; any label's messages may wait for it (WRONGTYPE)"
        return (Degraded("redis", "foreign", text),)

    def _log_news(self) -> None:
        for one in self._found:
            if one.name not in self._logged:
                self.log.warn("{what}", what=one.text)
        self._logged = frozenset(one.name for one in self._found)


def shared_keys(prefix: str, instance: str) -> dict[str, str]:
    """The keys that are no message's, label's or way's own, and what Redis calls their type."""
    kinds = [*map(str, Channel), "reports"]
    rests = {"": [""], "KIND": kinds, "KIND:instance": [f"{kind}:{instance}" for kind in kinds], "queue": kinds}
    return {
        prefix + key.short + rest: key.kind if key.kind in _TYPES else "string"
        for key in KEYS.values()
        for rest in rests.get(key.rest, ())
        if key.kind != "none"
    }


_TYPES = ("hash", "set", "zset", "list")


def troubles(about: Mapping[str, str]) -> Iterator[Degraded]:
    """What the fields of INFO say against it."""
    if about.get("aof_enabled") == "0":
        text = "Redis keeps nothing over its restart (appendonly no): accepted messages of all labels would be lost"
        yield Degraded("redis", "persistence", text)
    policy = about.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        why = f"(maxmemory-policy {policy}, not noeviction)"
        text = f"Redis may throw accepted messages of all labels away {why}"
        if (gone := about.get("evicted_keys", "0")) != "0":
            text = f"Redis throws keys away, {gone} so far: accepted messages of all labels may be among them {why}"
        yield Degraded("redis", "eviction", text)
    if about.get("aof_last_write_status", "ok") != "ok":
        text = "Redis can't write its append-only file: accepted messages of all labels may be lost; is its disk full?"
        yield Degraded("redis", "disk", text)


def clocks_apart(instance: str, theirs: float, began: float, ended: float) -> Iterator[Degraded]:
    """Our clock beside Redis's, which was read at some moment between `began` and `ended`."""
    apart = max(began - theirs, theirs - ended)
    if apart > CLOCK_OFF:
        text = (
            f"the clocks of {instance} and of Redis are {apart:.0f} s apart: times in callbacks and traces of all"
            " labels are off; is NTP running on both?"
        )
        yield Degraded("clock", instance, text)


def fields(info: bytes) -> dict[str, str]:
    """The reply to INFO by its names."""
    lines = info.decode("utf-8", "replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
