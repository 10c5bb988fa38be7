"""A callback host, or the proxy before it, that takes fewer connections at a time than we open."""

from typing import Any

from twisted.logger import capturedLogs, formatEvent

from callbacks_world import OK, Get, callbacks, outcome, start
from gatewayd.callbacks.host import CALM_ROUNDS, IN_A_ROW
from memory_network import Reactor


class FewHost:
    """A host that takes `takes` connections at a time, and answers the requests on them when told to."""

    def __init__(self, reactor: Reactor, takes: int) -> None:
        self.reactor = reactor
        self.takes = takes
        self.open: list[Any] = []
        self.turned_down = 0
        self._seen = 0

    def look(self) -> None:
        """Take the connections that were opened, and close those that are too many."""
        while self._seen < len(self.reactor.tcpClients):
            protocol, transport = self.reactor.connect(self._seen)
            self._seen += 1
            self.open = [known for known in self.open if known.transport.protocol is not None]
            if len(self.open) < self.takes:
                self.open.append(protocol)
            else:
                self.turned_down += 1
                transport.closed()

    def answer(self) -> int:
        """Answer what was asked on them; how many requests that was."""
        asked = [known for known in self.open if known.transport.value() and known.transport.protocol is not None]
        for protocol in asked:
            protocol.transport.clear()
            protocol.dataReceived(OK)
        return len(asked)


def rounds(host: FewHost, service: Any, number: int) -> list[int]:
    """How many requests were answered in each round, while more are asked for than the host takes."""
    answered = []
    gets: list[Get] = []
    for _ in range(number):
        gets = [get for get in gets if outcome(get) is None]
        gets += [start(service) for _ in range(20 - len(gets))]
        host.look()
        answered.append(host.answer())
        host.reactor.advance(0.1)
    return answered


def test_a_host_that_takes_few_at_a_time_is_not_left_alone() -> None:
    """Connections closed while others wait for their answers: fewer are used, and the host counts as up."""
    reactor = Reactor()
    service = callbacks(reactor, limit=20)
    host = FewHost(reactor, takes=3)
    gets = [start(service) for _ in range(20)]
    with capturedLogs() as events:
        host.look()
    assert host.turned_down == 17
    failures = [outcome(get) for get in gets if outcome(get) is not None]
    assert len(failures) == 17
    assert {failure.reason for failure in failures} == {"the callback host closed the connection before it answered"}
    assert service.hosts() == {"api.example": ""}
    assert host.answer() == 3
    later = [start(service) for _ in range(6)]
    host.look()
    assert (host.answer(), host.answer(), host.turned_down) == (3, 3, 17)
    assert [outcome(get)[0] for get in later] == [200] * 6
    assert [formatEvent(event) for event in events if event["log_namespace"] == "gatewayd.callbacks"] == [
        "callback host api.example takes fewer connections at a time than 20: the callback host closed the connection"
        " before it answered"
    ]


def test_more_are_tried_again_by_and_by() -> None:
    """After calm rounds one more each round, up to the limit; a refusal is the exception while it takes no more."""
    reactor = Reactor()
    service = callbacks(reactor, limit=8)
    host = FewHost(reactor, takes=3)
    assert rounds(host, service, 1) == [3]
    before = host.turned_down
    assert set(rounds(host, service, 10 * CALM_ROUNDS)) == {3}
    assert 0 < host.turned_down - before <= 10
    host.takes = 100
    answered = rounds(host, service, CALM_ROUNDS + 10)
    assert answered == sorted(answered)
    assert answered[-1] == 8


def test_a_refused_connection_costs_the_status_no_try_while_others_are_answered() -> None:
    """Nothing was sent on it; it is told again soon."""
    reactor = Reactor()
    service = callbacks(reactor)
    taken = start(service)
    protocol, _ = reactor.connect()
    refused = [start(service) for _ in range(IN_A_ROW)]
    for number in range(IN_A_ROW):
        reactor.refuse(1 + number)
    for get in refused:
        assert outcome(get).reason == "callback host refused the connection"
        assert not outcome(get).counts
        assert 0 < outcome(get).not_before - reactor.seconds() + 0.4 * IN_A_ROW <= 3
    assert service.hosts() == {"api.example": ""}
    protocol.dataReceived(OK)
    assert outcome(taken)[0] == 200


def test_a_host_that_drops_all_is_left_alone() -> None:
    """Nobody is answered: what is dropped then counts as the host's failure, as ever."""
    reactor = Reactor()
    service = callbacks(reactor, limit=20)
    host = FewHost(reactor, takes=0)
    for _ in range(IN_A_ROW):
        together = [start(service) for _ in range(20)]
        host.look()
        assert all(outcome(get) is not None for get in together)
    assert service.hosts() == {"api.example": "the callback host closed the connection before it answered"}
    assert outcome(start(service)).reason == "callback host is down"


def test_a_host_that_dropped_all_and_is_back_is_asked_as_much_as_before() -> None:
    """A restart ends all connections at once, which says nothing of how many it takes."""
    reactor = Reactor()
    service = callbacks(reactor, limit=20)
    host = FewHost(reactor, takes=100)
    gets = [start(service) for _ in range(20)]
    host.look()
    for protocol in host.open:
        protocol.transport.closed()
    assert all(outcome(get).counts for get in gets)
    first = start(service)
    host.look()
    assert host.answer() == 1
    assert outcome(first)[0] == 200
    more: list[Get] = [start(service) for _ in range(20)]
    host.look()
    assert host.answer() == 20
    assert [outcome(get)[0] for get in more] == [200] * 20
