"""What is taken on and what is refused, step by step; asked of the store once, and never answered late."""

import json
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from fakes import FakeStopList, FakeStore
from gatewayd import config
from gatewayd.core.callback_urls import why_refused
from gatewayd.core.contact import email_of, number_of
from gatewayd.core.errors import ErrorCode, Refused, StoreUnavailable
from gatewayd.core.interfaces import Acceptance, IRecipientDirectory
from gatewayd.core.model import Channel, Email, Message, Recipient, Sms
from gatewayd.core.regularly import Regularly
from gatewayd.core.tokens import Keys
from gatewayd.intake.accept import ANSWER_WITHIN, BEGUN_WITHIN, DIRECTORY_WITHIN, STORE_LEAST, STORE_WITHIN
from gatewayd.intake.guard import LOOK_FOR_LIFTED
from gatewayd.intake.patience import ON_THE_WAY
from gatewayd.intake.request_json import read_request
from gatewayd.intake.rules import SendRequest, content_of
from intake_world import ANNA, EMAIL, KEYS, NOW, SMS, TABLE, Intake, Players, label

MAIL = read_request(Channel.EMAIL, json.dumps(EMAIL).encode())
TEXT = read_request(Channel.SMS, json.dumps(SMS).encode())
CONTROLS = ["\x00", "\r", "\n", "\t", "\x1f", "\x7f", "\x80", "\x9f", "\u2028", "\u2029"]


def mail(**changes: Any) -> SendRequest:
    """MAIL with other fields, by the protocol's names."""
    content = {name: changes.pop(name) for name in list(changes) if name in Email.__struct_fields__}
    return replace(MAIL, content=replace(MAIL.content, **content), **changes)


def text(**changes: Any) -> SendRequest:
    """TEXT with other fields."""
    content = {name: changes.pop(name) for name in list(changes) if name in Sms.__struct_fields__}
    return replace(TEXT, content=replace(TEXT.content, **content), **changes)


async def code(intake: Intake, request: SendRequest, name: str = "amazing", came_at: float | None = None) -> ErrorCode:
    """What `request` is answered with; what a refusal says must repeat nothing of the request."""
    try:
        await intake.acceptor.accept(name, request, came_at)
    except Refused as caught:
        refused = caught
    else:
        return ErrorCode.TAKEN
    for told in (request.content.body, "evil", "@", "\n"):
        assert not told or told not in refused.message
    return refused.code


def stored(intake: Intake) -> Message:
    """The one message in the store."""
    (row,) = intake.store.db.rows.values()
    assert row.message is not None
    message: Message = row.message
    return message


@pytest_twisted.ensureDeferred
async def test_what_is_stored() -> None:
    """The message holds the player's id and the content, never the player's address, and its deadline."""
    intake = Intake()
    found = await intake.acceptor.accept("amazing", MAIL)
    message = stored(intake)
    assert found == message.id == KEYS.message_ids("amazing", "email", EMAIL["email_uid"])[0]
    assert (message.uid, message.label, message.ext_user_id) == (EMAIL["email_uid"], "amazing", "hhu234556")
    assert (message.accepted_at, message.deadline) == (NOW, NOW + 86400)
    assert message.content == MAIL.content
    assert "anna" not in repr(intake.store.db.rows)


@pytest.mark.parametrize("field", ["ext_user_id", "from_email_address", "subject", "uid"])
@pytest.mark.parametrize("value", ["", " ", "\u3000"])
@pytest_twisted.ensureDeferred
async def test_required_in_an_email(field: str, value: str) -> None:
    """Missing, empty and blank are the same; the message names the protocol's field."""
    with pytest.raises(Refused) as caught:
        await Intake().acceptor.accept("amazing", mail(**{field: value}))
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert ("email_uid" if field == "uid" else field) in caught.value.message


@pytest.mark.parametrize("field", ["ext_user_id", "body", "uid"])
@pytest_twisted.ensureDeferred
async def test_required_in_an_sms(field: str) -> None:
    """ext_user_id, body, im_uid."""
    with pytest.raises(Refused) as caught:
        await Intake().acceptor.accept("amazing", text(**{field: ""}))
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert ("im_uid" if field == "uid" else field) in caught.value.message


@pytest_twisted.ensureDeferred
async def test_an_email_needs_one_body() -> None:
    """HTML or text, one of the two is enough; blank is the same as missing."""
    for blank in ("", " \r\n\u3000"):
        assert await code(Intake(), mail(body=blank)) == 0
        assert await code(Intake(), mail(text_body=blank)) == 0
        assert await code(Intake(), mail(body=blank, text_body=blank)) == 3


@pytest.mark.parametrize("control", CONTROLS)
@pytest_twisted.ensureDeferred
async def test_control_characters(control: str) -> None:
    """Refused in ids, senders and subject; content may hold them."""
    intake = Intake()
    value = f"a{control}b"
    for field in ("ext_user_id", "uid", "from_email_address", "reply_to_email_address", "subject"):
        assert await code(intake, mail(**{field: value})) == 3, field
    for field in ("ext_user_id", "uid", "from_number"):
        assert await code(intake, text(**{field: value})) == 3, field
    assert await code(intake, mail(body=value)) == 0
    assert await code(intake, text(body=value)) == 0


@pytest_twisted.ensureDeferred
async def test_long_headers_are_refused() -> None:
    """What would not fit a line of a mail is invalid_request."""
    assert await code(Intake(), mail(subject="x" * 998)) == 0
    assert await code(Intake(), mail(subject="x" * 999)) == 3
    assert await code(Intake(), mail(uid="x" * 999)) == 3


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


@pytest_twisted.ensureDeferred
async def test_a_label_without_a_channel_refuses_it() -> None:
    """No relays, no senders, no routes: sender_not_allowed, and nothing is stored to wait for ever."""
    for changes in ({"relays": []}, {"email_senders": []}):
        assert await code(Intake(amazing=label(**changes)), MAIL) == 6
    for changes in ({"sms_routes": []}, {"sms_senders": []}):
        assert await code(Intake(amazing=label(**changes)), TEXT) == 6


HOSTS = ("*.smartico.ai", "hooks.example", "127.0.0.1", "[::1]", "10.*")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.smartico.ai/cb", True),
        ("https://api.smartico.ai", True),
        ("https://api.smartico.ai:8443/cb?a=1&b=%20", True),
        ("HTTPS://API.SMARTICO.AI/cb", True),
        ("https://api.smartico.ai./cb", True),
        ("https://a.b.smartico.ai/cb", True),
        ("https://hooks.example/cb", True),
        ("https://127.0.0.1:9/cb", True),
        ("https://[::1]:9/cb", True),
        ("https://smartico.ai/cb", False),
        ("https://api.smartico.ai.evil.example/cb", False),
        ("https://evilsmartico.ai/cb", False),
        ("https://evil.example/.smartico.ai", False),
        ("https://evil.example?.smartico.ai", False),
        ("https://evil.example#.smartico.ai", False),
        ("https://evil.example\\.smartico.ai", False),
        ("https://user@api.smartico.ai/cb", False),
        ("https://api.smartico.ai@evil.example/cb", False),
        ("https://api.smartico.ai:pass@evil.example/", False),
        ("http://api.smartico.ai/cb", False),
        ("ftp://api.smartico.ai/cb", False),
        ("//api.smartico.ai/cb", False),
        ("api.smartico.ai", False),
        ("https://api.smartico.ai/a b", False),
        ("https://api.smartico.ai/\n", False),
        (" https://api.smartico.ai/", False),
        ("https://api.smartico.ai:0/", False),
        ("https://api.smartico.ai:65536/", False),
        ("https://api.smartico.ai/" + "x" * 5000, False),
        ("https://10.0.0.1/cb", False),
        ("https://[::ffff:127.0.0.1]/cb", False),
        ("https://api.smarticö.ai/cb", False),
        ("https://a-1.smartico.ai/cb", True),
        ("https://a..smartico.ai/cb", False),
        ("https://.smartico.ai/cb", False),
        ("https://-a.smartico.ai/cb", False),
        ("https://a-.smartico.ai/cb", False),
        ("https://a_b.smartico.ai/cb", False),
        (f"https://{'a' * 63}.smartico.ai/cb", True),
        (f"https://{'a' * 64}.smartico.ai/cb", False),
        (f"https://{'a.' * 122}smartico.ai/cb", False),
        ("https://", False),
    ],
)
def test_callback_urls(url: str, allowed: bool) -> None:
    """Only https to a listed host; private addresses only by their own name; no two readings of one URL."""
    assert (why_refused(url, HOSTS, plain_http=False) == "") is allowed


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"),
        *("localhost", "a.localhost", "224.0.0.1", "100.64.0.1"),
    ],
)
def test_a_wildcard_opens_no_private_address(host: str) -> None:
    """With callback_hosts = ["*"] still nothing inside is called, however its address is written."""
    assert why_refused(f"https://{host}/", ("*",), plain_http=True)
    assert not why_refused("https://api.smartico.ai/", ("*",), plain_http=True)
    assert not why_refused("https://8.8.8.8/", ("*",), plain_http=True)


@pytest_twisted.ensureDeferred
async def test_callbacks_of_a_label() -> None:
    """callback_http opens http beside https; a missing URL needs the label's own; a bad one is code 7."""
    assert await code(Intake(), mail(callback_url="https://evil.example/")) == 7
    assert await code(Intake(), mail(callback_url="http://api.smartico.ai/")) == 7
    assert await code(Intake(), mail(callback_url="")) == 3
    open_label = label(callback_http=True, callback_url="http://api.smartico.ai/own")
    assert await code(Intake(amazing=open_label), mail(callback_url="http://api.smartico.ai/")) == 0
    intake = Intake(amazing=open_label)
    assert await code(intake, mail(callback_url="")) == 0
    assert stored(intake).callback_url == ""


@pytest_twisted.ensureDeferred
async def test_an_sms_over_the_segment_limit_is_too_large() -> None:
    """max_segments by the counter that the SMSC side counts with."""
    intake = Intake(amazing=label(max_segments=2))
    assert await code(intake, text(body="x" * 320)) == 0
    assert await code(intake, text(uid="2", body="x" * 321)) == 8
    assert await code(intake, text(uid="2", body="x" * 100_000)) == 8


@pytest_twisted.ensureDeferred
async def test_an_sms_of_which_nothing_could_be_sent_is_invalid() -> None:
    """The caller hears of it, instead of a message that is taken and rejected later."""
    intake = Intake()
    assert await code(intake, text(body="*")) == 3
    assert await code(intake, text(body="* at")) == 0


PREVIEW: dict[str, Any] = {"activity_type": "preview", "to_email_address": "tester@office.example"}


@pytest_twisted.ensureDeferred
async def test_a_preview_goes_only_to_the_labels_domains() -> None:
    """to_email_address: an allowed domain, with an activity_type; it is stored sealed, and the stop list is passed."""
    assert await code(Intake(), mail(**PREVIEW)) == 3
    intake = Intake(amazing=label(preview_domains=["office.example"]))
    for to in (
        "tester@evil.example",
        "tester@sub.office.example",
        "office.example",
        "a@office.example, b@evil.example",
    ):
        assert await code(intake, mail(**(PREVIEW | {"to_email_address": to}))) == 3, to
    assert await code(intake, mail(to_email_address="tester@office.example")) == 3
    assert await code(intake, mail(**PREVIEW)) == 0
    message = stored(intake)
    assert "tester" not in repr(intake.store.db.rows)
    assert KEYS.unseal(message.sealed_to, message.id) == "tester@office.example"


@pytest_twisted.ensureDeferred
async def test_a_preview_does_not_ask_for_the_players_address() -> None:
    """With to_email_address it does not matter what the player has or allows, but that the directory knows them."""
    intake = Intake(amazing=label(preview_domains=["office.example"]))
    intake.players.players["hhu234556"] = Recipient(opted_out=True)
    assert await code(intake, mail(**PREVIEW)) == 0
    assert await code(intake, mail(uid="2", activity_type="Unknown")) == 5
    assert await code(intake, mail(uid="3", ext_user_id="nobody", **PREVIEW)) == 1


@pytest_twisted.ensureDeferred
async def test_previews_have_a_low_rate_of_their_own() -> None:
    """preview_rate a label, a minute's worth at once; a repeated uid still gets its id; other mail is not slowed."""
    intake = Intake(amazing=label(preview_domains=["office.example"], preview_rate="3/min"))
    codes = [await code(intake, mail(uid=str(n), **PREVIEW)) for n in range(4)]
    assert codes == [0, 0, 0, 10]
    assert await code(intake, mail(uid="2", **PREVIEW)) == 0
    assert await code(intake, mail(uid="x")) == 0
    intake.clock.advance(20)
    assert await code(intake, mail(uid="3", **PREVIEW)) == 0


@pytest_twisted.ensureDeferred
async def test_a_label_takes_so_many_messages_and_no_more() -> None:
    """Of the twice as many that come at once the rest is told to try again; a duplicate gets its id all the same."""
    intake = Intake(amazing=label(intake_rate="5/m"), other=label())
    with capturedLogs() as events:
        codes = [await code(intake, mail(uid=f"uid-{number}")) for number in range(10)]
    assert codes == [0] * 5 + [10] * 5
    warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
    assert warnings == [
        "amazing is asked for more than 5/m (intake_rate): refused with code 10 until it is less;"
        " gatewayctl guard amazing --lift 1h takes them"
    ]
    assert await code(intake, mail(uid="uid-1")) == 0
    assert await code(intake, mail(), "other") == 0
    [degraded] = intake.guard.degraded()
    assert (degraded.kind, degraded.name) == ("guard", "amazing")
    assert "6 messages were refused" in degraded.text
    intake.clock.advance(12)
    assert [await code(intake, mail(uid=f"later-{number}")) for number in range(2)] == [0, 10]
    intake.clock.advance(61)
    assert not list(intake.guard.degraded())


@pytest_twisted.ensureDeferred
async def test_a_guard_that_an_operator_lifted_takes_all() -> None:
    """Within seconds of its being lifted, and until it stands again."""
    intake = Intake(amazing=label(intake_rate="1/m"))
    assert [await code(intake, mail(uid=f"a{number}")) for number in range(3)] == [0, 10, 10]
    assert list(intake.guard.degraded())
    intake.lifted.seconds["amazing"] = 3600
    intake.clock.advance(5)
    assert [await code(intake, mail(uid=f"b{number}")) for number in range(3)] == [0, 0, 0]
    assert not list(intake.guard.degraded())
    intake.lifted.seconds.clear()
    intake.clock.advance(5)
    assert await code(intake, mail(uid="c")) == 10


@pytest_twisted.ensureDeferred
async def test_a_guard_that_another_process_lifted_is_not_said_any_more() -> None:
    """Within ten seconds, though no request comes; while the store is away nothing changes, and the next look sees."""
    intake = Intake(amazing=label(intake_rate="1/m"), other=label(intake_rate="1/m"))
    watch = Regularly(intake.clock, LOOK_FOR_LIFTED, intake.guard.forget_lifted, "looking at guards")
    watch.startService()
    for name in ("amazing", "other"):
        assert [await code(intake, mail(uid=f"{name}{number}"), name) for number in range(2)] == [0, 10]
    intake.lifted.seconds["amazing"] = 3600
    intake.lifted.down = True
    intake.clock.advance(5)
    assert [one.name for one in intake.guard.degraded()] == ["amazing", "other"]
    intake.lifted.down = False
    intake.clock.advance(5)
    assert [one.name for one in intake.guard.degraded()] == ["other"]
    watch.stopService()
    assert not intake.clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_guard_that_is_lifted_here_takes_all_at_once() -> None:
    """By this process's own listener nothing is believed, or said, any longer; nor once it stands again."""
    intake = Intake(amazing=label(intake_rate="1/m"))
    assert [await code(intake, mail(uid=f"a{number}")) for number in range(2)] == [0, 10]
    assert list(intake.guard.degraded())
    await intake.guard.lift("amazing", 3600)
    assert not list(intake.guard.degraded())
    assert [await code(intake, mail(uid=f"b{number}")) for number in range(3)] == [0, 0, 0]
    await intake.guard.lift("amazing", 0)
    assert await code(intake, mail(uid="c")) == 10
    assert list(intake.guard.degraded())


@pytest_twisted.ensureDeferred
async def test_preview_fields_mean_nothing_in_an_sms() -> None:
    """They are not fields of that request."""
    intake = Intake()
    assert await intake.code("/amazing/sms", SMS | {"activity_type": 5, "to_email_address": "x@y.z"}) == 0


@pytest.mark.parametrize(
    ("recipient", "by_email", "by_sms"),
    [
        (None, 1, 1),
        (Recipient(), 2, 2),
        (Recipient(email="anna@players.example"), 0, 2),
        (Recipient(phone="+447700900123"), 2, 0),
        (Recipient(email="not an address", phone="call me"), 2, 2),
        (replace(ANNA, opted_out=True), 5, 5),
        (replace(ANNA, excluded=True), 5, 5),
        (replace(ANNA, email_opted_out=True), 5, 0),
        (replace(ANNA, sms_opted_out=True), 0, 5),
    ],
)
@pytest_twisted.ensureDeferred
async def test_recipients(recipient: Recipient | None, by_email: int, by_sms: int) -> None:
    """Unknown, without an address, opted out and excluded are told apart; nothing is stored of the refused."""
    intake = Intake()
    intake.players.players = {"hhu234556": recipient} if recipient else {}
    assert await code(intake, MAIL) == by_email
    assert await code(intake, TEXT) == by_sms
    assert len(intake.store.db.rows) == [by_email, by_sms].count(0)


@pytest_twisted.ensureDeferred
async def test_a_refused_uid_stays_usable() -> None:
    """Once the cause is gone the same uid is taken, with other content too."""
    intake = Intake()
    intake.players.players.clear()
    assert await code(intake, MAIL) == 1
    intake.players.players["hhu234556"] = ANNA
    assert await code(intake, mail(subject="another")) == 0


@pytest_twisted.ensureDeferred
async def test_a_duplicate_gets_its_id_whatever_became_of_the_player() -> None:
    """Opted out or gone since: the same id, for the message was taken then; other content is still a conflict."""
    intake = Intake()
    first = await intake.acceptor.accept("amazing", MAIL)
    for now in ({}, {"hhu234556": Recipient()}, {"hhu234556": replace(ANNA, opted_out=True)}):
        intake.players.players = dict(now)
        assert await intake.acceptor.accept("amazing", MAIL) == first
        assert await code(intake, mail(subject="another")) == 9


@pytest_twisted.ensureDeferred
async def test_a_directory_in_trouble_refuses_nobody() -> None:
    """Down or broken: the message is taken, to be resolved at delivery."""
    intake = Intake()
    intake.players.down = True
    assert await code(intake, MAIL) == 0
    intake.players.failure = KeyError("a bug in a plugin")
    assert await code(intake, TEXT) == 0


@pytest_twisted.ensureDeferred
async def test_a_slow_directory_does_not_hold_up_the_answer() -> None:
    """After its time the message is taken as if the directory were down."""
    intake = Intake()
    intake.players.hang = True
    answer = Deferred.fromCoroutine(intake.acceptor.accept("amazing", MAIL))
    assert not answer.called
    intake.clock.advance(DIRECTORY_WITHIN)
    assert answer.called
    assert await answer == stored(intake).id


@pytest_twisted.ensureDeferred
async def test_the_time_that_a_request_waited_is_its_callers_too() -> None:
    """Its directory gets the less of it, and the store what the caller can still hear of."""
    intake = Intake()
    intake.players.hang = True
    began = intake.clock.seconds()
    answer = Deferred.fromCoroutine(intake.acceptor.accept("amazing", MAIL, began - BEGUN_WITHIN))
    left = ANSWER_WITHIN - BEGUN_WITHIN - STORE_LEAST
    intake.clock.advance(left - 0.01)
    assert not answer.called
    intake.clock.advance(0.02)
    assert await answer == stored(intake).id
    assert stored(intake).accepted_at == began
    late = silent()
    answer = Deferred.fromCoroutine(code(late, TEXT, came_at=late.clock.seconds() - BEGUN_WITHIN))
    late.clock.advance(ANSWER_WITHIN - BEGUN_WITHIN)
    assert await answer == 10


@pytest_twisted.ensureDeferred
async def test_the_stop_list_holds_players_and_addresses() -> None:
    """By the player's id, and by the address however it is written; activity_type passes it."""
    for names in (KEYS.user_hashes("amazing", "hhu234556"), KEYS.address_hashes("anna@players.example")):
        intake = Intake()
        await FakeStopList(intake.store).put("amazing", Channel.EMAIL, names[0], 3600)
        assert await code(intake, MAIL) == 5
        assert await code(intake, TEXT) == 0
        assert await code(intake, mail(activity_type="EmailCustomerSupport")) == 0
    intake = Intake()
    await FakeStopList(intake.store).put("amazing", Channel.SMS, KEYS.number_hashes("+447700900123")[0], 3600)
    assert await code(intake, TEXT) == 5


@pytest_twisted.ensureDeferred
async def test_the_directorys_own_spelling_of_an_id_counts() -> None:
    """For the stop list, for what is kept and for the audit log, however Smartico spells it."""
    intake = Intake()
    intake.players.players = dict.fromkeys(("1001", "01001", " 1001"), replace(ANNA, id="1001"))
    assert await code(intake, mail(ext_user_id="01001")) == 0
    assert stored(intake).ext_user_id == "1001"
    assert intake.decisions[-1].ext_user_id == "1001"
    await FakeStopList(intake.store).put("amazing", Channel.EMAIL, KEYS.user_hashes("amazing", "1001")[0], 3600)
    for number, spelling in enumerate(("1001", "01001", " 1001")):
        assert await code(intake, mail(ext_user_id=spelling, uid=f"uid-{number}")) == 5
        assert intake.decisions[-1].ext_user_id == "1001"
    # What was stopped under a spelling of the caller's, before the directory told its own, is stopped still.
    intake = Intake()
    intake.players.players = {"01001": replace(ANNA, id="1001")}
    await FakeStopList(intake.store).put("amazing", Channel.EMAIL, KEYS.user_hashes("amazing", "01001")[0], 3600)
    assert await code(intake, mail(ext_user_id="01001")) == 5


@pytest_twisted.ensureDeferred
async def test_a_newer_consent_lifts_an_older_stop() -> None:
    """The message is taken, and the audit log says why; an older consent, or none, lifts nothing."""
    intake = Intake()
    stops = FakeStopList(intake.store)
    await stops.put("amazing", Channel.EMAIL, KEYS.user_hashes("amazing", "hhu234556")[0], 3600)
    for consented_at in (0.0, NOW - 1):
        intake.players.players["hhu234556"] = replace(ANNA, consented_at=consented_at)
        assert await code(intake, MAIL) == 5
    intake.clock.advance(10)
    intake.players.players["hhu234556"] = replace(ANNA, consented_at=NOW + 5)
    assert await code(intake, MAIL) == 0
    lifted, accepted = intake.decisions[-2:]
    assert (lifted.what, lifted.ext_user_id, accepted.what) == ("stop lifted", "hhu234556", "accepted")


class SilentStore(FakeStore):
    """A store that answers when it is told to."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.gate: Deferred[None] = Deferred()

    async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
        """As the fake's; the answer comes once the gate opens."""
        outcome = await super().accept(*args, **more)
        await self.gate
        return outcome


def silent() -> Intake:
    """An intake whose store is silent."""
    intake = Intake()
    intake.store = intake.acceptor._store = SilentStore(intake.clock)
    return intake


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_down_means_try_again() -> None:
    """At once where it says so; no duplicate can be told from a stranger then either."""
    intake = Intake()
    intake.store.down = True
    assert await code(intake, MAIL) == 10
    intake.players.players.clear()
    assert await code(intake, MAIL) == 10


@pytest.mark.parametrize("slow_directory", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_silent_store_means_try_again_in_time(slow_directory: bool) -> None:
    """Within STORE_WITHIN of asking, and ANSWER_WITHIN of the request whatever else was slow."""
    intake = silent()
    intake.players.hang = slow_directory
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    began = intake.clock.seconds()
    while not answer.called:
        intake.clock.advance(0.5)
    assert intake.clock.seconds() - began <= (ANSWER_WITHIN if slow_directory else STORE_WITHIN)
    assert await answer == 10


@pytest_twisted.ensureDeferred
async def test_what_is_stored_although_its_caller_was_told_otherwise_is_taken_back() -> None:
    """The store's word came too late: the message is neither kept nor sent, and its uid stays usable."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    intake.clock.pump([0.5] * 8)
    assert await answer == 10
    intake.store.gate.callback(None)
    assert intake.trays[Channel.EMAIL].offered == []
    assert intake.store.db.rows == {}
    assert await code(intake, mail(subject="Other")) == 0


@pytest_twisted.ensureDeferred
async def test_a_process_that_overslept_reads_first_what_has_come() -> None:
    """Its timers are called before its sockets: a message that is stored is not refused for that, and then sent."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    intake.clock.advance(20)
    intake.store.gate.callback(None)
    assert await answer == 0
    assert len(intake.trays[Channel.EMAIL].offered) == 1
    late = silent()
    answer = Deferred.fromCoroutine(code(late, MAIL))
    late.clock.advance(20)
    late.clock.advance(ON_THE_WAY)
    assert await answer == 10, "but it does not wait again"


@pytest_twisted.ensureDeferred
async def test_what_a_lost_reply_left_stored_is_taken_back_once_the_store_is_there() -> None:
    """Nobody knows whether it was stored; the caller is told that it was not, so it is not."""

    class Deaf(FakeStore):
        async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
            await super().accept(*args, **more)
            self.down = True
            raise StoreUnavailable("the reply was lost")

    intake = Intake(Deaf)
    assert await code(intake, MAIL) == 10
    assert len(intake.store.db.rows) == 1
    intake.store.down = False
    intake.clock.advance(1)
    assert intake.store.db.rows == {}


@pytest.mark.parametrize("slow_directory", [False, True])
@pytest_twisted.ensureDeferred
async def test_the_store_takes_nothing_of_which_its_caller_could_not_hear(slow_directory: bool) -> None:
    """What it is asked reaches it no later than ON_THE_WAY before the caller's time is up, or not at all."""
    intake = Intake()
    intake.players.hang = slow_directory
    asked: list[float] = []

    class Watched(FakeStore):
        async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
            asked.append(more["until"])
            return await super().accept(*args, **more)

    intake.acceptor._store = Watched(intake.clock)
    began = intake.clock.seconds()
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    if slow_directory:
        intake.clock.advance(DIRECTORY_WITHIN)
    assert await answer == 0
    assert asked == [began + (ANSWER_WITHIN if slow_directory else STORE_WITHIN) - ON_THE_WAY]


@pytest_twisted.ensureDeferred
async def test_a_caller_who_hangs_up_leaves_nothing_half_done() -> None:
    """Cancelled while the store is asked: the message is stored and offered as if nothing had happened."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(intake.acceptor.accept("amazing", MAIL))
    answer.addErrback(lambda failure: None)
    answer.cancel()
    intake.store.gate.callback(None)
    assert len(intake.trays[Channel.EMAIL].offered) == 1
    assert stored(intake).uid == EMAIL["email_uid"]


@pytest_twisted.ensureDeferred
async def test_the_accepting_process_sends_from_memory_while_there_is_room() -> None:
    """Where the outbox has room the message is leased and offered to it, else it waits for any instance."""
    intake = Intake()
    intake.trays[Channel.EMAIL].places = 1
    for uid in ("1", "2"):
        await intake.acceptor.accept("amazing", mail(uid=uid))
    assert [leased.message.uid for leased in intake.trays[Channel.EMAIL].offered] == ["1"]
    assert len(await intake.store.lease_messages(Channel.EMAIL, 5)) == 1


@pytest_twisted.ensureDeferred
async def test_a_duplicate_is_not_offered_again() -> None:
    """Nothing is sent twice."""
    intake = Intake()
    intake.trays[Channel.EMAIL].places = 9
    for _ in range(3):
        await intake.acceptor.accept("amazing", MAIL)
    assert len(intake.trays[Channel.EMAIL].offered) == 1


@pytest_twisted.ensureDeferred
async def test_a_full_queue_means_try_again() -> None:
    """Past the high-water mark nothing is stored; a duplicate still gets its id."""
    intake = Intake()
    intake.store.max_queued = 1
    assert await code(intake, mail(uid="1")) == 0
    assert await code(intake, mail(uid="2")) == 10
    assert await code(intake, mail(uid="1")) == 0


@pytest_twisted.ensureDeferred
async def test_shutting_down_means_try_again() -> None:
    """Nothing is taken on any more."""
    intake = Intake()
    intake.acceptor.shutting_down = True
    assert await code(intake, MAIL) == 10
    assert not intake.store.db.rows


@pytest_twisted.ensureDeferred
async def test_a_rotated_key_still_knows_what_was_taken() -> None:
    """A uid that was taken under the previous secret key gets the id it had."""
    intake = Intake()
    first = await intake.acceptor.accept("amazing", MAIL)
    intake.acceptor._keys = Keys(b"n" * 32, [b"k" * 32])
    assert await intake.acceptor.accept("amazing", MAIL) == first


@pytest_twisted.ensureDeferred
async def test_no_address_and_no_content_in_the_log() -> None:
    """Acceptance and each kind of refusal are logged by ids."""
    events: list[Any] = []
    intake = Intake(amazing=label(preview_domains=["office.example"]))
    globalLogPublisher.addObserver(events.append)
    try:
        await code(intake, mail(**PREVIEW))
        await code(intake, mail(uid="2", from_email_address="eve@evil.example"))
        await code(intake, mail(uid="3", callback_url="https://evil.example/?key=1"))
        await code(intake, mail(uid="4", **(PREVIEW | {"to_email_address": "mallory@evil.example"})))
        await code(intake, text(uid="5\nforged", body="canary"))
    finally:
        globalLogPublisher.removeObserver(events.append)
    logged = [{k: v for k, v in event.items() if not k.startswith("log_") and k != "message"} for event in events]
    assert [event.get("uid", "taken") for event in logged] == ["taken", "2", "3", "4", ""]
    for canary in ("evil", "tester", "anna", "canary", "offer", "forged"):
        assert canary not in repr(logged)


_words = st.text(max_size=5)


@given(st.lists(_words, min_size=8, max_size=8), st.lists(_words, min_size=8, max_size=8))
def test_fingerprints_are_equal_for_equal_content_only(one: list[str], other: list[str]) -> None:
    """No two ways to split the same characters over fields look alike; callback_url and uid don't count."""

    def request(words: list[str], uid: str, url: str) -> SendRequest:
        return SendRequest(words[0], uid, Email(*words[1:6]), url, words[6], words[7])

    assert content_of(request(one, "1", "a")) == content_of(request(one, "2", "b"))
    assert (content_of(request(one, "1", "a")) == content_of(request(other, "1", "a"))) is (one == other)


@pytest.mark.parametrize(
    ("given_address", "expected"),
    [
        ("Anna.Smith@Players.EXAMPLE", "Anna.Smith@players.example"),
        (" anna@players.example ", "anna@players.example"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("пётр@пример.example", "пётр@xn--e1afmkfd.example"),
        ("o'brien+tag@players.example", "o'brien+tag@players.example"),
        ("player@localhost", "player@localhost"),
        ("player@test.invalid", "player@test.invalid"),
        ("Player@PC-7.Local", "Player@pc-7.local"),
        ("player@.local", None),
        ("player@invalid", None),
        ("a" * 64 + "@players.example", "a" * 64 + "@players.example"),
        ("a" * 65 + "@players.example", None),
        ("ж" * 33 + "@players.example", None),
        ("a@" + "b" * 60 + "." + "c" * 60 + "." + "d" * 60 + "." + "e" * 60 + ".example.com", None),
        ("", None),
        ("anna", None),
        ("anna@players", None),
        ("anna@@players.example", None),
        ("anna@players..example", None),
        (".anna@players.example", None),
        ("Anna <anna@players.example>", None),
        ("anna@players.example, eve@evil.example", None),
        ("anna@players.example\r\nRCPT TO:<eve@evil.example>", None),
        ("anna @players.example", None),
        ('"anna smith"@players.example', None),
        ("anna@[127.0.0.1]", None),
    ],
)
def test_email_addresses(given_address: str, expected: str | None) -> None:
    """One bare address with its domain in A-labels, within the limits of the wire, or none."""
    assert email_of(Recipient(email=given_address)) == expected


@pytest.mark.parametrize(
    ("given_number", "region", "expected"),
    [
        ("+44 7700 900123", "", "+447700900123"),
        ("+44 (0)7700 900123", "", "+447700900123"),
        ("07700 900123", "GB", "+447700900123"),
        ("07700 900123", "", None),
        ("0044 7700 900123", "GB", "+447700900123"),
        ("447700900123", "GB", "+447700900123"),
        ("+45 20 12 34 56", "GB", "+4520123456"),
        ("", "GB", None),
        ("call me", "GB", None),
        ("+44 7700 900123 ext. 9", "", None),
        ("999", "GB", None),
        ("+44770090012345678", "", None),
        ("+447700900123; +447700900124", "", None),
    ],
)
def test_phone_numbers(given_number: str, region: str, expected: str | None) -> None:
    """E.164, by the directory's region where the number has no country code, or none."""
    assert number_of(Recipient(phone=given_number), region) == expected


def test_a_fake_directory_is_one() -> None:
    """The tests' directory and table keep the interface's promises."""
    assert verifyObject(IRecipientDirectory, Players())
    assert isinstance(TABLE, config.PluginDirectory)
