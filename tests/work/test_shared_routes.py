"""SMS by either kind of way: each route in the label's order, whosever it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.failover import Setback
from gatewayd.core.model import Handed, Message, Order, Sms, WayState
from gatewayd.work.shared_routes import SharedRoutes

MESSAGE = Message("id", "u", "amazing", "p", Sms("A", "b"), 0.0, 3600.0)


class Kind:
    """Ways of one kind; `outcomes` is what each does with a message, `tried` all tries of all kinds."""

    def __init__(self, tried: list[tuple[str, tuple[str, ...]]], **outcomes: Handed | Setback | Exception) -> None:
        self.outcomes = outcomes
        self.tried = tried

    async def attempt(self, route: str, order: Order, before_wire: Any) -> Handed | Setback:
        """As ISharedRoutes."""
        self.tried.append((route, order.progress))
        outcome = self.outcomes[route]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def knows(self, route: str) -> bool:
        """As ISharedRoutes."""
        return route in self.outcomes

    def why_not(self, routes: Sequence[str]) -> str:
        """As IChannel."""
        up = self.routes()
        return "" if any(up[route] for route in routes) else "; ".join(f"{route} is down" for route in routes)

    def routes(self) -> Mapping[str, bool]:
        """Up is what takes messages."""
        return {name: isinstance(outcome, Handed) for name, outcome in self.outcomes.items()}

    def states(self) -> Mapping[str, WayState]:
        """For people."""
        return {name: WayState(up=up) for name, up in self.routes().items()}

    def heard_since(self, route: str) -> float:
        """Of this kind."""
        return 7.0

    def tells_later(self, route: str) -> bool:
        """Of this kind."""
        return True


class World:
    """Two SMSCs and two vendors."""

    def __init__(self, **changed: Handed | Setback | Exception) -> None:
        self.tried: list[tuple[str, tuple[str, ...]]] = []
        outcomes = {name: changed.get(name, Handed(name)) for name in ("smsc1", "smsc2", "http1", "http2")}
        smpp = {name: one for name, one in outcomes.items() if name.startswith("smsc")}
        http = {name: one for name, one in outcomes.items() if name.startswith("http")}
        self.shared = SharedRoutes([Kind(self.tried, **smpp), Kind(self.tried, **http)])

    def send(self, *routes: str, **order: Any) -> Handed:
        """One message by these routes."""
        sending = self.shared.send(Order(MESSAGE, "+447700900123", routes, **order), lambda route: None)  # type: ignore[arg-type,return-value]
        try:
            sending.send(None)
        except StopIteration as done:
            found: Handed = done.value
            return found
        raise AssertionError("it waits")


def test_routes_keep_their_order_across_kinds() -> None:
    """SMPP, HTTP, SMPP: the first that takes it."""
    no = Setback("no")
    world = World(smsc1=no, http1=no)
    assert world.send("smsc1", "http1", "smsc2", "http2").route == "smsc2"
    assert [route for route, _ in world.tried] == ["smsc1", "http1", "smsc2"]


def test_what_a_way_says_of_the_message_ends_the_attempt() -> None:
    """Busy, throttled, refused: no other kind is asked."""
    world = World(http1=TemporaryFailure("throttled", counts=False))
    with pytest.raises(TemporaryFailure, match="throttled"):
        world.send("http1", "smsc1")
    assert [route for route, _ in world.tried] == ["http1"]


def test_where_none_takes_it_all_reasons_are_told() -> None:
    """A route that the configuration has no more among them."""
    world = World(smsc1=Setback("smsc1 is down"), http1=Setback("http1 answered 500"))
    with pytest.raises(TemporaryFailure, match="smsc1 is down; gone is configured no more; http1 answered 500"):
        world.send("smsc1", "gone", "http1")


def test_a_long_sms_goes_on_where_it_was_begun() -> None:
    """And begins anew where that SMSC is gone."""
    world = World()
    world.send("http1", "smsc2", progress=("r1",), begun_on="smsc2")
    world.send("http1", "smsc1", progress=("r1",), begun_on="smsc2")
    assert world.tried == [("smsc2", ("r1",)), ("http1", ())]


def test_what_people_and_the_outbox_ask() -> None:
    """Both kinds in one."""
    world = World(smsc1=Setback("no"))
    assert world.shared.routes() == {"smsc1": False, "smsc2": True, "http1": True, "http2": True}
    assert set(world.shared.states()) == {"smsc1", "smsc2", "http1", "http2"}
    assert world.shared.why_not(["smsc1", "http1"]) == ""
    assert world.shared.why_not(["smsc1", "gone"]) == "smsc1 is down; gone is configured no more"
    assert (world.shared.heard_since("http1"), world.shared.heard_since("gone")) == (7.0, 0.0)
    assert (world.shared.tells_later("http1"), world.shared.tells_later("gone")) == (True, False)
