"""Receipts whose lengths lie, at every place where one may: the text is read all the same, and the trouble named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FUZZ_EXAMPLES
from gatewayd.core.status import Event
from gatewayd.smpp import receipt
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import BodyError, Command, DataSm, DeliverSm, Tag, decode, encode, salvage

TEXT = b"id:0123456789 sub:001 dlvrd:001 submit date:2611271200 done date:2611271201 stat:DELIVRD err:000 text:Hello"
TLVS = ((int(Tag.RECEIPTED_MESSAGE_ID), b"0123456789\0"), (int(Tag.MESSAGE_STATE), b"\2"))
RECEIPT = DeliverSm(
    7,
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr=b"447700900999",
    dest_addr_ton=5,
    destination_addr=b"Amazing",
    esm_class=4,
    short_message=TEXT,
    tlvs=TLVS,
)
BODY = encode(RECEIPT)[16:]
TEXT_AT = BODY.index(TEXT)
HEAD, STATE = BODY[: TEXT_AT - 1], BODY[-5:]


def whole(body: bytes, command: int = Command.DELIVER_SM) -> bytes:
    """A PDU of this body, its own length right."""
    return encode(smpp.Raw(7, 0, command, body))


def read(octets: bytes) -> tuple[DeliverSm | DataSm, str]:
    """As the session reads it."""
    try:
        pdu = decode(octets)
    except BodyError:
        return salvage(octets)
    assert isinstance(pdu, DeliverSm | DataSm)
    return pdu, ""


LIES = {
    "a last TLV that promises one octet more": BODY[:-2] + b"\x02\x02",
    "a last TLV that promises many more": BODY[:-3] + b"\xff\xff\x02",
    "a TLV header with nothing behind it": BODY + b"\x00\x1e\x00\x0b",
    "half a TLV header": BODY + b"\x00\x1e",
    "a first TLV that is too long": HEAD + bytes([len(TEXT)]) + TEXT + b"\x00\x1e\x00\x0e0123456789\0" + STATE,
    "a first TLV that is too short": HEAD + bytes([len(TEXT)]) + TEXT + b"\x00\x1e\x00\x050123456789\0" + STATE,
    "sm_length one octet short": HEAD + bytes([len(TEXT) - 1]) + TEXT,
    "sm_length two octets short": HEAD + bytes([len(TEXT) - 2]) + TEXT,
    "sm_length of nothing": HEAD + b"\0" + TEXT,
    "sm_length far too short": HEAD + b"\x10" + TEXT,
    "sm_length one octet long": HEAD + bytes([len(TEXT) + 1]) + TEXT,
    "sm_length far too long": HEAD + b"\xff" + TEXT,
    "sm_length that swallows the TLVs": HEAD + bytes([len(TEXT) + 10]) + BODY[TEXT_AT:],
    "sm_length far too short before TLVs": HEAD + b"\x10" + BODY[TEXT_AT:],
    "sm_length in two octets": HEAD + b"\0" + bytes([len(TEXT)]) + TEXT,
    "sm_length in two octets before TLVs": HEAD + b"\0" + bytes([len(TEXT)]) + BODY[TEXT_AT:],
    "no sm_length at all": HEAD + TEXT,
    "a message_payload that is too short": HEAD + b"\0\x04\x24\0\x0a" + TEXT,
    "a message_payload that is too short before TLVs": HEAD + b"\0\x04\x24\0\x0a" + BODY[TEXT_AT:],
    "no NUL behind the source": BODY.replace(b"447700900999\0", b"447700900999"),
    "no NUL behind the destination": BODY.replace(b"Amazing\0", b"Amazing"),
    "one octet too many before the text": HEAD[:-1] + b"\0" + BODY[TEXT_AT - 2 :],
    "one octet too few before the text": HEAD[:-2] + BODY[TEXT_AT - 2 :],
    "no service_type": BODY[1:],
}


@pytest.mark.parametrize("lie", LIES)
def test_the_text_is_read_whatever_length_lies(lie: str) -> None:
    """Id and state are those of the text, or of a TLV that is whole; what was cut passes for no id."""
    pdu, _ = read(whole(LIES[lie]))
    said = receipt.read(pdu)
    assert said is not None
    assert (set(said.ids), said.event) == ({"0123456789"}, Event.DELIVERED)


@pytest.mark.parametrize("lie", LIES)
def test_what_is_wrong_is_named(lie: str) -> None:
    """In words of the protocol, without anything of the text or an address."""
    octets = whole(LIES[lie])
    try:
        decode(octets)
    except BodyError:
        flaw = salvage(octets)[1]
        assert flaw
        assert "0123456789" not in flaw
        assert "4477" not in flaw


def test_a_whole_pdu_has_no_flaw() -> None:
    """Salvaged it is what decode makes of it."""
    text = smpp.DeliverSm(3, source_addr=b"44", short_message=b"STOP", tlvs=((0x1E, b"a"),))
    assert salvage(encode(text)) == (text, "")


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_data_sm_is_read_too(cut: int) -> None:
    """Its text stands in a TLV, which may be the one that promises too much."""
    payload = ((int(Tag.MESSAGE_PAYLOAD), TEXT + b" " * cut),)
    octets = encode(DataSm(7, source_addr=b"447700900999", esm_class=4, tlvs=payload))
    pdu, flaw = read(whole(octets[16:-cut], Command.DATA_SM))
    said = receipt.read(pdu)
    assert flaw
    assert said is not None
    assert (said.ids, said.event) == (("0123456789",), Event.DELIVERED)


def test_without_a_text_the_tlvs_count_as_far_as_they_go() -> None:
    """A receipt of TLVs alone with a broken one at its end."""
    body = encode(DeliverSm(7, esm_class=4, tlvs=TLVS))[16:] + b"\x14\x27\x00\x09\x01"
    pdu, flaw = read(whole(body))
    said = receipt.read(pdu)
    assert flaw == "TLV 0x1427 promises 9 octets and has 1"
    assert said is not None
    assert (said.ids, said.event) == (("0123456789",), Event.DELIVERED)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("nul", "length"), [(b"\0", 10), (b"", 11)])
def test_of_tlvs_alone_an_id_whose_nul_is_counted_wrongly_hides_no_state(nul: bytes, length: int, order: int) -> None:
    """Written and not counted, or counted and not written, before the state or behind it."""
    tlvs = [b"\x00\x1e\0" + bytes([length]) + b"0123456789" + nul, STATE]
    pdu, flaw = read(whole(encode(DeliverSm(7, esm_class=4))[16:] + b"".join(tlvs[::order])))
    said = receipt.read(pdu)
    assert bool(flaw) == (order == 1 or not nul)
    assert said is not None
    assert (said.ids, said.event) == (("0123456789",), Event.DELIVERED)


@pytest.mark.parametrize("cut", range(1, len(BODY)))
def test_a_body_cut_anywhere_is_read_as_far_as_it_goes(cut: int) -> None:
    """The id is whole or not there at all, once what names it is behind."""
    pdu, _ = read(whole(BODY[:cut]))
    said = receipt.read(pdu)
    if cut > TEXT_AT + TEXT.index(b" stat:"):
        assert said is not None
        assert said.ids == ("0123456789",)


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([Command.DELIVER_SM, Command.DATA_SM]))
def test_any_octets_can_be_salvaged(body: bytes, command: int) -> None:
    """Whatever comes, something is read and nothing is raised."""
    pdu, flaw = salvage(whole(body, command))
    assert pdu.sequence == 7
    assert isinstance(flaw, str)
    receipt.read(pdu)
