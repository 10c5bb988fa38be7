"""Relays that are not what they say: limits on a session that no EHLO tells, PIPELINING that loses commands."""

import re
from typing import Any, ClassVar

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from gatewayd.config import Relay
from gatewayd.smtp.timeouts import Timeouts
from redis_server import until
from smtp_orders import R, World, failure, order

LIMIT = 3


class OddRelay(Protocol):
    """It takes everything; `answers` of a kind say how it is odd."""

    transport: Any
    opened: ClassVar[int] = 0
    taken: ClassVar[list[bytes]] = []

    def connectionMade(self) -> None:
        """Greet."""
        type(self).opened += 1
        self.buffer, self.content, self.mails = b"", b"", 0
        self.in_data = False
        self.say(b"220 odd.test")

    def say(self, line: bytes) -> None:
        """One line, or several."""
        self.transport.write(line + b"\r\n")

    def dataReceived(self, data: bytes) -> None:
        """Commands, and content up to the dot."""
        self.buffer += data
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            if not self.in_data:
                self.in_data = line == b"DATA"
                self.say(self.answer(line))
            elif line != b".":
                self.content += line + b"\n"
            else:
                self.in_data = False
                self.mails += 1
                self.taken.extend(re.findall(rb"X-Gw-Id: (\S+)", self.content))
                self.content = b""
                self.say(b"250 2.0.0 taken")

    def answer(self, line: bytes) -> bytes:
        """What is said to a command."""
        if line.startswith(b"EHLO"):
            return b"250-odd.test\r\n250-PIPELINING\r\n250 DSN"
        return {b"DATA": b"354 go", b"QUIT": b"221 bye"}.get(line, b"250 ok")


class SoManyMails(OddRelay):
    """As OpenSMTPD does."""

    said = b"452 4.5.3 Too many messages sent"
    at = b"MAIL"

    def answer(self, line: bytes) -> bytes:
        """No more than LIMIT mails."""
        return self.said if self.mails >= LIMIT and line.startswith(self.at) else super().answer(line)


class SoManyForGood(SoManyMails):
    """It says so with a code of failure."""

    said = b"550 5.7.0 Too many messages in this session"


class SoManyRecipients(SoManyMails):
    """It counts recipients."""

    said = b"452 4.5.3 Too many recipients"
    at = b"RCPT"


class Swallows(OddRelay):
    """It offers PIPELINING, and throws away what came with a command."""

    def answer(self, line: bytes) -> bytes:
        """Nothing is left of the rest."""
        self.buffer = b""
        return super().answer(line)


async def _over(kind: type[OddRelay], timeouts: Timeouts | None = None) -> tuple[World, Any]:
    kind.opened, kind.taken = 0, []
    port = await TCP4ServerEndpoint(R, 0, interface="127.0.0.1").listen(Factory.forProtocol(kind))
    made = World(timeouts=timeouts)
    made.tables["main"] = Relay(host="127.0.0.1", port=port.getHost().port, connections=2)
    made.start()
    return made, port


@pytest.mark.parametrize("kind", [SoManyMails, SoManyForGood, SoManyRecipients])
@pytest_twisted.ensureDeferred
async def test_a_limit_of_a_session_costs_no_message_a_try(kind: type[OddRelay]) -> None:
    """What a used connection refuses goes over a fresh one at once, and the used one ends."""
    made, port = await _over(kind)
    try:
        await gatherResults([made.send(order(number)) for number in range(1, 31)])
        assert len(kind.taken) == len(set(kind.taken)) == 30
        assert kind.opened <= 30 / LIMIT + 2
    finally:
        await made.channel.stopService()
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_refusal_on_a_fresh_connection_is_the_answer() -> None:
    """Whoever refuses the very first mail of a session is not asked again, and the connection stays."""
    made, port = await _over(type("Refuses", (SoManyMails,), {"answer": _refusing}))
    try:
        for number in range(1, 6):
            assert "452" in str(await failure(made.send(order(number))))
        assert made.channel.states()["main"].up
    finally:
        await made.channel.stopService()
        await port.stopListening()


def _refusing(self: OddRelay, line: bytes) -> bytes:
    return b"452 4.5.3 no" if line.startswith(b"MAIL") else OddRelay.answer(self, line)


@pytest_twisted.ensureDeferred
async def test_a_relay_that_loses_pipelined_commands_gets_them_one_by_one() -> None:
    """From the first that was not answered in time; else no mail would ever leave."""
    made, port = await _over(Swallows, Timeouts(rcpt=0.2))
    try:
        assert "no answer in time (RCPT)" in str(await failure(made.send(order(1))))
        await until(lambda: made.channel.routes()["main"], 10)
        await gatherResults([made.send(order(number)) for number in range(1, 11)])
        assert len(Swallows.taken) == len(set(Swallows.taken)) == 10
    finally:
        await made.channel.stopService()
        await port.stopListening()
