"""One connection to Redis without a Redis: what goes out in one write, and whose reply is whose."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gatewayd.store.connection import REPLY_TIMEOUT, Lost, NotAsked, RedisConnection, connected
from little_memory import MUCH, no_more_memory


class Redis:
    """An endpoint, and the transport behind it."""

    def __init__(self, clock: Clock) -> None:
        self.transport = StringTransport()
        self.protocol: Any = None
        opening = Deferred.fromCoroutine(connected(clock, self, username="", password="", database=0))
        self.says(b"+PONG\r\n")
        self.says(b"*1\r\n$6\r\nmaster\r\n")
        self.connection: RedisConnection = opening.result  # type: ignore[assignment]
        self.transport.clear()

    def connect(self, factory: Factory) -> Deferred[IProtocol]:
        """Twisted: connected at once."""
        self.protocol = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.protocol.makeConnection(self.transport)
        made: Deferred[IProtocol] = Deferred()
        made.callback(self.protocol)
        return made

    def says(self, octets: bytes) -> None:
        """Bytes come."""
        self.protocol.dataReceived(octets)


@pytest.fixture
def clock() -> Clock:
    """Time that a test lets pass."""
    return Clock()


@pytest.fixture
def redis(clock: Clock) -> Redis:
    """A Redis that is connected."""
    return Redis(clock)


def outcome(asked: Deferred[Any]) -> Any:
    """What it gave by now: its result, the exception that it erred with, or None."""
    found: list[Any] = []
    asked.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found[0] if found else None


def test_commands_that_are_asked_together_are_answered_in_order(redis: Redis) -> None:
    """Two commands, and the reply to each, however the bytes come."""
    first, second = redis.connection.ask([("GET", "a"), ("GET", "b")])
    assert redis.transport.value() == b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"
    redis.says(b"$6\r\n000024\r\n$1")
    assert outcome(first) == b"000024"
    assert not second.called
    redis.says(b"\r\nx\r\n")
    assert outcome(second) == b"x"


def test_who_gave_up_does_not_take_the_next_one_s_reply(redis: Redis) -> None:
    """The reply to a command that was cancelled is nobody's."""
    first, second = redis.connection.ask([("GET", "a"), ("GET", "b")])
    first.cancel()
    assert isinstance(outcome(first), CancelledError)
    redis.says(b"$1\r\n1\r\n$1\r\n2\r\n")
    assert outcome(second) == b"2"


def test_a_reply_that_does_not_come_ends_the_connection(redis: Redis, clock: Clock) -> None:
    """Each command has its whole time, whoever was asked before it; then all who wait hear that nobody knows."""
    (answered,) = redis.connection.ask([("GET", "a")])
    clock.advance(REPLY_TIMEOUT - 1)
    redis.says(b"$1\r\n1\r\n")
    waiting = redis.connection.ask([("GET", "b"), ("GET", "c")])
    clock.advance(REPLY_TIMEOUT - 0.5)
    assert outcome(answered) == b"1"
    assert not any(one.called for one in waiting)
    clock.advance(0.5)
    assert all(isinstance(outcome(one), Lost) for one in waiting)
    assert redis.transport.disconnected


@pytest.mark.parametrize(
    "greeting", [b"220 mx.example ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01"]
)
def test_another_protocol_behind_the_port_is_said(redis: Redis, greeting: bytes) -> None:
    """It was a traceback at each try to connect, and a connection that was lost."""
    first, second = redis.connection.ask([("GET", "a"), ("GET", "b")])
    redis.says(greeting)
    assert redis.transport.disconnecting or redis.transport.disconnected
    for asked in (first, second):
        error = outcome(asked)
        assert isinstance(error, Lost)
        assert "does not speak Redis' protocol" in str(error)


def test_who_waits_when_the_connection_is_lost_hears_of_it(redis: Redis, clock: Clock) -> None:
    """Each with an exception of its own; later commands are refused at once, and no timer is left."""
    waiting = redis.connection.ask([("GET", "a"), ("GET", "b")])
    redis.protocol.connectionLost(Failure(ConnectionDone()))
    errors = [outcome(one) for one in waiting]
    assert all(isinstance(error, Lost) for error in errors)
    assert errors[0] is not errors[1]
    with pytest.raises(Lost):
        redis.connection.ask([("GET", "c")])
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("word", ["\ud800", b"x" * MUCH])
def test_what_could_not_be_asked_gets_no_other_one_s_reply(redis: Redis, word: str | bytes) -> None:
    """No octet of it went out: the next command's reply was taken for its own, and all behind it were one late."""
    with no_more_memory(), pytest.raises((UnicodeEncodeError, NotAsked)):
        redis.connection.ask([("SET", "a", "1"), ("SET", "b", word)])
    (asked,) = redis.connection.ask([("GET", "c")])
    assert redis.transport.value() == b"*2\r\n$3\r\nGET\r\n$1\r\nc\r\n"
    redis.says(b"$1\r\n3\r\n")
    assert outcome(asked) == b"3"
