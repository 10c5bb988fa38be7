"""The ways out of a channel by name, relays, SMSCs or vendors: how they begin, end, stand, and what a reload does.

Knows no message, and not what a way speaks. The keys that may change on a living connection are listed; any other key,
one that is not written yet too, means a new connection.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core.model import WayState

Settings = TypeVar("Settings", bound=BaseModel)

OnAnswer = Callable[[str, str, float], None]
"""`on_answer(way, status, seconds)`: one submit or request was answered, or "none" came."""


def count_nothing(way: str, status: str, seconds: float) -> None:
    """For who counts no answers."""


class KeptWay(Protocol[Settings]):
    """One relay, SMSC or vendor."""

    name: str

    @property
    def settings(self) -> Settings:
        """The table that it goes by now."""

    def reconfigure(self, settings: Settings) -> None:
        """Go by these, which differ in live keys only; connections stay."""

    @property
    def up(self) -> bool:
        """Whether it may be given messages."""

    @property
    def heard_since(self) -> float:
        """See IChannel."""

    @property
    def tells_later(self) -> bool:
        """See IChannel."""

    def why_down(self) -> str:
        """That it is down, and why, for a message's timeline."""

    def state(self) -> WayState:
        """For people."""

    def start(self) -> None:
        """Look after it from now on."""

    async def stop(self) -> None:
        """Nothing new is written; what is on the wire gets its answer; then it lets go."""


W = TypeVar("W", bound=KeptWay[Any])


class KeptWays(Service, Generic[W]):
    """What is the same in each channel of them. `make` gives a way that is not started yet.

    Where only `live_keys` of its table change, its connections stay.
    """

    log = Logger()

    def __init__(
        self, tables: Mapping[str, Settings], live_keys: Collection[str], make: Callable[[str, Settings], W]
    ) -> None:
        self._live_keys = live_keys
        self._make = make
        self._leaving: set[Deferred[None]] = set()
        self._ways: dict[str, W] = {name: make(name, table) for name, table in tables.items()}

    # IChannel and ISharedRoutes, but for sending ---------------------------------------------------------------

    def routes(self) -> Mapping[str, bool]:
        """See IChannel."""
        return {name: way.up for name, way in self._ways.items()}

    def states(self) -> Mapping[str, WayState]:
        """See IChannel."""
        return {name: way.state() for name, way in self._ways.items()}

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel."""
        if any(name in self._ways and self._ways[name].up for name in routes):
            return ""
        return "; ".join(map(self._why_down, routes))

    def heard_since(self, route: str) -> float:
        """See IChannel."""
        way = self._ways.get(route)
        return way.heard_since if way is not None else 0.0

    def tells_later(self, route: str) -> bool:
        """See IChannel."""
        way = self._ways.get(route)
        return way is not None and way.tells_later

    def knows(self, route: str) -> bool:
        """See ISharedRoutes."""
        return route in self._ways

    def _why_down(self, route: str) -> str:
        way = self._ways.get(route)
        return way.why_down() if way is not None else f"{route} is configured no more"

    # Life -----------------------------------------------------------------------------------------------------

    def startService(self) -> None:
        """Begin to look after each of them."""
        Service.startService(self)
        for way in self._ways.values():
            way.start()

    def stopService(self) -> Deferred[None]:
        """What is on the wire gets its answer (up to 20 s), then the connections close."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def _replace(self, tables: Mapping[str, Any]) -> None:
        """New configuration: what stays as it was keeps its connections."""
        self._ways, gone = replace_changed(self._ways, tables, self._live_keys, self._started)
        for way in gone:
            self._let_go(way)

    async def _stop(self) -> None:
        for way in self._ways.values():
            self._let_go(way)
        # However one of them ends: what the others have on the wire is waited for.
        await DeferredList(list(self._leaving))

    def _let_go(self, way: W) -> None:
        leaving = Deferred.fromCoroutine(way.stop())
        self._leaving.add(leaving)

        def gone(result: Failure | None) -> None:
            self._leaving.discard(leaving)
            if isinstance(result, Failure) and not result.check(CancelledError):
                self.log.failure("{way} did not stop well", result, way=way.name)

        leaving.addBoth(gone)

    def _started(self, name: str, settings: Any) -> W:
        way = self._make(name, settings)
        if self.running:
            way.start()
        return way


def replace_changed(
    old: Mapping[str, W],
    new: Mapping[str, Settings],
    live_keys: Collection[str],
    make: Callable[[str, Settings], W],
) -> tuple[dict[str, W], list[W]]:
    """The ways for the tables `new`, by name, and those of `old` that are left over: the caller lets them end.

    Where only `live_keys` differ the old way stays and is reconfigured; where any other key does, `make` makes another.
    """
    kept: dict[str, W] = {}
    for name, settings in new.items():
        way = old.get(name)
        if way is None or not _same_connection(way.settings, settings, live_keys):
            way = make(name, settings)
        elif way.settings != settings:
            way.reconfigure(settings)
        kept[name] = way
    return kept, [way for name, way in old.items() if kept.get(name) is not way]


def _same_connection(old: BaseModel, new: BaseModel, live_keys: Collection[str]) -> bool:
    """Whether two tables differ in `live_keys` at most."""
    if type(old) is not type(new):
        return False
    return all(getattr(old, key) == getattr(new, key) for key in type(old).model_fields if key not in live_keys)
