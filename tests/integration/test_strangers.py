"""Nothing that strangers bring keeps the running daemon from answering others: mails, events, receipts, callers.

What is measured is the CPU that the whole process takes between two answers of /healthz: how long others would wait for
it, however busy the machine is.
"""

import json
import smtplib
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import pytest_twisted
from daemon import World
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from gatewayd.sandbox.smsc import Behaviour
from gatewayd.smpp.codec import pdu as smpp
from hostile_mails import FORMS, SHAPES
from redis_server import later

LONGEST = 1.0
"""Seconds of CPU between two answers."""

SECRET_PATH = "s3cr3t" * 6
MESSAGE_PAYLOAD = 0x0424
MEGABYTE = 1 << 20


class Attacked:
    """A daemon with all its listeners, and who asks it all the time whether it is there."""

    def __init__(self, world: World, public: int) -> None:
        self.world = world
        self.public = public
        self.longest = 0.0
        self.answers = 0

    def cpu(self) -> float:
        """Seconds that all threads of the daemon have worked so far."""
        total = 0
        for one in Path(f"/proc/{self.world.daemon.pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                total += int((one / "schedstat").read_text().split()[0])
        return total / 1e9

    async def during(self, attack: "Deferred[object]") -> None:
        """Ask until the attack is over, and once more."""
        over = False
        while not over:
            over = attack.called
            began = self.cpu()
            await self.world.daemon.healthy()
            self.longest = max(self.longest, self.cpu() - began)
            self.answers += 1
            await later(0.01)
        await attack
        assert self.longest < LONGEST, f"/healthz waited for {self.longest:.2f} s of work, in {self.answers} answers"

    async def serves(self) -> None:
        """A caller is answered as ever."""
        while (said := await self.world.sms()).error_code == 10:
            await later(0.2)
        assert said.error_code == 0
        await self.world.smartico.until_heard(said.ext_message_id, "accepted", "delivered")
        assert "Traceback" not in self.world.daemon.log


async def attacked(attack: "Callable[[Attacked], Deferred[object]]") -> None:
    """Run a daemon, and that against it."""
    async with World(reactor, behaviour=Behaviour(receipt_delay=0.05)) as world:
        public = free_port()
        world.settings["public"] = {
            "listen": [f"tcp:{public}:interface=127.0.0.1"],
            "base_url": "https://go.amazing.co",
        }
        world.settings["esp"] = {"sparkpost": {"secret": SECRET_PATH}, "kumomta": {"secret": SECRET_PATH}}
        await world.start()
        one = Attacked(world, public)
        await one.serves()
        await one.during(attack(one))
        await one.serves()


# Returned mail


def mails() -> list[bytes]:
    """The shapes that cost most, in both sizes that froze the daemon once, and as much as it takes."""
    sizes = (128_000, 252_000, MEGABYTE)
    made = [FORMS["html"]("<style>", size) for size in sizes]
    made += [FORMS[form]("<p>a@b.c 550 5.1.1 ", MEGABYTE) for form in ("base64", "quoted", "many headers", "header")]
    return made + [SHAPES[name](MEGABYTE) for name in ("nested", "parts", "recipients", "reports", "numbers", "utf-7")]


@pytest_twisted.ensureDeferred
async def test_returned_mail() -> None:
    """Style sheets without end, mails in mails, a megabyte of header lines: to addresses that are really ours."""

    def attack(one: Attacked) -> "Deferred[object]":
        async def write() -> None:
            said = await one.world.email()
            await one.world.smartico.until_heard(said.ext_message_id, "accepted")
            address = one.world.relay.taken[-1].sender
            await deferToThread(send, address)

        def send(address: str) -> None:
            with smtplib.LMTP(str(one.world.directory / "lmtp")) as client:
                for mail in mails():
                    with suppress(smtplib.SMTPException):
                        client.sendmail("", [address], mail)

        return Deferred.fromCoroutine(write())

    await attacked(attack)


# Events


def events() -> list[bytes]:
    """Arrays and objects in each other, arrays of nothing, of numbers, of events, and keys without end."""
    fill = 4 * MEGABYTE - 100
    event = json.dumps({"msys": {"message_event": {"type": "bounce", "raw_reason": "550 5.1.1 " * 20}}}).encode()
    return [
        b"[" * fill,
        b"[" * (fill // 2) + b"]" * (fill // 2),
        b'{"a":' * (fill // 5),
        b"[" + b"{}," * (fill // 3) + b"{}]",
        b"[" + b"1," * (fill // 2) + b"1]",
        b"[" + b",".join([event] * 4999) + b"]",
        b"{" + b",".join(b'"%d":1' % number for number in range(360_000)) + b"}",
        b'["' + b"\\u0041" * (fill // 6) + b'"]',
        b"1" * fill,
        b"[" + b" " * fill,
    ]


@pytest_twisted.ensureDeferred
async def test_events_of_providers() -> None:
    """Whoever learnt the secret path may post what they like."""

    def attack(one: Attacked) -> "Deferred[object]":
        def send() -> None:
            for provider in ("sparkpost", "kumomta"):
                for body in events():
                    with suppress(OSError):
                        _post(one.public, f"/esp/{provider}/{SECRET_PATH}", body)

        return deferToThread(send)

    await attacked(attack)


# Receipts


def receipts() -> list[smpp.DeliverSm]:
    """Words without end in the text and in the payload, and a thousand optional parameters."""
    words = ("id:", "text:", "stat:DELIVRD ", "id:1 ", "err:000 ", " ", "\t", "1", "F-", "a@b.c ", "\x00", "\xff")
    made = []
    for word in words:
        whole = word.encode("latin-1") * (60_000 // len(word))
        made.append(smpp.DeliverSm(0, esm_class=4, source_addr=b"447700900123", short_message=whole[:254]))
        for esm_class in (0, 4):
            tlvs = ((MESSAGE_PAYLOAD, whole),)
            made.append(smpp.DeliverSm(0, esm_class=esm_class, source_addr=b"447700900123", tlvs=tlvs))
    many = tuple((0x1400 + number, b"x" * 40) for number in range(1000))
    return [*made, smpp.DeliverSm(0, esm_class=4, source_addr=b"447700900123", short_message=b"id:1", tlvs=many)]


@pytest_twisted.ensureDeferred
async def test_receipts() -> None:
    """An SMSC that went mad."""

    def attack(one: Attacked) -> "Deferred[object]":
        async def send() -> None:
            for request in receipts() * 3:
                for session in one.world.smsc.sessions:
                    session.deliver(request)
                await later(0.01)

        return Deferred.fromCoroutine(send())

    await attacked(attack)


# Callers


def bodies_without_authorization(port: int) -> None:
    """200 of 2 MB, whose senders say nothing of who they are, each with its length and in chunks."""
    for head in (b"Content-Length: 2000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n1e8480\r\n"):
        with ExitStack() as stack:
            for _ in range(100):
                with suppress(OSError):
                    peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                    peer.sendall(b"POST /amazing/sms HTTP/1.1\r\nHost: x\r\n" + head)
                    peer.sendall(b" " * 2_000_000)


def pipelined_and_never_read(port: int) -> None:
    """20 connections that ask 20,000 times and take no answer."""
    request = b"POST /amazing/sms HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    _all_at_once(port, 20, [request * 1000] * 20)


def slow_heads(port: int) -> None:
    """300 connections that say their head by the octet."""
    _all_at_once(port, 300, [bytes((octet,)) for octet in b"POST /amazing/sms HTTP/1.1\r\nX-a: b"])


def long_heads(port: int) -> None:
    """Heads of a megabyte: one line, many lines, a request line without end."""
    for head in (b"X: " + b"a" * MEGABYTE, b"X: a\r\n" * (MEGABYTE // 6), b"\r\n" * (MEGABYTE // 2)):
        _all_at_once(port, 20, [b"POST /amazing/sms HTTP/1.1\r\n" + head])
    _all_at_once(port, 20, [b"GET /" + b"a" * MEGABYTE])


def more_connections_than_files(port: int) -> None:
    """As many as this process may open, up to 3,000, of which each says a little."""
    _all_at_once(port, 3000, [b"POST /amazing/sms HTTP/1.1\r\n"])


def _all_at_once(port: int, connections: int, said: Sequence[bytes]) -> None:
    with ExitStack() as stack:
        peers = []
        with suppress(OSError):
            for _ in range(connections):
                peers.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)))
        for peer in peers:
            peer.settimeout(0.05)
        for words in said:
            for peer in list(peers):
                try:
                    peer.sendall(words)
                except OSError:
                    peers.remove(peer)


def _post(port: int, path: str, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path.encode())
        peer.sendall(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while peer.recv(65536):
            pass


@pytest.mark.parametrize(
    "attack",
    [
        bodies_without_authorization,
        pipelined_and_never_read,
        slow_heads,
        long_heads,
        more_connections_than_files,
    ],
)
@pytest_twisted.ensureDeferred
async def test_callers(attack: Callable[[int], None]) -> None:
    """Strangers at the api listener's door."""
    await attacked(lambda one: deferToThread(attack, one.world.api))
