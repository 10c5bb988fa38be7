"""Returned mail over real parts: a real Postfix in front of the listener, and clients that mean no good."""

import resource
import smtplib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from lmtp_listener import DOMAIN, Listener, listening
from postfix import Postfix
from twisted.internet import defer, reactor
from twisted.internet.threads import deferToThread

from gatewayd.bounces.inbound import PREFIXES
from gatewayd.bounces.lmtp_commands import LmtpLimits
from gatewayd.core.status import Event
from returned_mail import ASKED, ID, KEYS, arf, dsn, mail

OTHER_ID = "b540f662-45b3-41ee-be56-0242ac120002"


def address(prefix: str = "b", message_id: str = ID) -> str:
    """An address of ours."""
    return f"{prefix}+{KEYS.token(PREFIXES[prefix], message_id)}@{DOMAIN}"


@asynccontextmanager
async def world(
    main: dict[str, str] | None = None, hop: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[tuple[Listener, Postfix]]:
    """The listener with a Postfix in front, set up as the manual says; `hop` are further lines of transport(5)."""
    async with listening(**options) as listener:
        transports = {DOMAIN: f"lmtp:inet:127.0.0.1:{listener.port}"} | (hop or {})
        settings = {"lmtp_destination_recipient_limit": "1", "relay_domains": DOMAIN} | (main or {})
        async with Postfix(reactor, transports=transports, main=settings) as relay:
            try:
                yield listener, relay
            except defer.TimeoutError:
                raise AssertionError(relay.log()) from None


# --- a real Postfix --------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_unknown_success_and_unsubscribe() -> None:
    """Postfix's own bounce, success report and a person's mail arrive as evidence about the right messages."""
    async with world() as (listener, relay):
        await relay.send(address(), "nobody@player.test")
        fact = await listener.fact()
        assert (fact.message_id, fact.event, fact.source, fact.hard) == (ID, Event.BOUNCED, "dsn", True)
        assert "5.1.1" in fact.detail
        assert "nobody" not in fact.detail

        await relay.send(address(message_id=OTHER_ID), "player@player.test")
        fact = await listener.fact()
        assert (fact.message_id, fact.event, fact.hard) == (OTHER_ID, Event.DELIVERED, False)
        assert len(relay.mailbox()) == 1

        await relay.send("player@player.test", address("u"), body=mail(ASKED), rcpt_options=())
        fact = await listener.fact()
        assert (fact.message_id, fact.event, fact.source) == (ID, Event.UNSUBSCRIBED, "unsubscribe")

        await relay.send("fbl@isp.test", address("fbl"), body=arf(), rcpt_options=())
        fact = await listener.fact()
        assert (fact.message_id, fact.event, fact.source) == (ID, Event.COMPLAINED, "arf")
        assert listener.nothing_more()


@pytest_twisted.ensureDeferred
async def test_refused_and_relayed_by_a_next_hop() -> None:
    """A refusal by the next server is a bounce with its words; "relayed" counts but for a relay of our own."""
    options = {"smtpd_discard_ehlo_keywords": "dsn"}
    only_relay = {"virtual_mailbox_domains": "", "smtpd_recipient_restrictions": "permit_mynetworks"}
    async with Postfix(reactor, hostname="mx.player.test", main=options) as remote:
        hop = {"player.test": f"smtp:[127.0.0.1]:{remote.port}"}
        async with world(only_relay, hop) as (listener, relay):
            await relay.send(address(), "refused@player.test")
            fact = await listener.fact()
            assert (fact.event, fact.hard) == (Event.BOUNCED, True)
            assert "no such player" in fact.detail

            await relay.send(address(), "player@player.test")
            fact = await listener.fact()
            assert (fact.event, "relayed" in fact.detail) == (Event.DELIVERED, True)

        async with world(only_relay, hop, internal_relays=["127.0.0.1"]) as (listener, relay):
            await relay.send(address(), "player@player.test")
            assert await listener.ignored() == "relayed"
            assert listener.nothing_more()


@pytest_twisted.ensureDeferred
async def test_delay_and_expiry() -> None:
    """A delay warning is no evidence; giving up is a failure that could not come after delivery."""
    times = {"delay_warning_time": "1s", "maximal_queue_lifetime": "4s", "bounce_queue_lifetime": "60s"}
    async with world(times) as (listener, relay):
        await relay.send(address(), "someone@slow.test")
        assert await listener.ignored() == "delayed"
        assert listener.nothing_more()
        fact = await listener.fact()
        assert (fact.message_id, fact.event, fact.hard) == (ID, Event.FAILED, False)
        assert "4.4.1" in fact.detail


@pytest_twisted.ensureDeferred
async def test_an_address_beyond_ascii() -> None:
    """The report on an SMTPUTF8 mail is message/global-delivery-status (RFC 6533), and is read as well."""
    async with world() as (listener, relay):

        def talk() -> None:
            with socket.create_connection((relay.host, relay.port), timeout=30) as peer:
                stream = peer.makefile("rb")
                stream.readline()
                lines = ["EHLO me", f"MAIL FROM:<{address()}> SMTPUTF8", "RCPT TO:<δοκιμή@player.test>", "DATA"]
                for line in [*lines, "Subject: x\r\n\r\nhello\r\n.", "QUIT"]:
                    peer.sendall(line.encode() + b"\r\n")
                    while stream.readline()[3:4] == b"-":
                        pass

        await deferToThread(talk)
        fact = await listener.fact()
        assert (fact.event, fact.hard) == (Event.BOUNCED, True)


@pytest_twisted.ensureDeferred
async def test_postfix_keeps_what_the_store_could_not_take() -> None:
    """451 while Redis is down makes Postfix try again: the evidence comes, once."""
    async with world() as (listener, relay):
        listener.troubles = 3
        await relay.send(address(), "nobody@player.test")
        # A run of the queue that meets a mail whose last try has not ended puts it off for minutes; a flush does not.
        await _until_empty(relay)
        fact = await listener.fact()
        assert (fact.message_id, fact.event) == (ID, Event.BOUNCED)
        assert listener.troubles == 0
        assert listener.nothing_more()


@pytest_twisted.ensureDeferred
async def test_what_is_not_ours_dies_at_postfix() -> None:
    """Spam to the return-path domain is refused at RCPT; Postfix drops it, and no mail of ours answers it."""
    async with world() as (listener, relay):
        await relay.send("spam@world.test", f"b+{'a' * 47}@{DOMAIN}", rcpt_options=("NOTIFY=NEVER",))
        await relay.send("", f"info@{DOMAIN}", body=dsn(), rcpt_options=(), mail_options=())
        await _until_empty(relay)
        assert relay.log().count("550 5.1.1 no such recipient") == 2
        assert listener.nothing_more()


@pytest_twisted.ensureDeferred
async def test_postfix_refuses_junk_from_the_internet_itself() -> None:
    """With the manual's map of recipients, junk is refused while its sender is still there, and nothing bounces."""
    ours = "/^(b|u|fbl)[+][a-z2-7]{47}@bounces[.]test$$/"
    settings = {
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "smtpd_recipient_restrictions": "",
        "smtpd_reject_unlisted_recipient": "yes",
        "relay_recipient_maps": f"regexp:{{{{{ours} ok}}}}",
    }
    async with world(settings) as (listener, relay):
        for junk in (f"info@{DOMAIN}", f"b+{'1' * 47}@{DOMAIN}", f"b+{'a' * 46}@{DOMAIN}"):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                await relay.send("spam@world.test", junk, rcpt_options=())
            assert refused.value.recipients[junk][0] == 550
        await relay.send("", address().upper(), body=dsn(), rcpt_options=(), mail_options=())
        assert (await listener.fact()).event is Event.BOUNCED


async def _until_empty(relay: Postfix) -> None:
    for _ in range(100):
        if "Mail queue is empty" in await relay.queue():
            return
        await relay.flush()
    raise AssertionError(relay.log())


# --- clients over real sockets ----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_independent_lmtp_client() -> None:
    """Python's smtplib hands in a bounce over TCP and over a unix socket."""
    async with listening() as listener:

        def talk(host: str, port: int) -> None:
            with smtplib.LMTP(host, port) as client:
                assert client.sendmail("", [address()], dsn()) == {}

        await deferToThread(talk, "127.0.0.1", listener.port)
        assert (await listener.fact()).event is Event.BOUNCED
        await deferToThread(talk, listener.path, 0)  # type: ignore[attr-defined]
        assert (await listener.fact()).event is Event.BOUNCED


def _flood_command(port: int) -> bytes:
    return _push(port, b"", b"x" * 65536, 400)


def _flood_mail(port: int) -> bytes:
    start = f"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{address()}>\r\nDATA\r\n".encode()
    return _push(port, start, b"Subject: x\r\n" * 5000, 2000)


def _flood_header_lines(port: int) -> bytes:
    start = f"LHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<{address()}>\r\nDATA\r\n".encode()
    return _push(port, start, b"x" * 65536, 2000)


def _never_reads(port: int) -> bytes:
    return _push(port, b"LHLO me\r\n", b"NOOP\r\n" * 10000, 300)


def _push(port: int, start: bytes, block: bytes, times: int) -> bytes:
    """Write without reading until the other side has enough; what it said."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        try:
            peer.sendall(start)
            for _ in range(times):
                peer.sendall(block)
        except OSError:
            pass
        return _all_of(peer)


def _all_of(peer: socket.socket) -> bytes:
    """What a peer says until it hangs up; of much, the end."""
    said = b""
    try:
        while chunk := peer.recv(65536):
            said = (said + chunk)[-1000:]
    except OSError:
        pass
    return said


@pytest.mark.parametrize("attack", [_flood_command, _flood_mail, _flood_header_lines, _never_reads])
@pytest_twisted.ensureDeferred
async def test_floods_do_not_fill_the_memory(attack: Callable[[int], bytes]) -> None:
    """A client that writes without end is dropped while others are served, and memory stays where it was."""
    async with listening(limits=LmtpLimits(idle=3.0)) as listener:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        flood = deferToThread(attack, listener.port)

        def talk() -> None:
            with smtplib.LMTP("127.0.0.1", listener.port, timeout=20) as client:
                assert client.sendmail("", [address()], dsn()) == {}

        await deferToThread(talk)
        assert (await listener.fact()).event is Event.BOUNCED
        await flood
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, "kilobytes"
        assert listener.nothing_more()


@pytest_twisted.ensureDeferred
async def test_many_connections_and_silent_ones() -> None:
    """The fifty-first is told to go; the silent ones are hung up on, and then there is room again."""
    async with listening(limits=LmtpLimits(idle=2.0)) as listener:

        def crowd() -> list[bytes]:
            with ExitStack() as stack:
                said = []
                for _ in range(60):
                    peer = stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), timeout=20))
                    said.append((peer, peer.recv(1000)))
                whole = [greeting + _all_of(peer) for peer, greeting in said]
            assert all(b"421 4.4.2" in one for one in whole if one.startswith(b"220"))
            return [one[:3] for one in whole]

        codes = await deferToThread(crowd)
        assert (codes.count(b"220"), codes.count(b"421")) == (50, 10)

        def talk() -> None:
            with smtplib.LMTP("127.0.0.1", listener.port, timeout=20) as client:
                assert client.noop()[0] == 250

        await deferToThread(talk)


@pytest_twisted.ensureDeferred
async def test_no_file_is_left_open() -> None:
    """Connections that break off at any point leave no descriptor behind."""
    steps = [b"", b"LHLO me\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{address()}>\r\n".encode(), b"DATA\r\n", dsn()[:300]]
    async with listening() as listener:

        def count() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        def break_off() -> None:
            for end in range(1, len(steps) + 1):
                with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as peer:
                    peer.recv(200)
                    peer.sendall(b"".join(steps[:end]))
            with smtplib.LMTP("127.0.0.1", listener.port, timeout=20) as client:
                client.noop()

        await deferToThread(break_off)
        before = count()
        for _ in range(5):
            await deferToThread(break_off)
        assert count() <= before + 2
        assert listener.nothing_more()
