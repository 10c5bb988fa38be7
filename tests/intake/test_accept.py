"""What is taken on, what is refused, and with which code."""

from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from fakes import FakeStopList
from gatewayd import config
from gatewayd.core.contact import readable_email, readable_number
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Channel, Email, Recipient
from gatewayd.intake.accept import ANSWER_WITHIN, BEGUN_WITHIN, DIRECTORY_WITHIN, STORE_LEAST
from gatewayd.intake.rules import SendRequest, content_of
from intake_requests import MAIL, PREVIEW, TEXT, code, mail, silent, stored, text
from intake_world import ANNA, KEYS, NOW, TABLE, Intake, Players, label

CONTROLS = ["\x00", "\r", "\n", "\t", "\x1f", "\x7f", "\x80", "\x9f", "\u2028", "\u2029"]


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


@pytest_twisted.ensureDeferred
async def test_a_label_without_a_channel_refuses_it() -> None:
    """No relays, no senders, no routes: sender_not_allowed, and nothing is stored to wait for ever."""
    for changes in ({"relays": []}, {"email_senders": []}):
        assert await code(Intake(amazing=label(**changes)), MAIL) == 6
    for changes in ({"sms_routes": []}, {"sms_senders": []}):
        assert await code(Intake(amazing=label(**changes)), TEXT) == 6


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


@pytest.mark.parametrize(
    ("request_", "now"),
    [
        (MAIL, {"email_senders": ["*@else.example"]}),
        (MAIL, {"relays": []}),
        (MAIL, {"callback_hosts": ["else.example"]}),
        (mail(activity_type="preview", to_email_address="boss@amazing.co"), {"preview_domains": []}),
        (TEXT, {"sms_senders": ["Else"]}),
        (TEXT, {"sms_routes": []}),
        (text(body="x" * 161), {"max_segments": 1}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_duplicate_gets_its_id_whatever_became_of_the_label(request_: SendRequest, now: dict[str, Any]) -> None:
    """A reload since: the same id, for the message was taken then; a uid that is new is refused."""
    intake = Intake(amazing=label(preview_domains=["amazing.co"]))
    first = await intake.acceptor.accept("amazing", request_)
    intake.reconfigure({"amazing": label(**{"preview_domains": ["amazing.co"], **now})})
    assert await intake.acceptor.accept("amazing", request_) == first
    assert await code(intake, replace(request_, uid="new")) in (3, 6, 7, 8)
    assert len(intake.store.db.rows) == 1


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
    assert readable_email(given_address) == expected


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
    assert readable_number(given_number, region) == expected


def test_a_fake_directory_is_one() -> None:
    """The tests' directory and table keep the interface's promises."""
    assert verifyObject(IRecipientDirectory, Players())
    assert isinstance(TABLE, config.PluginDirectory)
