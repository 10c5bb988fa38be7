"""An email's life through the daemon: a real Postfix both ways, providers' signed events, opens, unsubscribing."""

import base64
import hashlib
import hmac
import json
import os
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
import pytest_twisted
import treq
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from daemon import World, free_port
from evenness import fullest_second, tries
from fair_clock import Stretch
from postfix import Postfix
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.web.client import Agent

from gatewayd.sandbox.players import Player
from gatewayd.sandbox.relay import SimulatedRelay, Taken
from redis_server import later, until
from returned_mail import arf, mail

KEY = rsa.generate_private_key(65537, 2048)
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"


def pem() -> str:
    """The label's signing key."""
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def is_signed(raw: bytes) -> bool:
    """What dkimpy says of a mail that arrived."""
    der = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)
    valid: bool = dkim.verify(raw, dnsfunc=lambda name, timeout=5: record)
    return valid


def parsed(raw: bytes) -> EmailMessage:
    """A mail as a reader sees it."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


class Life(World):
    """The world with a public listener, and a relay that reports nothing by itself."""

    def __init__(self, reactor: Any, **options: Any) -> None:
        super().__init__(reactor, **options)
        self.relay = SimulatedRelay(reactor, keep=100_000)
        self.public = free_port()
        self.settings["public"] = {
            "listen": [f"tcp:{self.public}:interface=127.0.0.1"],
            "base_url": "https://go.amazing.co",
        }

    async def taken(self, message_id: str) -> Taken:
        """The mail that the relay has of a message."""

        def found() -> list[Taken]:
            return [one for one in self.relay.taken if one.headers["X-Gw-Id"] == message_id]

        await until(found)
        return found()[-1]

    async def sent(self, player: str = "hhu234556", **fields: Any) -> tuple[str, Taken]:
        """An email that the relay has taken, and Smartico knows it."""
        answer = await self.email(player, **fields)
        assert answer.error_code == 0, answer
        await self.heard(answer.ext_message_id, "accepted")
        return answer.ext_message_id, await self.taken(answer.ext_message_id)

    async def heard(self, message_id: str, *statuses: str, seconds: float = 20.0) -> None:
        """Smartico heard exactly these, in order."""
        try:
            await until(lambda: self.smartico.statuses(message_id) == list(statuses), seconds)
        except AssertionError:
            raise AssertionError(f"{self.smartico.statuses(message_id)} and not {statuses}") from None

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, agent: str = PERSON, **headers: str
    ) -> tuple[int, bytes]:
        """One request to the public listener, a fresh connection each."""
        url = f"http://127.0.0.1:{self.public}{path}"
        given = {"User-Agent": agent, **{name.replace("_", "-"): value for name, value in headers.items()}}
        client: Any = treq.client.HTTPClient(Agent(reactor))
        response = await client.request(method, url, data=body or None, headers=given)
        return response.code, await response.content()

    async def lmtp(self, to: str, content: bytes, sender: str = "") -> None:
        """Hand a mail back, as the operator's mail server does; it must be taken."""

        def talk() -> None:
            with smtplib.LMTP(str(self.directory / "lmtp"), timeout=20) as client:
                client.sendmail(sender, [to], content)

        await deferToThread(talk)


@asynccontextmanager
async def life(prepare: Callable[[Life], None] = lambda world: None) -> AsyncIterator[Life]:
    """The daemon with its world; on a failure its log is shown."""
    async with Life(reactor) as world:
        prepare(world)
        await world.start()
        try:
            yield world
        except BaseException:
            print(world.daemon.log[-6000:])  # noqa: T201
            raise


def dsn(taken: Taken, action: str, status: str) -> bytes:
    """A report (RFC 3464) on one mail."""
    return (
        f"From: MAILER-DAEMON@relay.example\r\nTo: {taken.sender}\r\nSubject: Delivery Status Notification\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b1\r\n\r\n"
        "--b1\r\nContent-Type: text/plain\r\n\r\nThis is the mail system.\r\n"
        "--b1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        f"Final-Recipient: rfc822; {taken.recipients[0]}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n--b1--\r\n"
    ).encode()


def links(taken: Taken) -> tuple[str, str, str]:
    """Paths of the pixel and of the unsubscribe page, and the address to unsubscribe by mail."""
    message = parsed(taken.content)
    part = message.get_body(("html",))
    assert part is not None
    pixel = re.search(r"https://go\.amazing\.co(/o/[a-z2-7]+\.gif)", part.get_content())
    header = re.fullmatch(
        r"<https://go\.amazing\.co(/u/[a-z2-7]+)>, <mailto:([^?>]+)\?[^>]+>", message["List-Unsubscribe"]
    )
    assert pixel is not None
    assert header is not None
    return pixel[1], header[1], header[2]


def subject_of(taken: Taken) -> bytes:
    """The mail that a mail program sends to our List-Unsubscribe address: with our link's subject, and empty."""
    subject = re.search(r"\?subject=([^>&]+)>", str(taken.headers["List-Unsubscribe"]))
    assert subject is not None
    return b"From: a@players.example\r\nSubject: " + subject[1].replace("%20", " ").encode() + b"\r\n\r\n\r\n"


# -- a real Postfix, both ways -------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_the_whole_loop_through_postfix() -> None:
    """Postfix takes the mail and its own reports come back: each becomes its status, and the signature survives."""
    lmtp = free_port()
    main = {"delay_warning_time": "1s", "maximal_queue_lifetime": "4s", "bounce_queue_lifetime": "60s"}
    main |= {"lmtp_destination_recipient_limit": "1", "relay_domains": "bounces.amazing.co"}
    transports = {"bounces.amazing.co": f"lmtp:inet:127.0.0.1:{lmtp}"}
    async with Postfix(reactor, transports=transports, main=main) as postfix:

        def prepare(world: Life) -> None:
            world.settings["bounces"]["listen"] = [f"tcp:{lmtp}:interface=127.0.0.1"]
            world.settings["relays"]["main"]["port"] = postfix.port
            world.settings["directories"]["players"]["cache"] = "1ms"
            world.label["dkim"] = {"domain": "amazing.co", "selector": "gw1", "private_key": pem()}
            world.label["one_click_unsubscribe"] = True
            for name, address in {
                "good": "player@player.test",
                "gone": "nobody@player.test",
                "refused": "refused@player.test",
                "slow": "someone@slow.test",
                "greek": "δοκιμή@player.test",
            }.items():
                world.add_player(Player(name, address))

        async with life(prepare) as world:
            ids = {}
            for player in ("good", "gone", "refused", "slow", "greek"):
                answer = await world.email(player, text_body="", subject="Ein schöner Gruß", email_uid=f"uid-{player}")
                ids[player] = answer.ext_message_id
            await world.heard(ids["good"], "accepted", "delivered")
            [raw] = postfix.mailbox()
            assert is_signed(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            message = parsed(raw)
            assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            text = message.get_body(("plain",))
            assert text is not None
            assert text.get_content().strip() == "Get the offer"

            await world.heard(ids["gone"], "accepted", "failed")
            await world.heard(ids["refused"], "rejected")
            await world.heard(ids["greek"], "accepted", "failed")
            await world.daemon.logged("delayed")
            assert world.smartico.statuses(ids["slow"]) == ["accepted"]
            await world.heard(ids["slow"], "accepted", "failed", seconds=60)

            # Who does not exist is not written to again, until the operator's records have another address.
            assert (await world.email("gone")).error_code == 5
            assert (await world.email("refused")).error_code == 5
            assert (await world.email("slow")).error_code == 0
            world.add_player(Player("gone", "Player@player.test"))
            answer = await world.email("gone")
            await world.heard(answer.ext_message_id, "accepted", "delivered")
            for player in ("good", "gone", "slow"):
                timeline = json.dumps(await world.daemon.messages(ids[player]))
                assert "player.test" not in timeline
                assert "slow.test" not in timeline
            assert "nobody@" not in world.daemon.log


# -- late facts ------------------------------------------------------------------------------------------------------

# What happens to a message after it was accepted, one thing after the other, and what Smartico hears besides.
COURSES = {
    "success twice": (["delivered", "delivered"], ["delivered"]),
    "late bounce": (["delivered", "failed 5"], ["delivered", "failed"]),
    "late trouble": (["delivered", "failed 4"], ["delivered"]),
    "expiry": (["failed 4", "delivered"], ["failed"]),
    "bounce": (["failed 5", "delivered", "open"], ["failed"]),
    "list": (["expanded", "failed 5"], ["delivered", "failed"]),
    "forwarded": (["open", "failed 5"], ["delivered", "opened"]),
    "delay": (["delayed", "delivered"], ["delivered"]),
    "complaint": (["complaint", "failed 5", "open"], ["delivered", "complained"]),
    "complaint after all": (["failed 5", "complaint", "complaint"], ["failed", "complained"]),
    "opened": (["delivered", "open", "open", "complaint"], ["delivered", "opened", "complained"]),
    "both": (["complaint", "unsubscribe", "complaint"], ["delivered", "complained", "unsubscribed"]),
    "left": (["unsubscribe", "open", "failed 5"], ["delivered", "unsubscribed"]),
    "by report": (["opt-out"], ["delivered", "unsubscribed"]),
    "no spam": (["not-spam"], []),
}


@pytest_twisted.ensureDeferred
async def test_facts_come_in_any_order() -> None:
    """The rows of the transition table, each by the mail or request that a real one would come by."""

    def prepare(world: Life) -> None:
        names = ("suppress_on_complaint", "suppress_on_unsubscribe", "suppress_on_hard_bounce")
        world.label.update(dict.fromkeys(names, False), track_opens=True, one_click_unsubscribe=True)

    async with life(prepare) as world:
        sent = {name: await world.sent() for name in COURSES}
        await later(5.1)
        for name, (events, _) in COURSES.items():
            _, taken = sent[name]
            pixel, page, _ = links(taken)
            for event in events:
                word, _, first = event.partition(" ")
                if word == "open":
                    assert (await world.ask("GET", pixel))[0] == 200
                elif word == "unsubscribe":
                    await one_click(world, page)
                elif word in ("complaint", "opt-out", "not-spam"):
                    await world.lmtp(taken.sender, arf({"complaint": "abuse"}.get(word, word)), "fbl@isp.example")
                else:
                    status = f"{first or {'delivered': '2', 'expanded': '2', 'delayed': '4'}[word]}.1.1"
                    await world.lmtp(taken.sender, dsn(taken, word, status))
        for name, (_, statuses) in COURSES.items():
            await world.heard(sent[name][0], "accepted", *statuses)
        await world.idle("reports")
        for name, (_, statuses) in COURSES.items():
            assert world.smartico.statuses(sent[name][0]) == ["accepted", *statuses], name
        # All suppress_on_* are off: nobody is on the stop list.
        assert (await world.email()).error_code == 0


async def one_click(world: Life, page: str) -> None:
    """What a mailbox provider posts (RFC 8058)."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    status, _ = await world.ask("POST", page, b"List-Unsubscribe=One-Click", **form)
    assert status == 200


# -- unsubscribing ---------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_unsubscribing_by_link_and_by_mail() -> None:
    """Reported once, and the next email is refused, until an operator takes the player off the list; previews go on."""

    def prepare(world: Life) -> None:
        world.label.update(track_opens=True, one_click_unsubscribe=True, preview_domains=["amazing.co"])

    async with life(prepare) as world:
        message_id, taken = await world.sent()
        _, page, address = links(taken)
        assert (await world.ask("GET", page))[0] == 200
        assert (await world.ask("HEAD", page))[0] == 200
        assert (await world.email()).error_code == 0
        for _ in range(2):
            await one_click(world, page)
        await world.heard(message_id, "accepted", "delivered", "unsubscribed")
        assert (await world.email()).error_code == 5
        assert (await world.sms()).error_code == 0

        for kind in ({"activity_type": "preview", "to_email_address": "test@amazing.co"}, {"activity_type": "Unknown"}):
            _, preview = await world.sent(**kind)
            assert preview.headers["List-Unsubscribe"] is None
            assert preview.headers["List-Unsubscribe-Post"] is None
            assert b"/o/" not in preview.content

        await world.daemon.verb("unsuppress", label="amazing", ext_user_id="hhu234556", channel="email")
        message_id, taken = await world.sent()
        _, _, address = links(taken)
        await world.lmtp(address, mail(), "anna@players.example")
        await world.lmtp(address, subject_of(taken), "anna@players.example")
        await world.heard(message_id, "accepted", "delivered", "unsubscribed")
        assert (await world.email()).error_code == 5


@pytest_twisted.ensureDeferred
async def test_unsubscribing_from_a_mail_that_is_kept_no_more() -> None:
    """The link and the mail say whose they are by themselves, long after the message's record is gone."""

    def prepare(world: Life) -> None:
        world.label.update(track_opens=True, one_click_unsubscribe=True)
        world.settings["gatewayd"]["retention"] = "1s"

    async with life(prepare) as world:
        for player, by_mail in (("hhu234556", False), ("1001", True)):
            message_id, taken = await world.sent(player)
            _, page, address = links(taken)
            await world.lmtp(taken.sender, dsn(taken, "delivered", "2.0.0"))
            await world.heard(message_id, "accepted", "delivered")

            async def forgotten(wanted: str = message_id) -> bool:
                return await world.daemon.messages(wanted) is None

            await until(forgotten, 60)
            assert (await world.email(player)).error_code == 0
            if by_mail:
                await world.lmtp(address, subject_of(taken), "a@players.example")
            else:
                await one_click(world, page)
            assert (await world.email(player)).error_code == 5


# -- opens -----------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_opens_of_machines_and_of_persons() -> None:
    """Soon after accepted, or by a known machine, it is not reported; by a person later, also through Gmail, it is."""

    def prepare(world: Life) -> None:
        world.label["track_opens"] = True
        world.settings["labels"]["all"] = world.label | {"report_machine_opens": True}

    async with life(prepare) as world:

        async def pixel(label: str = "amazing") -> tuple[str, str]:
            answer = await world.email(label=label)
            await world.heard(answer.ext_message_id, "accepted")
            taken = await world.taken(answer.ext_message_id)
            found = re.search(r"https://go\.amazing\.co(/o/[a-z2-7]+\.gif)", _html(taken))
            assert found is not None
            return answer.ext_message_id, found[1]

        async def look(one: tuple[str, str], agent: str, method: str = "GET") -> None:
            status, body = await world.ask(method, one[1], agent=agent)
            assert (status, len(body)) == (200, 43 if method == "GET" else 0)

        soon, gmail, apple, scanner, reported = [await pixel() for _ in range(4)] + [await pixel("all")]
        await look(soon, PERSON)
        await look(reported, PERSON)
        await world.heard(soon[0], "accepted")
        await world.heard(reported[0], "accepted", "delivered", "opened")
        await later(5.1)
        await look(gmail, GMAIL)
        await look(apple, APPLE)
        await look(scanner, PERSON, "HEAD")
        await look(soon, PERSON)
        await world.heard(gmail[0], "accepted", "delivered", "opened")
        await world.heard(soon[0], "accepted", "delivered", "opened")
        await world.idle("reports")
        for one in (apple, scanner):
            assert world.smartico.statuses(one[0]) == ["accepted"]


def _html(taken: Taken) -> str:
    part = parsed(taken.content).get_body(("html",))
    assert part is not None
    return str(part.get_content())


# -- providers' events -----------------------------------------------------------------------------------------------

ARN = "arn:aws:sns:eu-west-1:123456789012:gatewayd"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
BASIC = "Basic " + base64.b64encode(b"gw:password").decode()


def certificate() -> str:
    """One that is valid now and named as Amazon's are, by our own key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return made.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def ses(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """An SNS notification, signed."""
    event: dict[str, Any] = {
        "eventType": {"delivered": "Delivery", "bounced": "Bounce", "complained": "Complaint"}[word]
    }
    event["mail"] = {"messageId": "0100", "tags": {"gw": [token]}}
    if word == "bounced":
        event["bounce"] = {"bounceType": "Permanent", "bounceSubType": "General"}
    data = {
        "Message": json.dumps(event),
        "MessageId": f"m-{number}-{token[:8]}",
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "TopicArn": ARN,
        "Type": "Notification",
    }
    text = "".join(f"{name}\n{value}\n" for name, value in data.items())
    data["Signature"] = base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    data |= {"SignatureVersion": "2"}
    data["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem"
    return json.dumps(data).encode(), {"Content_Type": "text/plain; charset=UTF-8"}


def sendgrid(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """A batch, signed by ECDSA."""
    event = {"delivered": "delivered", "bounced": "bounce", "complained": "spamreport"}[word]
    data = {"event": event, "type": "bounce", "status": "5.1.1", "gw": token, "sg_event_id": f"{token}{number}"}
    body = json.dumps([data]).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = EC_KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return body, {
        "X_Twilio_Email_Event_Webhook_Signature": base64.b64encode(signature).decode(),
        "X_Twilio_Email_Event_Webhook_Timestamp": stamp,
    }


def mailgun(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event, its token and time signed by HMAC."""
    event = {"delivered": "delivered", "bounced": "failed", "complained": "complained"}[word]
    data = {"event": event, "severity": "permanent", "id": f"{token}{number}", "user-variables": {"gw": token}}
    data |= {"delivery-status": {"code": 550, "message": "5.1.1 unknown"}}
    stamp, once = str(int(datetime.now(UTC).timestamp())), hashlib.sha256(f"{token}{number}".encode()).hexdigest()
    signature = hmac.new(b"mailgun-key", (stamp + once).encode(), "sha256").hexdigest()
    proof = {"timestamp": stamp, "token": once, "signature": signature}
    return json.dumps({"signature": proof, "event-data": data}).encode(), {"Content_Type": "application/json"}


def postmark(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One record, behind a password."""
    record = {"delivered": "Delivery", "bounced": "Bounce", "complained": "SpamComplaint"}[word]
    kind = {"Bounce": "HardBounce"}.get(record, record)
    data = {"RecordType": record, "Type": kind, "MessageID": f"{token}{number}", "Metadata": {"gw": token}}
    return json.dumps(data).encode(), {"Authorization": BASIC}


def mailjet(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event in a list, behind a password."""
    event = {"delivered": "sent", "bounced": "bounce", "complained": "spam"}[word]
    data = [{"event": event, "hard_bounce": True, "error": "user unknown", "time": number, "CustomID": token}]
    return json.dumps(data).encode(), {"Authorization": BASIC}


def sparkpost(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event in its envelope, behind a password."""
    kind = {"delivered": "delivery", "bounced": "bounce", "complained": "spam_complaint"}[word]
    event = {"type": kind, "bounce_class": "10", "event_id": f"{token}{number}", "rcpt_meta": {"gw": token}}
    return json.dumps([{"msys": {"message_event": event}}]).encode(), {"Authorization": BASIC}


PROVIDERS = {
    "ses": (ses, r"X-SES-MESSAGE-TAGS: gw=([a-z2-7]{47})"),
    "sendgrid": (sendgrid, r'X-SMTPAPI: \{"unique_args":\{"gw":"([a-z2-7]{47})"\}\}'),
    "mailgun": (mailgun, r'X-Mailgun-Variables: \{"gw":"([a-z2-7]{47})"\}'),
    "postmark": (postmark, r"X-PM-Metadata-gw: ([a-z2-7]{47})"),
    "mailjet": (mailjet, r"X-MJ-CustomID: ([a-z2-7]{47})"),
    "sparkpost": (sparkpost, r'X-MSYS-API: \{"metadata":\{"gw":"([a-z2-7]{47})"\}\}'),
}


@pytest_twisted.ensureDeferred
async def test_providers_events() -> None:
    """Each relay's mail bears the token that its provider's signed events bring back, and they become statuses."""

    def prepare(world: Life) -> None:
        public = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        basic = {"username": "gw", "password": "password"}
        world.settings["esp"] = {
            "ses": {"secret": "s-ses", "topic_arns": [ARN], "public_key": certificate()},
            "sendgrid": {"secret": "s-sendgrid", "public_key": base64.b64encode(public).decode()},
            "mailgun": {"secret": "s-mailgun", "signing_key": "mailgun-key"},
            **{name: {"secret": f"s-{name}"} | basic for name in ("postmark", "mailjet", "sparkpost")},
        }
        main = world.settings["relays"]["main"]
        for name in PROVIDERS:
            world.settings["relays"][name] = main | {"provider": name}
            world.settings["labels"][name] = world.label | {"relays": [name]}

    async with life(prepare) as world:
        for name in PROVIDERS:
            await events_of(world, name)


async def events_of(world: Life, name: str) -> None:
    """Two players' mails by one provider's relay, and what the provider tells of them."""
    make, header = PROVIDERS[name]
    answers = [await world.email(player, label=name) for player in ("hhu234556", "1001")]
    first, second = (answer.ext_message_id for answer in answers)
    tokens = []
    for message_id in (first, second):
        await world.heard(message_id, "accepted")
        found = re.search(header.encode(), (await world.taken(message_id)).content)
        assert found is not None, name
        tokens.append(found[1].decode())

    async def post(token: str, word: str, number: int, *, spoil: bool = False) -> int:
        body, headers = make(token, word, number)
        if spoil:
            body = body.replace(token.encode(), tokens[1].encode())
            headers = {key: value for key, value in headers.items() if key != "Authorization"}
            if name == "mailgun":
                body = body.replace(b'"signature": "', b'"signature": "0')
        return (await world.ask("POST", f"/esp/{name}/s-{name}", body, **headers))[0]

    assert await post(tokens[0], "bounced", 9, spoil=True) == 403, name
    for _ in range(2):
        assert await post(tokens[0], "delivered", 1) == 200, name
    assert await post(tokens[0], "complained", 2) == 200, name
    await world.heard(first, "accepted", "delivered", "complained")
    assert await post(tokens[1], "bounced", 3) == 200, name
    await world.heard(second, "accepted", "failed")
    assert await post("a" * 47, "delivered", 4) == 200, name
    assert (await world.ask("POST", f"/esp/{name}/s-other", b"{}"))[0] == 404
    for player in ("hhu234556", "1001"):
        again = await world.email(player, label=name)
        assert again.error_code == 5, (name, player)


# -- sending well ----------------------------------------------------------------------------------------------------


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_two_processes_share_a_relays_rate() -> None:
    """20 a second in all, evenly, however many ask; the rest waits and arrives."""
    times: list[float] = []

    def prepare(world: Life) -> None:
        del world.settings["public"]  # one port for two
        world.settings["relays"]["main"]["rate"] = "20/s"
        world.relay.on_step = lambda step: times.append(reactor.seconds()) if step.step == "MAIL" else None

    async with life(prepare) as world:
        other = world.another("gw2")
        await other.start()
        await other.ready()
        for one in tries():
            times.clear()
            before = world.relay.count
            answers = [await world.email(daemon=daemon) for _ in range(45) for daemon in (world.daemon, other)]
            assert {answer.error_code for answer in answers} == {0}
            await until(lambda before=before: world.relay.count == before + 90)  # type: ignore[misc]
            worst, took = fullest_second(times), times[-1] - times[0]
            one.judge(worst <= 22 and took < 9, f"{worst} in a second, {took:.1f} s in all")


@pytest_twisted.ensureDeferred
async def test_a_slow_relay_holds_up_no_other_label() -> None:
    """With 300 messages waiting for a relay of one a second, those of another label go long before."""

    def prepare(world: Life) -> None:
        world.settings["relays"]["slow"] = world.settings["relays"]["main"] | {"rate": "1/s"}
        world.settings["labels"]["slow"] = world.label | {"relays": ["slow"]}

    async with life(prepare) as world:
        for _ in range(300):
            assert (await world.email(label="slow")).error_code == 0
        before = world.relay.count
        stretch = Stretch()
        ids = [(await world.email()).ext_message_id for _ in range(20)]
        for message_id in ids:
            await world.taken(message_id)
        assert stretch.seconds() < 60
        await until(lambda: world.relay.count >= before + 20 + 5)


def cpu_seconds(pid: int) -> float:
    """What a process' main thread has worked so far: how long it holds up others, however busy the machine is."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest_twisted.ensureDeferred
async def test_big_mails_do_not_hold_up_the_others() -> None:
    """While mails of 2 MB are made and signed, the daemon answers its callers."""

    def prepare(world: Life) -> None:
        world.settings["api"]["max_body"] = 8_000_000
        world.relay.extensions = tuple(one for one in world.relay.extensions if not one.startswith("SIZE"))
        world.label["dkim"] = {"domain": "amazing.co", "selector": "gw1", "private_key": pem()}

    async with life(prepare) as world:
        body = "<html><body>" + "<p>Ein schönes Angebot für dich, nur heute.</p>\n" * 45_000 + "</body></html>"

        async def sent(uid: str) -> None:
            """As Smartico does it: with the same uid again where a busy machine had no time for it."""
            while (said := await world.email(body=body, text_body="", email_uid=uid)).error_code == 10:
                await later(0.5)
            assert said.error_code == 0

        running = [Deferred.fromCoroutine(sent(f"big-{number}")) for number in range(4)]
        longest = 0.0
        while not all(one.called for one in running) or world.relay.count < 4:
            began = cpu_seconds(world.daemon.pid)
            await world.daemon.healthy()
            longest = max(longest, cpu_seconds(world.daemon.pid) - began)
            await later(0.01)
            assert not [one for one in running if isinstance(one.result if one.called else None, Failure)]
        for one in running:
            await one
        assert all(is_signed(one.content) for one in list(world.relay.taken)[:1])
        assert longest < 0.5, f"/healthz waited for {longest} s of work"
