"""LMTP: commands in order, bounded in everything, and no answer before the mail is dealt with."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from gatewayd.bounces.lmtp import LmtpSession
from gatewayd.bounces.lmtp_commands import LmtpLimits
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from lmtp_world import Peer, Transport
from returned_mail import CANARY, address, dsn, mail

# --- the protocol ---------------------------------------------------------------------------------------------------


def test_lhlo_offers_what_is_kept() -> None:
    """LHLO lists the extensions; EHLO and HELO, which are not LMTP, get 500 (RFC 2033 section 4.1)."""
    peer = Peer(max_size=1000)
    assert peer.greeting.startswith("220 ")
    offers = peer.say("lhlo me").splitlines()
    assert {line[4:] for line in offers[1:]} == {
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "SMTPUTF8",
        "SIZE 1000",
    }
    assert offers[-1].startswith("250 ")
    assert all(line.startswith("250-") for line in offers[:-1])
    assert peer.say("EHLO me").startswith("500 ")
    assert peer.say("HELO me").startswith("500 ")


def test_a_second_recipient_is_put_off() -> None:
    """452 4.5.3 for a second recipient, so that one reply after DATA is always right."""
    peer = Peer()
    peer.say("LHLO me", "MAIL FROM:<>", f"RCPT TO:<{address()}>")
    other = address(message_id="b540f662-45b3-41ee-be56-0242ac120002")
    assert peer.say(f"RCPT TO:<{other}>").startswith("452 4.5.3 ")
    assert peer.say("DATA").startswith("354 ")
    assert peer.say("Subject: x", "", ".").count("\r\n") == 1


def test_commands_in_one_segment_are_answered_in_order() -> None:
    """PIPELINING: a whole session in one segment, and one cut into single bytes, get the same answers."""
    before = f"LHLO me\r\nMAIL FROM:<> SIZE=200 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<{address()}>\r\nDATA\r\n"
    whole = before.encode() + dsn() + b".\r\nNOOP\r\nRSET\r\nVRFY x\r\nQUIT\r\n"
    said = []
    for pieces in ([whole], [whole[i : i + 1] for i in range(len(whole))], [whole[:900], whole[900:]]):
        peer = Peer()
        assert peer.session is not None
        for piece in pieces:
            peer.session.dataReceived(piece)
        said.append(peer.heard())
        assert [evidence.event for evidence in peer.taken] == [Event.BOUNCED]
        assert peer.transport.disconnecting
    assert said[0] == said[1] == said[2]
    codes = [line[:3] for line in said[0].splitlines() if line[3] == " "]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "252", "221"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("MAIL FROM:<> SIZE=99999999", "552 5.3.4"),
        ("MAIL FROM:<> SIZE=999999999999999999999999999", "555"),
        ("MAIL FROM:<> RET=HDRS", "555"),
        ("MAIL FROM:<> BODY=BINARYMIME", "555"),
        ("MAIL FROM:<a b>", "501"),
        ("MAIL FROM: <a@b.test>", "250"),
        ('MAIL FROM:<"Anna Berg"@b.test> BODY=8BITMIME', "250"),
        (r'MAIL FROM:<"a\"> <b\\"@b.test>', "250"),
        ('MAIL FROM:<"a" b@b.test>', "501"),
        ('MAIL FROM:<"a b@b.test>', "501"),
        ("mail from:<a@b.test>", "250"),
        ("MAIL TO:<a@b.test>", "501"),
        ("RCPT TO:<x@y.test>", "503"),
        ("DATA", "503"),
        ("STARTTLS", "502"),
        ("AUTH PLAIN AAAA", "502"),
        ("EXPN all", "502"),
        ("ETRN x", "502"),
        ("BDAT 10 LAST", "502"),
        ("HELLO", "500"),
        ("", "500"),
        ("ÄÖÜ", "500"),
        ("MAIL FROM:<a\x00b>", "500"),
        ("MAIL FROM:<a>\nRCPT TO:<b>", "500"),
        ("MAIL FROM:<a>\rRCPT TO:<b>", "500"),
        ("LHLO", "501"),
        ("NOOP " + "x" * 3000, "500"),
        ("VRFY someone", "252"),
        ("NOOP anything", "250"),
        ("rset", "250"),
    ],
)
def test_answers(line: str, code: str) -> None:
    """What each command gets, in its right place or not."""
    peer = Peer()
    peer.say("LHLO me")
    assert peer.say(line).startswith(code)


def test_a_stranger_with_a_quoted_part_is_no_fault_of_the_mail_server() -> None:
    """It is no recipient of ours, as any other; and however many come, the session goes on."""
    peer = Peer()
    peer.say("LHLO me")
    peer.say("MAIL FROM:<>")
    for _ in range(20):
        assert peer.say('RCPT TO:<"b+x y"@bounces.test>').startswith("550 5.1.1")


def test_mail_before_lhlo_and_twice_is_out_of_order() -> None:
    """503 for MAIL before LHLO, and for a second MAIL in a transaction."""
    peer = Peer()
    assert peer.say("MAIL FROM:<>").startswith("503 ")
    peer.say("LHLO me", "MAIL FROM:<>")
    assert peer.say("MAIL FROM:<>").startswith("503 ")
    assert peer.say("RSET", "MAIL FROM:<>").count("250 ") == 2


@pytest.mark.parametrize(
    "false_end",
    [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n", b".\r\n"],
)
def test_only_a_dot_alone_between_crlfs_ends_a_mail(false_end: bytes) -> None:
    """Nothing after a bare CR or LF around a dot is run as a command (SMTP smuggling)."""
    peer = Peer()
    assert peer.session is not None
    peer.say("LHLO me", "MAIL FROM:<>", f"RCPT TO:<{address()}>", "DATA")
    peer.session.dataReceived(b"Subject: x\r\n\r\nhello" + false_end + b"QUIT\r\n")
    assert peer.heard() == ""
    assert not peer.transport.disconnecting
    peer.session.dataReceived(b"\r\n.\r\n")
    assert peer.heard().startswith("250 ")


def test_an_empty_mail_is_taken_and_means_nothing() -> None:
    """DATA followed by its end at once is a mail of no bytes."""
    peer = Peer()
    peer.say("LHLO me", "MAIL FROM:<>", f"RCPT TO:<{address()}>", "DATA")
    assert peer.say(".").startswith("250 ")
    assert peer.taken == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b".", b"\r\n", b"\n", b"\r", b"a", b"..", b"\r\n.", b"\r\n..\r\n"]), max_size=12),
    st.integers(1, 9),
)
def test_dots_come_back_as_they_went(pieces: list[bytes], size: int) -> None:
    """Whatever a mail holds, stuffing and cutting it anywhere changes nothing of it (RFC 5321 section 4.5.2)."""
    content = b"".join(pieces) + b"\r\n"
    arrived: list[bytes] = []

    async def record(mail: Any) -> None:
        arrived.append(mail.raw)

    session: LmtpSession[str] = LmtpSession(Clock(), LmtpLimits(), find=lambda a: a, record=record, over=lambda s: None)
    session.makeConnection(Transport())
    wire = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n"
    wire += (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\nNOOP\r\n"
    for start in range(0, len(wire), size):
        session.dataReceived(wire[start : start + size])
    assert arrived == [content]


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_mail_over_the_limit_is_refused_by_counting() -> None:
    """552 5.3.4 where SIZE= was not said, or was a lie; the connection goes on."""
    peer = Peer(max_size=500)
    assert peer.send(b"x" * 600).startswith("552 5.3.4 ")
    assert peer.taken == []
    assert peer.send(mail(), address("u"), CANARY).startswith("250 ")


def test_an_endless_mail_is_cut_off() -> None:
    """A peer that never ends its mail is dropped after four times the limit, and nothing of it is kept."""
    peer = Peer(max_size=500)
    peer.say("LHLO me", "MAIL FROM:<>", f"RCPT TO:<{address()}>", "DATA")
    assert peer.session is not None
    for _ in range(30):
        peer.session.dataReceived(b"x" * 100)
    assert peer.heard().startswith("552 ")
    assert peer.transport.disconnecting


def test_an_endless_command_is_cut_off() -> None:
    """A line without an end ends the session before it fills the memory."""
    peer = Peer()
    assert peer.session is not None
    for _ in range(20):
        peer.session.dataReceived(b"x" * 1000)
    assert peer.heard().startswith("500 5.5.2 ")
    assert peer.transport.disconnecting


def test_five_errors_are_forgiven() -> None:
    """The sixth fault gets 421 and the end; refused recipients are no faults."""
    peer = Peer()
    assert peer.say(*["BOGUS"] * 5).count("500 ") == 5
    assert peer.say("BOGUS").startswith("421 4.7.0 ")
    assert peer.transport.disconnecting
    peer.connect()
    peer.say("LHLO me", "MAIL FROM:<>")
    assert peer.say(*["RCPT TO:<nobody@nowhere.test>"] * 30).count("550 ") == 30


def test_connections_are_counted() -> None:
    """A connection too many hears 421, and there is room again once another ends."""
    peer = Peer(limits=LmtpLimits(connections=2))
    first = peer.session
    peer.connect()
    peer.connect()
    assert peer.greeting.startswith("421 ")
    assert first is not None
    first.connectionLost(None)  # type: ignore[arg-type]
    peer.connect()
    assert peer.greeting.startswith("220 ")


def test_idle_and_endless_sessions_end() -> None:
    """60 s without a byte, or 10 minutes in all, end a session; a peer that does not go is aborted."""
    peer = Peer()
    for _ in range(9):
        peer.clock.advance(59)
        peer.say("NOOP")
    assert not peer.transport.disconnecting
    peer.clock.advance(59)
    peer.say("NOOP")
    peer.clock.advance(10)
    assert peer.heard().startswith("421 4.4.2 ")
    peer.clock.advance(5)
    assert peer.transport.aborted
    peer.connect()
    peer.clock.advance(60)
    assert peer.heard().startswith("421 4.4.2 ")


def test_a_peer_that_reads_no_replies_is_dropped() -> None:
    """While it reads nothing, nothing is heard from it either; after a while its connection is closed."""
    peer = Peer()
    assert peer.session is not None
    for pause in (9.0, 10.0):
        peer.transport.producer.pauseProducing()
        peer.say("NOOP")
        peer.clock.advance(pause)
        if pause < 10.0:
            peer.transport.producer.resumeProducing()
            assert peer.heard() == "250 2.0.0 ok\r\n"
    assert peer.transport.aborted
    assert peer.heard() == ""


def test_replies_that_nobody_reads_stop_the_commands() -> None:
    """While the transport is full no command is run; they go on, in order, once it has room."""
    peer = Peer()
    assert peer.transport.producer is not None
    peer.transport.producer.pauseProducing()
    assert peer.say("NOOP", "BOGUS") == ""
    peer.transport.producer.resumeProducing()
    assert [line[:3] for line in peer.heard().splitlines()] == ["250", "500"]
    peer.say("QUIT")
    assert peer.transport.producer is None, "else the connection would not close"


# --- durable before answered ---------------------------------------------------------------------------------------


def test_the_answer_waits_for_the_store() -> None:
    """No 250 before the evidence is stored; a command behind it waits, and nothing more is read meanwhile."""
    stored: Deferred[None] = Deferred()

    async def slow(evidence: Evidence) -> None:
        await stored

    peer = Peer(record=slow)
    assert peer.send(dsn()) == ""
    assert peer.say("NOOP") == ""
    assert peer.transport.producerState == "paused"
    peer.clock.advance(120)
    assert peer.heard() == "", "waiting for us is not idling"
    stored.callback(None)
    assert [line[:3] for line in peer.heard().splitlines()] == ["250", "250"]
    assert peer.transport.producerState == "producing"
    peer.clock.advance(60)
    assert peer.heard().startswith("421 "), "but then it is"


def test_an_envelope_in_one_write_is_answered_in_one() -> None:
    """A mail server sends MAIL, RCPT and DATA together (RFC 2920): a write for each answer costs more than the rest."""
    peer = Peer()
    peer.say("LHLO me")
    writes: list[bytes] = []
    peer.transport.write = writes.append
    peer.say(f"MAIL FROM:<>\r\nRCPT TO:<{address()}>\r\nDATA")
    assert writes == [b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go on, end with CRLF.CRLF\r\n"]


def test_answers_that_nobody_reads_do_not_pile_up() -> None:
    """Of a flood of commands in one piece no more is answered than the transport has room for."""
    peer = Peer()
    answered = 0

    def write(data: bytes) -> None:
        nonlocal answered
        answered += len(data)
        assert peer.session is not None
        peer.transport.producer.pauseProducing()

    peer.transport.write = write
    peer.say("\r\n".join(["LHLO me"] * 5000))
    assert 0 < answered < 10_000


def test_the_store_being_down_asks_to_come_again() -> None:
    """451 4.3.0, as often as it takes: mails that were not stored do not use up the token."""
    answers: list[Exception | None] = [StoreUnavailable()] * 30 + [None]
    taken = []

    async def flaky(evidence: Evidence) -> None:
        trouble = answers.pop(0)
        if trouble:
            raise trouble
        taken.append(evidence)

    peer = Peer(record=flaky)
    for _ in range(30):
        assert peer.send(dsn()).startswith("451 4.3.0 ")
    assert peer.send(dsn()).startswith("250 ")
    assert len(taken) == 1


def test_a_bug_of_ours_does_not_lose_the_mail() -> None:
    """An unexpected exception is logged and answered 451, and the session lives."""

    async def broken(evidence: Evidence) -> None:
        raise RuntimeError("bug")

    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        peer = Peer(record=broken)
        assert peer.send(dsn()).startswith("451 4.3.0 ")
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert any("log_failure" in event for event in seen)
    assert peer.say("NOOP").startswith("250 ")


def test_a_lost_connection_does_not_stop_the_storing() -> None:
    """The mail of a peer that went away is stored; it comes again, which is harmless."""
    stored: Deferred[None] = Deferred()
    done = []

    async def slow(evidence: Evidence) -> None:
        await stored
        done.append(evidence)

    peer = Peer(record=slow)
    peer.send(dsn())
    assert peer.session is not None
    peer.session.connectionLost(None)  # type: ignore[arg-type]
    closing = ensureDeferred(peer.listener.drain(20))
    assert not closing.called, "closing waits for it"
    stored.callback(None)
    assert len(done) == 1
    assert closing.called


def test_draining_ends_in_time() -> None:
    """A store that never answers holds up the end of the process for no longer than the limit."""

    async def never(evidence: Evidence) -> None:
        await Deferred()

    peer = Peer(record=never)
    peer.send(dsn())
    closing = ensureDeferred(peer.listener.drain(20))
    peer.clock.advance(19)
    assert not closing.called
    peer.clock.advance(1)
    assert closing.called


def test_closing_hangs_up_idle_sessions() -> None:
    """On shutdown an idle session hears 421, and new ones are not let in."""
    peer = Peer()
    closing = ensureDeferred(peer.listener.drain(20))
    assert peer.heard().startswith("421 4.3.2 ")
    assert peer.session is not None
    peer.session.connectionLost(None)  # type: ignore[arg-type]
    assert closing.called
    peer.connect()
    assert peer.greeting.startswith("421 ")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=60), st.sampled_from([b"\r\n", b"LHLO x\r\n", b"DATA\r\n", b".\r\n"])), max_size=30
    )
)
def test_no_bytes_break_a_session(chunks: list[bytes]) -> None:
    """Any bytes in any segments get replies of the protocol or a hang-up, never an exception or evidence."""
    peer = Peer()
    assert peer.session is not None
    for chunk in chunks:
        peer.session.dataReceived(chunk)
    assert all(line[:3].isdigit() for line in peer.heard().splitlines())
    assert peer.taken == []
