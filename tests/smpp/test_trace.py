"""The trace of PDUs: what it tells, what it must never tell, and that a reload switches it."""

from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher

from gatewayd.sandbox.smsc import Behaviour
from gatewayd.smpp import trace
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Tag
from redis_server import until
from smpp_world import PHONE, order, running, settings

NUMBER = PHONE.removeprefix("+")


@pytest.mark.parametrize(
    ("pdu", "expected"),
    [
        (
            smpp.Bind(1, system_id=b"gw", password=b"s3cret"),
            "bind_transceiver 1 system_id=gw password=*** system_type= interface_version=0x34",
        ),
        (
            smpp.SubmitSm(
                7,
                source_addr_ton=5,
                source_addr=b"Amazing",
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=NUMBER.encode(),
                esm_class=0x40,
                registered_delivery=1,
                validity_period=b"000000040000000R",
                data_coding=8,
                short_message=b"x" * 140,
            ),
            "submit_sm 7 source=5/0/7 octets destination=1/1/12 digits esm_class=0x40 data_coding=0x08"
            " registered_delivery=0x01 validity_period=000000040000000R short_message=140 octets",
        ),
        (
            smpp.SubmitSm(8, tlvs=((Tag.SAR_TOTAL_SEGMENTS, b"\x03"), (Tag.MESSAGE_PAYLOAD, b"hello"))),
            "submit_sm 8 source=0/0/0 octets destination=0/0/0 octets esm_class=0x00 data_coding=0x00"
            " registered_delivery=0x00 short_message=0 octets 0x020e=03 0x0424=5 octets",
        ),
        (smpp.SubmitSmResp(7, 0, b"a1b2"), "submit_sm_resp 7 ESME_ROK message_id=a1b2"),
        (smpp.SubmitSmResp(7, 0x58), "submit_sm_resp 7 ESME_RTHROTTLED message_id="),
        (
            smpp.DeliverSm(
                9,
                source_addr=NUMBER.encode(),
                esm_class=4,
                short_message=b"id:8001 sub:001 dlvrd:001 stat:DELIVRD err:000 text:Your code",
            ),
            "deliver_sm 9 source=0/0/12 digits destination=0/0/0 octets esm_class=0x04 data_coding=0x00"
            " registered_delivery=0x00 short_message=61 octets receipt id=8001 stat:DELIVRD err:000",
        ),
        (smpp.EnquireLink(3), "enquire_link 3"),
        (smpp.Raw(4, command_id=0x10200, body=b"secret"), "0x00010200 4"),
    ],
)
def test_a_pdu_is_told_without_what_it_says(pdu: Any, expected: str) -> None:
    """Header, flags, lengths and ids; no password, number, sender's name or text."""
    assert trace.words(smpp.encode(pdu)) == expected


def test_a_pdu_that_cannot_be_read_is_told_too() -> None:
    """Its name and length: that is the one an engineer looks for."""
    octets = smpp.encode(smpp.DeliverSm(9, short_message=b"x" * 20))
    cut = (len(octets) - 10).to_bytes(4, "big") + octets[4:-10]
    assert trace.words(cut) == f"deliver_sm 9 unreadable, {len(cut)} octets"


@given(st.binary(max_size=80), st.sampled_from([int(command) for command in smpp.Command]))
def test_any_body_can_be_told(body: bytes, command_id: int) -> None:
    """Whatever comes, a printable line comes out."""
    octets = (16 + len(body)).to_bytes(4, "big") + command_id.to_bytes(4, "big") + bytes(8) + body
    assert trace.words(octets).isprintable()


@pytest.mark.parametrize("remote_id", [NUMBER, f"{NUMBER}-1", f"{int(NUMBER):X}"])
def test_an_id_that_holds_the_number_is_not_told(remote_id: str) -> None:
    """Neither where a receipt names it nor in the answer to a submit to that number."""
    said = smpp.DeliverSm(9, source_addr=b"+" + NUMBER.encode(), esm_class=4, short_message=f"id:{remote_id}".encode())
    assert trace.words(smpp.encode(said)).endswith("receipt id=***")
    answer = smpp.encode(smpp.SubmitSmResp(7, 0, remote_id.encode()))
    assert trace.words(answer, PHONE) == "submit_sm_resp 7 ESME_ROK message_id=***"


@pytest.mark.parametrize(("remote_id", "told"), [(NUMBER, "***"), ("jane@players.example", "***"), ("a1b2", "a1b2")])
def test_an_answer_to_nothing_that_was_asked_does_not_tell_whom_it_names(remote_id: str, told: str) -> None:
    """Whose number could be in it nobody knows."""
    answer = smpp.encode(smpp.SubmitSmResp(7, 0, remote_id.encode()))
    assert trace.words(answer) == f"submit_sm_resp 7 ESME_ROK message_id={told}"


@pytest_twisted.ensureDeferred
async def test_a_reload_switches_the_trace() -> None:
    """Off by default; on and off on the living bind, for both directions, with nothing of the message in it."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        if "pdu" in event:
            lines.append(f"{event['smsc']}/{event['mode']}/{event['number']} {event['way']} {event['pdu']}")

    globalLogPublisher.addObserver(observe)
    try:
        async with running(Behaviour(ids_from=int(f"{NUMBER}000"))) as (world, smsc):
            await world.send(order())
            await until(lambda: len(world.evidence.receipts) == 1)
            assert lines == []
            world.channel.reconfigure({"world": settings(smsc.port, trace=True)}, world.labels)
            await world.send(order(2, body="Meet at nine"))
            await until(lambda: len(world.evidence.receipts) == 2 and smsc.receipts_acknowledged == 2)
            assert smsc.binds == 1
            ways = [line.split()[1:3] for line in lines]
            assert ["->", "submit_sm"] in ways
            assert ["<-", "submit_sm_resp"] in ways
            assert ["<-", "deliver_sm"] in ways
            assert ["->", "deliver_sm_resp"] in ways
            assert all(line.startswith("world/transceiver/0 ") for line in lines)
            told = "\n".join(lines)
            assert not any(word in told for word in (NUMBER, "Amazing", "Meet", "secret"))
            assert "message_id=***" in told
            world.channel.reconfigure({"world": settings(smsc.port)}, world.labels)
            seen = len(lines)
            await world.send(order(3))
            await until(lambda: len(world.evidence.receipts) == 3)
            assert len(lines) == seen
    finally:
        globalLogPublisher.removeObserver(observe)
