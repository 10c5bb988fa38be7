"""The LMTP listener: whom it takes mail for, what it answers, and what evidence a mail becomes."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher

from fakes import FakeEvidence
from gatewayd.bounces.inbound import PREFIXES, SMALL, ReturnedMail, _threads_of
from gatewayd.bounces.limits import LmtpLimits
from gatewayd.bounces.lmtp import LmtpSession
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Channel, Evidence, Known
from gatewayd.core.status import Event, State
from gatewayd.core.tokens import Keys, Purpose
from returned_mail import ASKED, CANARY, DOMAIN, ID, KEYS, address, arf, dsn, mail

OTHER = str(uuid.UUID(int=7, version=4))


class Transport(StringTransport):
    """Adds what a TCP transport has."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to delay here."""

    def abortConnection(self) -> None:
        """Remember it."""
        self.aborted = True


class Peer:
    """A client of a listener, over memory. `taken` is the evidence that was handed on."""

    def __init__(
        self, *, limits: LmtpLimits | None = None, record: Any = None, sent_to: str = "", **options: Any
    ) -> None:
        self.clock = Clock()
        self.evidence = FakeEvidence()
        self.taken = self.evidence.facts
        if record is not None:
            self.evidence.record = record

        async def about(message_id: str) -> Known | None:
            name = KEYS.address_hashes(sent_to)[0]
            return Known(ID, "", "amazing", Channel.EMAIL, "", State.SENT, address_hash=name) if sent_to else None

        async def at_once(call: Callable[..., Any], *args: Any) -> Any:
            return call(*args)

        self.listener = ReturnedMail(
            self.clock,
            keys=KEYS,
            domains=[DOMAIN],
            evidence=self.evidence,
            about=about,
            in_thread=at_once,
            limits=limits,
            **options,
        )
        self.connect()

    def connect(self) -> None:
        """Open one more connection; it is the one spoken on from now on."""
        self.session = self.listener.buildProtocol(None)
        assert self.session is not None
        self.transport = Transport()
        self.session.makeConnection(self.transport)
        self.greeting = self.heard()

    def heard(self) -> str:
        """What came since the last time."""
        said = self.transport.value().decode()
        self.transport.clear()
        return str(said)

    def say(self, *lines: str) -> str:
        """Send lines, return the answers."""
        assert self.session is not None
        for line in lines:
            self.session.dataReceived(line.encode() + b"\r\n")
        return self.heard()

    def send(self, content: bytes, to: str = "", sender: str = "") -> str:
        """One whole transaction; the answer to the mail."""
        assert self.session is not None
        answers = self.say("LHLO me", f"MAIL FROM:<{sender}>", f"RCPT TO:<{to or address()}>", "DATA")
        assert "\r\n354 " in answers, answers
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        self.session.dataReceived(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.heard()


def fact(content: bytes, to: str = "", sender: str = "", **options: Any) -> tuple[Event, str, bool] | None:
    """The evidence that one mail becomes: event, source, hard."""
    peer = Peer(**options)
    assert peer.send(content, to, sender).startswith("250 ")
    return next(((e.event, e.source, e.hard) for e in peer.taken), None)


# --- who may be written to ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["b", "u", "fbl"])
def test_our_tokens_are_taken_in_any_case(prefix: str) -> None:
    """An address that bears our token is ours, also after a relay changed its case."""
    ours = address(prefix)
    peer = Peer()
    for form in (ours, ours.upper(), ours.title()):
        found = peer.listener.find(form)
        assert found is not None
        assert (found.message_id, found.purpose) == (ID, PREFIXES[prefix])


def test_everything_else_is_refused_at_rcpt() -> None:
    """550 5.1.1 for a foreign token, another purpose, another domain, a bent token, and no token at all."""
    token = KEYS.token(Purpose.BOUNCE, ID)
    bent = token[:20] + ("a" if token[20] != "a" else "b") + token[21:]
    wrong = [
        address(keys=Keys(b"z" * 32)),
        f"u+{token}@{DOMAIN}",
        f"fbl+{token}@{DOMAIN}",
        f"b+{token}@other.test",
        f"b+{token}@sub.{DOMAIN}",
        f"b+{token}@{DOMAIN}@other.test",
        f"b+{bent}@{DOMAIN}",
        f"b+{token}x@{DOMAIN}",
        f"b-{token}@{DOMAIN}",
        f"postmaster@{DOMAIN}",
        "postmaster",
        "",
    ]
    peer = Peer()
    peer.say("LHLO me", "MAIL FROM:<>")
    for one in wrong:
        assert peer.say(f"RCPT TO:<{one}>").startswith("550 5.1.1 "), one
    assert peer.say("DATA").startswith("503 "), "and without a recipient there is no DATA"


def test_domains_can_change_while_it_listens() -> None:
    """Domains are compared without case, and new ones count at once."""
    peer = Peer()
    assert peer.listener.find(address().replace(DOMAIN, "new.test")) is None
    peer.listener.reconfigure(domains=["NEW.test."])
    assert peer.listener.find(address().replace(DOMAIN, "new.TEST")) is not None
    assert peer.listener.find(address()) is None


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

    session: LmtpSession[str] = LmtpSession(
        Clock(), LmtpLimits(), "x", find=lambda a: a, record=record, over=lambda s: None
    )
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
        peer.session.pauseProducing()
        peer.say("NOOP")
        peer.clock.advance(pause)
        if pause < 10.0:
            peer.session.resumeProducing()
            assert peer.heard() == "250 2.0.0 ok\r\n"
    assert peer.transport.aborted
    assert peer.heard() == ""


def test_replies_that_nobody_reads_stop_the_commands() -> None:
    """While the transport is full no command is run; they go on, in order, once it has room."""
    peer = Peer()
    assert peer.transport.producer is peer.session
    peer.session.pauseProducing()
    assert peer.say("NOOP", "BOGUS") == ""
    peer.session.resumeProducing()
    assert [line[:3] for line in peer.heard().splitlines()] == ["250", "500"]
    peer.say("QUIT")
    peer.session.stopProducing()
    assert peer.transport.producer is None, "else the connection would not close"


def test_a_token_is_good_for_twenty_mails() -> None:
    """Further mails about one message get 250 and are thrown away; other messages go on."""
    peer = Peer()
    for _ in range(25):
        assert peer.send(dsn()).startswith("250 ")
    assert len(peer.taken) == 20
    peer.send(dsn(), address(message_id="b540f662-45b3-41ee-be56-0242ac120002"))
    assert len(peer.taken) == 21


@pytest.mark.parametrize("head", ["Received: by x; now\r\n" * 51, "X-Gw-Id: 1\r\n"])
def test_loops_end_here(head: str) -> None:
    """A mail that went round, or that we sent ourselves, is taken and means nothing."""
    assert fact(head.encode() + dsn()) is None
    assert fact(head.encode() + mail(), address("u"), CANARY) is None


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
        peer.session.pauseProducing()

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


# --- what counts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        ("failed", "5.1.1", (Event.BOUNCED, "dsn", True)),
        ("failed", "5.2.2", (Event.BOUNCED, "dsn", False)),
        ("failed", "5.7.26", (Event.BOUNCED, "dsn", False)),
        ("failed", "4.4.1", (Event.FAILED, "dsn", False)),
        ("expired", "4.4.7", (Event.FAILED, "dsn", False)),
        ("error", "5.0.0", (Event.BOUNCED, "dsn", False)),
        ("delivered", "2.0.0", (Event.DELIVERED, "dsn", False)),
        ("relayed", "2.0.0", (Event.DELIVERED, "dsn", False)),
        ("expanded", "2.0.0", (Event.DELIVERED, "dsn", False)),
        ("delayed", "4.4.1", None),
        ("deliverable", "2.1.5", None),
        ("undeliverable", "5.1.1", None),
    ],
)
def test_actions(action: str, status: str, expected: tuple[Event, str, bool] | None) -> None:
    """The DSN's Action decides; only a 5.x failure may come after delivery."""
    assert fact(dsn(action, status).replace(b"no such user", b"no")) == expected


def test_relayed_inside_our_own_house_is_no_delivery() -> None:
    """What one of the operator's own relays took is still on its way."""
    options = {"internal_relays": ["Edge.amazing.test"]}
    assert fact(dsn("relayed", "2.0.0", remote="dns; edge.amazing.test"), **options) is None
    assert fact(dsn("relayed", "2.0.0"), **options) == (Event.DELIVERED, "dsn", False)


def test_a_sender_with_a_name_needs_a_real_report() -> None:
    """Some systems send DSNs from postmaster@: a report counts, prose does not, whatever it says."""
    prose = mail("Undelivered mail", body=f"550 5.1.1 <{CANARY}>: user unknown, could not be delivered")
    daemon = prose.replace(CANARY.encode(), b"MAILER-DAEMON@x.test", 1)
    assert fact(dsn(), sender="postmaster@x.test") == (Event.BOUNCED, "dsn", True)
    assert fact(daemon, sender="postmaster@x.test") is None
    assert fact(daemon) == (Event.FAILED, "dsn", True)


def test_auto_replies_and_people_are_no_bounces() -> None:
    """Vacation notices, read receipts and people's answers to the return path give nothing."""
    away = mail(
        "Automatic reply: offer", "Auto-Submitted: auto-replied\r\n", "I am away; urgent mail was not delivered."
    )
    assert fact(away) is None
    assert fact(mail("Re: offer", body="I could not find the mailbox you mention"), sender=CANARY) is None
    receipt = dsn().replace(b"report-type=delivery-status", b"report-type=disposition-notification")
    assert fact(receipt.replace(b"message/delivery-status", b"message/disposition-notification")) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("abuse", Event.COMPLAINED),
        ("fraud", Event.COMPLAINED),
        ("something-new", Event.COMPLAINED),
        ("opt-out", Event.UNSUBSCRIBED),
        ("not-spam", None),
        ("auth-failure", None),
    ],
)
@pytest.mark.parametrize("prefix", ["fbl", "b"])
def test_feedback_reports(kind: str, expected: Event | None, prefix: str) -> None:
    """Complaints count from any sender, at the address for them and at the return path."""
    found = fact(arf(kind), address(prefix), "fbl@isp.test")
    assert found == (None if expected is None else (expected, "arf", False))


def test_only_a_report_is_a_complaint() -> None:
    """A mail in prose, or a bounce, to the address for complaints is none."""
    assert fact(mail("spam!", body="this is spam"), address("fbl"), CANARY) is None
    assert fact(dsn(), address("fbl")) is None


@pytest.mark.parametrize(
    ("content", "sender", "counts"),
    [
        (mail(ASKED), CANARY, True),
        (mail(ASKED.upper(), body=""), CANARY, True),
        (mail(f"Fwd:\r\n unsubscribe\r\n {ASKED}"), CANARY, True),
        (mail(ASKED, "Auto-Submitted: no\r\n"), CANARY, True),
        # Programs that take a link's subject as it stands, or encode and cut it.
        (mail(ASKED.replace(" ", "%20")), CANARY, True),
        (mail(ASKED.replace(" ", "+")), CANARY, True),
        (mail(f"=?utf-8?q?{ASKED[:40].replace(' ', '_')}?=\r\n =?utf-8?q?{ASKED[40:]}?="), CANARY, True),
        (mail(ASKED), "", False),
        # What Apple Mail's own button sends.
        (
            mail(ASKED, "Auto-Submitted: auto-replied\r\n", "Apple Mail sent this email to unsubscribe from x"),
            CANARY,
            True,
        ),
        # Vacation notices, with and without the header that says so, and whatever else is written to that address.
        (mail("Out of office", body="I am away"), CANARY, False),
        (mail("unsubscribe"), CANARY, False),
        (mail("", body="please unsubscribe me"), CANARY, False),
        (mail("Automatic reply", "Auto-Submitted: auto-replied\r\n", "I am away"), CANARY, False),
        (mail(f"Re: {ASKED}", "Auto-Submitted: auto-generated; x=y\r\n"), CANARY, False),
        (dsn(), "", False),
        # Another message's, one that was bent, one that is too far behind.
        (mail(f"unsubscribe {KEYS.subscription(OTHER, 'amazing', 'player-2')}"), CANARY, False),
        (mail(f"{ASKED[:-4]}aaaa"), CANARY, False),
        (mail("unsubscribe " + "x " * 5000 + ASKED), CANARY, False),
    ],
)
def test_unsubscribing_by_mail(content: bytes, sender: str, counts: bool) -> None:
    """Only a mail with the subject of our link unsubscribes, and no automatic answer to one does."""
    assert fact(content, address("u"), sender) == ((Event.UNSUBSCRIBED, "unsubscribe", False) if counts else None)


def test_who_unsubscribes_by_mail_is_known_without_the_messages_record() -> None:
    """The subject that our link gave says whose it is."""
    peer = Peer()
    assert peer.send(mail(ASKED), address("u"), CANARY).startswith("250 ")
    [evidence] = peer.taken
    assert (evidence.event, evidence.message_id) == (Event.UNSUBSCRIBED, ID)
    assert (evidence.label, evidence.user_hash) == ("amazing", KEYS.user_hashes("amazing", "player-1")[0])


def test_no_address_leaves_in_evidence_or_log() -> None:
    """The remote's words reach the timeline without addresses and numbers; the log names ids only."""
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        peer = Peer()
        peer.send(dsn())
        peer.send(arf(), address("fbl"), CANARY)
        peer.send(mail(ASKED), address("u"), CANARY)
        peer.send(mail("failure notice", body=f"<{CANARY}>:\r\nSorry, no mailbox here by that name."))
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert len(peer.taken) == 4
    assert "no such user" in peer.taken[0].detail
    for text in [str(seen), *(repr(evidence) for evidence in peer.taken)]:
        assert "canary" not in text.replace("mx.canary.test", "")
        assert "900123" not in text


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


@pytest.mark.parametrize(
    ("sent_to", "event", "hard"),
    [
        (CANARY, Event.DELIVERED, False),
        (CANARY.upper(), Event.DELIVERED, False),
        ("other@else.test", Event.BOUNCED, True),
        ("third@else.test", Event.BOUNCED, False),
        ("nobody@else.test", Event.BOUNCED, True),
        ("", Event.BOUNCED, True),
    ],
)
def test_a_report_on_several_recipients_counts_for_ours(sent_to: str, event: Event, hard: bool) -> None:
    """The worst of it, where it does not name the one that the message went to."""
    further = "\r\nFinal-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: {}\r\n"
    more = further.format("other@else.test", "5.1.1") + further.format("third@else.test", "5.2.2")
    report = dsn("delivered", "2.0.0").replace(b"\r\n--x--", more.encode() + b"\r\n--x--")
    assert fact(report, sent_to=sent_to) == (event, "dsn", hard)


async def test_big_mails_are_read_one_at_a_time() -> None:
    """However many come together, the reactor's thread has its half of the interpreter; small ones need no thread."""
    reactor = Threads()
    run = _threads_of(reactor)
    first, second = (run(len, b"x" * (SMALL + 1)) for _ in range(2))
    assert await run(len, b"small") == 5
    assert len(reactor.work) == 1
    reactor.work.pop(0)()
    assert await first == SMALL + 1
    reactor.work.pop(0)()
    assert await second == SMALL + 1


class Threads:
    """A reactor whose thread pool runs what it was given when the test says so."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> Any:
        """Itself."""
        return self

    def callInThreadWithCallback(self, result: Any, call: Any, *args: Any) -> None:
        """Keep it."""
        self.work.append(lambda: result(True, call(*args)))

    def callFromThread(self, call: Any, *args: Any) -> None:
        """There is one thread only."""
        call(*args)
