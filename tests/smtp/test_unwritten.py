"""A mail whose content was never begun is in no doubt: whatever stops, it is put back and sent later."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from at_once import run
from fakes import FakeEvidence, FakeMeter, FakeStore
from gatewayd.config import Relay
from gatewayd.core.drain import DRAIN
from gatewayd.core.model import Channel, Handed, Leased, Order
from gatewayd.core.retry import RELAY
from gatewayd.core.status import State
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.work.attempts import MessageWork
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.statuses import RecentStatuses
from memory_network import Reactor, Transport
from smtp_world import EHLO, KEYS, label, message

GO = b"250 ok\r\n250 ok\r\n354 go\r\n"


class Socket(Transport):
    """Tells of its end in the next turn of the reactor, as a socket does."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__()
        self._reactor = reactor

    def closed(self) -> None:
        """Not yet."""
        self._reactor.callLater(0, super().closed)


class Sending:
    """A queue of emails over a fake store, whose way out is one connection to a relay in memory."""

    def __init__(self, on_uncertain: Any) -> None:
        self.reactor = Reactor()
        self.store = FakeStore(self.reactor)
        self.marks = Marks(self.reactor, self.store)
        self.relay = Relay(host="relay.test", connections=1, on_uncertain=on_uncertain)
        self.channel = SmtpChannel(self.reactor, {"main": self.relay}, {"amazing": label()}, keys=KEYS)
        work = MessageWork(
            self.reactor,
            self.store,
            Channel.EMAIL,
            self._deliver,
            marks=self.marks,
            statuses=RecentStatuses(self.reactor, self.store),
            evidence=FakeEvidence(),
            retry=RELAY,
            policies={"main": self.relay},
            jitter=lambda: 0.5,
            meter=FakeMeter(),
        )
        self.outbox = Outbox(self.reactor, work, 10)
        self.channel.startService()
        host, port, factory, _, _ = self.reactor.tcpClients[-1]
        self._connection: Any = factory.buildProtocol(IPv4Address("TCP", host, port))
        transport = Socket(self.reactor)
        transport.protocol = self._connection
        self._connection.makeConnection(transport)
        self.tell(b"220 relay.test\r\n" + EHLO)

    async def _deliver(self, leased: Leased) -> Handed:
        async def mark(route: str) -> None:
            stamp = await self.store.mark(leased.message, route, "hash", lease=leased.lease)
            self.marks.written(leased.message.id, Channel.EMAIL, route, stamp)

        return await self.channel.send(Order(leased.message, "jane@player.test", ("main",)), mark)

    def begin(self, mails: int) -> None:
        """Mails 1, 2 and so on are in work."""
        for number in range(1, mails + 1):
            run(self.store.accept(message(number, at=self.reactor.seconds()), "f"))
        self.outbox.startService()

    def tell(self, said: bytes) -> None:
        """Bytes from the relay."""
        self._connection.dataReceived(said)

    def states(self) -> list[State]:
        """Of all mails, as the store has them."""
        return [row.state for _, row in sorted(self.store.db.rows.items())]

    def stop(self) -> None:
        """As the daemon does at SIGTERM, with a relay that says nothing any more."""
        stopping = [self.outbox.stopService(), self.channel.stopService()]
        for _ in range(int(DRAIN) * 10 + 10):
            self.reactor.advance(0.1)
        assert all(one.called for one in stopping)


@pytest.mark.parametrize("on_uncertain", ["resend", "hold"])
def test_a_stop_puts_back_what_follows_a_dot_that_hangs(on_uncertain: str) -> None:
    """Only the mail whose dot was written may have been taken; that is known, and stored, before the process ends."""
    sending = Sending(on_uncertain)
    sending.begin(3)
    sending.tell(GO)
    sending.stop()
    assert sending.states() == [State.UNCERTAIN, State.QUEUED, State.QUEUED]
    assert not sending.store.db.leases["email", "one"]


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_in_a_drain_counts() -> None:
    """SIGTERM, and then stopped for longer than the drain may take: what was taken meanwhile is sent."""
    sending = Sending("resend")
    sending.begin(2)
    sending.tell(GO)
    sending.outbox.stopService()
    sending.channel.stopService()
    sending.reactor.advance(60)
    # The second one is begun already: its content goes, and has its answer still to come.
    sending.tell(b"250 ok\r\n" + GO)
    sending.reactor.pump([0.1] * 20)
    sending.tell(b"250 ok\r\n")
    sending.reactor.pump([0.1] * 10)
    assert sending.states() == [State.SENT] * 2


@pytest.mark.parametrize("said", [b"", b"250 ok\r\n", b"250 ok\r\n250 ok\r\n"])
def test_a_stop_puts_back_what_the_relay_never_said_354_to(said: bytes) -> None:
    """It is marked, and nothing of its content was written."""
    sending = Sending("hold")
    sending.begin(1)
    sending.tell(said)
    assert sending.states() == [State.UNCERTAIN]
    sending.stop()
    assert sending.states() == [State.QUEUED]


@pytest.mark.parametrize(
    ("on_uncertain", "marked"),
    [
        ("resend", [State.UNCERTAIN, State.UNCERTAIN, State.QUEUED]),
        ("hold", [State.UNCERTAIN, State.QUEUED, State.QUEUED]),
    ],
)
def test_under_hold_nothing_is_begun_behind_a_dot_without_an_answer(on_uncertain: str, marked: list[State]) -> None:
    """Killed now, the process would leave its marks: what bears one is never sent under `hold`, so there are few."""
    sending = Sending(on_uncertain)
    sending.begin(3)
    sending.tell(GO)
    assert sending.states() == marked
    if on_uncertain == "hold":
        for _ in range(2):
            sending.tell(b"250 taken\r\n")
            sending.tell(GO)
        sending.tell(b"250 taken\r\n")
        assert sending.states() == [State.SENT] * 3


def test_a_reload_to_hold_ends_the_pipelining() -> None:
    """Of two mails on a connection the second goes on; nothing is begun behind it until it has its answer."""
    sending = Sending("resend")
    sending.begin(4)
    sending.tell(GO)
    held = sending.relay.model_copy(update={"on_uncertain": "hold"})
    sending.channel.reconfigure({"main": held}, {"amazing": label()})
    sending.tell(b"250 taken\r\n")
    sending.tell(GO)
    assert sending.states() == [State.SENT, State.UNCERTAIN, State.QUEUED, State.QUEUED]
    sending.tell(b"250 taken\r\n")
    assert sending.states() == [State.SENT, State.SENT, State.UNCERTAIN, State.QUEUED]
    for _ in range(2):
        sending.tell(GO)
        sending.tell(b"250 taken\r\n")
    assert sending.states() == [State.SENT] * 4
