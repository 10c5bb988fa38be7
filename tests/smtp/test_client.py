"""The ESMTP client protocol, on a transport in memory."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from gatewayd.smtp.client import CHUNK, GRACE
from gatewayd.smtp.commands import Envelope, Offer, mail_and_rcpt, read_offer, stuffed
from gatewayd.smtp.negotiation import Login, RelayTrouble
from gatewayd.smtp.replies import (
    LINES_LIMIT,
    BadReply,
    RelayAnswer,
    RelayVerdict,
    Reply,
    ReplyReader,
    Stage,
    answer_of,
    cleaned,
    is_hard,
    verdict_of,
)
from smtp_world import EHLO, Wire

ONE = Envelope("b+token@bounces.test", "jane@player.test", "a540f662-45b3-41ee-be56-0242ac120002")
TWO = Envelope("b+other@bounces.test", "john@player.test", "b540f662-45b3-41ee-be56-0242ac120002")
GROUP = (
    b"MAIL FROM:<b+token@bounces.test> SIZE=7 RET=HDRS ENVID=a540f662-45b3-41ee-be56-0242ac120002\r\n"
    b"RCPT TO:<jane@player.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;jane@player.test\r\nDATA\r\n"
)
GO = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n"
SLOW_EHLO = b"250-relay.test\r\n250 SIZE\r\n"


def result(deferred: Deferred[Any]) -> Any:
    """What it fired with; the Deferred may not have fired yet only by mistake."""
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert seen, "no result yet"
    return seen[0]


def trouble(wire: Wire) -> RelayTrouble:
    """Why the session did not become ready."""
    failure = result(wire.session.ready)
    assert isinstance(failure.value, RelayTrouble)
    return failure.value


# -- a message ---------------------------------------------------------------------------------------------------


def test_one_message_is_two_writes() -> None:
    """MAIL, RCPT and DATA are one write, the content and its dot another."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    assert wire.said() == GROUP
    wire.tell(GO)
    assert wire.said() == b"hello\r\n.\r\n"
    wire.tell(b"250 2.0.0 Ok: queued as 4ABC\r\n")
    answer = result(done)
    assert answer == RelayAnswer(Stage.DOT, 250, "2.0.0", "2.0.0 Ok: queued as 4ABC")
    assert answer.accepted


def test_replies_may_come_in_any_pieces() -> None:
    """One byte at a time gives the same as all at once."""
    wire = Wire(ready=False)
    for byte in b"220 hi\r\n" + EHLO:
        wire.tell(bytes([byte]))
    done = wire.session.submit(ONE, b"hello\r\n")
    for byte in GO + b"250 ok\r\n":
        wire.tell(bytes([byte]))
    assert result(done).accepted


def test_the_next_message_follows_the_dot_in_one_write() -> None:
    """The commands of a second message go out with the content of the first (RFC 2920)."""
    wire = Wire()
    first, second = wire.session.submit(ONE, b"hello\r\n"), wire.session.submit(TWO, b"second\r\n")
    assert wire.said() == GROUP
    wire.tell(GO)
    said = wire.said()
    assert said.startswith(b"hello\r\n.\r\nMAIL FROM:<b+other@bounces.test>")
    assert said.endswith(b"\r\nDATA\r\n")
    wire.tell(b"250 taken\r\n" + GO)
    assert result(first).accepted
    assert wire.said() == b"second\r\n.\r\n"
    wire.tell(b"250 taken too\r\n")
    assert result(second).accepted


def test_a_message_submitted_behind_a_dot_goes_at_once() -> None:
    """While the answer to the dot is awaited, the commands of another message may be written."""
    wire = Wire()
    wire.session.submit(ONE, b"hello\r\n")
    wire.tell(GO)
    wire.said()
    wire.session.submit(TWO, b"second\r\n")
    assert wire.said().startswith(b"MAIL FROM:<b+other")


def test_whoever_hears_an_answer_may_submit_at_once() -> None:
    """A new message submitted from the callback does not overtake the one that waits."""
    wire = Wire()
    first, second = wire.session.submit(ONE, b"one\r\n"), wire.session.submit(TWO, b"two\r\n")
    third: list[Deferred[RelayAnswer]] = []
    first.addCallback(lambda _: third.append(wire.session.submit(ONE, b"three\r\n")))
    wire.said()
    wire.tell(b"250 ok\r\n550 5.1.1 no\r\n554 no valid recipients\r\n")
    assert wire.said().startswith(b"RSET\r\nMAIL FROM:<b+other")
    wire.tell(b"250 ok\r\n" + GO)
    assert wire.said().startswith(b"two\r\n.\r\nMAIL FROM:<b+token")
    wire.tell(b"250 ok\r\n" + GO + b"250 ok\r\n")
    assert result(second).accepted
    assert result(third[0]).accepted


def test_without_pipelining_one_command_at_a_time() -> None:
    """A relay that does not offer PIPELINING gets no command before its answer to the one before."""
    wire = Wire(ehlo=SLOW_EHLO)
    done, waiting = wire.session.submit(ONE, b"hello\r\n"), wire.session.submit(TWO, b"second\r\n")
    assert wire.said() == b"MAIL FROM:<b+token@bounces.test> SIZE=7\r\n"
    wire.tell(b"250 ok\r\n")
    assert wire.said() == b"RCPT TO:<jane@player.test>\r\n"
    wire.tell(b"250 ok\r\n")
    assert wire.said() == b"DATA\r\n"
    wire.tell(b"354 go\r\n")
    assert wire.said() == b"hello\r\n.\r\n"
    wire.tell(b"250 ok\r\n")
    assert result(done).accepted
    assert wire.said().startswith(b"MAIL FROM:<b+other")
    wire.tell(b"450 4.3.2 not now\r\n")
    assert result(waiting).stage is Stage.MAIL


def test_a_refused_recipient_ends_the_transaction_and_the_next_begins_with_rset() -> None:
    """After a refused RCPT the relay still holds the sender: RSET, in the same write as the next message."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.said()
    wire.tell(b"250 ok\r\n550 5.1.1 <jane@player.test>: jane is unknown\r\n554 5.5.1 no valid recipients\r\n")
    assert result(done) == RelayAnswer(Stage.RCPT, 550, "5.1.1", "5.1.1 <[redacted]>: [redacted] is unknown")
    wire.session.submit(TWO, b"second\r\n")
    assert wire.said().startswith(b"RSET\r\nMAIL FROM:<b+other")


def test_data_taken_without_recipients_gets_an_empty_message() -> None:
    """RFC 2920 3.1: a relay may answer 354 although it refused all recipients; then only the dot is sent."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.said()
    wire.tell(b"250 ok\r\n550 5.7.1 no\r\n354 go\r\n")
    assert wire.said() == b".\r\n"
    wire.tell(b"250 ok, sent to nobody\r\n")
    answer = result(done)
    assert (answer.stage, answer.code) == (Stage.RCPT, 550)
    wire.session.submit(TWO, b"second\r\n")
    assert wire.said().startswith(b"MAIL FROM:<b+other")


def test_the_first_refusal_counts() -> None:
    """When MAIL is refused the 503s behind it say nothing."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(b"452 4.3.1 disk full\r\n503 bad sequence\r\n503 bad sequence\r\n")
    assert result(done) == RelayAnswer(Stage.MAIL, 452, "4.3.1", "4.3.1 disk full")


def test_content_larger_than_a_chunk_goes_piece_by_piece() -> None:
    """A big message is written as the transport takes it, and its dot comes last."""
    wire = Wire()
    content = b"x" * 70 + b"\r\n"
    big = content * (3 * CHUNK // len(content))
    done = wire.session.submit(ONE, big)
    wire.tell(GO)
    wire.said()
    wire.transport.producer.resumeProducing()
    written = wire.said()
    assert len(written) == CHUNK
    while wire.transport.producer is not None:
        wire.transport.producer.resumeProducing()
    assert written + wire.said() == big + b".\r\n"
    wire.tell(b"250 ok\r\n")
    assert result(done).accepted


def test_lost_in_the_middle_of_big_content_is_not_ambiguous() -> None:
    """Before the dot was written the relay can't have taken it."""
    wire = Wire()
    done = wire.session.submit(ONE, b"x\r\n" * CHUNK)
    wire.tell(GO)
    wire.cut()
    assert result(done) == RelayAnswer(Stage.DOT, 0, "", "the connection was lost", False)


def test_an_answer_in_the_middle_of_big_content_ends_the_connection() -> None:
    """552 while content is still being sent counts, and nothing else is sent on that connection."""
    wire = Wire()
    done = wire.session.submit(ONE, b"x\r\n" * CHUNK)
    wire.tell(GO + b"552 5.3.4 too big\r\n")
    answer = result(done)
    assert (answer.stage, answer.code, answer.ambiguous) == (Stage.DOT, 552, False)
    assert wire.lost == [wire.session]


# -- losses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "stage", "ambiguous"),
    [
        (b"", Stage.MAIL, False),
        (b"250 ok\r\n", Stage.RCPT, False),
        (b"250 ok\r\n250 ok\r\n", Stage.DATA, False),
        (GO, Stage.DOT, True),
    ],
)
def test_only_a_loss_after_the_dot_is_ambiguous(told: bytes, stage: Stage, ambiguous: bool) -> None:
    """Wherever the connection is lost, the answer says whether the relay may have taken the message."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(told)
    wire.cut()
    assert result(done) == RelayAnswer(stage, 0, "", "the connection was lost", ambiguous)


def test_of_two_messages_only_the_one_whose_dot_went_out_is_ambiguous() -> None:
    """The commands of the second were written behind the first one's dot; its content never was."""
    wire = Wire()
    first, second = wire.session.submit(ONE, b"hello\r\n"), wire.session.submit(TWO, b"second\r\n")
    wire.tell(GO)
    wire.cut()
    assert result(first).ambiguous
    assert result(second) == RelayAnswer(Stage.MAIL, 0, "", "the connection was lost", False)


@pytest.mark.parametrize(("told", "stage"), [(b"", "MAIL"), (b"250 ok\r\n", "RCPT"), (GO, "end of data")])
def test_421_anywhere_is_an_answer(told: bytes, stage: str) -> None:
    """421 ends the transaction where it is, is never ambiguous, and the connection is closed."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(told + b"421 4.3.2 going down\r\n")
    answer = result(done)
    assert (str(answer.stage), answer.code, answer.ambiguous) == (stage, 421, False)
    assert not wire.session.alive
    assert wire.lost == [wire.session]


def test_a_relay_that_never_greets_is_told_with_its_stage_once() -> None:
    """The reason says what did not come in time, and where."""
    wire = Wire(ready=False)
    wire.clock.pump([1.0] * 316)
    assert str(trouble(wire)) == "no answer in time (connect)"


@pytest.mark.parametrize(("told", "seconds"), [(b"", 300), (b"250 ok\r\n250 ok\r\n", 120), (GO, 600)])
def test_a_relay_that_says_nothing_is_left_in_the_end(told: bytes, seconds: float) -> None:
    """Each stage has the time-out of RFC 5321 4.5.3.2; silence after the dot is ambiguous."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(told)
    wire.clock.pump([1.0] * int(seconds - 1))
    assert not done.called
    wire.clock.pump([1.0] * 16)
    answer = result(done)
    assert answer.text == "no answer in time"
    assert answer.ambiguous is (told == GO)
    assert wire.session.timed_out


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_counts() -> None:
    """A process that is stopped for longer than a time-out reads what came before it judges."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(GO)
    wire.clock.pump([1.0] * 5)
    wire.clock.advance(700)
    wire.tell(b"250 ok\r\n")
    wire.clock.advance(1)
    assert result(done).accepted
    assert wire.session.alive


@pytest.mark.parametrize(
    ("told", "seconds", "stage", "ambiguous"),
    [
        (b"", 5.0, Stage.MAIL, False),
        (b"250 ok\r\n", 5.0, Stage.RCPT, False),
        (b"250 ok\r\n250 ok\r\n", 5.0, Stage.DATA, False),
        (GO, 5.0 + GRACE, Stage.DOT, True),
    ],
)
def test_a_message_is_given_up_at_its_deadline(told: bytes, seconds: float, stage: Stage, ambiguous: bool) -> None:
    """However long the relay may take; the answer to a dot may come a little later."""
    wire = Wire()
    done = wire.session.submit(replace(ONE, until=5.0), b"hello\r\n")
    wire.tell(told)
    wire.clock.pump([0.5] * int(seconds * 2 - 1))
    assert not done.called
    wire.clock.pump([0.5])
    assert result(done) == RelayAnswer(stage, 0, "", "its deadline passed", ambiguous)
    assert not wire.clock.getDelayedCalls()


def test_a_deadline_that_passes_takes_no_other_message_along() -> None:
    """While another's dot is unanswered the connection stays; content is never written too late."""
    wire = Wire()
    first, late = wire.session.submit(ONE, b"one\r\n"), wire.session.submit(replace(TWO, until=5.0), b"two\r\n")
    wire.tell(GO)
    wire.clock.pump([0.5] * 12)
    wire.said()
    wire.tell(b"250 ok\r\n" + GO)
    assert result(first).accepted
    assert wire.said() == b""
    answer = result(late)
    assert (answer.text, answer.ambiguous) == ("its deadline passed", False)


def test_a_message_that_waits_for_its_turn_ends_alone_at_its_deadline() -> None:
    """The one ahead of it goes on."""
    wire = Wire()
    first, late = wire.session.submit(ONE, b"one\r\n"), wire.session.submit(replace(TWO, until=5.0), b"two\r\n")
    wire.clock.pump([0.5] * 10)
    assert result(late) == RelayAnswer(Stage.MAIL, 0, "", "its deadline passed")
    wire.said()
    wire.tell(GO)
    assert wire.said() == b"one\r\n.\r\n"
    wire.tell(b"250 ok\r\n")
    assert result(first).accepted


def test_a_message_in_time_leaves_no_timer_behind() -> None:
    """Taken, refused or lost: its deadline ends nothing any more."""
    wire = Wire()
    wire.session.submit(replace(ONE, until=5.0), b"one\r\n")
    wire.tell(GO + b"250 ok\r\n")
    done = wire.session.submit(replace(TWO, until=5.0), b"two\r\n")
    wire.tell(b"250 ok\r\n550 5.1.1 no\r\n554 no\r\n")
    assert result(done).code == 550
    wire.clock.pump([0.5] * 30)
    assert wire.session.alive


def test_nonsense_after_the_dot_is_ambiguous() -> None:
    """A line that is no reply, where the answer to the dot was due, leaves it open what became of the message."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(GO + b"what?\r\n")
    assert result(done).ambiguous


def test_giving_up_drops_the_connection() -> None:
    """A cancelled submit leaves no transaction half-way on a connection that others would use."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    done.addErrback(lambda _: None)
    done.cancel()
    assert wire.lost == [wire.session]
    assert not wire.session.alive


def test_nothing_goes_over_a_dead_session() -> None:
    """A submit after the connection was lost is answered at once, and not ambiguous."""
    wire = Wire()
    wire.cut()
    assert result(wire.session.submit(ONE, b"hello\r\n")).code == 0


def test_quit_waits_for_what_is_under_way() -> None:
    """QUIT is said once the answer to the dot is there."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.said()
    wire.session.quit()
    assert wire.said() == b""
    wire.tell(GO)
    assert wire.said() == b"hello\r\n.\r\n"
    wire.tell(b"250 ok\r\n")
    assert result(done).accepted
    assert wire.said() == b"QUIT\r\n"
    wire.tell(b"221 bye\r\n")
    assert wire.lost == [wire.session]


def test_a_relay_that_never_closes_after_its_good_bye_is_left() -> None:
    """Under TLS the transport waits for the peer's own end; a few seconds of that are enough, and no trouble."""
    wire = Wire()
    wire.transport = wire.session.transport = StringTransport()
    wire.session.quit()
    assert wire.said() == b"QUIT\r\n"
    wire.tell(b"221 2.0.0 bye\r\n")
    assert wire.transport.disconnecting
    assert not wire.transport.disconnected
    wire.clock.advance(5)
    assert wire.transport.disconnected
    assert not wire.session.timed_out


def test_a_probe_tells_whether_the_relay_answers() -> None:
    """NOOP answered is a sign of life; silence of 4 s is none and closes the connection."""
    wire = Wire()
    well = wire.session.probe()
    assert wire.said() == b"NOOP\r\n"
    wire.tell(b"250 ok\r\n")
    assert result(well) is True
    silent = wire.session.probe()
    wire.clock.pump([0.5] * 9)
    assert result(silent) is False


# -- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("greeting", [b"554 no\r\n", b"421 4.7.0 too many\r\n", b"SSH-2.0-OpenSSH\r\n", b"200\n\r\n"])
def test_a_greeting_that_is_none_is_trouble(greeting: bytes) -> None:
    """Only 220 begins a session."""
    wire = Wire(ready=False)
    wire.tell(greeting)
    assert not trouble(wire).lasting
    assert wire.said() == b""


def test_keywords_are_read_whatever_their_case() -> None:
    """EHLO keywords are case-insensitive, AUTH= is AUTH, and SIZE has a number."""
    offer = read_offer(["relay.test hello", "pipelining", "Size 12345", "AUTH=LOGIN", "auth PLAIN", " starttls"])
    assert "PIPELINING" in offer
    assert "STARTTLS" in offer
    assert offer.size == 12345
    assert offer.mechanisms == {"LOGIN", "PLAIN"}


def test_starttls_that_is_not_offered_is_trouble() -> None:
    """Where TLS is configured nothing goes out in the clear, least of all a log-in."""
    wire = Wire(Login(tls=lambda: None, username="u", password="p"))
    assert "STARTTLS" in trouble(wire).reason
    assert wire.said() == b""


@pytest.mark.parametrize(
    "pieces", [[b"220 go\r\n250 injected\r\n"], [b"220 go\r\n250"], [b"220", b" go\r\n250-x\r\n25"]]
)
def test_text_behind_the_answer_to_starttls_is_refused(pieces: list[bytes]) -> None:
    """What came in the clear must not pass as said inside TLS (CVE-2011-0411 and kin)."""
    wire = Wire(Login(tls=lambda: None), ehlo=b"250-relay.test\r\n250 STARTTLS\r\n")
    assert wire.said() == b"STARTTLS\r\n"
    for piece in pieces:
        wire.tell(piece)
    assert "STARTTLS" in trouble(wire).reason
    assert wire.said() == b""


def test_a_certificate_file_that_cannot_be_read_is_said() -> None:
    """The file is read when TLS begins: its trouble is the session's, and nothing goes on in the clear."""

    def unreadable() -> Any:
        raise RelayTrouble("a certificate or key file can't be used", lasting=True)

    wire = Wire(Login(tls=unreadable), ehlo=b"250-relay.test\r\n250 STARTTLS\r\n")
    assert wire.said() == b"STARTTLS\r\n"
    wire.tell(b"220 go\r\n")
    why = trouble(wire)
    assert (why.reason, why.lasting) == ("a certificate or key file can't be used", True)
    assert wire.said() == b""
    assert len(wire.lost) == 1


def test_a_relay_older_than_esmtp_gets_helo() -> None:
    """Where neither TLS nor a log-in is wanted; then no parameters and no pipelining."""
    wire = Wire(ehlo=b"502 what?\r\n")
    assert wire.said() == b"HELO [10.0.0.1]\r\n"
    wire.tell(b"250 hello\r\n")
    done = wire.session.submit(ONE, b"hello\r\n")
    assert wire.said() == b"MAIL FROM:<b+token@bounces.test>\r\n"
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"):
        wire.tell(reply)
    assert result(done).accepted
    trouble(Wire(ehlo=b"502 what?\r\n502 what?\r\n"))


def test_a_log_in_without_tls_goes_to_loopback_only() -> None:
    """The transport's peer is 192.168.1.1 here: no password for it."""
    wire = Wire(Login(username="user", password="secret"), ehlo=b"250-relay.test\r\n250 AUTH PLAIN\r\n")
    assert trouble(wire).lasting
    assert b"AUTH" not in wire.said()


@pytest.mark.parametrize(
    "line", [b"220 " + b"x" * 5000 + b"\r\n", b"220 " + b"x" * 9000, b"220-x\r\n" * (LINES_LIMIT + 1)]
)
def test_endless_replies_are_cut_off(line: bytes) -> None:
    """No line beyond 4 kB and no reply beyond 100 lines is kept in memory."""
    wire = Wire(ready=False)
    wire.tell(line)
    trouble(wire)
    assert wire.lost == [wire.session]


# -- the reply reader ------------------------------------------------------------------------------------------------


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


# -- commands --------------------------------------------------------------------------------------------------------

OFFER = Offer({"SIZE": "", "DSN": "", "SMTPUTF8": ""})


def test_parameters_go_only_where_they_were_offered() -> None:
    """Without DSN and SIZE in the EHLO answer, or when asked to be bare, the commands have no parameters."""
    plain = (b"MAIL FROM:<b+token@bounces.test>\r\n", b"RCPT TO:<jane@player.test>\r\n")
    assert mail_and_rcpt(ONE, Offer({}), 7, bare=False) == plain
    assert mail_and_rcpt(ONE, OFFER, 7, bare=True) == plain


def test_orcpt_is_xtext() -> None:
    """Plus and equals signs are encoded (RFC 3461 4)."""
    rcpt = mail_and_rcpt(Envelope("", "a+b=c@x.test", "id=1"), OFFER, 7, bare=False)
    assert rcpt[0] == b"MAIL FROM:<> SIZE=7 RET=HDRS ENVID=id+3D1\r\n"
    assert rcpt[1].endswith(b"ORCPT=rfc822;a+2Bb+3Dc@x.test\r\n")


def test_orcpt_of_an_address_beyond_ascii_is_utf_8() -> None:
    """RFC 6533 3: in an SMTPUTF8 command the characters stand as they are, but for \\, + and =."""
    mail, rcpt = mail_and_rcpt(Envelope("", "jörg+x@x.test", "id", smtputf8=True), OFFER, 7, bare=False)
    assert mail.endswith(b" SMTPUTF8\r\n")
    assert rcpt.decode().endswith("ORCPT=utf-8;jörg\\x{2B}x@x.test\r\n")


@pytest.mark.parametrize("address", ["a b@c", "a@c>\r\nRSET", "<a@c", "a@c\x00", "a\u0085@c", "a@c\n"])
def test_no_address_breaks_out_of_its_command(address: str) -> None:
    """Spaces, controls and angle brackets never reach the wire."""
    with pytest.raises(ValueError, match="command"):
        mail_and_rcpt(Envelope("", address), OFFER, 1, bare=False)
    with pytest.raises(ValueError, match="command"):
        mail_and_rcpt(Envelope(address, "a@b.test"), OFFER, 1, bare=False)


@given(st.lists(st.sampled_from([b".", b"..", b"", b".\x00", b"x", b"MAIL FROM:<e@x>", b"x" * 70]), max_size=50))
def test_no_line_of_the_content_is_a_single_dot(lines: list[bytes]) -> None:
    """Dots are doubled over the whole message, and taking the doubled ones away gives the content back."""
    content = b"".join(line + b"\r\n" for line in lines)
    wire = stuffed(content)
    assert b".\r\n" not in wire.split(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    undone = b"".join(line.removeprefix(b".") + b"\r\n" for line in wire.split(b"\r\n")[:-1])
    assert undone == (content or b"\r\n")


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"a\n\r\n"])
def test_bare_newlines_are_refused(content: bytes) -> None:
    """A bare CR or LF could end the data for a relay that is not strict (SMTP smuggling)."""
    with pytest.raises(ValueError, match="bare"):
        stuffed(content)


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
        (Stage.RCPT, 0, "", RelayVerdict.ROUTE),
        (Stage.CONNECT, 554, "", RelayVerdict.ROUTE),
        (Stage.AUTH, 535, "5.7.8", RelayVerdict.ROUTE),
    ],
)
def test_the_table_of_answers(stage: Stage, code: int, enhanced: str, verdict: RelayVerdict) -> None:
    """The rows of the reply table, by example."""
    assert verdict_of(RelayAnswer(stage, code, enhanced)) is verdict


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
        (RelayAnswer(Stage.MAIL, 550, "5.1.2"), False),
    ],
)
def test_only_an_address_that_does_not_exist_is_hard(answer: RelayAnswer, hard: bool) -> None:
    """Full mailboxes, policy and our own authentication never suppress an address; nor does the sender's fault."""
    assert is_hard(answer) is hard


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


def test_without_pipelining_a_reset_is_answered_before_the_next_message() -> None:
    """OpenSMTPD hangs up on whoever writes MAIL behind RSET before its answer."""
    wire = Wire(ehlo=SLOW_EHLO)
    first = wire.session.submit(ONE, b"x\r\n")
    wire.said()
    wire.tell(b"250 ok\r\n550 5.1.1 nobody\r\n")
    assert result(first).code == 550
    wire.said()
    wire.session.submit(TWO, b"x\r\n")
    assert wire.said() == b"RSET\r\n"
    wire.tell(b"250 ok\r\n")
    assert wire.said().startswith(b"MAIL FROM:<b+other")
