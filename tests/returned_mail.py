"""Mail that comes back: reports, complaints and unsubscribing, as strangers write them."""

from gatewayd.bounces.inbound import PREFIXES
from gatewayd.core.tokens import Keys

KEYS = Keys(b"k" * 32)


ID = "a540f662-45b3-41ee-be56-0242ac120002"
DOMAIN = "bounces.amazing.test"
CANARY = "canary.player@canary.test"

ASKED = f"unsubscribe {KEYS.subscription(ID, 'amazing', 'player-1')}"
"""The subject of the List-Unsubscribe link in the message ID."""


def address(prefix: str = "b", message_id: str = ID, keys: Keys = KEYS) -> str:
    """An address of ours."""
    return f"{prefix}+{keys.token(PREFIXES[prefix], message_id)}@{DOMAIN}"


def dsn(action: str = "failed", status: str = "5.1.1", *, remote: str = "dns; mx.canary.test", head: str = "") -> bytes:
    """A delivery status notification as RFC 3464 has it."""
    text = f"""\
From: MAILER-DAEMON@relay.test (Mail Delivery System)
To: {address()}
Subject: Delivery report
{head}MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="x"

--x
Content-Type: text/plain

This is the mail system at host relay.test.

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.test

Final-Recipient: rfc822; {CANARY}
Action: {action}
Status: {status}
Remote-MTA: {remote}
Diagnostic-Code: smtp; 550 {status} <{CANARY}>: no such user, call +44 7700 900123

--x--
"""
    return text.replace("\n", "\r\n").encode()


def arf(kind: str = "abuse") -> bytes:
    """A feedback report as RFC 5965 has it."""
    text = f"""\
From: fbl@isp.test
To: {address("fbl")}
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="x"

--x
Content-Type: text/plain

This is an abuse report.

--x
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: FBL/1
Version: 1

--x
Content-Type: message/rfc822

From: noreply@amazing.test
To: {CANARY}
Subject: offer

hello
--x--
"""
    return text.replace("\n", "\r\n").encode()


def mail(subject: str = "unsubscribe", head: str = "", body: str = "please") -> bytes:
    """A mail that a person, or their program, wrote."""
    return f"From: {CANARY}\r\nSubject: {subject}\r\n{head}\r\n{body}\r\n".encode()
