"""CONTRACT.md, SMS: every promise on the SMPP wire, against an SMSC of struct and sockets."""

import itertools
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from evenness import within
from outside import ENQUIRE_LINK, Outside, Smsc, Submit, until


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """One SMSC in many roles: each is a port of its own."""
    with Outside() as world:
        label = world.label
        label["sms_senders"] = ["*"]
        roles: dict[str, dict[str, Any]] = {
            "world": {"rate": "1000/s", "uncertain_wait": "1s"},
            "uk": {},
            "sar": {"long_messages": "sar"},
            "payload": {"long_messages": "payload"},
            "decimal": {"message_ids": "decimal"},
            "hex": {"message_ids": "hex"},
            "asis": {"message_ids": "as-is"},
            "paced": {"rate": "20/s"},
            "two": {"bind": "transmitter+receiver", "binds": 2},
            "vendor": {
                "receipt_states": {"BLOCKED": "rejected", "BUFFERED": "accepted"},
                "source_ton_npi": "6,2",
                "dest_ton_npi": "2,8",
            },
            "resend": {"on_uncertain": "resend", "uncertain_wait": "1s", "response_timeout": "2s"},
            "quick": {"enquire_link": "1s", "response_timeout": "2s"},
            "narrow": {"window": 3},
        }
        world.centres = {}  # type: ignore[attr-defined]
        world.settings["smscs"] = {}
        world.settings["labels"] = {}
        for name, extra in roles.items():
            centre = world.smsc if name == "world" else Smsc()
            if centre is not world.smsc:
                world.peers.append(centre)
            world.centres[name] = centre  # type: ignore[attr-defined]
            world.settings["smscs"][name] = {
                "host": "127.0.0.1",
                "port": centre.port,
                "system_id": "gw",
                "password": "smppsec",
                "rate": "1000/s",
                **extra,
            }
            world.settings["labels"][name] = label | {"sms_routes": [{"prefix": "", "via": [name]}]}
        world.settings["labels"]["amazing"] = label | {
            "sms_routes": [
                {"prefix": "+44", "via": ["uk", "world"]},
                {"prefix": "+44770090010", "via": ["world", "uk"]},
                {"prefix": "", "via": ["world"]},
            ],
        }
        world.settings["labels"]["english"] = label | {"sms_routes": [{"prefix": "+44", "via": ["uk"]}]}
        world.settings["labels"]["short"] = label | {"sms_deadline": "4s"}
        world.start()
        yield world


@pytest.fixture(autouse=True)
def plain(world: Outside) -> Iterator[None]:
    """Each begins with SMSCs that take everything and send receipts."""
    for centre in centres(world).values():
        centre.submitted = centre.deliver_at_once
        centre.prefix = "id"
        centre.new_id = type(centre).new_id.__get__(centre)
    return


def centres(world: Outside) -> dict[str, Smsc]:
    """The SMSCs by name."""
    found: dict[str, Smsc] = world.centres  # type: ignore[attr-defined]
    return found


def send(world: Outside, label: str = "world", **fields: Any) -> str:
    """Take an SMS; its id."""
    answer = world.post(f"/{label}/sms", world.sms_fields(**fields)).json
    assert answer["error_code"] == 0, answer
    return str(answer["ext_message_id"])


def marked() -> str:
    """A text of its own."""
    return f"text {uuid.uuid4().hex}"


def submits(world: Outside, text: str, centre: str = "world") -> list[Submit]:
    """What an SMSC has of a text."""
    return [submit for submit in list(centres(world)[centre].submits) if submit.text == text]


def first(world: Outside, text: str, centre: str = "world") -> Submit:
    """The first of it."""
    return until(lambda: submits(world, text, centre))[0]  # type: ignore[no-any-return]


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


# ── statuses ──


def test_accepted_not_before_all_segments_are_answered(world: Outside) -> None:
    """Two of three answers are not enough, and neither are two of three receipts."""
    held: list[Submit] = []

    def hold(submit: Submit) -> None:
        held.append(submit)
        if len(held) < 3:
            world.smsc.ok(submit)

    world.smsc.submitted = hold
    found = send(world, body="a" * 400)
    until(lambda: len(held) == 3)
    world.smsc.submitted = world.smsc.deliver_at_once
    world.told(send(world), "accepted", "delivered")
    assert world.smartico.statuses(found) == []
    world.smsc.ok(held[2])
    world.until_heard(found, "accepted")
    receipts(world.smsc, (held[0], "DELIVRD"), (held[1], "DELIVRD"))
    world.told(found, "accepted")
    world.smsc.receipt(held[2])
    world.until_heard(found, "accepted", "delivered")


def receipts(smsc: Smsc, *said: tuple[Submit, str]) -> None:
    """Send these receipts, and return once each is answered: what they say is stored then."""
    for submit, state in said:
        smsc.receipt(submit, state)
    until(smsc.all_answered)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("DELIVRD", "delivered"),
        ("EXPIRED", "failed"),
        ("DELETED", "failed"),
        ("UNDELIV", "failed"),
        ("REJECTD", "rejected"),
        ("ACCEPTD", ""),
        ("UNKNOWN", ""),
        ("ENROUTE", ""),
    ],
)
def test_receipts(world: Outside, state: str, status: str) -> None:
    """What each state gives; a second receipt gives nothing more."""
    seen: list[Submit] = []

    def answer(submit: Submit) -> None:
        seen.append(submit)
        world.smsc.ok(submit)

    world.smsc.submitted = answer
    found = send(world)
    world.until_heard(found, "accepted")
    receipts(world.smsc, (seen[0], state), (seen[0], state))
    world.told(found, *(["accepted", status] if status else ["accepted"]))
    if not status:
        world.smsc.receipt(seen[0])
        world.until_heard(found, "accepted", "delivered")


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("DELIVRD", "DELIVRD", "UNDELIV"), "failed"),
        (("REJECTD", "DELIVRD", "DELIVRD"), "rejected"),
        (("EXPIRED", "DELIVRD", "DELIVRD"), "failed"),
    ],
)
def test_of_mixed_segments_the_worst_counts(world: Outside, states: tuple[str, ...], status: str) -> None:
    """One final status, once all or the worst is known."""
    seen: list[Submit] = []

    def answer(submit: Submit) -> None:
        seen.append(submit)
        world.smsc.ok(submit)

    world.smsc.submitted = answer
    found = send(world, body="a" * 400)
    world.until_heard(found, "accepted")
    receipts(world.smsc, *zip(seen, states, strict=True))
    world.told(found, "accepted", status)


def test_segments_under_one_id_have_one_receipt(world: Outside) -> None:
    """An SMSC that answers every segment with the same id says of all of them what it says of that one."""
    one = uuid.uuid4().hex
    world.smsc.new_id = lambda: one  # type: ignore[method-assign]
    found = send(world, body="c" * 400)
    world.until_heard(found, "accepted", "delivered")


def test_segments_under_one_id_whose_receipts_come_before_the_last_answer(world: Outside) -> None:
    """No further one comes: what they say counts, and is told behind accepted."""
    one = uuid.uuid4().hex
    world.smsc.new_id = lambda: one  # type: ignore[method-assign]
    seen: list[Submit] = []

    def answer(submit: Submit) -> None:
        seen.append(submit)
        if len(seen) < 3:
            world.smsc.ok(submit)

    world.smsc.submitted = answer
    found = send(world, body="d" * 400)
    until(lambda: len(seen) == 3)
    receipts(world.smsc, *[(submit, "DELIVRD") for submit in seen])
    world.smsc.ok(seen[2])
    world.told(found, "accepted", "delivered")


def test_a_receipt_before_the_answer(world: Outside) -> None:
    """Joined in either order, at once: both statuses, in order, once."""
    seen: list[Submit] = []
    world.smsc.submitted = seen.append
    found = send(world)
    until(lambda: seen)
    receipts(world.smsc, (seen[0], "DELIVRD"))
    world.smsc.ok(seen[0])
    world.told(found, "accepted", "delivered", seconds=5)


@pytest.mark.parametrize("way", ["text", "tlv"])
def test_a_receipt_whose_id_is_in_the_tlv_alone(world: Outside, way: str) -> None:
    """receipted_message_id and message_state, SMPP 3.4 5.3.2.12 and 5.3.2.35."""
    seen: list[Submit] = []

    def answer(submit: Submit) -> None:
        seen.append(submit)
        world.smsc.ok(submit)

    world.smsc.submitted = answer
    found = send(world)
    world.until_heard(found, "accepted")
    if way == "text":
        world.smsc.receipt(seen[0], tlv=True)
    else:
        name = seen[0].answered_id.encode() + b"\0"
        tlvs = b"\x00\x1e" + len(name).to_bytes(2, "big") + name + b"\x04\x27\x00\x01\x02"
        world.smsc.deliver(seen[0].dest, seen[0].source, b"", esm_class=4, tlvs=tlvs)
    world.until_heard(found, "accepted", "delivered")


@pytest.mark.parametrize(
    ("centre", "submit_id", "receipt_id"),
    [
        ("decimal", "7F3A", "32570"),
        ("decimal", "0000B0C1", "45249"),
        ("hex", "32571", "7f3b"),
        ("hex", "45250", "0000B0C2"),
        ("asis", "000024", "000024"),
        ("asis", "AbC-1", "AbC-1"),
        ("world", "24aB", "9387"),
        ("world", "41025", "A041"),
        ("world", "0000777", "777"),
        ("world", "000031", "000031"),
        ("world", "5DC0FFEE", "5dc0ffee"),
    ],
)
def test_forms_of_ids(world: Outside, centre: str, submit_id: str, receipt_id: str) -> None:
    """message_ids names the form in receipts; auto finds either."""
    smsc = centres(world)[centre]
    smsc.new_id = lambda: submit_id  # type: ignore[method-assign]

    def answer(submit: Submit) -> None:
        smsc.ok(submit)
        smsc.receipt(submit, message_id=receipt_id)

    smsc.submitted = answer
    found = send(world, centre)
    world.until_heard(found, "accepted", "delivered")


def test_as_is_does_not_convert(world: Outside) -> None:
    """16 is not 10 then; the deliver_sm is answered all the same."""
    smsc = centres(world)["asis"]
    smsc.new_id = lambda: "16"  # type: ignore[method-assign]

    def answer(submit: Submit) -> None:
        smsc.ok(submit)
        smsc.receipt(submit, message_id="10")

    smsc.submitted = answer
    found = send(world, "asis")
    world.until_heard(found, "accepted")
    until(smsc.all_answered)
    assert smsc.deliver_answers[-1][1] == 0
    world.told(found, "accepted")


def test_a_vendors_words(world: Outside) -> None:
    """receipt_states."""
    smsc = centres(world)["vendor"]

    def answer(submit: Submit) -> None:
        smsc.ok(submit)
        smsc.receipt(submit, "BLOCKED")

    smsc.submitted = answer
    found = send(world, "vendor")
    world.until_heard(found, "accepted", "rejected")


def test_a_receipt_of_nobody_is_answered_and_gives_nothing(world: Outside) -> None:
    """Unmatched, unreadable and empty deliver_sm."""
    before = len(world.smartico.heard)
    world.smsc.deliver("447700900101", "Amazing", b"id:nobodys stat:DELIVRD err:000", esm_class=4)
    world.smsc.deliver("447700900101", "Amazing", b"rubbish", esm_class=4)
    world.smsc.deliver("447700900101", "Amazing", b"", esm_class=4)
    world.smsc.deliver("447700900101", "Amazing", b"hello there")
    until(world.smsc.all_answered)
    world.idle("reports")
    assert len(world.smartico.heard) == before


@pytest.mark.parametrize("status", [0x0B, 0x0A, 0x01, 0x33, 0x48])
def test_a_permanent_refusal_is_rejected(world: Outside, status: int) -> None:
    """Invalid destination and kin: one try."""
    world.smsc.submitted = lambda submit: world.smsc.ok(submit, status)
    text = marked()
    found = send(world, body=text)
    world.told(found, "rejected")
    world.idle("sms")
    assert len(submits(world, text)) == 1
    assert world.state(found) == "rejected"


@pytest.mark.parametrize("status", [0x58, 0x14, 0x08])
def test_a_temporary_refusal_is_tried_again_within_5_s(world: Outside, status: int) -> None:
    """Throttled, queue full, system error."""
    text = marked()

    def once(submit: Submit) -> None:
        if submit.text == text and len(submits(world, text)) == 1:
            world.smsc.ok(submit, status)
        else:
            world.smsc.deliver_at_once(submit)

    world.smsc.submitted = once
    found = send(world, body=text)
    world.until_heard(found, "accepted", "delivered", seconds=10)
    one, two = submits(world, text)
    assert two.at - one.at < 5.2


def test_the_deadline_ends_it_as_failed(world: Outside) -> None:
    """sms_deadline, from acceptance; the next one goes out once the pause that the throttling brought is over."""
    world.smsc.submitted = lambda submit: world.smsc.ok(submit, 0x58)
    found = send(world, "short")
    began = time.time()
    world.until_heard(found, "failed", seconds=9)
    assert time.time() - began > 3
    world.smsc.submitted = world.smsc.deliver_at_once
    world.until_heard(send(world), "accepted", "delivered")


# ── uncertain ──


def test_hold_sends_no_second_copy_and_fails_at_the_deadline(world: Outside) -> None:
    """The link is lost between submit and answer."""
    text = marked()

    def lose(submit: Submit) -> None:
        if submit.text == text:
            submit.link.close()
        else:
            world.smsc.deliver_at_once(submit)

    world.smsc.submitted = lose
    found = send(world, "short", body=text)
    until(lambda: world.state(found) == "uncertain", 5)
    world.until_heard(found, "failed", seconds=12)
    assert len(submits(world, text)) == 1
    world.smsc.submitted = world.smsc.deliver_at_once
    other = send(world)
    world.until_heard(other, "accepted", "delivered")


def test_resend_sends_one_more_after_uncertain_wait(world: Outside) -> None:
    """on_uncertain = resend."""
    smsc, text = centres(world)["resend"], marked()

    def lose(submit: Submit) -> None:
        if len(submits(world, text, "resend")) == 1:
            submit.link.close()
        else:
            smsc.deliver_at_once(submit)

    smsc.submitted = lose
    found = send(world, "resend", body=text)
    world.until_heard(found, "accepted", "delivered")
    one, two = submits(world, text, "resend")
    assert two.at - one.at > 0.9


def test_no_answer_within_response_timeout_is_uncertain(world: Outside) -> None:
    """And with resend it goes again."""
    smsc, text = centres(world)["resend"], marked()
    smsc.submitted = lambda submit: smsc.deliver_at_once(submit) if len(submits(world, text, "resend")) > 1 else None
    found = send(world, "resend", body=text)
    world.until_heard(found, "accepted", "delivered", seconds=20)
    assert len(submits(world, text, "resend")) == 2


# ── routes ──


def test_the_longest_prefix_goes_first_and_the_next_smsc_takes_over(world: Outside) -> None:
    """By prefix; an SMSC that is down is passed over, and used again when it is back."""
    text = marked()
    found = send(world, "amazing", ext_user_id="abroad", body=text)
    world.until_heard(found, "accepted", "delivered")
    assert submits(world, text)
    text = marked()
    found = send(world, "amazing", ext_user_id="national", body=text)
    world.until_heard(found, "accepted", "delivered")
    went = [name for name in ("uk", "world") if submits(world, text, name)]
    assert len(went) == 1
    other = next(name for name in ("uk", "world") if name != went[0])
    centre = centres(world)[went[0]]
    centre.stop()
    text = marked()
    found = send(world, "amazing", ext_user_id="national", body=text)
    world.until_heard(found, "accepted", "delivered", seconds=10)
    assert submits(world, text, other)
    centre.start()
    until(lambda: centre.links, 10)


def test_a_number_without_a_route_is_not_sent(world: Outside) -> None:
    """Refused, or rejected at delivery; no SMSC hears of it."""
    text = marked()
    answer = world.post("/english/sms", world.sms_fields(ext_user_id="abroad", body=text)).json
    if answer["error_code"] == 0:
        world.told(answer["ext_message_id"], "rejected")
    world.idle("sms")
    assert not any(submits(world, text, name) for name in centres(world))


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


# ── answers of players ──


@pytest.mark.parametrize("word", [b"STOP", b"stop", b" Stop. ", b"UNSUBSCRIBE"])
def test_stop_unsubscribes_the_latest_message_to_the_number(world: Outside, word: bytes) -> None:
    """`unsubscribed`, once; the player is on the label's stop list for SMS and not for email."""
    player = "42" if word == b"STOP" else "outemail"
    label = {b"STOP": "world", b"stop": "sar", b" Stop. ": "payload", b"UNSUBSCRIBE": "hex"}[word]
    smsc = centres(world)[label]
    numbers = {"42": "447700900109", "outemail": "447700900105"}
    older = send(world, label, ext_user_id=player)
    world.until_heard(older, "accepted", "delivered")
    newer = send(world, label, ext_user_id=player)
    world.until_heard(newer, "accepted", "delivered")
    # The receipts' own answers may come after the statuses that they gave.
    asked = {smsc.deliver(numbers[player], "Amazing", word) for _ in range(2)}
    until(lambda: asked <= {sequence for sequence, _ in smsc.deliver_answers})
    world.told(newer, "accepted", "delivered", "unsubscribed")
    assert world.smartico.statuses(older) == ["accepted", "delivered"]
    until(lambda: world.post(f"/{label}/sms", world.sms_fields(ext_user_id=player)).json["error_code"] == 5, 5)


def test_no_number_is_at_rest(world: Outside) -> None:
    """Nothing in Redis, the log or the metrics."""
    found = send(world, body="canary text 9914")
    world.until_heard(found, "accepted", "delivered")
    for text in (
        world.everything_in_redis(),
        world.daemon.log.read_text(),
        world.http("GET", "/metrics", port=world.admin).body.decode(),
    ):
        for word in ("447700900", "7700900", "canary text 9914"):
            assert word not in text


def test_the_links_unbind_when_the_daemon_stops(world: Outside) -> None:
    """SIGTERM: exit status 0, unbind on every link."""
    assert world.daemon.terminate() == 0
    assert world.smsc.unbinds == 1
    assert centres(world)["two"].unbinds == 4
    # For what measures: in one process it comes after this.
    world.daemon.start()
