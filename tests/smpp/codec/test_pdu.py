"""The SMPP codec: the field's PDUs by value, every PDU there and back, and nothing but the declared errors."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from conftest import FUZZ_EXAMPLES, missing
from gatewayd.smpp.codec.pdu import (
    DISPOSITIONS,
    AlertNotification,
    Bind,
    BindResp,
    BodyError,
    Command,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    Disposition,
    EncodeError,
    EnquireLink,
    EnquireLinkResp,
    Framer,
    FramingError,
    GenericNack,
    Outbind,
    Pdu,
    Raw,
    Status,
    SubmitSm,
    SubmitSmResp,
    Tag,
    Unbind,
    UnbindResp,
    command_name,
    decode,
    disposition,
    encode,
    status_name,
)

VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(octets)
    for name, octets in json.loads((Path(__file__).parent.parent / "data" / "smpp-vectors.json").read_text()).items()
}
RECEIPT = b"id:0123456789 sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:Hello"
FUZZ = settings(max_examples=FUZZ_EXAMPLES, deadline=None)


def deliver(text: bytes = b"x", **changes: Any) -> DeliverSm:
    """The vectors' deliver_sm with other fields."""
    fields: dict[str, Any] = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": b"385911111111",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": b"12345",
        "registered_delivery": 1,
        "short_message": text,
    }
    return DeliverSm(7, **(fields | changes))


TRX = Command.BIND_TRANSCEIVER

FIELD: dict[str, Pdu] = {
    "dlr_tlvs": deliver(
        RECEIPT,
        esm_class=4,
        tlvs=((0x1E, b"0123456789\0"), (0x427, b"\x02"), (0x423, b"\x03\x00\x0b")),
    ),
    "dlr_plain": deliver(RECEIPT, esm_class=4),
    "tlv_vendor_bin": deliver(tlvs=((0x1403, b"\xff\x00\x80bin"), (0x2157, b"\xc3\x28"))),
    "payload_only": deliver(b"", tlvs=((0x424, b"long " * 80),)),
    "payload_and_sm": deliver(b"short", tlvs=((0x424, b"long " * 10),)),
    "udh8": deliver(b"\x05\x00\x03\x2a\x02\x01part one", esm_class=0x40),
    "udh16": deliver(b"\x06\x08\x04\x12\x34\x02\x01part one", esm_class=0x40),
    "udh_unknown_ie": deliver(b"\x08\x70\x01\xaa\x00\x03\x2a\x02\x01body", esm_class=0x40),
    "sar": deliver(b"part", tlvs=((0x20C, b"\x12\x34"), (0x20E, b"\x02"), (0x20F, b"\x01"))),
    "ucs2_emoji": deliver("hi 😀 ž".encode("utf-16-be"), data_coding=8),
    "gsm_ext_bytes": deliver(b"\x1be \x00\x11\x1b<"),
    "binary_dcs4": deliver(bytes(range(0x80, 0xB4)), data_coding=4),
    "dcs_f5": deliver(b"\x80\xff", data_coding=0xF5),
    "dcs_11_class1": deliver(b"flash", data_coding=0x11),
    "latin1_dcs3": deliver(b"??\xe8\xe9", data_coding=3),
    "nonascii_addr": deliver(source_addr=b"Caf\xe9", source_addr_ton=5, source_addr_npi=0),
    "ton_7": deliver(source_addr_ton=7),
    "npi_2": deliver(source_addr_npi=2),
    "state_v5_skipped": deliver(RECEIPT, esm_class=4, tlvs=((0x1E, b"abc\0"), (0x427, b"\x09"))),
    "rmid_no_nul": deliver(RECEIPT, esm_class=4, tlvs=((0x1E, b"0123456789"),)),
    "tlv_dup": deliver(tlvs=((0x381, b"\x00\x01\x01a123"), (0x381, b"\x00\x01\x01b456"))),
    "tlv_zero_len": deliver(tlvs=((0x130C, b""),)),
    "trailing_pad2": deliver(),
    "esm_receipt_bits_20": deliver(RECEIPT, esm_class=0x20),
    "esm_0x3c_reserved": deliver(esm_class=0x3C),
    "regd_0xe0": deliver(registered_delivery=0xE1),
    "prio_9": deliver(priority_flag=9),
    "validity_junk": deliver(validity_period=b"0000"),
    "sm_255": deliver(b"a" * 255),
    "addr_40": deliver(source_addr=b"9" * 40),
    "resp_ok": SubmitSmResp(9, 0, b"0123abcd"),
    "resp_err_nobody": SubmitSmResp(9, Status.RTHROTTLED),
    "resp_err_nul": SubmitSmResp(9, Status.RMSGQFUL),
    "resp_vendor_status": SubmitSmResp(9, 0x400),
    "resp_id_70": SubmitSmResp(9, 0, b"f" * 70),
    "resp_with_tlv": SubmitSmResp(9, 0, b"abc", tlvs=((0x1D, b"why\0"),)),
    "resp_no_nul": SubmitSmResp(9, 0, b"abc"),
    "resp_ok_empty": SubmitSmResp(9, 0, b""),
    "deliver_resp_empty": DeliverSmResp(9),
    "gnack_seq0": GenericNack(0, Status.RINVCMDLEN),
    "gnack": GenericNack(9, Status.RINVCMDID),
    "vendor_cmd": Raw(5, 0, 0x00010200, b"zz"),
    "seq_hi": replace(deliver(), sequence=0xFFFFFFFE),
    "seq_0": EnquireLink(0),
    "enquire": EnquireLink(3),
    "bind_resp_tlv": BindResp(1, 0, TRX, b"smsc", tlvs=((0x210, b"\x34"),)),
    "bind_resp_notlv": BindResp(1, 0, TRX, b"smsc"),
    "bind_resp_err_nobody": BindResp(1, Status.RINVPASWD, TRX),
    "bind_resp_sysid_30": BindResp(1, 0, TRX, b"s" * 30),
    "alert": AlertNotification(
        4, source_addr_ton=1, source_addr_npi=1, source_addr=b"123", esme_addr=b"999", tlvs=((0x422, b"\x00"),)
    ),
    "data_sm": DataSm(
        4,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=b"123",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=b"456",
        registered_delivery=1,
        tlvs=((0x424, b"hi"),),
    ),
}
UNREADABLE: dict[str, tuple[int, int]] = {
    "tlv_overrun": (7, Status.RINVPARLEN),
    "M_cstr_unterminated": (4, Status.RSYSERR),
    "M_smlen_overrun": (7, Status.RSYSERR),
    "M_truncated_mid": (4, Status.RSYSERR),
    "M_empty_body": (4, Status.RSYSERR),
}
# What the field sends and we would not: over the specification's lengths, or both kinds of text.
UNWRITABLE = {
    "payload_and_sm": "short_message",
    "sm_255": "short_message",
    "addr_40": "source_addr",
    "resp_id_70": "message_id",
    "bind_resp_sysid_30": "system_id",
}
# What we read and would write in the specification's own form.
NORMALISED = {"trailing_pad2", "resp_err_nul", "resp_no_nul", "resp_ok_empty", "deliver_resp_empty"}


def test_every_vector_has_an_expectation() -> None:
    """All 57 PDUs that other libraries were measured with are pinned here."""
    assert len(VECTORS) == 57
    assert set(VECTORS) == set(FIELD) | set(UNREADABLE) | {"M_len15"}


@pytest.mark.parametrize("name", FIELD)
def test_a_pdu_of_the_field_is_read_in_full(name: str) -> None:
    """What SMSCs are known to send is decoded field by field, odd or not."""
    assert decode(VECTORS[name]) == FIELD[name]


@pytest.mark.parametrize("name", FIELD)
def test_a_pdu_of_the_field_is_written_or_refused_by_name(name: str) -> None:
    """Encoding gives the same octets, the normal form of them, or an error that names the field."""
    if name in UNWRITABLE:
        with pytest.raises(EncodeError) as caught:
            encode(FIELD[name])
        assert caught.value.field == UNWRITABLE[name]
        return
    octets = encode(FIELD[name])
    assert (octets == VECTORS[name]) is (name not in NORMALISED)
    assert decode(octets) == FIELD[name]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_broken_request_says_how_to_answer_it(name: str) -> None:
    """A body that ends inside a field costs that request only: its id, sequence and status to answer are known."""
    with pytest.raises(BodyError) as caught:
        decode(VECTORS[name])
    sequence, status = UNREADABLE[name]
    assert (caught.value.command_id, caught.value.sequence, caught.value.status) == (
        Command.DELIVER_SM,
        sequence,
        status,
    )


@pytest.mark.parametrize(("length", "whole"), [(4, True), (5, False), (0xFFFF, False)])
def test_a_tlv_ends_with_its_pdu(length: int, whole: bool) -> None:
    """One octet too many is too many."""
    octets = bytearray(encode(deliver(tlvs=((0x1E, b"abcd"),))))
    octets[-6:-4] = length.to_bytes(2, "big")
    if whole:
        assert decode(bytes(octets)) == deliver(tlvs=((0x1E, b"abcd"),))
    else:
        with pytest.raises(BodyError):
            decode(bytes(octets))


def test_a_length_under_16_is_fatal() -> None:
    """A PDU shorter than its own header ends the stream, in the framer and in the decoder."""
    with pytest.raises(FramingError):
        decode(VECTORS["M_len15"])
    with pytest.raises(FramingError):
        Framer().feed(VECTORS["M_len15"])


def test_a_pdu_that_lies_about_its_length_is_refused() -> None:
    """decode takes exactly one PDU."""
    with pytest.raises(FramingError):
        decode(VECTORS["enquire"] + b"x")
    with pytest.raises(FramingError):
        decode(b"")


def test_a_response_is_never_unreadable() -> None:
    """Broken TLVs behind a message_id don't cost the id: losing it would make the submit's outcome unknown."""
    octets = encode(Raw(3, 0, Command.SUBMIT_SM_RESP, b"abc\0\x00\x1d\x00\x50why"))
    assert decode(octets) == SubmitSmResp(3, 0, b"abc")


def test_the_framer_gives_up_past_its_limit_and_hands_over_what_came_before() -> None:
    """An answer that arrived in front of garbage is not lost with it."""
    framer = Framer(max_length=64)
    answer = VECTORS["resp_ok"]
    with pytest.raises(FramingError) as caught:
        framer.feed(answer + VECTORS["enquire"] + b"\x00\x00\x00\x41")
    assert caught.value.whole == (answer, VECTORS["enquire"])


def test_the_largest_payload_is_no_garbage() -> None:
    """A TLV may have 65535 octets; other fields and TLVs are around it."""
    largest = encode(
        DeliverSm(1, source_addr=b"4" * 20, tlvs=((Tag.MESSAGE_PAYLOAD, b"x" * 0xFFFF), (0x1400, b"y" * 999)))
    )
    assert Framer().feed(largest) == [largest]


def test_garbage_after_half_a_pdu_is_found() -> None:
    """The length is judged as soon as its four octets are there, wherever they were cut."""
    framer = Framer()
    assert framer.feed(VECTORS["enquire"][:10]) == []
    assert framer.pending == 10
    assert framer.feed(VECTORS["enquire"][10:] + b"HT") == [VECTORS["enquire"]]
    assert framer.pending == 2
    with pytest.raises(FramingError) as caught:
        framer.feed(b"TP/1.1")
    assert caught.value.whole == ()


@given(st.data())
def test_the_stream_may_be_cut_anywhere(data: st.DataObject) -> None:
    """However TCP or TLS splits and joins the octets, the same PDUs come out, in order, as soon as they are whole."""
    names = data.draw(st.lists(st.sampled_from(sorted(set(VECTORS) - {"M_len15"})), max_size=12))
    stream = b"".join(VECTORS[name] for name in names)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=40)))
    framer = Framer()
    got: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += framer.feed(stream[start:end])
        whole = 0
        for name in names[: len(got)]:
            whole += len(VECTORS[name])
        assert framer.pending == end - whole
    assert got == [VECTORS[name] for name in names]


def strings(size: int) -> st.SearchStrategy[bytes]:
    """C-strings of at most `size` octets with their NUL."""
    return st.binary(max_size=size - 1).map(lambda value: value.replace(b"\0", b"\1"))


OCTET = st.integers(0, 255)
U32 = st.integers(0, 0xFFFFFFFF)
HEAD: dict[str, Any] = {"sequence": U32, "status": st.sampled_from(list(Status)) | U32}
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(tuple)
ADDRESSES = {"source_addr_ton": OCTET, "source_addr_npi": OCTET, "dest_addr_ton": OCTET, "dest_addr_npi": OCTET}
SHORT: dict[str, Any] = (
    HEAD
    | ADDRESSES
    | {
        "service_type": strings(6),
        "source_addr": strings(21),
        "destination_addr": strings(21),
        "esm_class": OCTET,
        "protocol_id": OCTET,
        "priority_flag": OCTET,
        "schedule_delivery_time": strings(17),
        "validity_period": strings(17),
        "registered_delivery": OCTET,
        "replace_if_present_flag": OCTET,
        "data_coding": OCTET,
        "sm_default_msg_id": OCTET,
        "short_message": st.binary(max_size=254),
        "tlvs": TLVS,
    }
)
DATA: dict[str, Any] = (
    HEAD
    | ADDRESSES
    | {
        "service_type": strings(6),
        "source_addr": strings(65),
        "destination_addr": strings(65),
        "esm_class": OCTET,
        "registered_delivery": OCTET,
        "data_coding": OCTET,
        "tlvs": TLVS,
    }
)
KIND = st.sampled_from([Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER])
ANSWER: dict[str, Any] = HEAD | {"message_id": strings(65), "tlvs": TLVS}
UNKNOWN_COMMANDS = U32.filter(lambda number: number not in set(Command))
PDUS: st.SearchStrategy[Pdu] = st.one_of(
    st.builds(
        Bind,
        **HEAD,
        kind=KIND,
        system_id=strings(16),
        password=strings(129),
        system_type=strings(13),
        interface_version=OCTET,
        addr_ton=OCTET,
        addr_npi=OCTET,
        address_range=strings(41),
    ),
    st.builds(BindResp, **HEAD, kind=KIND, system_id=strings(16), tlvs=TLVS),
    st.builds(Outbind, **HEAD, system_id=strings(16), password=strings(9)),
    *(st.builds(form, **HEAD) for form in (Unbind, UnbindResp, EnquireLink, EnquireLinkResp, GenericNack)),
    st.builds(SubmitSm, **SHORT),
    st.builds(DeliverSm, **SHORT),
    st.builds(DataSm, **DATA),
    *(st.builds(form, **ANSWER) for form in (SubmitSmResp, DeliverSmResp, DataSmResp)),
    st.builds(
        AlertNotification,
        **HEAD,
        source_addr_ton=OCTET,
        source_addr_npi=OCTET,
        source_addr=strings(65),
        esme_addr_ton=OCTET,
        esme_addr_npi=OCTET,
        esme_addr=strings(65),
        tlvs=TLVS,
    ),
    st.builds(Raw, **HEAD, command_id=UNKNOWN_COMMANDS, body=st.binary(max_size=200)),
)


@given(PDUS)
def test_every_pdu_comes_back_as_it_was(pdu: Pdu) -> None:
    """decode undoes encode for all PDUs in both directions: the simulator speaks through this codec too."""
    if isinstance(pdu, SubmitSm | DeliverSm):
        assume(not (pdu.short_message and pdu.tlv(Tag.MESSAGE_PAYLOAD) is not None))
    octets = encode(pdu)
    assert int.from_bytes(octets[:4], "big") == len(octets)
    assert decode(octets) == pdu


@given(PDUS)
def test_a_printed_pdu_shows_no_address_and_no_content(pdu: Pdu) -> None:
    """repr, str and the text of an error tell the kind, the sequence and the status, and nothing that was said."""
    name = command_name(pdu.command_id) if isinstance(pdu, Raw) else ""
    kind = f"Raw {name}" if name else type(pdu).__name__
    assert repr(pdu) == str(pdu) == f"<{kind} {pdu.sequence} {status_name(pdu.status)}>"


FIELDS_OUT_OF_BOUNDS = [
    (Bind, "system_id", b"x" * 16),
    (Bind, "password", b"x" * 129),
    (Bind, "system_type", b"x" * 13),
    (Bind, "address_range", b"x" * 41),
    (Bind, "interface_version", 256),
    (Bind, "kind", Command.SUBMIT_SM),
    (BindResp, "kind", 0x80000009),
    (BindResp, "system_id", b"x" * 16),
    (Outbind, "password", b"a\0b"),
    (SubmitSm, "service_type", b"toolong"),
    (SubmitSm, "source_addr", b"1" * 21),
    (SubmitSm, "source_addr", b"a\0b"),
    (SubmitSm, "destination_addr", b"44\x00700"),
    (SubmitSm, "destination_addr", b"4" * 21),
    (SubmitSm, "validity_period", b"0" * 17),
    (SubmitSm, "schedule_delivery_time", b"0" * 17),
    (SubmitSm, "short_message", b"x" * 255),
    (SubmitSm, "dest_addr_ton", -1),
    (SubmitSm, "data_coding", 256),
    (SubmitSm, "sequence", 1 << 32),
    (SubmitSm, "status", -1),
    (SubmitSm, "tlvs", ((0x424, b"x" * 65536),)),
    (SubmitSm, "tlvs", ((0x10000, b""),)),
    (DataSm, "source_addr", b"1" * 65),
    (DataSm, "esm_class", 256),
    (SubmitSmResp, "message_id", b"x" * 65),
    (AlertNotification, "esme_addr", b"\0"),
    (AlertNotification, "esme_addr_npi", 300),
    (Raw, "command_id", 1 << 32),
]


@pytest.mark.parametrize(("form", "field", "value"), FIELDS_OUT_OF_BOUNDS)
def test_the_encoder_names_what_it_refuses(form: type[Any], field: str, value: Any) -> None:
    """Nothing over the specification's bounds is written, least of all a NUL that would shift every later field."""
    with pytest.raises(EncodeError) as caught:
        encode(form(**({"sequence": 1} | {field: value})))
    assert caught.value.field == field
    assert str(value) not in str(caught.value)


def test_message_payload_and_short_message_exclude_each_other() -> None:
    """A submit has one text; the other place stays empty."""
    with pytest.raises(EncodeError) as caught:
        encode(SubmitSm(1, short_message=b"a", tlvs=((Tag.MESSAGE_PAYLOAD, b"b"),)))
    assert caught.value.field == "short_message"
    assert decode(encode(SubmitSm(1, tlvs=((Tag.MESSAGE_PAYLOAD, b"b"),)))).sequence == 1


def test_tlvs_are_read_leniently() -> None:
    """Strings end at their NUL or without one, integers have one to four octets, of duplicates the first counts."""
    pdu = deliver(tlvs=((0x1E, b"ab\0cd"), (0x427, b"\x00\x02"), (0x427, b"\x05"), (0x423, b""), (0x422, b"12345")))
    assert pdu.tlv_string(0x1E) == b"ab"
    assert pdu.tlv_int(0x427) == 2
    assert pdu.tlv_int(0x423) is None
    assert pdu.tlv_int(0x422) is None
    assert pdu.tlv(0x999) is None
    assert pdu.tlv_string(0x999) is None


def test_the_text_is_found_in_either_place() -> None:
    """message_payload counts where there is one, in deliver_sm and in data_sm."""
    assert deliver(b"short").user_data == b"short"
    assert deliver(b"short", tlvs=((0x424, b"long"),)).user_data == b"long"
    assert DataSm(1, tlvs=((0x424, b"long"),)).user_data == b"long"
    assert DataSm(1).user_data == b""


def test_statuses_lead_to_what_the_specification_and_the_field_ask_for() -> None:
    """A few rows by name, and the rule for what no row lists."""
    assert disposition(0) is Disposition.TAKEN
    assert disposition(0x58) is Disposition.THROTTLED
    assert disposition(0x14) is Disposition.THROTTLED
    assert disposition(0x08) is Disposition.RETRY
    assert disposition(0x04) is Disposition.SESSION
    assert disposition(0x0E) is Disposition.CONFIGURATION
    assert disposition(0x101) is Disposition.CONFIGURATION
    assert disposition(0x102) is Disposition.RETRY
    assert disposition(0x0B) is Disposition.PERMANENT
    assert disposition(0x03) is Disposition.OUR_FAULT
    for unlisted in (0x400, 0x4FF, 0x45, 0xFF, 0x12345678):
        assert disposition(unlisted) is Disposition.LIMITED
    permanent = {
        *(0x01, 0x06, 0x07, 0x0A, 0x0B, 0x0C, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44, 0x48, 0x49, 0x50, 0x51),
        *(0x54, 0x55, 0x61, 0x62, 0x63, 0x65, 0x66, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x100, 0x103, 0x104),
    }
    assert {status for status, what in DISPOSITIONS.items() if what is Disposition.PERMANENT} == permanent


def test_numbers_have_names_for_the_log() -> None:
    """Known ones by the specification's names, vendors' in hexadecimal."""
    assert status_name(0x58) == "ESME_RTHROTTLED"
    assert status_name(0x104) == "ESME_RINVDCS"
    assert status_name(0x400) == "0x00000400"
    assert command_name(0x80000004) == "submit_sm_resp"
    assert command_name(0x00010200) == "0x00010200"


def other_codec() -> Any:
    """A codec written by somebody else, in Rust, that types submit_sm and deliver_sm."""
    try:
        import smpp34
    except ImportError:
        missing("the Python package smpp34", "pip install -e '.[test]'")
    return smpp34


# That codec holds addresses as text and has no place for what isn't ASCII.
ASCII: dict[str, Any] = {
    name: st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=size).map(str.encode)
    for name, size in (
        ("service_type", 5),
        ("source_addr", 20),
        ("destination_addr", 20),
        ("schedule_delivery_time", 16),
        ("validity_period", 16),
    )
}
FIELDS = [name for name in SubmitSm.__struct_fields__ if name not in ("sequence", "status", "tlvs")]


@given(st.builds(SubmitSm, **(SHORT | ASCII | {"status": st.just(0), "sequence": st.integers(1, 0x7FFFFFFF)})))
def test_another_codec_reads_what_we_write(pdu: SubmitSm) -> None:
    """Two independent readings of the specification agree on every field of a submit_sm and on its TLVs."""
    assume(not (pdu.short_message and pdu.tlv(Tag.MESSAGE_PAYLOAD) is not None))
    theirs = other_codec().decode(encode(pdu))
    assert theirs.sequence_number == pdu.sequence
    for name in FIELDS:
        value = getattr(theirs, name)
        assert (value.encode() if isinstance(value, str) else value) == getattr(pdu, name), name
    assert tuple((tlv.tag, tlv.value) for tlv in theirs.tlvs) == pdu.tlvs


@given(st.builds(DeliverSm, **(SHORT | ASCII | {"status": st.just(0), "sequence": st.integers(1, 0x7FFFFFFF)})))
def test_we_read_what_another_codec_writes(pdu: DeliverSm) -> None:
    """The same the other way round, for a deliver_sm."""
    them = other_codec()
    fields = {name: getattr(pdu, name) for name in FIELDS}
    theirs = them.DeliverSm(
        **{name: value.decode() if name in ASCII else value for name, value in fields.items()},
        tlvs=[them.Tlv(tag, value) for tag, value in pdu.tlvs],
        sequence_number=pdu.sequence,
    )
    assert decode(theirs.encode()) == pdu


def read_all(data: bytes) -> None:
    """Whatever a peer sends: frame it, read it, print it, and write what was read where that is allowed."""
    try:
        whole = Framer().feed(data)
    except FramingError as error:
        whole = list(error.whole)
    for octets in whole:
        try:
            pdu = decode(octets)
        except BodyError:
            continue
        assert repr(pdu)
        try:
            again = encode(pdu)
        except EncodeError:
            continue
        assert decode(again) == pdu


@FUZZ
@given(st.sampled_from([*map(int, Command), 0x00010200]), st.binary(max_size=300))
def test_any_body_of_any_command_is_read_or_refused(command: int, body: bytes) -> None:
    """Random bodies raise BodyError or decode to something that survives its own round trip."""
    read_all(encode(Raw(1, 0, command, body)))


def edits_in(octets: bytes) -> list[tuple[int, int, bytes]]:
    """What to change in a PDU: eight octets say where, how many go and what comes."""
    found = []
    for at in range(0, len(octets) - 7, 8):
        where, remove, length, insert = struct.unpack_from(">HBB4s", octets, at)
        found.append((where % 401, remove % 9 - 4, insert[: length % 5]))
    return found


@FUZZ
@given(st.sampled_from(sorted(VECTORS)), st.binary(max_size=48).map(edits_in))
def test_damaged_pdus_of_the_field_are_read_or_refused(name: str, edits: list[tuple[int, int, bytes]]) -> None:
    """Octets of real PDUs changed, inserted and removed, with the length made right again: no undeclared error."""
    octets = bytearray(VECTORS[name])
    for at, remove, insert in edits:
        at %= len(octets) + 1
        octets[at : at + max(remove, 0)] = insert
    read_all(bytes(octets))
    if len(octets) >= 16:
        octets[:4] = len(octets).to_bytes(4, "big")
        read_all(bytes(octets))


@FUZZ
@given(st.binary(max_size=400))
def test_garbage_raises_nothing_undeclared(data: bytes) -> None:
    """HTTP, TLS or noise on the port."""
    read_all(data)
