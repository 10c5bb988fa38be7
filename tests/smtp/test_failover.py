"""Relays that go down, hang, greet late, and come back; connections that are reused, bounded and changed."""

import gc
from typing import Any, ClassVar

import pytest
import pytest_twisted
from fair_clock import Stretch
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.basic import LineOnlyReceiver

from gatewayd.config import Relay, Secret
from gatewayd.core.errors import TemporaryFailure, Uncertain
from gatewayd.sandbox.relay import Act, SimulatedRelay
from gatewayd.smtp.open_session import CHORES
from redis_server import until
from smtp_orders import NOW, R, World, failure, order, world
from smtp_world import label


class QuickTimer:
    """A timer whose moment is one of the quick clock: by it a process finds out that it was stopped."""

    def __init__(self, timer: Any) -> None:
        self._timer = timer

    def getTime(self) -> float:
        """When it fires, or fired."""
        return float(self._timer.getTime()) * Quick.TIMES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timer, name)


class Quick:
    """The reactor with a clock that runs five times as fast: for long waits over real sockets."""

    TIMES = 5.0

    def seconds(self) -> float:
        """Of the quick clock."""
        return NOW.seconds() * self.TIMES

    def callLater(self, delay: float, call: Any, *args: Any, **kwargs: Any) -> Any:
        """After `delay` seconds of the quick clock."""
        return QuickTimer(NOW.callLater(delay / self.TIMES, call, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(R, name)


QUICK: Any = Quick()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("connect", b"554 5.3.2 no"),
        ("connect", b"421 4.7.0 too many"),
        ("EHLO", b"451 4.3.0 not now"),
        ("MAIL", b"451 4.3.0 not now"),
        ("MAIL", b"421 4.3.0 not now"),
        ("MAIL", Act.DROP),
        ("DATA", b"451 4.3.0 not now"),
        ("RCPT", b"451 4.3.5 server configuration error"),
        ("dot", b"451 4.3.0 queue file write error"),
        ("MAIL", b"550 5.4.5 Daily user sending limit exceeded"),
        ("dot", b"550 5.7.1 Daily SMTP relay limit exceeded for customer"),
        ("dot", b"454 Throttling failure: Daily message quota exceeded."),
    ],
)
@pytest_twisted.ensureDeferred
async def test_trouble_of_one_relay_is_no_trouble_of_the_message(step: str, said: Any) -> None:
    """The next relay of the label takes it, within the same attempt."""
    async with world("main", "backup") as w:
        w.relays["main"].decide = lambda at, _: said if at == step else None
        assert (await w.send(order(1, "main", "backup"))).route == "backup"
        assert w.marks.routes[-1] == "backup"


@pytest_twisted.ensureDeferred
async def test_a_relay_goes_down_and_comes_back_within_ten_seconds() -> None:
    """routes() follows by itself, without any mail; a dead relay costs no waiting."""
    async with world() as w:
        relay, port = w.relays["main"], w.tables["main"].port
        await until(lambda: w.channel.routes()["main"], 5)
        stretch = Stretch()
        await relay.stop()
        await until(lambda: not w.channel.routes()["main"], 10)
        state = w.channel.states()["main"]
        assert (state.up, state.word) == (False, "down")
        assert "refused" in state.reason
        error = await failure(w.send())
        assert type(error) is TemporaryFailure
        assert error.counts
        assert stretch.seconds() < 10
        again = SimulatedRelay(R)
        w.relays["again"] = again
        await again.listen(TCP4ServerEndpoint(R, port, interface="127.0.0.1"))
        await until(lambda: w.channel.routes()["main"], 10)
        await w.send()


@pytest_twisted.ensureDeferred
async def test_a_relay_that_hangs_is_not_up() -> None:
    """It still takes connections, as a stopped process does, but answers nothing: down within 10 s."""
    async with world() as w:
        await until(lambda: w.channel.routes()["main"], 5)
        w.relays["main"].decide = lambda step, _: Act.HANG
        await until(lambda: not w.channel.routes()["main"], 10.5)


@pytest_twisted.ensureDeferred
async def test_a_relay_that_hangs_with_all_its_connections_busy_is_not_up() -> None:
    """No connection is left to find out by, and mail goes by the next relay; down within 10 s, and up again."""
    async with world("main", "backup", table={"connections": 1}) as w:
        await until(lambda: w.channel.routes()["main"], 5)
        w.relays["main"].script["dot"].append(Act.HANG)
        hanging = w.send(order(1, "main"))
        await until(lambda: not w.channel.routes()["main"], 10)
        assert (await w.send(order(2, "main", "backup"))).route == "backup"
        w.relays["main"].drop_all()
        assert type(await failure(hanging)) is Uncertain
        await until(lambda: w.channel.routes()["main"], 10)
        assert (await w.send(order(3, "main", "backup"))).route == "main"


@pytest.mark.parametrize("connections", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_relay_that_never_greets_what_it_kept_waiting_is_found_again(connections: int) -> None:
    """What connected while it hung is never answered, and yet the relay is known to be back: by a new connection."""
    made = World(QUICK)
    relay = await made.add("main", {"connections": connections})
    relay.script["connect"].append(Act.HANG)
    most = 0

    def seen(_: Any) -> None:
        nonlocal most
        most = max(most, relay.connections)

    relay.on_step = seen
    made.start()
    try:
        await until(lambda: made.channel.routes()["main"], 15)
        assert (await made.send()).route == "main"
        await until(lambda: relay.connections == 1, 5)
        assert most == connections
    finally:
        await made.channel.stopService()
        await relay.stop()


class LateGreeting(LineOnlyReceiver):
    """A mail server that greets after 6 s."""

    transport: Any
    made: ClassVar[list["LateGreeting"]] = []

    def connectionMade(self) -> None:
        """Let it wait."""
        self.made.append(self)
        self.open = True
        self.greeting = QUICK.callLater(6, self.sendLine, b"220 late.test")

    def lineReceived(self, line: bytes) -> None:
        """What a content's lines are answered with does not matter: they come at once with the dot."""
        answers = {b"DATA": b"354 go on", b"QUIT": b"221 bye", b".": b"250 taken"}
        if line in answers or line.startswith((b"EHLO", b"MAIL", b"RCPT")):
            self.sendLine(answers.get(line, b"250 ok"))

    def connectionLost(self, reason: Any = None) -> None:
        """Gone."""
        self.open = False
        if self.greeting.active():
            self.greeting.cancel()


@pytest_twisted.ensureDeferred
async def test_a_relay_that_greets_late_keeps_all_its_connections() -> None:
    """One that is ready takes none of its kind along: they were begun with it, or soon before."""
    LateGreeting.made.clear()
    port = await TCP4ServerEndpoint(R, 0, interface="127.0.0.1").listen(Factory.forProtocol(LateGreeting))
    made = World(QUICK)
    made.tables["main"] = Relay(host="127.0.0.1", port=port.getHost().port, connections=4)
    made.start()
    try:
        await until(lambda: made.channel.routes()["main"], 10)
        await gatherResults([made.send(order(number)) for number in range(1, 7)])
        await until(lambda: not any(one.greeting.active() for one in LateGreeting.made), 10)
        assert [one.open for one in LateGreeting.made] == [True] * 4
    finally:
        await made.channel.stopService()
        await port.stopListening()


@pytest.mark.parametrize("connections", [1, 2, 10])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_the_relay_closed_meanwhile_is_no_failure(connections: int) -> None:
    """An idle connection that is gone when it is used again: a fresh one, the same attempt, one mark."""
    async with world(table={"connections": connections}) as w:
        await w.send()
        w.relays["main"].script["MAIL"].append(Act.DROP)
        await w.send(order(2))
        w.relays["main"].script["MAIL"].append(b"421 4.7.0 too many messages on this connection")
        await w.send(order(3))
        assert w.marks.routes == ["main"] * 3
        assert w.relays["main"].count == 3


@pytest_twisted.ensureDeferred
async def test_connections_are_reused_and_bounded() -> None:
    """60 messages at once over 3 connections at most; none waits for ever, none is lost."""
    async with world(table={"connections": 3}) as w:
        most = 0
        relay = w.relays["main"]

        def look(_: Any) -> None:
            nonlocal most
            most = max(most, relay.connections)

        relay.on_step = look
        results = await DeferredList([w.send(order(number)) for number in range(1, 61)], consumeErrors=True)
        handed = [value for good, value in results if good]
        busy = [value.value for good, value in results if not good]
        assert most <= 3
        assert len(handed) == relay.count >= 9
        assert all(type(error) is TemporaryFailure and not error.counts and error.not_before for error in busy)
        assert len(handed) + len(busy) == 60


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_after_a_hundred_messages() -> None:
    """And no message notices."""
    async with world(table={"connections": 1}) as w:
        for number in range(1, 122):
            await w.send(order(number))
        assert w.relays["main"].count == 121
        assert w.relays["main"].connections_made == 2


@pytest_twisted.ensureDeferred
async def test_a_refused_log_in_never_fails_messages() -> None:
    """AUTH 5xx stops the route, the next relay takes the mail, and it is not tried again every few seconds."""
    made = World()
    locked = await made.add("locked", {"username": "gw", "password": Secret("wrong")}, users={"gw": "right"})
    await made.add("open")
    made.start()
    try:
        assert (await made.send(order(1, "locked", "open"))).route == "open"
        error = await failure(made.send(order(2, "locked")))
        assert type(error) is TemporaryFailure
        assert "535" in error.reason
        assert "wrong" not in error.reason
        assert locked.connections_made <= 2
    finally:
        await made.channel.stopService()
        for relay in made.relays.values():
            await relay.stop()


# -- changes and stopping ----------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_new_configuration_keeps_connections_that_stay() -> None:
    """Rates and limits change in place; a relay that is gone takes leave; a new one is used."""
    async with world("main", "old") as w:
        await until(lambda: all(w.channel.routes().values()))
        new = await w.add("new")
        before = w.relays["main"].connections_made
        tables = {"main": w.tables["main"].model_copy(update={"rate": 50.0}), "new": w.tables["new"]}
        quits: list[str] = []
        w.relays["old"].on_step = lambda step: quits.append(step.step)
        w.channel.reconfigure(tables, {"amazing": label(track_opens=False)})
        await w.relays["old"].until(lambda: w.relays["old"].connections == 0)
        assert quits == ["QUIT"]
        assert set(w.channel.routes()) == {"main", "new"}
        await w.send(order(1, "main"))
        await w.send(order(2, "new"))
        assert w.relays["main"].connections_made == before
        assert w.channel.states()["main"].rate == 50.0
        assert type(await failure(w.send(order(3, "old")))) is TemporaryFailure
        assert new.count == 1


@pytest.mark.parametrize("busy", [True, False])
@pytest_twisted.ensureDeferred
async def test_fewer_connections_by_a_new_configuration_are_fewer_at_once(busy: bool) -> None:
    """What has no mail under way ends, and the others after their mail, though more mail waits."""
    async with world(table={"connections": 3}) as w:
        relay = w.relays["main"]
        await until(lambda: w.channel.routes()["main"], 5)
        sent = [w.send(order(number)) for number in range(1, 10)]
        await relay.until(lambda: relay.connections == 3)
        if not busy:
            await gatherResults(sent)
        w.channel.reconfigure({"main": w.tables["main"].model_copy(update={"connections": 1})}, {"amazing": label()})
        await relay.until(lambda: relay.connections == 1)
        await gatherResults(sent)
        await w.send(order(10))
        assert relay.count == 10
        assert relay.connections_made == 3


@pytest_twisted.ensureDeferred
async def test_stopping_waits_for_the_answer_to_the_dot() -> None:
    """What is on the wire gets its answer; then QUIT."""
    w = World()
    relay = await w.add()
    w.start()
    steps: list[str] = []
    relay.on_step = lambda step: steps.append(step.step)
    sending = Deferred.fromCoroutine(w.channel.send(order(), w.marks))
    await relay.until(lambda: "MAIL" in steps)
    stopped = w.channel.stopService()
    assert (await sending).route == "main"
    await stopped
    assert steps[-1] == "QUIT"
    assert type(await failure(w.send(order(2)))) is TemporaryFailure
    await relay.stop()


@pytest_twisted.ensureDeferred
async def test_stopping_does_not_wait_for_ever() -> None:
    """A relay that never answers the dot: uncertain once the limit is over."""
    w = World(drain=0.3)
    relay = await w.add()
    w.start()
    relay.script["dot"].append(Act.HANG)
    sending = w.send()
    await relay.until(lambda: not relay.script["dot"])
    with capturedLogs() as logged:
        stopped = w.channel.stopService()
        assert type(await failure(sending)) is Uncertain
        await stopped
        await relay.stop()
        # What became of a Deferred that nobody asks is said when it goes.
        del sending, stopped, w
        gc.collect()
    assert [event["log_level"] for event in logged if event["log_level"] is LogLevel.critical] == []


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_before_the_relay_loses_patience() -> None:
    """Exim drops a connection at its eleventh command that brings no mail: NOOP and RSET together stay below that."""
    connections: list[int] = []

    def decide(step: str, _: str) -> bytes | None:
        if step == "EHLO":
            connections.append(0)
        elif step in ("NOOP", "RSET"):
            connections[-1] += 1
        return b"550 5.1.1 no" if step == "RCPT" else None

    async with world(table={"connections": 1}) as there:
        there.relays["main"].decide = decide
        for number in range(2 * CHORES + 4):
            await failure(there.send(order(number)))
    assert len(connections) > 1
    assert max(connections) == CHORES < 10
