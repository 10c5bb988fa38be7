"""What an SMSC or a player brings costs time in proportion to its size: nothing of it keeps others waiting.

CPU time is compared with itself, from 4 kB to the largest PDU; what is quadratic would take 256 times as long.
"""

import time
from collections.abc import Callable

import pytest

from gatewayd.core.number_readings import readings
from gatewayd.smpp import incoming, receipt, remote_ids, trace
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import MAX_LENGTH, Command, Tag, encode
from gatewayd.smpp.events import RequestCame
from gatewayd.smpp.session import Phase, SmppSession, Timers

SMALL, LARGE = 4000, 64_000


def read(stream: bytes) -> int:
    """All that is done to what comes before it is stored; how many requests it was."""
    session = SmppSession(20, Timers(), 0.0, tap=lambda sent, octets, token: trace.words(octets) and None)
    session.phase = Phase.BOUND
    came = 0
    for event in session.received(stream, 1.0):
        if not isinstance(event, RequestCame):
            continue
        came += 1
        said = receipt.read(event.pdu, {"BLOCKED": "rejected"})
        for alphabet in ("gsm", "gsm-packed", "latin1"):
            incoming.text_of(event.pdu, alphabet)  # type: ignore[arg-type]
        for number in (event.pdu.source_addr, event.pdu.destination_addr):
            readings(number, "GB")
        if said is not None:
            remote_ids.IdsSeen().lookups(said.ids, "auto")
            remote_ids.lookups(said.ids, "decimal")
    session.outgoing()
    return came


def payload(piece: bytes, data_coding: int = 0, esm_class: int = 4) -> Callable[[int], bytes]:
    """A deliver_sm whose message_payload is `piece` again and again."""

    def make(size: int) -> bytes:
        octets = (piece * (size // len(piece) + 1))[: size - 200]
        tlvs = ((int(Tag.MESSAGE_PAYLOAD), octets),)
        return encode(smpp.DeliverSm(1, esm_class=esm_class, data_coding=data_coding, tlvs=tlvs))

    return make


def body(head: bytes, piece: bytes, command: int = Command.DELIVER_SM) -> Callable[[int], bytes]:
    """A PDU of `head` and `piece` again and again, which may be no PDU at all."""

    def make(size: int) -> bytes:
        octets = head + (piece * (size // len(piece) + 1))[: size - 200]
        return encode(smpp.Raw(1, 0, command, octets))

    return make


PLAIN = encode(smpp.DeliverSm(1, esm_class=4))[16:-1]
"""A deliver_sm's body up to its sm_length."""

CASES: dict[str, Callable[[int], bytes]] = {
    **{
        f"a receipt of {piece!r}": payload(piece)
        for piece in (
            *(b" ", b"i", b"id:", b"id: ", b"id:1 ", b"stat:", b"id:" + b" " * 50, b"text:", b"message id :", b"\t|"),
            *(
                b"9",
                b"a-",
                b"0x",
                b"id:a-",
                b"submit date",
                b"submit_date:",
                b"err",
                b"\0",
                b"\0i",
                b"\xff\xfe",
                b"'\"",
            ),
        )
    },
    "an id of digits": payload(b"id:" + b"9" * 60_000),
    "an id of hex": payload(b"id:" + b"f" * 60_000),
    "an id of parts": payload(b"id:" + b"f-" * 30_000),
    "a state without end": payload(b"id:1 stat:" + b"D" * 60_000),
    "a text of escapes": payload(b"\x1b", esm_class=0),
    "a text of UCS-2": payload("é̀".encode("utf-16-be"), 8, 0),
    "a text in JIS": payload(b"\x1b$B", 10, 0),
    "a header without end": payload(b"\xff\x05", 0, 0x40),
    "TLVs of nothing": body(PLAIN + b"\0", b"\x14\x00\x00\x00"),
    "TLVs of one octet": body(PLAIN + b"\0", b"\x14\x00\x00\x01x"),
    "TLVs, and the last one lies": lambda size: (
        body(PLAIN + b"\0", b"\x14\x00\x00\x00")(size - size % 4)[:-1] + b"\xff"
    ),
    "ids in TLVs": body(PLAIN + b"\0", b"\x00\x1e\x00\x02a\0"),
    "data_sm of TLVs": body(b"\0" * 10, b"\x14\x00\x00\x00", Command.DATA_SM),
    "a source without end": body(b"\0\1\1", b"7"),
    "a source of signs": body(b"\0\1\1", b"+"),
    "a source of blanks": body(b"\0\1\1", b" ("),
    "letters after an empty text": body(PLAIN + b"\0", b"id:"),
    "receipts' words in the wrong place": body(b"\0\1\1id:1 stat:", b"id:"),
    "small requests": lambda size: encode(smpp.DeliverSm(1, short_message=b"STOP")) * (size // 40),
    "requests of nothing": lambda size: encode(smpp.Raw(1, 0, Command.DELIVER_SM)) * (size // 16),
    "enquire_link": lambda size: encode(smpp.EnquireLink(1)) * (size // 16),
    "unknown commands": lambda size: encode(smpp.Raw(1, 0, 0x999)) * (size // 16),
    "answers to nothing": lambda size: encode(smpp.SubmitSmResp(1, message_id=b"x")) * (size // 18),
}


def cost(stream: bytes) -> float:
    """Seconds of CPU that reading takes, at best."""
    best = 1e9
    for _ in range(3):
        began = time.thread_time()
        read(stream)
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize("name", CASES)
def test_a_pdu_costs_time_in_proportion_to_its_size(name: str) -> None:
    """Sixteen times as much takes at most some forty times as long, and never a tenth of what a moment is."""
    small, large = CASES[name](SMALL), CASES[name](LARGE)
    assert max(len(small), len(large)) <= MAX_LENGTH + 200
    before, after = cost(small), cost(large)
    assert after < max(40 * before, 0.02), (before, after)


def test_octets_one_by_one_cost_no_more() -> None:
    """A PDU that comes in crumbs is put together once."""

    def crumbs(size: int) -> float:
        stream, session = CASES["a receipt of b'i'"](size), SmppSession(20, Timers(), 0.0)
        session.phase = Phase.BOUND
        began = time.thread_time()
        for at in range(len(stream)):
            session.received(stream[at : at + 1], 1.0)
        return time.thread_time() - began

    before, after = min(crumbs(SMALL) for _ in range(3)), crumbs(LARGE)
    assert after < 40 * before, (before, after)


@pytest.mark.parametrize(
    "number", ["4" * 64, "(" * 64, "+ " * 32, "0" * 64, "１" * 64, "44;ext=" * 9, "x" * 64, "4-" * 32]
)
def test_a_number_costs_little_whatever_it_is(number: str) -> None:
    """Longer ones are not looked at."""
    began = time.thread_time()
    for region in ("GB", "US", "DE", "IT", ""):
        readings(number.encode("latin-1", "replace"), region)
        readings(number.encode("latin-1", "replace") * 1000, region)
    assert time.thread_time() - began < 0.5
