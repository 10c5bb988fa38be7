"""CONTRACT.md, SMS: what stands on the SMPP wire, how even it is, and how links are kept."""

import itertools
import uuid

import pytest
from evenness import within
from outside import ENQUIRE_LINK, Outside, Submit, until
from outside_sms import centres, first, marked, plain, send, world

__all__ = ["plain", "world"]

# ── the wire ──


@pytest.mark.parametrize(
    ("sender", "ton", "npi", "source"),
    [
        ("Amazing", 5, 0, "Amazing"),
        ("+447700900123", 1, 1, "447700900123"),
        ("447700900123", 1, 1, "447700900123"),
        ("123", 3, 0, "123"),
        ("12345678", 3, 0, "12345678"),
        ("123456789", 1, 1, "123456789"),
        ("A1234567890", 5, 0, "A1234567890"),
        ("My Brand", 5, 0, "My Brand"),
    ],
)
def test_source_and_destination(world: Outside, sender: str, ton: int, npi: int, source: str) -> None:
    """TON and NPI by the sender's form; the destination is international without plus."""
    text = marked()
    send(world, from_number=sender, body=text)
    submit = first(world, text)
    assert (submit.source_ton, submit.source_npi, submit.source) == (ton, npi, source)
    assert (submit.dest_ton, submit.dest_npi, submit.dest) == (1, 1, "447700900101")
    assert submit.registered_delivery & 3 == 1


def test_ton_npi_overrides(world: Outside) -> None:
    """source_ton_npi and dest_ton_npi."""
    text = marked()
    send(world, "vendor", body=text)
    submit = first(world, text, "vendor")
    assert (submit.source_ton, submit.source_npi, submit.dest_ton, submit.dest_npi) == (6, 2, 2, 8)


@pytest.mark.parametrize("sender", ["TwelveLetter", "A" * 20])
def test_a_name_over_11_characters_is_refused(world: Outside, sender: str) -> None:
    """Alphanumeric: at most 11, even where the pattern allows it."""
    answer = world.post("/world/sms", world.sms_fields(from_number=sender)).json
    assert answer["error_code"] in (3, 6)


def test_numbers_without_a_country_code_are_the_regions(world: Outside) -> None:
    """default_region."""
    text = marked()
    send(world, ext_user_id="national", body=text)
    assert first(world, text).dest == "447700900108"


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("plain @£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ", 0),
        ("€ [brackets] {braces} \\ ^ ~ |", 0),
        ("line\nline\rline", 0),
        ("Привет", 8),
        ("smile 😀", 8),
        ("ç is not in the table", 8),
        ("`", 8),
    ],
)
def test_data_coding_by_content(world: Outside, text: str, coding: int) -> None:
    """0 for GSM 03.38, unpacked; 8 for the rest; the text arrives as it was."""
    text = f"{text} {uuid.uuid4().hex[:6]}"
    send(world, body=text)
    submit = first(world, text)
    assert submit.data_coding == coding
    assert submit.esm_class & 0x40 == 0


def parts(world: Outside, found: str, centre: str = "world", since: int = 0) -> list[Submit]:
    """All segments of a message that came to an SMSC since it had so many: each was answered and receipted."""
    world.told(found, "accepted", "delivered")
    world.idle("sms")
    return centres(world)[centre].submits[since:]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("a" * 152 + "€" + "b" * 100, 2),
        ("ж" * 66 + "😀" + "ж" * 60, 2),
    ],
)
def test_long_messages_by_udh(world: Outside, text: str, count: int) -> None:
    """A concatenation header of 8-bit reference; nothing is cut in two; accepted and delivered once."""
    since = len(world.smsc.submits)
    found = send(world, body=text)
    taken = parts(world, found, since=since)
    assert len(taken) == count
    if count > 1:
        headers = [submit.short_message[:6] for submit in taken]
        assert all(submit.esm_class & 0x40 for submit in taken)
        assert all(head[:3] == b"\x05\x00\x03" and head[4] == count for head in headers)
        assert sorted(head[5] for head in headers) == list(range(1, count + 1))
        assert len({head[3] for head in headers}) == 1
    assert all(len(submit.short_message) <= 140 if submit.data_coding == 8 else True for submit in taken)
    ordered = sorted(taken, key=lambda submit: submit.short_message[5] if count > 1 else 0)
    assert "".join(submit.text for submit in ordered) == text


def test_long_messages_by_sar(world: Outside) -> None:
    """sar_msg_ref_num, sar_total_segments, sar_segment_seqnum."""
    found = send(world, "sar", body="a" * 400)
    taken = parts(world, found, "sar")
    assert [submit.tlvs[0x020F] for submit in taken] == [b"\x01", b"\x02", b"\x03"]
    assert {submit.tlvs[0x020E] for submit in taken} == {b"\x03"}
    assert len({submit.tlvs[0x020C] for submit in taken}) == 1
    assert len(taken[0].tlvs[0x020C]) == 2
    assert all(submit.esm_class & 0x40 == 0 for submit in taken)
    assert "".join(submit.text for submit in taken) == "a" * 400


def test_long_messages_by_payload(world: Outside) -> None:
    """message_payload, one PDU, sm_length 0."""
    found = send(world, "payload", body="ж" * 300)
    taken = parts(world, found, "payload")
    assert len(taken) == 1
    assert taken[0].short_message == b""
    assert taken[0].text == "ж" * 300


def test_binds(world: Outside) -> None:
    """transceiver by default; transmitter and receiver apart, `binds` of each; the account's name and password."""
    assert [(kind, system_id, password) for _, kind, system_id, password in world.smsc.binds] == [
        ("transceiver", "gw", "smppsec")
    ]
    two = centres(world)["two"]
    until(lambda: len(two.binds) == 4)
    assert sorted(kind for _, kind, _, _ in two.binds) == ["receiver", "receiver", "transmitter", "transmitter"]
    found = send(world, "two")
    world.until_heard(found, "accepted", "delivered")


# ── rates, windows, links ──


@pytest.mark.pace
def test_the_rate_is_even(world: Outside) -> None:
    """20/s in submit_sm PDUs: no window of a second above 110 %."""
    paced = centres(world)["paced"]

    def measure() -> list[float]:
        paced.submits.clear()
        ids = [send(world, "paced") for _ in range(50)]
        until(lambda: len(paced.submits) >= 50)
        for found in ids:
            world.until_heard(found, "accepted", "delivered")
        return [submit.at for submit in paced.submits]

    within(measure, most=22, seconds=4)


def test_the_window_is_kept(world: Outside) -> None:
    """3 submits without an answer while 3 are left, and never more."""
    narrow = centres(world)["narrow"]
    unanswered: list[Submit] = []
    narrow.submitted = unanswered.append
    ids = [send(world, "narrow") for _ in range(10)]
    for left in range(10, 0, -1):
        until(lambda left=left: len(unanswered) >= min(left, 3))
        # What was written before this answer is here when the answer is.
        asked = narrow.links[0].ask(ENQUIRE_LINK)
        until(lambda asked=asked: asked in narrow.enquiry_answers)
        assert len(unanswered) == min(left, 3)
        narrow.deliver_at_once(unanswered.pop(0))
    for found in ids:
        world.until_heard(found, "accepted", "delivered")


def test_enquire_link_is_asked_and_answered(world: Outside) -> None:
    """An idle link asks every second, and answers; without an answer for 10 s it is bound anew within 5 s."""
    quick = centres(world)["quick"]
    [link] = quick.links
    asked = link.ask(ENQUIRE_LINK)
    until(lambda: asked in quick.enquiry_answers, 2)
    until(lambda: len(quick.enquiries) >= 3, 10)
    gaps = [b - a for a, b in itertools.pairwise(quick.enquiries[:3])]
    # By default it would be 30 s; a busy machine makes one second two.
    assert max(gaps) < 10
    binds = len(quick.binds)
    quick.answers_enquiries = False
    until(lambda: link not in quick.links, 13)
    until(lambda: len(quick.binds) > binds, 5)
    quick.answers_enquiries = True


def test_a_refused_bind_is_tried_again(world: Outside) -> None:
    """Within 5 s, and it works then."""
    quick = centres(world)["quick"]
    count = len(quick.binds)
    quick.bind = lambda system_id, password: 0x0D if len(quick.binds) <= count + 1 else 0
    for link in list(quick.links):
        link.close()
    until(lambda: len(quick.binds) >= count + 2, 15)
    times = [at for at, *_ in quick.binds[count:]]
    assert times[1] - times[0] < 5.3
    quick.bind = lambda system_id, password: 0
