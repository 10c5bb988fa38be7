"""Opening a connection to a relay: greeting, EHLO, STARTTLS, log-in."""

import socket
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gatewayd.config import Relay
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.commands import read_offer
from gatewayd.smtp.negotiation import Login, RelayTrouble
from gatewayd.smtp.pool import Pool, PoolSettings
from gatewayd.smtp.replies import (
    LINE_LIMIT,
    LINES_LIMIT,
)
from memory_network import Reactor
from smtp_world import EHLO, ONE, Wire, result, trouble


@pytest.mark.parametrize("greeting", [b"554 no\r\n", b"421 4.7.0 too many\r\n", b"SSH-2.0-OpenSSH\r\n", b"200\n\r\n"])
def test_a_greeting_that_is_none_is_trouble(greeting: bytes) -> None:
    """Only 220 begins a session."""
    wire = Wire(ready=False)
    wire.tell(greeting)
    assert not trouble(wire).lasting
    assert wire.said() == b""


def test_keywords_are_read_whatever_their_case() -> None:
    """EHLO keywords are case-insensitive, AUTH= is AUTH, and SIZE has a number."""
    offer = read_offer(["relay.test hello", "pipelining", "Size 12345", "AUTH=LOGIN", "auth PLAIN", " starttls"])
    assert "PIPELINING" in offer
    assert "STARTTLS" in offer
    assert offer.size == 12345
    assert offer.mechanisms == {"LOGIN", "PLAIN"}


def test_starttls_that_is_not_offered_is_trouble() -> None:
    """Where TLS is configured nothing goes out in the clear, least of all a log-in."""
    wire = Wire(Login(tls=lambda: None, username="u", password="p"))
    assert "STARTTLS" in trouble(wire).reason
    assert wire.said() == b""


@pytest.mark.parametrize(
    "pieces", [[b"220 go\r\n250 injected\r\n"], [b"220 go\r\n250"], [b"220", b" go\r\n250-x\r\n25"]]
)
def test_text_behind_the_answer_to_starttls_is_refused(pieces: list[bytes]) -> None:
    """What came in the clear must not pass as said inside TLS (CVE-2011-0411 and kin)."""
    wire = Wire(Login(tls=lambda: None), ehlo=b"250-relay.test\r\n250 STARTTLS\r\n")
    assert wire.said() == b"STARTTLS\r\n"
    for piece in pieces:
        wire.tell(piece)
    assert "STARTTLS" in trouble(wire).reason
    assert wire.said() == b""


def test_a_certificate_file_that_cannot_be_read_is_said() -> None:
    """The file is read when TLS begins: its trouble is the session's, and nothing goes on in the clear."""

    def unreadable() -> Any:
        raise RelayTrouble("a certificate or key file can't be used", lasting=True)

    wire = Wire(Login(tls=unreadable), ehlo=b"250-relay.test\r\n250 STARTTLS\r\n")
    assert wire.said() == b"STARTTLS\r\n"
    wire.tell(b"220 go\r\n")
    why = trouble(wire)
    assert (why.reason, why.lasting) == ("a certificate or key file can't be used", True)
    assert wire.said() == b""
    assert len(wire.lost) == 1


def test_a_relay_older_than_esmtp_gets_helo() -> None:
    """Where neither TLS nor a log-in is wanted; then no parameters and no pipelining."""
    wire = Wire(ehlo=b"502 what?\r\n")
    assert wire.said() == b"HELO [10.0.0.1]\r\n"
    wire.tell(b"250 hello\r\n")
    done = wire.session.submit(ONE, b"hello\r\n")
    assert wire.said() == b"MAIL FROM:<b+token@bounces.test>\r\n"
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"):
        wire.tell(reply)
    assert result(done).accepted
    trouble(Wire(ehlo=b"502 what?\r\n502 what?\r\n"))


def test_a_log_in_without_tls_goes_to_loopback_only() -> None:
    """The transport's peer is 192.168.1.1 here: no password for it."""
    wire = Wire(Login(username="user", password="secret"), ehlo=b"250-relay.test\r\n250 AUTH PLAIN\r\n")
    assert trouble(wire).lasting
    assert b"AUTH" not in wire.said()


@pytest.mark.parametrize(
    "line", [b"220 " + b"x" * LINE_LIMIT + b"\r\n", b"220 " + b"x" * LINE_LIMIT, b"220-x\r\n" * (LINES_LIMIT + 1)]
)
def test_endless_replies_are_cut_off(line: bytes) -> None:
    """No line beyond 64 kB and no reply beyond 100 lines is kept in memory."""
    wire = Wire(ready=False)
    wire.tell(line)
    trouble(wire)
    assert wire.lost == [wire.session]


class _OnASocket(StringTransport):
    """As one of TCP, whose options a test can read."""

    def __init__(self, its_socket: socket.socket) -> None:
        super().__init__()
        self.socket = its_socket

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Not looked at."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Not looked at."""


@pytest.mark.parametrize("under_tls", [False, True])
def test_an_address_that_is_gone_does_not_hold_mail_for_as_long_as_a_slow_relay_may(under_tls: bool) -> None:
    """What nobody at the other end acknowledges for a minute ends the connection, whatever reply is waited for."""
    with socket.socket() as ours:
        transport: Any = _OnASocket(ours)
        if under_tls:
            inner, transport = transport, _OnASocket(ours)
            del transport.socket
            transport.transport = inner
        RelaySession(Clock(), Login()).makeConnection(transport)
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


@pytest.mark.parametrize("greeting", [b"", b"421 4.3.2 not today\r\n"])
def test_an_address_whose_greeting_is_none_is_not_tried_for_ever(greeting: bytes) -> None:
    """One of a balanced name's machines is out of order: the next connection goes to another, and stays there."""
    reactor = Reactor("192.0.2.1", "192.0.2.2")
    pool = Pool(reactor, "main", Relay(host="mx.example", port=25), PoolSettings())
    pool.start()
    protocol, _ = reactor.connect()
    protocol.dataReceived(greeting)
    for _ in range(2):
        reactor.until_tried()
        protocol, transport = reactor.connect()
        protocol.dataReceived(b"220 mx.example\r\n" + EHLO)
        assert pool.health.up
        transport.closed()  # type: ignore[attr-defined]
        assert not pool.in_flight
    assert [host for host, *_ in reactor.tcpClients] == ["192.0.2.1", "192.0.2.2", "192.0.2.2"]
