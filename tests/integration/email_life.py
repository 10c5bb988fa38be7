"""A gateway between a relay and the world: the mails that left, and what comes back of them."""

import base64
import re
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import dkim
import treq
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from daemon import World, free_port
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent

from gatewayd.sandbox.relay import SimulatedRelay, Taken
from redis_server import until

KEY = rsa.generate_private_key(65537, 2048)
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


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
