"""Who may be written to, and what a returned mail says of our message."""

import uuid
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from encoded_ways import WAYS as ENCODED
from gatewayd.bounces.inbound import PREFIXES
from gatewayd.core.encoded import decodings
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from lmtp_world import Peer
from returned_mail import ASKED, CANARY, DOMAIN, ID, KEYS, address, arf, dsn, mail

OTHER = str(uuid.UUID(int=7, version=4))


def fact(content: bytes, to: str = "", sender: str = "", **options: Any) -> tuple[Event, str, bool] | None:
    """The evidence that one mail becomes: event, source, hard."""
    peer = Peer(**options)
    assert peer.send(content, to, sender).startswith("250 ")
    return next(((e.event, e.source, e.hard) for e in peer.taken), None)


# --- what is kept of its words ----------------------------------------------------------------------------------------

WAYS = (
    *("user {local} not here", "{local} at canary.test", "{local} (at) canary.test", "{local}&#64;canary.test"),
    *("{local} @ canary.test", "{local}\r\n @canary.test", "\uff1c{local}\uff20canary.test", "uucp!{local}"),
    *("<{local}@CANARY.test> unknown", "mailbox:{local}", "/var/mail/{local}: full", "ask 07700-900184"),
)
"""To write a player's address into an answer, and a number that no address is known for."""


def kept(content: bytes) -> str:
    """The words that one mail leaves in the timeline of its message."""
    peer = Peer()
    assert peer.send(content).startswith("250 ")
    return peer.taken[0].detail


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["Final-Recipient", "Original-Recipient"])
def test_nothing_of_an_address_that_a_report_names_stays_in_its_words(way: str, field: str) -> None:
    """It names its recipient, the one before a forwarding too: its words are blotted as a relay's answers are."""
    report = dsn(head="Date: Sat, 28 Nov 2026 13:42:05 +0000\n").decode()
    report = report.replace(f"<{CANARY}>: no such user", way.format(local="canary.player"))
    if field == "Original-Recipient":
        report = report.replace(
            "Final-Recipient: rfc822; ", "Final-Recipient: rfc822; x@far.test\r\nOriginal-Recipient: "
        )
    said = kept(report.encode())
    assert "canary.player" not in said.lower()
    assert "900184" not in said
    assert said.startswith("failed 5.1.1 smtp; 550 5.1.1 ")


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_an_address_stays_of_a_bounce_without_a_report(way: str) -> None:
    """X-Failed-Recipients names it, or the mail that came back."""
    said = f"Your message could not be delivered. 550 5.1.1 {way.format(local='canary.player')}: user unknown\r\n"
    daemon = "From: MAILER-DAEMON@x.test\r\nSubject: Undelivered mail\r\n"
    original = (
        f"\r\n------ This is a copy of the message ------\r\n\r\nTo: Jane <{CANARY}>\r\nSubject: offer\r\n\r\nhi\r\n"
    )
    for content in (f"{daemon}X-Failed-Recipients: {CANARY}\r\n\r\n{said}", f"{daemon}\r\n{said}{original}"):
        detail = kept(content.encode())
        assert "canary.player" not in detail.lower()
        assert "900184" not in detail
        assert "550 5.1.1" in detail


@pytest.mark.parametrize("way", ENCODED)
def test_nothing_of_an_address_stays_of_words_in_which_it_is_encoded(way: str) -> None:
    """Mail systems encode what they quote; whoever reads the timeline can decode it."""
    encoded = ENCODED[way]
    told = f"550 5.1.1 {encoded(CANARY)} {encoded('+447700900184')} {encoded('canary.player')} unknown"
    report = dsn(head="Date: Sat, 28 Nov 2026 13:42:05 +0000\n").decode().replace(f"550 5.1.1 <{CANARY}>", told)
    assert told in report
    daemon = f"From: MAILER-DAEMON@x.test\r\nSubject: Undelivered mail\r\nX-Failed-Recipients: {CANARY}\r\n"
    for content in (report, f"{daemon}\r\nYour message could not be delivered: {told}\r\n"):
        said = kept(content.encode())
        assert "550 5.1.1 " in said
        hidden = [said, *(decoded.text for decoded in decodings(said))]
        assert not [words for words in hidden if "player" in words or "canary" in words or "900184" in words]


@pytest.mark.parametrize("way", ["base64 word", "base64 words", "quoted word", "utf-8 xtext", "xtext"])
@pytest.mark.parametrize("field", ["Final-Recipient", "To"])
def test_an_address_that_a_report_names_in_an_encoded_form_is_known(way: str, field: str) -> None:
    """In a field of its own, or in the mail that came back: its local part goes from the words."""
    report = dsn(head="Date: Sat, 28 Nov 2026 13:42:05 +0000\n").decode()
    report = report.replace(f"<{CANARY}>: no such user", "no canary.player here")
    named = ENCODED[way](CANARY)
    if field == "To":
        original = f"Content-Type: text/rfc822-headers\r\n\r\nFrom: noreply@amazing.test\r\nTo: {named}\r\n"
        report = report.replace(CANARY, "x@far.test").replace("--x--", f"--x\r\n{original}\r\n--x--")
    else:
        report = report.replace(f"rfc822; {CANARY}", f"rfc822; {named}").replace(CANARY, "x@far.test")
    assert named in report
    assert "player" not in kept(report.encode())


def test_half_an_address_is_not_left_where_words_are_cut() -> None:
    """What is cut off from an address could not be known for one."""
    for length in range(60, 100):
        said = f"{'y' * length} canary.player at canary.test could not be delivered: user unknown {'z' * 400}"
        head = f"From: MAILER-DAEMON@x.test\r\nSubject: Undelivered mail\r\nX-Failed-Recipients: {CANARY}\r\n"
        assert "player" not in kept(f"{head}\r\n{said}\r\n".encode())


# --- who may be written to ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["b", "u", "fbl"])
def test_our_tokens_are_taken_in_any_case(prefix: str) -> None:
    """An address that bears our token is ours, also after a relay changed its case or signed it (BATV)."""
    ours = address(prefix)
    peer = Peer()
    for form in (ours, ours.upper(), ours.title(), f"prvs=0123ABCDEF={ours}"):
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
@pytest.mark.parametrize("prefix", ["fbl", "b", "u"])
def test_feedback_reports(kind: str, expected: Event | None, prefix: str) -> None:
    """Complaints count from any sender, at the address for them, the return path and that in List-Unsubscribe."""
    found = fact(arf(kind), address(prefix), "fbl@isp.test")
    assert found == (None if expected is None else (expected, "arf", False))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"", Event.COMPLAINED),
        (b"Feedback-Type:\n", Event.COMPLAINED),
        (b"Auth-Failure: dmarc\n", None),
    ],
)
def test_a_feedback_report_that_states_no_type(fields: bytes, expected: Event | None) -> None:
    """It is about a mail that somebody did not want, unless it is about how that was signed."""
    content = arf("abuse").replace(b"Feedback-Type: abuse\n", fields).replace(b"Feedback-Type: abuse\r\n", fields)
    assert b"abuse\n" not in content
    found = fact(content, address("b"), "fbl@isp.test")
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
        (mail(f"{ASKED[:70]}\r\n {ASKED[70:]}"), CANARY, True),
        (mail(f'[EXTERNAL] "{ASKED}"'), CANARY, True),
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


@pytest.mark.parametrize(
    ("of", "whose"), [(ID, ("amazing", KEYS.user_hashes("amazing", "player-1")[0])), (OTHER, ("", ""))]
)
def test_who_complains_is_known_without_the_messages_record(of: str, whose: tuple[str, str]) -> None:
    """By the link in the mail that comes back with the report; that of another message says nothing."""
    token = KEYS.subscription(of, "amazing", "player-1")
    head = f"List-Unsubscribe: <https://go.amazing.test/u/{token}>,\r\n <mailto:x?subject=unsubscribe%20{token}>\r\n"
    peer = Peer()
    assert peer.send(arf().replace(b"Subject: offer", f"{head}Subject: offer".encode()), address("b"), "fbl@isp.test")
    [evidence] = peer.taken
    assert (evidence.event, evidence.message_id) == (Event.COMPLAINED, ID)
    assert (evidence.label, evidence.user_hash) == whose


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
