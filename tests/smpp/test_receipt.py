"""Delivery receipts: every form the field sends, by value; and nothing raised by garbage."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FUZZ_EXAMPLES
from gatewayd.core.status import Event
from gatewayd.smpp.codec.gsm import pack
from gatewayd.smpp.codec.pdu import DataSm, DeliverSm, Tag, decode
from gatewayd.smpp.receipt import EVENTS, STATES, ReceiptText, read
from gatewayd.smpp.remote_ids import IdRule, forms, lookups, stored

FUZZ = settings(max_examples=FUZZ_EXAMPLES, deadline=None)
VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(octets)
    for name, octets in json.loads((Path(__file__).parent / "data" / "smpp-vectors.json").read_text()).items()
}
RULES: list[IdRule] = list(get_args(IdRule))


def receipt(text: str | bytes = "", esm_class: int = 4, **tlvs: bytes) -> DeliverSm:
    """A deliver_sm with this text; TLVs by the names of Tag."""
    data = text.encode("latin-1") if isinstance(text, str) else text
    return DeliverSm(
        1,
        source_addr=b"385911111111",
        esm_class=esm_class,
        short_message=data,
        tlvs=tuple((Tag[name].value, value) for name, value in tlvs.items()),
    )


def settled(pdu: DeliverSm | DataSm, states: dict[str, str] | None = None) -> tuple[str, Event | None]:
    """The best id and what the receipt settles."""
    found = read(pdu, states)
    assert found is not None
    return found.ids[0] if found.ids else "", found.event


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "dlr_tlvs",
            ReceiptText(("0123456789",), Event.DELIVERED, "DELIVRD", "000", False, "stat:DELIVRD err:000 network:3/11"),
        ),
        (
            "dlr_plain",
            ReceiptText(("0123456789",), Event.DELIVERED, "DELIVRD", "000", False, "stat:DELIVRD err:000"),
        ),
        (
            "rmid_no_nul",
            ReceiptText(("0123456789",), Event.DELIVERED, "DELIVRD", "000", False, "stat:DELIVRD err:000"),
        ),
        (
            "state_v5_skipped",
            ReceiptText(("abc", "0123456789"), Event.FAILED, "SKIPPED", "000", False, "stat:SKIPPED err:000"),
        ),
        (
            "esm_receipt_bits_20",
            ReceiptText(("0123456789",), None, "DELIVRD", "000", True, "intermediate stat:DELIVRD err:000"),
        ),
    ],
)
def test_receipts_of_the_field_are_read_in_full(name: str, expected: ReceiptText) -> None:
    """Text, TLVs, both; TLVs count first; an intermediate notification settles nothing."""
    pdu = decode(VECTORS[name])
    assert isinstance(pdu, DeliverSm)
    assert read(pdu) == expected


@pytest.mark.parametrize(
    "name", ["payload_only", "payload_and_sm", "udh8", "sar", "ucs2_emoji", "esm_0x3c_reserved", "tlv_dup", "data_sm"]
)
def test_texts_of_the_field_are_no_receipts(name: str) -> None:
    """What a person sent stays a text, whatever odd bits it bears."""
    pdu = decode(VECTORS[name])
    assert isinstance(pdu, DeliverSm | DataSm)
    assert read(pdu) is None


TEXTS = [
    "id:0f1E sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:Hi",
    "ID:0F1E SUB:001 DLVRD:001 SUBMIT DATE:2611231200 DONE DATE:2611231201 STAT:DELIVRD ERR:000 TEXT:HI",
    "id:0f1e stat:DELIVRD",
    "Id: 0f1e Sub: 001 Stat: Delivrd Err: 0x1 Text: stat:UNDELIV",
    "stat:DELIVRD err:000 id:0f1e done date:261123120159",
    "id:0f1e sub:001 dlvrd:001 submit date:20261123120000 done date:20261123120100 stat:DELIVERED err:E1 text:",
    "id:0f1e,sub:001,dlvrd:001,stat:DELIVRD,err:000",
    "id:0f1e|stat:DELIVRD|err:000",
    "id:0f1e\nstat:DELIVRD\nerr:000",
    "id=0f1e stat=DELIVRD err=000",
    "id:0f1e sub: dlvrd: submit date: done date: stat:DELIVRD err: text:",
    "id:0f1e submit_date:2611231200 done_date:2611231201 status:DELIVERED error:0",
    "message_id:0f1e state:2 err:0",
    'id:"0f1e" stat:"DELIVRD" err:000',
    "id:0f1e sub:001 vendor:77 operator:24001 stat:DELIVRD err:000 cost:0.01 text:id:5 stat:REJECTD",
    "text:Hello id:0f1e stat:DELIVRD err:000",
    "id:0f1e stat:DELIVRD\0",
    "\0id:0f1e\0stat:DELIVRD\0",
    "id:0f1e sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000\0",
    "id=0f1e&stat=DELIVRD&err=000",
    "message-id:0f1e submit-date:2611231200 done-date:2611231201 status:DELIVRD",
    "id:{0f1e} stat:DELIVRD",
    "id:[0f1e] stat:[DELIVRD]",
    "id:0f1e stat:DELIVRD(0) err:000",
    "id:0f1e stat:002 err:000",
    "id:0f1e submit date:Mon Nov 23 12:00:00 2026 done date:2026-11-23T12:01:00 stat:DELIVRD err:000",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_is_read_in_any_case_order_and_completeness(text: str) -> None:
    """What counts are an id and a state; our own words behind `text:` never count against them."""
    identity, event = settled(receipt(text))
    assert (identity.lower(), event) == ("0f1e", Event.DELIVERED)


def test_an_id_may_have_blanks_in_it() -> None:
    """It ends where the next key begins; its first word is looked up, too, because anything may stand behind an id."""
    found = read(receipt("id:0f1e 77 sub:001 dlvrd:001 stat:DELIVRD err:000"))
    assert found is not None
    assert found.ids == ("0f1e_77", "0f1e")
    assert forms(found.ids[0], "as-is") == (stored(b"0f1e 77", "as-is"),)


@pytest.mark.parametrize("remote_id", ["17,5", "x;y", "p|q", "a&b", "17, 5"])
def test_an_id_may_have_in_it_what_parts_keys_elsewhere(remote_id: str) -> None:
    """Where a blank parts them; what stands behind a comma is no id where commas do."""
    found = read(receipt(f"id:{remote_id} sub:001 dlvrd:001 stat:DELIVRD err:000"))
    assert found is not None
    assert forms(found.ids[0], "as-is") == (stored(remote_id.encode(), "as-is"),)
    for text in ("id:0f1e,sub:001,stat:DELIVRD", "id:0f1e, sub:001, stat:DELIVRD", "id=0f1e&stat=DELIVRD"):
        found = read(receipt(text))
        assert found is not None
        assert found.ids == ("0f1e",)


def test_our_own_words_are_not_the_smscs() -> None:
    """What a player was sent may look like a receipt; behind `text:` it is read only for an id or a state missed."""
    found = read(receipt("id:1 stat:UNDELIV text:err:7 stat:DELIVRD id:2"))
    assert found == ReceiptText(("1",), Event.FAILED, "UNDELIV", "", False, "stat:UNDELIV")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("codec", ["utf-16-be", "utf-16-le"])
def test_a_receipt_in_ucs_2_is_read(codec: str, mark: str) -> None:
    """In either byte order, with or without its mark; data_coding is not believed."""
    assert settled(receipt((mark + TEXTS[0]).encode(codec))) == ("0f1E", Event.DELIVERED)


def test_receipts_come_by_message_payload_and_by_data_sm() -> None:
    """The same text in message_payload, and TLVs alone in a data_sm."""
    text = TEXTS[0].encode()
    assert settled(receipt(MESSAGE_PAYLOAD=text)) == ("0f1E", Event.DELIVERED)
    by_data_sm = DataSm(1, esm_class=4, tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"0f1E\0"), (Tag.MESSAGE_STATE, b"\x05")))
    assert settled(by_data_sm) == ("0f1E", Event.FAILED)
    assert settled(DataSm(1, esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, text),))) == ("0f1E", Event.DELIVERED)


def test_a_receipt_with_a_header_is_read_behind_it() -> None:
    """Long receipts come with a UDH; others bear a long segment's esm_class, and none."""
    assert settled(receipt(b"\x05\x00\x03\x01\x01\x01" + TEXTS[0].encode(), 0x44)) == ("0f1E", Event.DELIVERED)
    for esm_class in (0x44, 0x40):
        assert settled(receipt(TEXTS[0] + ", as you were sent", esm_class)) == ("0f1E", Event.DELIVERED)


def test_a_receipt_beside_the_text_that_was_sent_is_found() -> None:
    """One in short_message, the other in message_payload, or the other way round."""
    assert settled(receipt(TEXTS[0], MESSAGE_PAYLOAD=b"Hello")) == ("0f1E", Event.DELIVERED)
    assert settled(receipt("Hello", MESSAGE_PAYLOAD=TEXTS[0].encode())) == ("0f1E", Event.DELIVERED)
    assert read(receipt("Hello", 0, MESSAGE_PAYLOAD=b"again")) is None


@pytest.mark.parametrize(
    ("number", "event"),
    [
        *((0, None), (1, None), (2, Event.DELIVERED), (3, Event.FAILED), (4, Event.FAILED), (5, Event.FAILED)),
        *((6, None), (7, None), (8, Event.REJECTED), (9, Event.FAILED), (10, None), (255, None)),
    ],
)
def test_message_states_settle_what_the_contract_says(number: int, event: Event | None) -> None:
    """As a TLV, as a word and as a digit in the text; any integer length."""
    assert settled(receipt(MESSAGE_STATE=bytes([number]), RECEIPTED_MESSAGE_ID=b"1")) == ("1", event)
    assert settled(receipt(MESSAGE_STATE=number.to_bytes(4, "big"), RECEIPTED_MESSAGE_ID=b"1")) == ("1", event)
    assert settled(receipt(f"id:1 stat:{STATES.get(number, 'ODD')} err:0")) == ("1", event)
    assert settled(receipt(f"id:1 stat:{number} err:0")) == ("1", event)


@pytest.mark.parametrize(
    ("word", "event"),
    [
        *(("DELIVERED", Event.DELIVERED), ("UNDELIVERABLE", Event.FAILED), ("FAILED", Event.FAILED)),
        *(("REJECTED", Event.REJECTED), ("ACCEPTED", None), ("UNKNOWN", None), ("BUFFERED", None), ("", None)),
        *(("BUFFRED", None), ("ACKED", None), ("NOCRED", Event.REJECTED), ("BARRED", Event.FAILED)),
    ],
)
def test_spellings_of_the_field_settle_too(word: str, event: Event | None) -> None:
    """Long spellings count, unknown ones settle nothing."""
    assert settled(receipt(f"id:1 stat:{word} err:000")) == ("1", event)


@pytest.mark.parametrize(
    ("text", "esm_class", "known"),
    [
        ("id:1 stat:DELIVRD err:000", 4, True),
        ("id:1 stat:ACCEPTD err:000", 4, True),
        ("id:1 stat:DLVD err:000", 4, False),
        ("id:1 stat:DLVD err:000", 0x20, True),
        ("id:1 err:000", 4, False),
        ("id:1 stat:GONE err:000", 4, True),
    ],
)
def test_a_state_that_nobody_knows_is_marked(text: str, esm_class: int, known: bool) -> None:
    """In no table, or not there at all; one on the way need not be known."""
    found = read(receipt(text, esm_class), {"gone": "accepted"})
    assert found is not None
    assert found.is_known is known


def test_every_state_has_its_event() -> None:
    """No number leads to a word without a meaning."""
    assert set(STATES.values()) <= set(EVENTS)


@pytest.mark.parametrize(
    ("states", "text", "number", "event"),
    [
        ({"BLOCKED": "rejected"}, "id:1 stat:BLOCKED err:0", None, Event.REJECTED),
        ({"blocked": "failed"}, "id:1 STAT:Blocked err:0", None, Event.FAILED),
        ({"BLOCKED": "rejected"}, "id:1 stat:BLOCKED err:0", 5, Event.REJECTED),
        ({"ACCEPTD": "delivered"}, "id:1 stat:ACCEPTD err:0", 6, Event.DELIVERED),
        ({"ACCEPTD": "delivered"}, "", 6, Event.DELIVERED),
        ({"REJECTD": "failed"}, "id:1 stat:REJECTD err:0", 8, Event.FAILED),
        ({"BUFFERED": "accepted"}, "id:1 stat:BUFFERED err:0", None, None),
        ({"BLOCKED": "rejected"}, "id:1 stat:DELIVRD err:0", None, Event.DELIVERED),
        ({"77": "failed"}, "", 77, Event.FAILED),
    ],
)
def test_the_operators_meaning_of_a_word_comes_first(
    states: dict[str, str], text: str, number: int | None, event: Event | None
) -> None:
    """receipt_states is over the table and over the TLV, in any letter case."""
    tlvs: dict[str, Any] = {} if number is None else {"MESSAGE_STATE": bytes([number])}
    found = read(receipt(text, **tlvs), states)
    assert found is not None
    assert found.event is event


def test_the_tlv_counts_before_the_text_unless_it_settles_nothing() -> None:
    """A receipt comes once: a text that settles it is not lost to a TLV that doesn't."""
    text = "id:1 stat:DELIVRD err:0"
    assert settled(receipt(text, MESSAGE_STATE=b"\x05")) == ("1", Event.FAILED)
    assert settled(receipt(text, MESSAGE_STATE=b"\x63")) == ("1", Event.DELIVERED)
    assert settled(receipt(text, MESSAGE_STATE=b"\x01")) == ("1", Event.DELIVERED)
    assert settled(receipt(text, MESSAGE_STATE=b"")) == ("1", Event.DELIVERED)
    assert settled(receipt(text, RECEIPTED_MESSAGE_ID=b"2\0")) == ("2", Event.DELIVERED)
    assert settled(receipt(text, RECEIPTED_MESSAGE_ID=b"\0")) == ("1", Event.DELIVERED)


@pytest.mark.parametrize("esm_class", [0x20, 0x60, 0x22, 0xA3])
def test_a_notification_on_the_way_settles_nothing(esm_class: int) -> None:
    """Even one that says DELIVRD; the messaging mode and GSM bits beside the type don't matter."""
    found = read(receipt("id:1 stat:DELIVRD err:0", esm_class, MESSAGE_STATE=b"\x02"))
    assert found is not None
    assert found.intermediate
    assert found.event is None


@pytest.mark.parametrize(("word", "event"), [("DELIVRD", Event.DELIVERED), ("UNDELIV", None), ("ENROUTE", None)])
def test_a_notification_that_nobody_asked_for_may_say_that_it_arrived(word: str, event: Event | None) -> None:
    """An SMSC that mixes up the bits sends no other receipt; what failed may still be tried again."""
    found = read(receipt(f"id:1 stat:{word} err:0", 0x20), notifies=False)
    assert found == ReceiptText(("1",), event, word, "0", event is None, f"intermediate stat:{word} err:0")


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18, 0x24, 0x3C])
def test_other_message_types_are_told_by_content(esm_class: int) -> None:
    """A handset's acknowledgement is a text; a receipt under a reserved type is one."""
    assert read(receipt("got it", esm_class)) is None
    assert settled(receipt("id:1 stat:DELIVRD err:0", esm_class)) == ("1", Event.DELIVERED)


def test_an_announced_receipt_that_cannot_be_read_is_still_no_text() -> None:
    """It must not be taken for a player's answer; it names no submit."""
    assert read(receipt("STOP")) == ReceiptText((), None, is_known=False)
    assert read(receipt(b"\x80\xff\x00")) == ReceiptText((), None, is_known=False)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("id:1 sub:001 dlvrd:001 stat:FOO err:1 text:x", True),
        ("id:1 stat:DELIVRD", True),
        ("ID:1 STAT:UNDELIV", True),
        ("id:1 stat:whatever", False),
        ("id:1", False),
        ("stat:DELIVRD", False),
        ("my id:1 stat:DELIVRD err:000", False),
        ("STOP", False),
        ("", False),
        ("id: please send stat: to me", False),
    ],
)
def test_what_nobody_announced_is_told_by_its_content(text: str, is_one: bool) -> None:
    """Some SMSCs leave esm_class 0; a person's text is not taken for a receipt."""
    assert (read(receipt(text, 0)) is not None) is is_one
    assert read(receipt(text, 0, RECEIPTED_MESSAGE_ID=b"1")) is not None


def test_vendor_words_make_a_receipt_known_by_its_content() -> None:
    """A word that the operator configured is as good as one of the table."""
    assert read(receipt("id:1 stat:BLOCKED", 0)) is None
    assert read(receipt("id:1 stat:BLOCKED", 0), {"BLOCKED": "rejected"}) is not None


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("id:1 stat:UNDELIV err:0x1F", "stat:UNDELIV err:0x1F"),
        ("id:1 stat:UNDELIV err:EC_ABSENT", "stat:UNDELIV err:EC_ABSENT"),
        ("id:1 stat:UNDELIV err:385911111111", "stat:UNDELIV err:#"),
        ("id:1 stat:385-911-111-1 err:38591.1111-1", "stat:? err:#"),
        ("id:1 stat:UNDELIV err:joe@example.com", "stat:UNDELIV err:?"),
        ("id:1 stat:385911111111 err:1", "stat:? err:1"),
        ("id:1 stat:\xe9\xe9 err:1", "stat:? err:1"),
        ("id:1 sub:001 stat:UNDELIV text:Your code is 12345678", "stat:UNDELIV"),
    ],
)
def test_the_detail_shows_no_number_and_no_content(text: str, detail: str) -> None:
    """State, error and network code in short; whatever could be a person's number is left out."""
    found = read(receipt(text))
    assert found is not None
    assert found.detail == detail
    assert "385911111111" not in found.state + found.error


def test_the_tlvs_id_comes_before_the_texts() -> None:
    """Both are told; which of them is meant is for remote_ids.py."""
    both = read(receipt("id:0000004660 stat:DELIVRD err:0", RECEIPTED_MESSAGE_ID=b"1234\0"))
    assert both is not None
    assert both.ids == ("1234", "0000004660")


_OF_RECEIPTS = b"id:stau rexDELIVRD=,019\0"


@FUZZ
@given(
    st.binary(max_size=254) | st.binary(max_size=200).map(lambda octets: bytes(_OF_RECEIPTS[o % 24] for o in octets)),
    st.integers(0, 255),
    st.lists(st.tuples(st.sampled_from([0x1E, 0x427, 0x423, 0x424]), st.binary(max_size=70)), max_size=3).map(tuple),
    st.sampled_from([None, {"UNDELIV": "rejected"}]),
    st.sampled_from(RULES),
)
def test_garbage_is_a_receipt_or_none(
    data: bytes, esm_class: int, tlvs: Any, states: dict[str, str] | None, rule: IdRule
) -> None:
    """Whatever an SMSC writes, reading it raises nothing and gives ids that can be looked up."""
    found = read(DeliverSm(1, esm_class=esm_class, short_message=data, tlvs=tlvs), states)
    if found is not None:
        assert all(lookups(found.ids, rule))
        assert len(found.detail) <= 80


def test_a_hostile_receipt_is_read_in_time() -> None:
    """64 KiB of almost-keys cost what 1 KiB costs."""
    for piece in (b"id:", b"id ", b"stat", b"submit date", b"text ", b"   ", b"0"):
        pdu = DeliverSm(1, esm_class=4, tlvs=((Tag.MESSAGE_PAYLOAD, piece * (60000 // len(piece))),))
        for _ in range(20):
            assert read(pdu) is not None


# Text made of octets: Hypothesis draws those in one go, and characters one by one.
_VALUE = st.binary(min_size=1, max_size=12).map(lambda octets: octets.decode("latin-1")) | st.sampled_from(
    ["id", "a:b", "stat:X", "'1'"]
)


@FUZZ
@given(_VALUE, st.sampled_from(sorted(EVENTS)) | _VALUE, st.sampled_from(["000", "0x1F"]) | _VALUE, st.booleans())
def test_the_usual_form_says_what_any_form_says(message_id: str, state: str, error: str, echo: bool) -> None:
    """Appendix B to the letter has a way of its own, which a blank before it closes: both read the same."""
    usual = f"id:{message_id} sub:001 dlvrd:001 submit date:2611271200 done date:2611271201 stat:{state} err:{error}"
    usual += " text:id:9 stat:UNDELIV" if echo else ""
    for esm_class in (0, 4):
        assert read(receipt(usual, esm_class)) == read(receipt(" " + usual, esm_class))


def test_a_receipt_in_septets_is_read() -> None:
    """As an SMSC writes it that packs all its texts in GSM 03.38; what is announced and no such thing is said so."""
    assert settled(receipt(pack(TEXTS[0].encode()))) == ("0f1E", Event.DELIVERED)
    nothing = read(receipt(b"\x01\x02\x03" * 40))
    assert nothing is not None
    assert nothing.ids == ()
