"""CONTRACT.md, Intake: what a request may ask for, as its recipient, sender, callback, preview and uid."""

import threading
import uuid
from typing import Any

import pytest
from outside import Outside, until
from outside_intake import code, refused, world

__all__ = ["world"]

# ── recipients ──


@pytest.mark.parametrize(
    ("player", "email", "sms"),
    [
        ("anna", 0, 0),
        ("nobody", 1, 1),
        ("ANNA", 1, 1),
        ("anna' OR '1'='1", 1, 1),
        ("noemail", 2, 0),
        ("nophone", 0, 2),
        ("badaddress", 2, 2),
        ("empty", 2, 2),
        ("out", 5, 5),
        ("outemail", 5, 0),
        ("outsms", 0, 5),
        ("excluded", 5, 5),
        ("national", 0, 0),
    ],
)
def test_the_directory_decides(world: Outside, player: str, email: int, sms: int) -> None:
    """user_not_found, no_address, suppressed."""
    assert code(world.email(ext_user_id=player)) == email
    assert code(world.sms(ext_user_id=player)) == sms


def test_the_wording_of_user_not_found_is_the_protocols(world: Outside) -> None:
    """As SMARTICO.md prints it."""
    assert world.email(ext_user_id="nobody") == {"error_code": 1, "error_message": "User was not found"}


# ── senders ──


@pytest.mark.parametrize(
    ("sender", "number"),
    [
        ("noreply@amazing.co", 0),
        ("NoReply@AMAZING.co", 0),
        ("Amazing <a@amazing.co>", 0),
        ('"A, B" <a@amazing.co>', 0),
        ("Ämazing <a@amazing.co>", 0),
        ("a@evil.co", 6),
        ("a@amazing.co.evil.co", 6),
        ("a@evilamazing.co", 6),
        ("a@sub.amazing.co", 6),
        ("a@amazing.co, b@amazing.co", 6),
        ("a@amazing.co <b@evil.co>", 6),
        ("nothing", 6),
        ("<a@amazing.co", 6),
        ("a@evil.co <a@amazing.co>", 6),
        ("@amazing.co", 6),
        ("a b@amazing.co", 6),
    ],
)
def test_from_and_reply_to_are_held_to_the_labels_list(world: Outside, sender: str, number: int) -> None:
    """sender_not_allowed, by the address; a display name that shows another domain's address is refused as well."""
    for field in ("from_email_address", "reply_to_email_address"):
        answer = world.email(**{field: sender})
        assert code(answer) in ((number,) if number == 0 else (number, 3)), (field, answer)
        if number and code(answer) == 6:
            assert field in answer["error_message"]


@pytest.mark.parametrize(
    ("sender", "number"),
    [
        ("Amazing", 0),
        ("+447700900123", 0),
        ("447700900123", 0),
        ("amazing", 6),
        ("Evil", 6),
        ("+447700900124", 6),
        ("TwelveLetter", 6),
        ("Amazing ", 6),
        ("123", 6),
    ],
)
def test_from_number_is_held_to_the_labels_list(world: Outside, sender: str, number: int) -> None:
    """sender_not_allowed."""
    assert code(world.sms(from_number=sender)) == number


def test_without_sms_sender_a_missing_from_number_is_refused(world: Outside) -> None:
    """There is nothing to send from."""
    assert code(world.post("/nosender/sms", world.sms_fields(from_number=None)).json) in (3, 6)
    assert code(world.post("/nosender/sms", world.sms_fields()).json) == 0


def test_a_label_without_ways_out_takes_nothing(world: Outside) -> None:
    """No relays: no email. No sms_routes: no SMS. An error, not a message that waits for ever."""
    assert code(world.post("/silent/sms", world.sms_fields()).json) != 0
    assert code(world.post("/silent/email", world.email_fields()).json) != 0


# ── callbacks ──


@pytest.mark.parametrize(
    ("url", "number"),
    [
        ("https://api.smartico.ai/x", 0),
        ("https://api.smartico.ai:8443/x?a=b", 0),
        ("https://API.Smartico.AI/", 0),
        ("https://a.b.smartico.ai/", 0),
        ("https://exact.example/", 0),
        ("http://api.smartico.ai/x", 7),
        ("https://smartico.ai/", 7),
        ("https://evil.example/?api.smartico.ai", 7),
        ("https://api.smartico.ai.evil.example/", 7),
        ("https://api.smartico.ai@evil.example/", 7),
        ("https://evil.example/#.smartico.ai", 7),
        ("https://127.0.0.1/", 7),
        ("https://[::1]/", 7),
        ("https://localhost/", 7),
        ("https://10.0.0.1/", 7),
        ("ftp://api.smartico.ai/", 7),
        ("api.smartico.ai/x", 7),
        ("//api.smartico.ai/x", 7),
        ("javascript:x", 7),
        ("https://evil\\.smartico.ai/", 7),
        ("https://169.254.169.254/", 7),
        ("https://api.smartico.ai/\nx", 7),
        ("https://x.exact.example/", 7),
        ("x", 7),
        ("https://2130706433/", 7),
        ("https://0x7f.1/", 7),
        ("https://user:pw@api.smartico.ai/", 7),
    ],
)
def test_callback_url_is_held_to_hosts_and_https(world: Outside, url: str, number: int) -> None:
    """callback_not_allowed: a host off the list, not https, or two ways to read it."""
    answer = world.post("/strict/sms", world.sms_fields(callback_url=url)).json
    assert code(answer) == number, answer
    if number:
        assert "callback_url" in answer["error_message"]


def test_callback_url_may_be_missing_only_where_the_label_has_one(world: Outside) -> None:
    """Elsewhere: invalid_request that names it, until a request brings one."""
    fields = world.email_fields(callback_url=None)
    assert code(world.post("/amazing/email", fields).json) == 0
    refused(world.post("/uncalled/email", fields).json, 3, "callback_url")
    refused(world.post("/uncalled/email", fields | {"callback_url": ""}).json, 3, "callback_url")
    assert code(world.post("/uncalled/email", fields | {"callback_url": world.smartico.url}).json) == 0


# ── previews ──


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"to_email_address": "boss@amazing.co", "activity_type": "preview"}, 0),
        ({"to_email_address": "boss@AMAZING.CO", "activity_type": "Unknown"}, 0),
        ({"to_email_address": "boss@amazing.co", "activity_type": "something new"}, 0),
        ({"to_email_address": "boss@evil.co", "activity_type": "preview"}, 3),
        ({"to_email_address": "boss@sub.amazing.co", "activity_type": "preview"}, 3),
        ({"to_email_address": "a@amazing.co,b@evil.co", "activity_type": "preview"}, 3),
        ({"to_email_address": "a@amazing.co b@evil.co", "activity_type": "preview"}, 3),
        ({"to_email_address": "nothing", "activity_type": "preview"}, 3),
        ({"to_email_address": "Boss <boss@evil.co>", "activity_type": "preview"}, 3),
        ({"activity_type": "preview"}, 0),
        ({"activity_type": "EmailCustomerSupport"}, 0),
    ],
)
def test_to_email_address_only_where_the_label_lets_it_go(world: Outside, changes: dict[str, str], number: int) -> None:
    """invalid_request that names the field, and nothing of the address."""
    answer = world.post("/preview/email", world.email_fields(**changes)).json
    assert code(answer) == number, answer
    if number:
        assert "to_email_address" in answer["error_message"]
        assert "evil" not in answer["error_message"]


def test_without_preview_domains_to_email_address_is_refused(world: Outside) -> None:
    """The default list is empty."""
    refused(world.email(activity_type="preview", to_email_address="boss@amazing.co"), 3, "to_email_address")


def test_a_preview_goes_to_its_own_address_without_unsubscribe_and_pixel(world: Outside) -> None:
    """And not to the address in the player's profile."""
    subject = f"preview {uuid.uuid4()}"
    answer = world.post(
        "/previewed/email",
        world.email_fields(subject=subject, activity_type="preview", to_email_address="qa@amazing.co"),
    ).json
    assert code(answer) == 0
    mail = until(lambda: next((mail for mail in world.relay.mails if mail.parsed["Subject"] == subject), None))
    assert mail.rcpt == ["qa@amazing.co"]
    assert mail.parsed["List-Unsubscribe"] is None
    assert "anna@" not in mail.raw.decode()
    world.until_heard(answer["ext_message_id"], "accepted")


# ── too large by segments ──


def test_more_segments_than_the_label_allows_is_too_large(world: Outside) -> None:
    """Two segments: 306 septets or 134 UCS-2 units."""
    heads = {"Authorization": "first"}
    for body, number in (
        ("a" * 306, 0),
        ("a" * 307, 8),
        ("ж" * 134, 0),
        ("ж" * 135, 8),
        ("€" * 152, 0),
        ("€" * 154, 8),
    ):
        answer = world.post("/Other.Brand_2/sms", world.sms_fields(body=body), heads).json
        assert code(answer) == number, (body[:1], len(body), answer)


# ── idempotency ──


def test_the_same_uid_fifty_times_at_once_is_one_message(world: Outside) -> None:
    """One id, one submit."""
    body = f"fifty {uuid.uuid4()}"
    fields = world.sms_fields(body=body)
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(world.post("/amazing/sms", fields).json)) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert {answer["ext_message_id"] for answer in answers} == {answers[0]["ext_message_id"]}
    world.until_heard(answers[0]["ext_message_id"], "accepted", "delivered")
    world.idle("sms")
    assert sum(submit.text == body for submit in world.smsc.submits) == 1


OTHER_EMAIL = {
    "ext_user_id": "ben",
    "from_email_address": "Other <noreply@amazing.co>",
    "reply_to_email_address": "x@amazing.co",
    "subject": "Other",
    "body": "<p>Other</p>",
    "text_body": "Other",
    "activity_type": "preview",
}
OTHER_SMS = {"ext_user_id": "ben", "from_number": "+447700900123", "body": "Other"}


@pytest.mark.parametrize("field", OTHER_EMAIL)
def test_each_field_of_an_email_is_its_content(world: Outside, field: str) -> None:
    """Another value under the same uid: uid_conflict, nothing is sent; the first content stays good."""
    fields = world.email_fields()
    first = world.post("/amazing/email", fields).json
    assert code(first) == 0
    refused(world.post("/amazing/email", fields | {field: OTHER_EMAIL[field]}).json, 9)
    assert world.post("/amazing/email", fields).json == first


@pytest.mark.parametrize("field", OTHER_SMS)
def test_each_field_of_an_sms_is_its_content(world: Outside, field: str) -> None:
    """As with email."""
    fields = world.sms_fields()
    first = world.post("/amazing/sms", fields).json
    refused(world.post("/amazing/sms", fields | {field: OTHER_SMS[field]}).json, 9)
    assert world.post("/amazing/sms", fields).json == first


def test_callback_url_is_no_content(world: Outside) -> None:
    """Another one, or none: the same message."""
    fields = world.sms_fields()
    first = world.post("/amazing/sms", fields).json
    assert world.post("/amazing/sms", fields | {"callback_url": world.smartico.url + "?v=2"}).json == first
    fields.pop("callback_url")
    assert world.post("/amazing/sms", fields).json == first


def test_one_uid_is_another_message_on_another_channel_or_label(world: Outside) -> None:
    """Labels and channels don't share uids."""
    uid = uuid.uuid4().hex
    ids = {
        world.post("/amazing/sms", world.sms_fields(im_uid=uid)).json["ext_message_id"],
        world.post("/amazing/email", world.email_fields(email_uid=uid)).json["ext_message_id"],
        world.post("/open/sms", world.sms_fields(im_uid=uid)).json["ext_message_id"],
    }
    assert len(ids) == 3


def test_a_uid_that_was_refused_stays_usable(world: Outside) -> None:
    """Corrected, it is taken."""
    uid = uuid.uuid4().hex
    for wrong in (
        {"ext_user_id": "nobody"},
        {"ext_user_id": "out"},
        {"from_number": "Evil"},
        {"body": ""},
        {"callback_url": "https://evil.example/"},
        {"body": "a" * 5000},
    ):
        assert code(world.sms(im_uid=uid, **wrong)) != 0
    assert code(world.sms(im_uid=uid)) == 0
