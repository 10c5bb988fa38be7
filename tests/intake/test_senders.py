"""Who may be named as sender of an email or an SMS."""

import pytest
import pytest_twisted

from gatewayd.core.errors import ErrorCode
from gatewayd.core.model import Sms
from intake_requests import code, mail, stored, text
from intake_world import SMS, Intake, label


@pytest.mark.parametrize(
    ("sender", "taken"),
    [
        ("noreply@amazing.co", True),
        ("Amazing <noreply@amazing.co>", True),
        ("Amazing <NoReply@AMAZING.co>", True),
        ('"Amazing, Inc." <noreply@amazing.co>', True),
        ("Amazing, Inc. <noreply@amazing.co>", True),
        ("<noreply@amazing.co>", True),
        ("noreply@evil.co", False),
        ("noreply@amazing.co.evil.co", False),
        ("noreply@sub.amazing.co", False),
        ("noreply@amazing.co <noreply@evil.co>", False),
        ("A <noreply@amazing.co>, B <noreply@amazing.co>", False),
        ("noreply@amazing.co@evil.co", False),
        ("noreply@evil.co@amazing.co", False),
        ("not an address", False),
        ("undisclosed:;", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_email_senders(sender: str, taken: bool) -> None:
    """From and Reply-To must be one mailbox on the label's list."""
    expected = ErrorCode.TAKEN if taken else ErrorCode.SENDER_NOT_ALLOWED
    assert await code(Intake(), mail(from_email_address=sender)) == expected
    assert await code(Intake(), mail(reply_to_email_address=sender)) == expected


@pytest_twisted.ensureDeferred
async def test_reply_to_may_be_missing() -> None:
    """It is optional."""
    assert await code(Intake(), mail(reply_to_email_address="")) == 0


@pytest.mark.parametrize(
    ("pattern", "sender", "taken"),
    [
        ("news@amazing.co", "news@amazing.co", True),
        ("news@amazing.co", "xnews@amazing.co", False),
        ("*@*.amazing.co", "a@b.amazing.co", True),
        ("*@*.amazing.co", "a@amazing.co", False),
        ("NEWS@Amazing.CO", "news@amazing.co", True),
        ("*@bücher.example", "a@bücher.example", True),
        ("*@bücher.example", "a@xn--bcher-kva.example", True),
        ("*@xn--bcher-kva.example", "a@Bücher.example", True),
        ("*@ama.ing.co", "a@amazing.co", False),
        ("[a]*@amazing.co", "a@amazing.co", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_sender_patterns(pattern: str, sender: str, taken: bool) -> None:
    """A star stands for any characters and nothing else is special; domains compare by their A-labels."""
    intake = Intake(amazing=label(email_senders=[pattern]))
    request = mail(from_email_address=sender, reply_to_email_address="")
    assert await code(intake, request) == (0 if taken else 6)


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        ("Amazing", True),
        ("amazing", False),
        ("+447700900999", True),
        ("447700900999", True),
        ("+447700900998", False),
        ("Evil", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_sms_senders(number: str, taken: bool) -> None:
    """Names exactly, numbers with or without their plus."""
    assert await code(Intake(), text(from_number=number)) == (0 if taken else 6)


@pytest_twisted.ensureDeferred
async def test_no_sender_is_needed_where_every_route_has_its_own() -> None:
    """sms_routes[].sender counts whatever the request names; where one route has none, the request must."""
    own = {"prefix": "+65", "via": ["world"], "sender": "AMAZING-SG"}
    for routes, taken in (([own, {**own, "prefix": ""}], True), ([own, {"prefix": "", "via": ["world"]}], False)):
        assert await code(Intake(amazing=label(sms_routes=routes)), text(from_number="")) == (0 if taken else 6)


@pytest_twisted.ensureDeferred
async def test_an_impossible_sms_sender_is_refused_even_where_listed() -> None:
    """A name over 11 characters fits no PDU; nor one that the label's SMSCs have no characters for."""
    intake = Intake(amazing=label(sms_senders=["*"]))
    assert await code(intake, text(from_number="Ωmega")) == 6
    assert await code(intake, text(from_number="Amazing Inc")) == 0
    assert await code(intake, text(from_number="Amazing Inc.")) == 6
    assert await code(intake, text(from_number="+12")) == 6


@pytest_twisted.ensureDeferred
async def test_a_missing_from_number_is_the_labels() -> None:
    """sms_sender where there is one, listed or not; its later change is no conflict."""
    assert await code(Intake(), text(from_number="")) == 6
    intake = Intake(amazing=label(sms_sender="Amazing"))
    assert await code(intake, text(from_number="")) == 0
    assert stored(intake).content == Sms("Amazing", SMS["body"])
    changed = {"amazing": label(sms_sender="+447700900998")}
    intake.reconfigure(changed)
    assert await code(intake, text(from_number="")) == 0
