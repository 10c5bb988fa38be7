"""What a look at an SMSC tells its operator; over real loopback sockets."""

from pathlib import Path

import pytest
import pytest_twisted
from msgspec import structs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from certificates import Authority
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Bind, Command, Status
from gatewayd.smpp.lesson import smpp_probe
from gatewayd.smpp.probe import probe
from smpp_world import PHONE, settings, simulator


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("bind", ["transceiver", "transmitter+receiver"])
async def test_probe_binds_asks_and_leaves(bind: str) -> None:
    """Every kind of bind is tried; nothing is submitted."""
    async with simulator() as smsc:
        found = await probe(reactor, settings(smsc.port, bind=bind))
        assert len(found) == len(bind.split("+"))
        assert all(each.ok and "'SANDBOX'" in each.text for each in found), found
        steps = [step.what for step in smsc.steps]
        assert steps.count("bound") == steps.count("enquire_link") == steps.count("unbind") == len(bind.split("+"))
        assert smsc.submits == []


@pytest_twisted.ensureDeferred
async def test_probe_says_why_not() -> None:
    """A wrong password, and nobody there: said in words, without the password."""
    async with simulator(bind_status=Status.RINVPASWD) as smsc:
        (found,) = await probe(reactor, settings(smsc.port, password="hunter22"))
        assert not found.ok
        assert "ESME_RINVPASWD: password is wrong" in found.text
        port = smsc.port
    (found,) = await probe(reactor, settings(port))
    assert not found.ok
    assert "refused" in found.text


@pytest_twisted.ensureDeferred
async def test_probe_takes_no_receipt_from_the_daemon() -> None:
    """What the SMSC brings meanwhile is put off, so that it comes again to whom it is for."""
    async with simulator(receipt_retry=60.0) as smsc:
        smsc.say(PHONE, "Amazing", "STOP")
        (found,) = await probe(reactor, settings(smsc.port))
        assert found.ok, found.text
        await smsc.until(lambda: smsc.receipts_refused == 1)
        assert smsc.receipts_acknowledged == 0


@pytest_twisted.ensureDeferred
async def test_probe_tells_held_binds_from_refused_ones() -> None:
    """A running daemon may hold every bind that the account has: that is no fault."""
    async with simulator(bind_status=Status.RALYBND) as smsc:
        (found,) = await probe(reactor, settings(smsc.port))
        assert (found.ok, found.no_bind_left) == (False, True)
        assert "ESME_RALYBND" in found.text
    async with simulator(bind_status=Status.RBINDFAIL) as smsc:
        (found,) = await probe(reactor, settings(smsc.port))
        assert (found.ok, found.no_bind_left) == (False, False)


@pytest_twisted.ensureDeferred
async def test_probe_says_what_tls_disliked(tmp_path: Path) -> None:
    """An authority that nobody knows: OpenSSL's words, not just a closed connection."""
    authority = Authority(tmp_path)
    smsc = SmscSimulator(reactor, Behaviour())
    await smsc.start(authority.endpoint(reactor, "127.0.0.1"))
    try:
        (found,) = await probe(reactor, settings(smsc.port, tls=True))
        assert "TLS failed: certificate verify failed" in found.text
        (found,) = await probe(reactor, settings(smsc.port, tls=True, ca_file=authority.ca_file))
        assert found.ok, found.text
        assert "TLS with a good certificate" in found.text
    finally:
        await smsc.stop()


class HangingUp(Protocol):
    """Hangs up on whatever it reads."""

    def dataReceived(self, data: bytes) -> None:
        """No PDU of clear text."""
        self.transport.loseConnection()  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_probe_says_that_tls_did_not_begin() -> None:
    """Who speaks none has no word for it."""
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(HangingUp))
    for tls in (True, False):
        (found,) = await probe(reactor, settings(port.getHost().port, tls=tls))
        assert "the connection was closed" in found.text
        assert ("TLS had not begun" in found.text) is tls
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_probe_says_that_the_other_side_speaks_tls() -> None:
    """Its alert is no length of a PDU."""

    def alert() -> Protocol:
        speaker = Protocol()
        speaker.dataReceived = lambda data: speaker.transport.write(b"\x15\x03\x03\0\x02\x02\x50")  # type: ignore
        return speaker

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(alert))  # type: ignore[arg-type]
    (found,) = await probe(reactor, settings(port.getHost().port))
    assert "it may want tls = true" in found.text
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_both_probes_follow_bind_auto() -> None:
    """Where there is no transceiver, the pair is looked at, and named among the lines to paste."""

    def no_transceiver(bind: Bind) -> int:
        return Status.RINVCMDID if bind.kind == Command.BIND_TRANSCEIVER else 0

    async with simulator(judge_bind=no_transceiver) as smsc:
        found = await probe(reactor, settings(smsc.port, bind="auto"))
        assert [each.ok for each in found] == [True, True]
        (alone,) = await probe(reactor, settings(smsc.port))
        assert (alone.ok, alone.lacking) == (False, True)
        learned = await smpp_probe(reactor, settings(smsc.port, bind="auto"), PHONE, sender="Amazing", wait=5.0)
        assert learned.ok
        assert 'bind = "transmitter+receiver"' in learned.lines
        assert not (await smpp_probe(reactor, settings(smsc.port), PHONE, sender="Amazing", wait=5.0)).ok
    async with simulator() as smsc:
        learned = await smpp_probe(reactor, settings(smsc.port, bind="auto"), PHONE, sender="Amazing", wait=5.0)
        assert 'bind = "transmitter+receiver"' not in learned.lines


class Guest(Protocol):
    """An SMSC that answers, leaves the closing to the other side, and notes how it came about."""

    def __init__(self) -> None:
        self.framer = smpp.Framer()
        self.gone: Deferred[list[Failure]] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Answers whatever it is asked."""
        for octets in self.framer.feed(data):
            pdu = smpp.decode(octets)
            if isinstance(pdu, smpp.DeliverSmResp):
                continue
            form = {smpp.Unbind: smpp.UnbindResp, smpp.EnquireLink: smpp.EnquireLinkResp}.get(type(pdu))
            answer = form(pdu.sequence) if form is not None else smpp.BindResp(pdu.sequence, system_id=b"GUEST")
            self.transport.write(smpp.encode(answer))  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """How it ended."""
        self.gone.callback([reason])


class Odd(Guest):
    """Says by a generic_nack without a number that it has no transceiver, and brings receipts whose lengths lie."""

    def dataReceived(self, data: bytes) -> None:
        """Answers whatever it is asked, in its way."""
        for octets in self.framer.feed(data):
            pdu = smpp.decode(octets)
            if isinstance(pdu, smpp.DeliverSmResp):
                continue
            if isinstance(pdu, Bind) and pdu.kind == Command.BIND_TRANSCEIVER:
                self.transport.write(smpp.encode(smpp.GenericNack(0, Status.RINVCMDID)))  # type: ignore[union-attr]
                return
            broken = smpp.encode(smpp.Raw(7, 0, Command.DELIVER_SM, b"\0\1"))
            self.transport.write(broken)  # type: ignore[union-attr]
            super().dataReceived(octets)


@pytest_twisted.ensureDeferred
async def test_a_look_takes_an_smsc_as_the_daemon_does() -> None:
    """What the daemon binds to in spite of its oddities is not said to speak no SMPP, nor to answer nothing."""
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Odd))
    try:
        (alone,) = await probe(reactor, settings(port.getHost().port))
        assert (alone.ok, alone.lacking) == (False, True)
        pair = await probe(reactor, settings(port.getHost().port, bind="auto"))
        assert [each.ok for each in pair] == [True, True], pair
    finally:
        await port.stopListening()


class Asking(Guest):
    """Asks something of its own before each answer, under the number of what it was asked."""

    asks: tuple[smpp.Pdu, ...] = (
        smpp.Outbind(0),
        smpp.AlertNotification(0),
        smpp.Raw(0, command_id=0x00010200, body=b"zz"),
        smpp.Bind(0),
    )

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def dataReceived(self, data: bytes) -> None:
        """Notes each command, and answers a little later than it asks."""
        for octets in self.framer.feed(data):
            pdu = smpp.decode(octets)
            self.heard.append(int.from_bytes(octets[4:8], "big"))
            if isinstance(pdu, smpp.GenericNack | smpp.UnbindResp):
                continue
            asked = [*self.asks, *([smpp.Unbind(0)] if isinstance(pdu, smpp.EnquireLink) else [])]
            for ask in asked:
                self.transport.write(smpp.encode(structs.replace(ask, sequence=pdu.sequence)))  # type: ignore[union-attr]
            reactor.callLater(0, self.answer, pdu)  # type: ignore[attr-defined]

    def answer(self, pdu: smpp.Pdu) -> None:
        """A bind is refused to who has the wrong password."""
        if isinstance(pdu, Bind):
            status = 0 if pdu.password == b"secret" else Status.RINVPASWD
            answer: smpp.Pdu = smpp.BindResp(pdu.sequence, status, pdu.kind, system_id=b"GUEST")
        else:
            form = smpp.EnquireLinkResp if isinstance(pdu, smpp.EnquireLink) else smpp.UnbindResp
            answer = form(pdu.sequence)
        self.transport.write(smpp.encode(answer))  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_what_an_smsc_asks_is_no_answer_to_what_it_was_asked() -> None:
    """Whatever number it has: it is answered, and the right answer waited for."""
    guests: list[Asking] = []

    def guest() -> Asking:
        guests.append(Asking())
        return guests[-1]

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(guest))
    (found,) = await probe(reactor, settings(port.getHost().port))
    assert found.ok, found.text
    assert "'GUEST'" in found.text
    (refused,) = await probe(reactor, settings(port.getHost().port, password="wrong"))
    assert "ESME_RINVPASWD" in refused.text
    for each in guests:
        await each.gone
    assert guests[0].heard.count(Command.UNBIND_RESP) == 1
    assert guests[0].heard.count(Command.GENERIC_NACK) == 2 * 3
    await port.stopListening()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (smpp.GenericNack(0, Status.RINVCMDID), True),
        (smpp.EnquireLinkResp(0, Status.RTHROTTLED), True),
        (smpp.EnquireLinkResp(0, Status.RINVBNDSTS), False),
    ],
)
async def test_whatever_is_answered_to_enquire_link_is_a_sign_of_life(answer: smpp.Pdu, ok: bool) -> None:
    """As to the daemon; but one that says that we are not bound is right."""

    class Answering(Guest):
        def dataReceived(self, data: bytes) -> None:
            if data[4:8] == Command.ENQUIRE_LINK.to_bytes(4, "big"):
                sequence = int.from_bytes(data[12:16], "big")
                self.transport.write(smpp.encode(structs.replace(answer, sequence=sequence)))  # type: ignore[union-attr]
            else:
                super().dataReceived(data)

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Answering))
    (found,) = await probe(reactor, settings(port.getHost().port))
    assert found.ok is ok, found.text
    assert smpp.status_name(answer.status) in found.text
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_look_closes_in_peace() -> None:
    """After unbind_resp the connection is closed, not reset: over there a reset is an alarm."""
    guests: list[Guest] = []

    def guest() -> Guest:
        guests.append(Guest())
        return guests[-1]

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(guest))
    try:
        (found,) = await probe(reactor, settings(port.getHost().port))
        assert found.ok, found.text
        (reason,) = await guests[0].gone
        assert reason.check(ConnectionDone), reason
    finally:
        await port.stopListening()
