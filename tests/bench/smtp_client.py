"""CPU µs a message of the email way out, against Postfix's smtp-sink.

PYTHONPATH=.:tests:tests/integration python tests/bench/smtp_client.py [MESSAGES], from the project's root. Prints
the MIME builder alone, the client protocol on 16 and 2 connections, the pool, and the whole channel.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from outside_ports import free_port, until
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import react

from conftest import need
from gatewayd.config import Relay
from gatewayd.core.model import Order
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.mime import Brand, compose
from gatewayd.smtp.negotiation import Login
from gatewayd.smtp.pool import Pool, PoolSettings
from smtp_world import KEYS, label, message

CELLS = "<td>some more of it and = so on </td>\n" * 40
HTML = f"<html><body><p>Hello <a href='https://amazing.co/x'>there</a></p>{CELLS}</body></html>"
BRAND = Brand("bounces.test", "https://go.test", track_opens=True, one_click=True)


async def marked(route: str) -> None:
    """No store here."""


async def measure(name: str, messages: int, work: list[Callable[[], Awaitable[Any]]]) -> None:
    """Let all of `work` share `messages` turns."""
    left = messages

    async def take_turns(one: Callable[[], Awaitable[Any]]) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    cpu, wall = time.process_time(), time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(take_turns(one)) for one in work])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{name:45} {cpu / messages * 1e6:7.1f} CPU µs/msg {messages / wall:8.0f} msg/s", flush=True)


async def run(reactor: Any, port: int, messages: int) -> None:
    """All measurements."""
    mail = compose(message(body=HTML), "jane@player.test", BRAND, KEYS)
    content = mail.head + b"\r\n" + mail.body
    envelope = Envelope(mail.sender, mail.recipient, message().id)
    print(f"{len(content)} octets a message")

    async def build() -> None:
        compose(message(body=HTML), "jane@player.test", BRAND, KEYS)

    await measure("MIME, all features, 5 tokens", messages, [build])
    for connections in (16, 2):
        sessions = []
        for _ in range(connections):
            session = RelaySession(reactor, Login())
            await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), session)
            sessions.append(await session.ready)
        work = [lambda one=one: one.submit(envelope, content) for one in sessions]
        await measure(f"client, {connections} connections", messages, work)
        await measure(f"client, {connections} connections, two messages on each", messages, work * 2)
        for session in sessions:
            session.quit()
    relay = Relay(host="127.0.0.1", port=port, connections=16)
    pool = Pool(reactor, "main", relay, PoolSettings())
    pool.start()
    await measure("pool, 16 connections, 32 at once", messages, [lambda: pool.submit(envelope, content, marked)] * 32)
    await pool.stop()
    house = label(track_opens=True, one_click_unsubscribe=True)
    options: dict[str, Any] = {"keys": KEYS, "return_domain": "bounces.test", "base_url": "https://go.test"}
    channel = SmtpChannel(reactor, {"main": relay}, {"amazing": house}, **options)
    channel.startService()
    order = Order(message(body=HTML), "jane@player.test", ("main",))
    await measure("channel with MIME, 32 at once", messages, [lambda: channel.send(order, marked)] * 32)
    await channel.stopService()


async def main(reactor: Any, messages: int) -> None:
    """Start the sink, measure, end it."""
    port = free_port()
    sink = subprocess.Popen([need("smtp-sink"), "-u", "nobody", f"127.0.0.1:{port}", "1000"])

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    try:
        until(listens)
        await run(reactor, port, messages)
    finally:
        sink.terminate()
        sink.wait()


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, number)))
