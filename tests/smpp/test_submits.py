"""A message as PDUs: the fields of every segment, and what can't be sent so."""

from typing import Any

import pytest
from msgspec.structs import replace

from gatewayd.core.errors import PermanentFailure
from gatewayd.core.model import Email, Order
from gatewayd.smpp.codec.pdu import SubmitSm
from gatewayd.smpp.codec.reading import decode
from gatewayd.smpp.fit import form_of
from gatewayd.smpp.submits import reference, submits_of
from smpp_world import order, settings

NOW = 1_800_000_000.0


def submits(
    wanted: Order, *, transliterate: bool = False, with_validity: bool = True, now: float = NOW, **changed: Any
) -> list[SubmitSm]:
    """The PDUs, read back from their octets."""
    smsc = settings(2775, **changed)
    made = submits_of(wanted, smsc, form_of(smsc), transliterate=transliterate, with_validity=with_validity, now=now)
    read = [decode(octets) for octets in made]
    assert all(isinstance(pdu, SubmitSm) for pdu in read)
    return [pdu for pdu in read if isinstance(pdu, SubmitSm)]


def test_a_segment_differs_from_the_next_in_its_text_alone() -> None:
    """Sender, number, validity, coding and the receipt that is asked for are those of the message."""
    first, *others = submits(order(body="x" * 400, now=NOW))
    assert len(others) == 2
    assert (first.source_addr_ton, first.source_addr_npi, first.source_addr) == (5, 0, b"Amazing")
    assert (first.dest_addr_ton, first.dest_addr_npi, first.destination_addr) == (1, 1, b"447700900999")
    assert (first.validity_period, first.registered_delivery, first.esm_class) == (b"000000010000000R", 1, 0x40)
    assert {replace(pdu, short_message=b"") for pdu in (first, *others)} == {replace(first, short_message=b"")}
    assert [pdu.short_message[3:6] for pdu in (first, *others)] == [
        bytes((reference(order().message.id) & 0xFF, 3, number)) for number in (1, 2, 3)
    ]


def test_validity_is_what_is_left_and_may_be_left_out() -> None:
    """Half an hour before the deadline it is half an hour; an SMSC that takes none gets none."""
    wanted = order(now=NOW)
    assert submits(wanted, now=NOW + 1800)[0].validity_period == b"000000003000000R"
    assert submits(wanted, with_validity=False)[0].validity_period == b""


def test_typographic_characters_are_replaced_where_the_label_says_so() -> None:
    """One smart quote need not triple the price."""
    assert submits(order(body="It’s", now=NOW))[0].data_coding == 8
    plain = submits(order(body="It’s", now=NOW), transliterate=True)[0]
    assert (plain.data_coding, plain.short_message) == (0, b"It's")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (order(body="x" * 153 * 256, now=NOW), "255"),
        (order(phone="+" + "4" * 30, now=NOW), "SMPP has no place for it: "),
    ],
)
def test_what_has_no_place_is_refused_before_anything_is_written(wanted: Order, said: str) -> None:
    """More segments than a header can count, a number longer than its field."""
    with pytest.raises(PermanentFailure, match=said):
        submits(wanted)


def test_a_mail_is_no_sms() -> None:
    """Whatever brought it here."""
    wanted = order(now=NOW)
    mail = replace(wanted.message, content=Email("a@amazing.co", "Hello", text_body="Hello"))
    with pytest.raises(PermanentFailure, match="no SMS"):
        submits(replace(wanted, message=mail))


def test_the_reference_is_the_messages_own() -> None:
    """The same at each attempt, 16 bits, and seldom another message's."""
    found = {reference(f"00000000-0000-4000-8000-{number:012d}") for number in range(500)}
    assert all(0 <= one <= 0xFFFF for one in found)
    assert len(found) > 480


def test_what_the_carrier_wants_beside_is_in_every_segment() -> None:
    """service_type and the optional parameters, those of the segment's own first."""
    tlvs = {"0x1400": "1101234567", "0x1401": "hex:0a0b"}
    parts = submits(order(body="x" * 400, now=NOW), service_type="WAP", tlvs=tlvs, long_messages="sar")
    assert len(parts) == 3
    for number, part in enumerate(parts, 1):
        assert part.service_type == b"WAP"
        assert part.tlvs[-2:] == ((0x1400, b"1101234567"), (0x1401, b"\x0a\x0b"))
        assert part.tlv_int(0x020F) == number


def test_under_latin_1_goes_latin_1() -> None:
    """`@£é` under data_coding 3 are the octets that it names; what Latin-1 has not goes as UCS-2."""
    form = {"data_codings": {"default": 3}, "default_alphabet": "latin1"}
    (plain,) = submits(order(body="@£é", now=NOW), **form)
    assert (plain.data_coding, plain.short_message) == (3, "@£é".encode("latin-1"))
    (wide,) = submits(order(body="@€", now=NOW), **form)
    assert (wide.data_coding, wide.short_message) == (8, "@€".encode("utf-16-be"))
