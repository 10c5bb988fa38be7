"""Email against servers that others wrote: a real Postfix as relay, and aiosmtpd as one that misbehaves."""

import email
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from outside_relay import drop_connections
from postfix import Postfix, free_port
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from certificates import Authority
from gatewayd.config import Relay, Secret
from gatewayd.core.errors import PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Handed, Order
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.smtp.timeouts import Timeouts
from redis_server import until
from smtp_world import KEYS, label, message

R: Any = reactor


async def marked(route: str) -> None:
    """No lease to lose here."""


@asynccontextmanager
async def channel(*relays: Relay, **options: Any) -> AsyncIterator[Callable[..., Deferred[Handed]]]:
    """A way to send through `relays`, in order of preference."""
    tables = {f"relay{number}": relay for number, relay in enumerate(relays)}
    smtp = SmtpChannel(R, tables, {"amazing": label()}, keys=KEYS, return_domain="bounces.test", **options)
    smtp.startService()

    def send(number: int = 1, to: str = "player@player.test", **fields: Any) -> Deferred[Handed]:
        order = Order(message(number, **fields), to, tuple(tables))
        return Deferred.fromCoroutine(smtp.send(order, marked))

    try:
        yield send
    finally:
        await smtp.stopService()


# -- Postfix ---------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_mail_through_postfix_arrives_unchanged() -> None:
    """Pipelined as Postfix allows it (it would refuse what is not), 60 at once, each exactly once, every byte."""
    main = {"smtpd_data_restrictions": "reject_unauth_pipelining"}
    async with Postfix(R, main=main) as postfix:
        relay = Relay(host="127.0.0.1", port=postfix.port, connections=6)
        async with channel(relay) as send:
            text = ".\r\nMAIL FROM:<evil@x>\r\n..\r\nFrom me: ünï\r\n" + "x" * 2000
            results = await DeferredList([send(number, text_body=text) for number in range(1, 61)], consumeErrors=True)
            bad = [result.getErrorMessage() for good, result in results if not good]
            assert bad == []
        await until(lambda: len(postfix.mailbox()) == 60, log=postfix.log)
        seen = set()
        for raw in postfix.mailbox():
            mail: Any = email.message_from_bytes(raw)
            seen.add(mail["X-Gw-Id"])
            plain = mail.get_payload(0).get_payload(decode=True).decode().replace("\r\n", "\n").strip()
            assert plain == text.replace("\r\n", "\n")
            assert mail["Return-Path"].startswith("<b+")
        assert len(seen) == 60


@pytest_twisted.ensureDeferred
async def test_postfix_refuses_one_and_takes_the_next() -> None:
    """A refusal at RCPT is permanent and hard, and the same connection goes on."""
    async with Postfix(R) as postfix, channel(Relay(host="127.0.0.1", port=postfix.port, connections=1)) as send:
        with pytest.raises(PermanentFailure) as caught:
            await send(1, to="refused@player.test")
        assert caught.value.hard
        assert "550 5.1.1" in caught.value.reason
        assert "refused@" not in caught.value.reason
        assert "queued as" in (await send(2)).detail
        # Postfix' log is written by another process, in its own time.
        await until(lambda: "status=sent" in postfix.log(), log=postfix.log)
        assert postfix.log().count("]: connect from") == 2, "the fixture once, we once"


@pytest_twisted.ensureDeferred
async def test_postfix_over_starttls(tmp_path: Path) -> None:
    """Required on both sides, verified by us."""
    authority = Authority(tmp_path)
    certificate, key = authority.files("127.0.0.1")
    tmp_path.chmod(0o755)
    main = {
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_cert_file": certificate,
        "smtpd_tls_key_file": key,
        "smtpd_tls_received_header": "yes",
    }
    async with Postfix(R, main=main) as postfix:
        relay = Relay(host="127.0.0.1", port=postfix.port, tls="starttls", ca_file=authority.ca_file)
        async with channel(relay) as send:
            await send()
        await until(lambda: len(postfix.mailbox()) == 1, log=postfix.log)
        assert b"TLSv1.3" in postfix.mailbox()[0]
        async with channel(Relay(host="127.0.0.1", port=postfix.port, tls="starttls")) as send:
            with pytest.raises(TemporaryFailure, match="TLS failed"):
                await send(2)


@pytest_twisted.ensureDeferred
async def test_postfix_killed_under_load_loses_nothing_that_it_took() -> None:
    """Every message is taken, temporary or uncertain; all that were taken arrive once Postfix is back."""
    async with Postfix(R) as postfix:
        relay = Relay(host="127.0.0.1", port=postfix.port, connections=6)
        # A child of the killed master may be left that never answers.
        timeouts = Timeouts(greeting=5, ehlo=5, mail=5, rcpt=5, data=5, dot=5)
        async with channel(relay, timeouts=timeouts) as send:
            first = await send(1000)
            assert first.route == "relay0"
            sending = [send(number) for number in range(1, 51)]
            R.callLater(0.05, postfix.kill)
            results = await DeferredList(sending, consumeErrors=True)
            outcomes = [type(result) if good else result.type for good, result in results]
            assert set(outcomes) <= {Handed, TemporaryFailure, Uncertain}
            taken = {message(number).id for number, what in enumerate(outcomes, 1) if what is Handed}
            await postfix.start()

            async def again() -> Handed | None:
                try:
                    return await send(2000)
                except TemporaryFailure:
                    return None

            await until(again, 15)

        def arrived() -> set[str]:
            return {str(email.message_from_bytes(raw)["X-Gw-Id"]) for raw in postfix.mailbox()}

        await until(lambda: taken <= arrived(), log=postfix.log)


# -- aiosmtpd ----------------------------------------------------------------------------------------------------------


class Hostile:
    """What aiosmtpd's server does with mail; the recipient's local part says how it misbehaves."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.users: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Refuse, or take."""
        refusals = {"full": "452 4.2.2 full", "unknown": f"550 5.1.1 {address} unknown", "odd": "299 fine, I guess"}
        envelope.rcpt_tos.append(address)
        return refusals.get(address.partition("@")[0], "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take it, or vanish, or answer with something else."""
        kind = envelope.rcpt_tos[0].partition("@")[0]
        if kind == "vanish":
            server.transport.abort()
            return "250 nobody hears this"
        if kind == "nonsense":
            server.transport.write(b"I am not SMTP at all\r\n")
            return "250 too late"
        if kind == "flood":
            server.transport.write(b"250-" + b"x" * 100_000 + b"\r\n")
            return "250 too late"
        self.taken.append(envelope.content)
        return "250 OK: taken"


@asynccontextmanager
async def aiosmtpd(handler: Hostile, **options: Any) -> AsyncIterator[int]:
    """The server in a thread of its own; its port."""
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), **options)
    await deferToThread(controller.start)
    try:
        yield controller.port
    finally:
        await deferToThread(controller.stop)
        drop_connections()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("full", TemporaryFailure),
        ("unknown", PermanentFailure),
        ("vanish", Uncertain),
        ("nonsense", Uncertain),
        ("flood", Uncertain),
        ("odd", None),
        ("player", None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_relay_that_misbehaves(kind: str, error: type[Exception] | None) -> None:
    """Without PIPELINING, as aiosmtpd speaks; the next message goes through whatever happened to this one."""
    handler = Hostile()
    async with aiosmtpd(handler) as port, channel(Relay(host="127.0.0.1", port=port)) as send:
        if error is None:
            await send(1, to=f"{kind}@odd.test")
        else:
            with pytest.raises(error) as caught:
                await send(1, to=f"{kind}@odd.test")
            assert f"{kind}@odd" not in str(caught.value)
        await send(2)
        assert len(handler.taken) == (2 if error is None else 1)


@pytest_twisted.ensureDeferred
async def test_starttls_and_log_in_with_aiosmtpd(tmp_path: Path) -> None:
    """An independent server takes our TLS and our AUTH; a wrong password is the route's trouble."""
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.files("127.0.0.1"))
    handler = Hostile()

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and data == LoginPassword(b"gw", "gehéim".encode())
        handler.users.append(mechanism)
        return AuthResult(success=good, handled=False)

    options = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": check}
    table = {"host": "127.0.0.1", "tls": "starttls", "ca_file": authority.ca_file, "username": "gw"}
    async with aiosmtpd(handler, **options) as port:
        async with channel(Relay(port=port, password=Secret("gehéim"), **table)) as send:
            await send()
        assert len(handler.taken) == 1
        async with channel(Relay(port=port, password=Secret("falsch"), **table)) as send:
            with pytest.raises(TemporaryFailure, match="535"):
                await send(2)
    assert set(handler.users) == {"PLAIN"}
