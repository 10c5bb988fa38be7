"""One session with a relay: messages one behind the other, and what a loss leaves known."""

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from gatewayd.smtp.client import CHUNK, GRACE
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.replies import (
    RelayAnswer,
    Stage,
)
from smtp_world import EHLO, ONE, Wire, result, trouble

TWO = Envelope("b+other@bounces.test", "john@player.test", "b540f662-45b3-41ee-be56-0242ac120002")
GROUP = (
    b"MAIL FROM:<b+token@bounces.test> SIZE=7 RET=HDRS ENVID=a540f662-45b3-41ee-be56-0242ac120002\r\n"
    b"RCPT TO:<jane@player.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;jane@player.test\r\nDATA\r\n"
)
GO = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n"
SLOW_EHLO = b"250-relay.test\r\n250 SIZE\r\n"


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


@pytest.mark.parametrize("behind", [b"250 2.0.0 Ok: queued as 4ABC\r\n", b"250 2.0", b"421 4.3.2 going\r\n"])
def test_what_lies_behind_the_354_is_no_answer_to_the_dot(behind: bytes) -> None:
    """A relay, or what stands between, that says something twice: no content goes, and nothing is in doubt."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.said()
    wire.tell(GO + behind)
    assert wire.said() == b""
    answer = result(done)
    assert not answer.accepted
    assert not answer.ambiguous
    assert not wire.session.alive


def test_replies_may_come_in_any_pieces() -> None:
    """One byte at a time gives the same as all at once."""
    wire = Wire(ready=False)
    for byte in b"220 hi\r\n" + EHLO:
        wire.tell(bytes([byte]))
    done = wire.session.submit(ONE, b"hello\r\n")
    for byte in GO + b"250 ok\r\n":
        wire.tell(bytes([byte]))
    assert result(done).accepted


def test_a_line_may_end_without_a_carriage_return() -> None:
    """As home-made relays end it; Postfix and Exim read such answers, too."""
    wire = Wire(ready=False)
    wire.tell(b"220 hi\n" + EHLO.replace(b"\r\n", b"\n"))
    done = wire.session.submit(ONE, b"hello\r\n")
    assert wire.said().endswith(GROUP)
    wire.tell(GO.replace(b"\r\n", b"\n"))
    wire.tell(b"250-2.0.0 Ok\n250 2.0.0 queued as 4ABC\n")
    assert result(done) == RelayAnswer(Stage.DOT, 250, "2.0.0", "2.0.0 Ok queued as 4ABC")


def test_a_long_answer_to_the_dot_is_an_answer() -> None:
    """A mail that was taken with many words is not sent again."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(GO)
    wire.tell(b"250 2.0.0 " + b"we thank you very much " * 2_000 + b"\r\n")
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
    wire.tell(b"250 ok\r\n" + GO)
    wire.tell(b"250 ok\r\n")
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
    wire.tell(GO)
    wire.tell(b"552 5.3.4 too big\r\n")
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
    wire.tell(told)
    wire.tell(b"421 4.3.2 going down\r\n")
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
    wire.tell(GO)
    wire.tell(b"250 ok\r\n")
    done = wire.session.submit(replace(TWO, until=5.0), b"two\r\n")
    wire.tell(b"250 ok\r\n550 5.1.1 no\r\n554 no\r\n")
    assert result(done).code == 550
    wire.clock.pump([0.5] * 30)
    assert wire.session.alive


def test_nonsense_after_the_dot_is_ambiguous() -> None:
    """A line that is no reply, where the answer to the dot was due, leaves it open what became of the message."""
    wire = Wire()
    done = wire.session.submit(ONE, b"hello\r\n")
    wire.tell(GO)
    wire.tell(b"what?\r\n")
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
