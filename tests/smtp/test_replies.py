"""What a relay's replies say and mean: the strict reader and the one table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoded_ways import LINK, WAYS
from gatewayd.smtp.replies import (
    BadReply,
    RelayAnswer,
    RelayVerdict,
    Reply,
    ReplyReader,
    Stage,
    answer_of,
    cleaned,
    ends_session,
    is_hard,
    verdict_of,
)


def test_a_line_without_a_code_inside_a_reply_is_a_part_of_it() -> None:
    """Some break a long text: that must not make an answer at the end of data an uncertain one."""
    reader = ReplyReader()
    assert [reader.add(b"550-5.7.1 Blocked."), reader.add(b"See http://x.test")] == [None, None]
    assert reader.add(b"550 5.7.1 end") == Reply(
        550, "5.7.1 Blocked. See http://x.test end", ("5.7.1 Blocked.", "See http://x.test", "5.7.1 end")
    )
    reader = ReplyReader()
    for line in (b"250-x", *(b"no end",) * 99):
        assert reader.add(line) is None
    with pytest.raises(BadReply):
        reader.add(b"no end")


@pytest.mark.parametrize(
    ("stage", "code", "text", "ends"),
    [
        (Stage.MAIL, 452, "4.5.3 Too many messages sent", True),
        (Stage.MAIL, 450, "", True),
        (Stage.MAIL, 550, "5.7.0 Too many messages in this session", True),
        (Stage.RCPT, 452, "4.5.3 Too many recipients", True),
        (Stage.RCPT, 451, "4.7.1 limit of 100 recipients per connection reached", True),
        (Stage.MAIL, 550, "5.7.1 sender not allowed", False),
        (Stage.MAIL, 455, "4.5.4 parameters", False),
        (Stage.MAIL, 452, "4.3.1 disk full", False),
        (Stage.RCPT, 451, "4.7.1 greylisted", False),
        (Stage.RCPT, 550, "5.1.1 unknown", False),
        (Stage.DOT, 451, "4.7.1 too many messages in this session", False),
        (Stage.MAIL, 0, "the connection was lost", False),
    ],
)
def test_what_may_speak_of_all_that_a_connection_carried(stage: Stage, code: int, text: str, ends: bool) -> None:
    """A limit on mails or recipients of one session: a fresh connection tells whether it is that."""
    assert ends_session(answer_of(stage, Reply(code, text))) is ends


def test_a_reply_has_one_code() -> None:
    """Lines of one reply with different codes are an error."""
    reader = ReplyReader()
    assert reader.add(b"250-one") is None
    with pytest.raises(BadReply):
        reader.add(b"550 two")


@pytest.mark.parametrize(
    "line", [b"", b"25", b"2500 x", b"099 x", b"650 x", b"25x no", b"\xff\xfe", b"250_x", b"  250 x"]
)
def test_what_is_no_reply_is_an_error(line: bytes) -> None:
    """Three digits from 2 to 5, then a space, a hyphen or nothing."""
    with pytest.raises(BadReply):
        ReplyReader().add(line)


@given(st.binary(max_size=200))
def test_the_reader_survives_any_bytes(line: bytes) -> None:
    """Whatever a peer sends is a reply, part of one, or BadReply."""
    try:
        reply = ReplyReader().add(line)
    except BadReply:
        return
    assert reply is None or 200 <= reply.code < 600


def test_the_enhanced_code_is_said_once() -> None:
    """A reply of several lines repeats its enhanced code on each; the text has it once."""
    reader = ReplyReader()
    assert reader.add(b"550-5.7.26 This mail is unauthenticated,") is None
    reply = reader.add(b"550 5.7.26 see our page")
    assert reply is not None
    assert (reply.text, reply.enhanced) == ("5.7.26 This mail is unauthenticated, see our page", "5.7.26")


# -- what answers mean -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "verdict"),
    [
        (Stage.DOT, 250, "2.0.0", RelayVerdict.ACCEPTED),
        (Stage.MAIL, 421, "", RelayVerdict.ROUTE),
        (Stage.MAIL, 451, "", RelayVerdict.ROUTE),
        (Stage.MAIL, 530, "5.7.0", RelayVerdict.ROUTE),
        (Stage.MAIL, 550, "5.7.1", RelayVerdict.REFUSED),
        (Stage.MAIL, 552, "5.3.4", RelayVerdict.REFUSED),
        (Stage.MAIL, 553, "5.1.8", RelayVerdict.REFUSED),
        (Stage.MAIL, 555, "5.5.4", RelayVerdict.BARE),
        (Stage.MAIL, 501, "5.5.4", RelayVerdict.BARE),
        (Stage.MAIL, 550, "5.5.4", RelayVerdict.BARE),
        (Stage.MAIL, 455, "", RelayVerdict.BARE),
        (Stage.RCPT, 553, "5.5.4", RelayVerdict.BARE),
        (Stage.MAIL, 501, "5.1.7", RelayVerdict.REFUSED),
        (Stage.RCPT, 555, "", RelayVerdict.BARE),
        (Stage.RCPT, 550, "5.1.1", RelayVerdict.REFUSED),
        (Stage.RCPT, 551, "", RelayVerdict.REFUSED),
        (Stage.RCPT, 553, "5.1.3", RelayVerdict.REFUSED),
        (Stage.RCPT, 450, "4.2.1", RelayVerdict.AGAIN),
        (Stage.RCPT, 452, "4.2.2", RelayVerdict.AGAIN),
        (Stage.RCPT, 451, "4.7.1", RelayVerdict.DOMAIN),
        (Stage.RCPT, 421, "4.7.0", RelayVerdict.DOMAIN),
        (Stage.DATA, 451, "", RelayVerdict.ROUTE),
        (Stage.DATA, 554, "5.7.1", RelayVerdict.REFUSED),
        (Stage.RCPT, 451, "4.3.5", RelayVerdict.ROUTE),
        (Stage.RCPT, 421, "4.3.2", RelayVerdict.ROUTE),
        (Stage.DOT, 452, "4.3.1", RelayVerdict.ROUTE),
        (Stage.DOT, 451, "4.7.1", RelayVerdict.DOMAIN),
        (Stage.DOT, 452, "4.2.2", RelayVerdict.AGAIN),
        (Stage.DOT, 421, "", RelayVerdict.DOMAIN),
        (Stage.DOT, 554, "5.6.0", RelayVerdict.REFUSED),
        (Stage.RCPT, 503, "", RelayVerdict.ROUTE),
        (Stage.RCPT, 550, "5.4.5", RelayVerdict.ROUTE),
        (Stage.RCPT, 0, "", RelayVerdict.ROUTE),
        (Stage.CONNECT, 554, "", RelayVerdict.ROUTE),
        (Stage.AUTH, 535, "5.7.8", RelayVerdict.ROUTE),
    ],
)
def test_the_table_of_answers(stage: Stage, code: int, enhanced: str, verdict: RelayVerdict) -> None:
    """The rows of the reply table, by example."""
    assert verdict_of(RelayAnswer(stage, code, enhanced)) is verdict


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT])
@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("550 5.4.5 Daily user sending limit exceeded. For more information", RelayVerdict.ROUTE),
        ("550 5.7.1 Daily SMTP relay limit exceeded for user.", RelayVerdict.ROUTE),
        ("550 5.7.1 Daily SMTP relay sending limit exceeded for customer.", RelayVerdict.ROUTE),
        ("550 5.4.5 Recipient address rejected: Domain Sending Quota Exceeded", RelayVerdict.ROUTE),
        ("554 5.7.1 Recipient address rejected: You have exceeded your Outmail quota.", RelayVerdict.ROUTE),
        ("554 You've reached your daily relay quota", RelayVerdict.ROUTE),
        ("550 You have exceeded your hourly sending limit", RelayVerdict.ROUTE),
        ("454 Throttling failure: Daily message quota exceeded.", RelayVerdict.ROUTE),
        ("454 Throttling failure: Maximum sending rate exceeded.", RelayVerdict.ROUTE),
        ("450 4.2.1 Peak SMTP relay limit exceeded for customer.", RelayVerdict.ROUTE),
        ("420 4.2.1 Exceed Sending Limit (hourly)", RelayVerdict.ROUTE),
        ("451 You've exceeded your messaging limits", RelayVerdict.ROUTE),
        ("552 5.2.2 The email account that you tried to reach is over quota", RelayVerdict.REFUSED),
        ("552 5.2.2 Mailbox quota exceeded for user", RelayVerdict.REFUSED),
        ("552 5.3.4 Message size limit exceeded", RelayVerdict.REFUSED),
        ("550 5.7.1 The recipient has exceeded the limit of its mailbox", RelayVerdict.REFUSED),
    ],
)
def test_a_quota_of_ours_is_no_fault_of_the_message(stage: Stage, said: str, verdict: RelayVerdict) -> None:
    """What an account with a relay may send in a day: the next relay takes it, or this one later. A full box is not."""
    code, _, text = said.partition(" ")
    assert verdict_of(answer_of(stage, Reply(int(code), text), "jane@player.test")) is verdict


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT])
@pytest.mark.parametrize(
    "said",
    [
        "554 5.7.1 <jane@player.test>: Relay access denied",
        "454 4.7.1 <jane@player.test>: Relay access denied",
        "550 5.7.1 Unable to relay",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "550 relay not permitted",
        "550 5.7.1 <jane@player.test>... Relaying denied",
        "550 5.7.1 Relaying to <jane@player.test> prohibited by administrator",
        "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied",
        "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example",
        "504 5.5.2 <gw>: Helo command rejected: need fully-qualified hostname",
        "550 5.7.60 SMTP; Client was not authenticated to send anonymous mail",
        "550 5.7.1 Authentication required",
        "553 5.7.1 You must authenticate first",
        "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)",
        "550 5.7.1 EHLO argument is not a FQDN",
        "550 bad HELO - Host impersonating",
        "450 4.7.1 Client does not have a valid reverse DNS",
        "550 5.7.25 The IP address sending this message does not have a PTR record",
        "554 5.7.1 Your IP is not authorised",
        "550 5.7.1 Your IP 192.0.2.7 is not allowed to send mail",
        "550 #5.7.1 Your access to submit messages to this e-mail system has been rejected.",
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        "550 5.7.1 Mail relay not enabled for your host",
        "550 SMTP AUTH required",
        "550 Please authenticate first",
        "550 5.7.1 Please login first",
        "550 5.7.3 STARTTLS is required to send mail",
        "550 Must issue a STARTTLS command first",
        "553 5.7.1 <news@amazing.co>: Sender address rejected: not logged in",
    ],
)
def test_that_a_relay_does_not_let_us_in_is_no_fault_of_the_message(stage: Stage, said: str) -> None:
    """Each mail of a campaign gets that answer: it waits, or another relay takes it. At the dot it is the content's."""
    code, _, text = said.partition(" ")
    assert verdict_of(answer_of(stage, Reply(int(code), text), "jane@player.test")) is RelayVerdict.ROUTE
    at_the_end = answer_of(Stage.DOT, Reply(550, text), "jane@player.test")
    assert verdict_of(at_the_end) is RelayVerdict.REFUSED


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT])
@pytest.mark.parametrize("code", [*range(400, 460)])
def test_no_4xx_is_ever_final(stage: Stage, code: int) -> None:
    """The reply code's first digit decides whether to try again, even against a 5.x.x beside it."""
    assert verdict_of(RelayAnswer(stage, code, "5.1.1")) not in (RelayVerdict.REFUSED, RelayVerdict.ACCEPTED)


@pytest.mark.parametrize(
    ("answer", "hard"),
    [
        (RelayAnswer(Stage.RCPT, 550, "5.1.1"), True),
        (RelayAnswer(Stage.RCPT, 550, "5.1.10"), True),
        (RelayAnswer(Stage.DOT, 550, "5.1.1"), True),
        (RelayAnswer(Stage.RCPT, 550, "5.2.1"), True),
        (RelayAnswer(Stage.RCPT, 550, "5.4.4", "Host not found: NXDOMAIN"), True),
        (RelayAnswer(Stage.RCPT, 550, "5.4.4", "no MX"), False),
        (RelayAnswer(Stage.RCPT, 552, "5.2.2"), False),
        (RelayAnswer(Stage.RCPT, 550, "5.7.1"), False),
        (RelayAnswer(Stage.RCPT, 550), False),
        (RelayAnswer(Stage.RCPT, 450, "5.1.1"), False),
        (RelayAnswer(Stage.RCPT, 550, "5.1.1", "rejected: 192.0.2.1 is on our blacklist"), False),
        (RelayAnswer(Stage.RCPT, 550, "5.2.1", "The user is receiving mail at a rate that prevents this"), False),
        (RelayAnswer(Stage.MAIL, 550, "5.1.2"), False),
    ],
)
def test_only_an_address_that_does_not_exist_is_hard(answer: RelayAnswer, hard: bool) -> None:
    """Full mailboxes, policy and our own authentication never suppress an address; nor does the sender's fault."""
    assert is_hard(answer) is hard


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("stage", "code"), [(Stage.RCPT, 550), (Stage.DOT, 250)])
def test_what_is_kept_of_a_reply_has_no_address_in_an_encoded_form(way: str, stage: Stage, code: int) -> None:
    """Also of a mail that was taken: of its words only the relay's id is of use."""
    written = WAYS[way]("jane.player@players.example")
    told = answer_of(stage, Reply(code, f"2.0.0 to {written} ok"), "jane.player@players.example").text
    assert told.replace(LINK, "https:") == f"2.0.0 to {'https:' * (LINK in written)}[redacted] ok"


def test_what_is_kept_of_a_reply_has_no_address() -> None:
    """The recipient's address, its local part alone, other addresses and numbers are taken out."""
    text = cleaned(
        "550 <Jane.Doe@player.test> jane.doe unknown, ask bob@x.test or +44 7700 900123", "jane.doe@player.test"
    )
    assert text == "550 <[redacted]> [redacted] unknown, ask [redacted] or [redacted]"


def test_a_reply_without_end_costs_nothing() -> None:
    """Of 400 kB of a relay's words only the beginning is looked at, and no half address is left of it."""
    assert cleaned("no " + "x" * 400_000) == "no"
    many = cleaned("jane.very.long.name@players.example.org " * 10_000)
    assert "jane" not in many
    assert many.startswith("[redacted] [redacted]")


@pytest.mark.parametrize(
    "said",
    [
        "2.0.0 Ok: queued as 1234567890",
        "2.0.0 Ok: queued as 4T5xYz1QbJz9sW",
        "OK id=1rAbCd-00000001234-0XyZ",
        "OK id=1abcde-000123-Xy",
        "2.0.0 38R0123456789012 Message accepted for delivery",
        "2.0.0 12345678 Message accepted for delivery",
        "2.6.0 [InternalId=12345678901234, Hostname=AM0PR01.prod.outlook.test] 9876543 bytes, Queued mail for delivery",
        "2.0.0 OK  1700000000 ffacd0b85a97d-3333333333333si12345678wrx.123 - gsmtp",
        "ok 1700000000 qp 1234567",
        "Ok 0100018c2c3b1f2a-6f9d2c3e-1111-2222-3333-444444444444-000000",
    ],
)
def test_the_id_that_a_relay_gives_stays(said: str) -> None:
    """What follows the final dot names the mail in the relay's own log: all of it but addresses is kept."""
    assert answer_of(Stage.DOT, Reply(250, said), "447700900123@player.test").text == said
    told = answer_of(Stage.DOT, Reply(250, f"{said} for <Jane@player.test> (jane)"), "jane@player.test").text
    assert told == f"{said} for <[redacted]> (jane)".replace("(jane)", "([redacted])")
    assert "12345678" not in answer_of(Stage.RCPT, Reply(550, "12345678 unknown")).text
