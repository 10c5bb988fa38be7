"""CONTRACT.md, SMS: statuses, uncertain submits, routes and players' answers, against an SMSC of struct and sockets."""

import time
import uuid

import pytest
from outside import Outside, Submit, until
from outside_sms import answered, centres, marked, plain, receipted, receipts, send, submits, world

__all__ = ["plain", "world"]

# ── statuses ──


def test_accepted_not_before_all_segments_are_answered(world: Outside) -> None:
    """Two of three answers are not enough, and neither are two of three receipts."""
    held = answered(world.smsc, most=2)
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
    seen = answered(world.smsc)
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
    seen = answered(world.smsc)
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
    seen = answered(world.smsc, most=2)
    found = send(world, body="d" * 400)
    until(lambda: len(seen) == 3)
    receipts(world.smsc, *[(submit, "DELIVRD") for submit in seen])
    world.smsc.ok(seen[2])
    world.told(found, "accepted", "delivered")


def test_a_receipt_before_the_answer(world: Outside) -> None:
    """Joined in either order, at once: both statuses, in order, once."""
    seen = answered(world.smsc, most=0)
    found = send(world)
    until(lambda: seen)
    receipts(world.smsc, (seen[0], "DELIVRD"))
    world.smsc.ok(seen[0])
    world.told(found, "accepted", "delivered", seconds=5)


@pytest.mark.parametrize("way", ["text", "tlv"])
def test_a_receipt_whose_id_is_in_the_tlv_alone(world: Outside, way: str) -> None:
    """receipted_message_id and message_state, SMPP 3.4 5.3.2.12 and 5.3.2.35."""
    seen = answered(world.smsc)
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
    receipted(smsc, message_id=receipt_id)
    found = send(world, centre)
    world.until_heard(found, "accepted", "delivered")


def test_as_is_does_not_convert(world: Outside) -> None:
    """16 is not 10 then; the deliver_sm is answered all the same."""
    smsc = centres(world)["asis"]
    smsc.new_id = lambda: "16"  # type: ignore[method-assign]
    receipted(smsc, message_id="10")
    found = send(world, "asis")
    world.until_heard(found, "accepted")
    until(smsc.all_answered)
    assert smsc.deliver_answers[-1][1] == 0
    world.told(found, "accepted")


def test_a_vendors_words(world: Outside) -> None:
    """receipt_states."""
    smsc = centres(world)["vendor"]
    receipted(smsc, state="BLOCKED")
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
