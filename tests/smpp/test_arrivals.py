"""What SMSCs bring, at its worst: numbers as phones wrote them, and receipts whose lengths lie."""

from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from gatewayd.core.remote_names import sealed
from gatewayd.core.status import Event
from gatewayd.smpp.arrivals import HELD, Arrivals
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import BRING_AGAIN
from gatewayd.smpp.codec.pdu import Command, Status, encode
from gatewayd.smpp.events import RequestCame
from smpp_world import Memory, World, settings

RECEIPT = b"id:7b sub:001 dlvrd:001 stat:DELIVRD err:000 text:-"


def bring(memory: Memory, body: bytes, command: int = Command.DELIVER_SM, seconds: float = 0.0) -> int:
    """Write a request of this body to the only bind; the status that it is answered with, within so many seconds."""
    (session,) = memory.smsc.sessions
    (wire,) = memory.wires
    session.transport.write(encode(smpp.Raw(9, 0, command, body)))
    heard, until = b"", memory.clock.seconds() + seconds
    while wire.moving or (not heard and memory.clock.seconds() < until):
        heard += b"".join(octets for end, octets in wire.moving if end == "link" and octets)
        if not wire.pump():
            memory.clock.advance(0.25)
    (answer,) = smpp.Framer().feed(heard)
    return int.from_bytes(answer[8:12], "big")


def stopped(world: World, memory: Memory) -> None:
    """End it."""
    world.channel.stopService()
    memory.advance(10)
    assert memory.clock.getDelayedCalls() == []


def text_from(source: bytes, ton: int, npi: int, text: bytes = b"STOP") -> bytes:
    """The body of a deliver_sm that a player sent."""
    return encode(
        smpp.DeliverSm(
            0,
            source_addr_ton=ton,
            source_addr_npi=npi,
            source_addr=source,
            destination_addr=b"12345",
            short_message=text,
        )
    )[16:]


@pytest.mark.parametrize("ton", range(7))
@pytest.mark.parametrize("npi", [0, 1, 8])
@pytest.mark.parametrize(
    ("source", "region", "number"),
    [
        (b"07700900021", "GB", "447700900021"),
        (b"7700900021", "GB", "447700900021"),
        (b"447700900021", "GB", "447700900021"),
        (b"+447700900021", "GB", "447700900021"),
        (b"00447700900021", "GB", "447700900021"),
        (b"+07700900021", "GB", "447700900021"),
        (b"4407700900021", "GB", "447700900021"),
        (b"0447700900021", "GB", "447700900021"),
        (b"000447700900021", "GB", "447700900021"),
        (b"2025550123", "US", "12025550123"),
        (b"12025550123", "US", "12025550123"),
        (b"011447700900021", "US", "447700900021"),
        (b"89123456789", "RU", "79123456789"),
        (b"0612345678", "FR", "33612345678"),
        (b"3123456789", "IT", "393123456789"),
        # Mobile numbers that networks write with and without a digit of their own.
        (b"5215512345678", "MX", "525512345678"),
        (b"525512345678", "MX", "5215512345678"),
        (b"5215512345678", "", "525512345678"),
        (b"1123456789", "AR", "5491123456789"),
        (b"541123456789", "", "5491123456789"),
        (b"5491123456789", "", "541123456789"),
        (b"551161234567", "", "5511961234567"),
        (b"1161234567", "BR", "5511961234567"),
    ],
)
def test_a_stop_from_a_number_without_country_code_names_its_player(
    source: bytes, region: str, number: str, ton: int, npi: int
) -> None:
    """In every spelling and under every TON and NPI: what a phone wrote is handed on as the SMSC likes."""
    memory = Memory()
    world = memory.world(default_region=region)
    assert bring(memory, text_from(source, ton, npi)) == Status.ROK
    (text,) = world.evidence.inbound
    assert f"#{number}" in (text.number_hash, *text.earlier_hashes)
    stopped(world, memory)


def test_a_short_code_is_no_national_number() -> None:
    """Its digits alone name it."""
    memory = Memory()
    world = memory.world(default_region="GB")
    bring(memory, text_from(b"60777", 3, 0))
    (text,) = world.evidence.inbound
    assert (text.number_hash, text.earlier_hashes) == ("#60777", ("once #60777",))
    stopped(world, memory)


def test_a_receipts_number_is_read_likewise() -> None:
    """Its message may have to be found by its number."""
    memory = Memory()
    world = memory.world(default_region="GB")
    body = encode(smpp.DeliverSm(0, source_addr=b"07700900021", esm_class=4, short_message=RECEIPT))[16:]
    assert bring(memory, body) == Status.ROK
    (receipt,) = world.evidence.receipts
    assert "#447700900021" in receipt.number_hashes
    stopped(world, memory)


def test_a_reload_gives_another_region_without_a_new_bind() -> None:
    """It is read at each text."""
    memory = Memory()
    world = memory.world()
    bring(memory, text_from(b"07700900021", 2, 1))
    world.channel.reconfigure({"world": settings(2775, default_region="GB")}, world.labels)
    bring(memory, text_from(b"07700900021", 2, 1))
    before, after = world.evidence.inbound
    assert "#447700900021" not in (before.number_hash, *before.earlier_hashes)
    assert "#447700900021" in (after.number_hash, *after.earlier_hashes)
    assert len(memory.tried) == 1
    stopped(world, memory)


@pytest.mark.parametrize(
    "behind", [b"\x00\x1e\x00\x04\x37\x62\x00", b"\x00\x1e\x00\x09", b"\x04\x27\x00\x02\x02", b"\x14\x00\xff\xff"]
)
def test_a_receipt_whose_last_tlv_promises_too_much_is_recorded(behind: bytes) -> None:
    """Read as far as its text goes, said, counted and acknowledged: the SMSC does not bring it again."""
    memory = Memory()
    world = memory.world()
    body = encode(smpp.DeliverSm(0, source_addr=b"447700900021", esm_class=4, short_message=RECEIPT))[16:]
    with capturedLogs() as logs:
        assert bring(memory, body + behind) == Status.ROK
    (receipt,) = world.evidence.receipts
    assert "7b" in receipt.remote_ids
    assert receipt.event is Event.DELIVERED
    (line,) = [event for event in logs if "read in whole" in event["log_format"]]
    assert "promises" in line["why"]
    assert world.channel.states()["world"].unreadable == 1
    stopped(world, memory)


def test_what_cannot_be_read_at_all_is_acknowledged_and_counted() -> None:
    """A deliver_sm of three octets, and a receipt that names no submit: nobody could do better the next time."""
    memory = Memory()
    world = memory.world()
    assert bring(memory, b"\0\1\1") == Status.ROK
    assert bring(memory, encode(smpp.DeliverSm(0, esm_class=4, short_message=b"stat:DELIVRD"))[16:]) == Status.ROK
    assert bring(memory, b"\0\0\0", Command.DATA_SM) == Status.ROK
    assert world.evidence.receipts == []
    assert world.channel.states()["world"].unreadable == 3
    stopped(world, memory)


def test_a_broken_receipt_waits_for_a_store_that_is_away() -> None:
    """Nothing is acknowledged before it is durable, broken or not."""
    memory = Memory()
    world = memory.world()
    world.evidence.down = True
    body = encode(smpp.DeliverSm(0, esm_class=4, short_message=RECEIPT))[16:] + b"\x00\x1e\x00\x09"
    assert bring(memory, body) == BRING_AGAIN
    stopped(world, memory)


@pytest.mark.parametrize(
    "request_",
    [
        smpp.DeliverSm(0, source_addr=b"447700900021", esm_class=4, short_message=RECEIPT),
        smpp.DeliverSm(0, source_addr=b"447700900021", short_message=b"STOP"),
    ],
    ids=["receipt", "text"],
)
@pytest.mark.parametrize(("away", "status"), [(5.0, Status.ROK), (60.0, BRING_AGAIN)])
def test_what_came_waits_unanswered_for_a_store_that_is_soon_back(
    request_: smpp.DeliverSm, away: float, status: int
) -> None:
    """SMSCs that bring nothing again lost what came while Redis was restarted; after 10 s they do not wait, either."""
    memory = Memory()
    world = World({"world": settings(2775)}, memory.clock, held=HELD, endpoint_of=memory.dial)
    world.channel.startService()
    memory.pump()
    world.evidence.down = True
    back = memory.clock.callLater(away, setattr, world.evidence, "down", False)
    assert bring(memory, encode(request_)[16:], seconds=7.0) == status
    assert len(world.evidence.receipts) + len(world.evidence.inbound) == (status == Status.ROK)
    if back.active():
        back.cancel()
    stopped(world, memory)


def test_a_broken_text_is_a_text() -> None:
    """A player's STOP with a lying length behind it still stops."""
    memory = Memory()
    world = memory.world()
    assert bring(memory, text_from(b"447700900021", 1, 1) + b"\x02\x04\x00\x09\x01") == Status.ROK
    (text,) = world.evidence.inbound
    assert (text.number_hash, text.text) == ("#447700900021", "STOP")
    stopped(world, memory)


@pytest.mark.parametrize(("asked_for", "is_said"), [("final", True), ("failure", False)])
def test_an_smsc_of_which_no_sms_arrives_is_said(asked_for: str, is_said: bool) -> None:
    """A carrier that blocks a sender says UNDELIV of each; a hundred different ones, unless delivered is never told."""
    memory = Memory()
    world = memory.world(receipts=asked_for)

    def receipt(number: int, state: bytes = b"UNDELIV") -> None:
        text = RECEIPT.replace(b"DELIVRD", state).replace(b"id:", b"id:%d" % number)
        assert bring(memory, encode(smpp.DeliverSm(0, esm_class=4, short_message=text))[16:]) == Status.ROK

    for number in (1, 1, *range(1, 100)):
        receipt(number)
        assert world.channel.states()["world"].receipts == ""
    receipt(100)
    words = "100 receipts, and none that says delivered, the latest UNDELIV: does it block the sender?"
    assert world.channel.states()["world"].receipts == (words if is_said else "")
    receipt(101, b"DELIVRD")
    assert world.channel.states()["world"].receipts == ""


def test_receipts_in_words_that_nobody_knows_are_said() -> None:
    """Its SMS stay accepted: the log names the word, and the SMSC's state says so until one is delivered."""
    memory = Memory()
    world = memory.world()

    def receipt(state: bytes) -> None:
        body = encode(smpp.DeliverSm(0, esm_class=4, short_message=RECEIPT.replace(b"DELIVRD", state)))[16:]
        assert bring(memory, body) == Status.ROK

    with capturedLogs() as lines:
        for state in (b"DLVD", b"UNDELIV", b"DLVD"):
            receipt(state)
        assert world.channel.states()["world"].receipts == ""
        receipt(b"DLVD")
    said = [line["why"] for line in lines if "why" in line]
    assert said == ["a receipt names a state that nobody knows, DLVD: say in receipt_states what it means"] * 3
    assert "DLVD" in world.channel.states()["world"].receipts
    assert world.channel.states()["world"].unreadable == 3
    receipt(b"DELIVRD")
    assert world.channel.states()["world"].receipts == ""
    for _ in range(3):
        receipt(b"DLVD")
    assert world.channel.states()["world"].receipts != ""
    # Nothing more came, as at night: nobody can say that it is still so.
    memory.clock.advance(3601)
    assert world.channel.states()["world"].receipts == ""
    assert len(world.evidence.receipts) == 8
    stopped(world, memory)


@pytest.mark.parametrize(
    ("source", "remote_id"), [(b"447700900021", b"447700900021-1"), (b"", b"447700900021"), (b"", b"7b")]
)
def test_an_id_that_may_hold_the_number_is_recorded_as_its_hash(source: bytes, remote_id: bytes) -> None:
    """Of a receipt that says nobody's number, any id may."""
    memory = Memory()
    world = memory.world(message_ids="as-is")
    said = smpp.DeliverSm(0, source_addr=source, esm_class=4, short_message=RECEIPT.replace(b"7b", remote_id))
    assert bring(memory, encode(said)[16:]) == Status.ROK
    (receipt,) = world.evidence.receipts
    assert receipt.remote_ids == (sealed("world", remote_id.decode()),)
    stopped(world, memory)


@pytest_twisted.ensureDeferred
async def test_a_receipt_for_which_there_is_no_memory_comes_again() -> None:
    """It was acknowledged as one that nobody can read: its message stayed without an end."""

    class Vast(dict[str, str]):
        def items(self) -> Any:
            raise MemoryError

    account: Any = SimpleNamespace(
        name="world", settings=settings(1).model_copy(update={"receipt_states": Vast(X="failed")})
    )
    sink: Any = None
    came = RequestCame(smpp.DeliverSm(1, esm_class=4, short_message=RECEIPT))
    with capturedLogs() as logs:
        status = await Arrivals(Clock(), lambda number: (number,), sink).record(account, came, "a")
    assert status == BRING_AGAIN
    assert [event["log_failure"].type for event in logs] == [MemoryError]


@pytest.mark.parametrize(("receipts", "event"), [("final", Event.DELIVERED), ("intermediate", None)])
def test_a_notification_on_the_way_is_one_where_it_was_asked_for(receipts: str, event: Event | None) -> None:
    """Else DELIVRD under its bit is all that will ever be said of the message."""
    memory = Memory()
    world = memory.world(receipts=receipts)
    body = encode(smpp.DeliverSm(0, source_addr=b"447700900021", esm_class=0x20, short_message=RECEIPT))[16:]
    assert bring(memory, body) == Status.ROK
    assert [each.event for each in world.evidence.receipts] == [event]
    stopped(world, memory)


@pytest.mark.parametrize("esm_class", [0x04, 0x44])
def test_a_text_that_is_marked_as_a_receipt_is_heard(esm_class: int) -> None:
    """There is nothing of a receipt in it, which is said, and STOP is STOP."""
    memory = Memory()
    world = memory.world(default_region="GB")
    body = encode(smpp.DeliverSm(0, source_addr=b"07700900021", esm_class=esm_class, short_message=b"STOP"))[16:]
    assert bring(memory, body) == Status.ROK
    (text,) = world.evidence.inbound
    assert text.text == "STOP"
    assert "#447700900021" in (text.number_hash, *text.earlier_hashes)
    assert world.channel.states()["world"].unreadable == 1
    assert (
        bring(memory, encode(smpp.DeliverSm(0, esm_class=4, short_message=b"stat:DELIVRD err:000"))[16:]) == Status.ROK
    )
    assert len(world.evidence.inbound) == 1
    stopped(world, memory)
