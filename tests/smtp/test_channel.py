"""The email channel against relays on real sockets: outcomes, failover, pools, pacing, stopping."""

import email
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import pytest_twisted
from fair_clock import Stretch
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from certificates import Authority
from dkim_keys import RSA, is_valid, pem
from gatewayd.config import Domains, Relay, Secret
from gatewayd.core.errors import LeaseLost, PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Handed, Order
from gatewayd.core.tokens import Purpose
from gatewayd.sandbox.relay import Act, SimulatedRelay
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.smtp.pool import CHORES
from gatewayd.smtp.timeouts import Timeouts
from redis_server import until
from smtp_world import KEYS, label, message

R: Any = reactor
NOW = IReactorTime(R)


def order(number: int = 1, *routes: str, to: str = "jane@player.test", **fields: Any) -> Order:
    """An order for one message by `routes`."""
    return Order(message(number, **fields), to, routes or ("main",))


class Marks:
    """What `before_wire` was called with."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        self.error: Exception | None = None

    async def __call__(self, route: str) -> None:
        """As interfaces.BeforeWire."""
        self.routes.append(route)
        if self.error is not None:
            raise self.error


class Quick:
    """The reactor with a clock that runs five times as fast: for long waits over real sockets."""

    TIMES = 5.0

    def seconds(self) -> float:
        """Of the quick clock."""
        return NOW.seconds() * self.TIMES

    def callLater(self, delay: float, call: Any, *args: Any, **kwargs: Any) -> Any:
        """After `delay` seconds of the quick clock."""
        return NOW.callLater(delay / self.TIMES, call, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(R, name)


QUICK: Any = Quick()


class World:
    """Relays by name and a channel over them."""

    def __init__(self, clock: Any = R, **options: Any) -> None:
        self.clock = clock
        self.options: dict[str, Any] = {"return_domain": "bounces.test", "labels": {"amazing": label()}} | options
        self.relays: dict[str, SimulatedRelay] = {}
        self.tables: dict[str, Relay] = {}
        self.marks = Marks()
        self.channel: SmtpChannel

    async def add(self, name: str = "main", table: dict[str, Any] | None = None, **relay: Any) -> SimulatedRelay:
        """Start a relay and note it for the configuration."""
        simulated = SimulatedRelay(R, **relay)
        port = await simulated.listen(TCP4ServerEndpoint(R, 0, interface="127.0.0.1"))
        self.relays[name] = simulated
        self.tables[name] = Relay(host="127.0.0.1", port=port, **(table or {}))
        return simulated

    def start(self) -> None:
        """Start the channel over all relays so far."""
        options = dict(self.options)
        labels = options.pop("labels")
        self.channel = SmtpChannel(self.clock, self.tables, labels, keys=KEYS, **options)
        self.channel.startService()

    def send(self, wanted: Order | None = None) -> Deferred[Handed]:
        """One message through the channel."""
        return Deferred.fromCoroutine(self.channel.send(wanted or order(), self.marks))


@asynccontextmanager
async def world(*names: str, table: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[World]:
    """A channel over the named relays, started; all is stopped in the end."""
    made = World(**options)
    try:
        for name in names or ("main",):
            await made.add(name, table)
        made.start()
        yield made
    finally:
        await made.channel.stopService()
        for relay in made.relays.values():
            await relay.stop()


async def failure(attempt: Awaitable[Any]) -> Any:
    """What an attempt raised; it must raise one of the failures."""
    with pytest.raises((TemporaryFailure, PermanentFailure, Uncertain)) as caught:
        await attempt
    assert "jane" not in str(caught.value)
    return caught.value


# -- one message ---------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_message_reaches_the_relay() -> None:
    """With its signed return path, DSN parameters, and the relay's words as detail."""
    async with world() as w:
        handed = await w.send()
        [mail] = w.relays["main"].taken
        assert handed == Handed(route="main", detail=f"250 2.0.0 Ok: queued as {mail.queue_id}")
        assert w.marks.routes == ["main"]
        assert mail.sender == f"b+{KEYS.token(Purpose.BOUNCE, message().id)}@bounces.test"
        assert mail.recipients == ("jane@player.test",)
        assert mail.mail_parameters["ENVID"] == message().id
        assert mail.mail_parameters["RET"] == "HDRS"
        assert mail.rcpt_parameters[0] == {"NOTIFY": "SUCCESS,FAILURE,DELAY", "ORCPT": "rfc822;jane@player.test"}
        assert mail.headers["X-Gw-Id"] == message().id
        assert int(mail.mail_parameters["SIZE"]) == len(mail.content)


@pytest_twisted.ensureDeferred
async def test_without_a_return_domain_no_dsn_is_asked_for() -> None:
    """MAIL FROM is the From address then; success reports would flood the brand's own mailbox."""
    async with world(return_domain="") as w:
        await w.send()
        [mail] = w.relays["main"].taken
        assert mail.sender == "noreply@amazing.co"
        assert "ENVID" not in mail.mail_parameters
        assert "NOTIFY" not in mail.rcpt_parameters[0]


@pytest_twisted.ensureDeferred
async def test_a_label_may_have_its_own_return_path_domain() -> None:
    """bounce_domain goes before [bounces] domain, for SPF alignment."""
    async with world(labels={"amazing": label(bounce_domain="bounce.amazing.co")}) as w:
        await w.send()
        assert w.relays["main"].taken[0].sender.endswith("@bounce.amazing.co")


@pytest_twisted.ensureDeferred
async def test_the_esp_header_follows_the_relay() -> None:
    """By failover from an ESP to a plain relay its header is gone."""
    made = World()
    esp = await made.add("esp", {"provider": "postmark", "headers": {"X-PM-Message-Stream": "broadcast"}})
    plain = await made.add("plain")
    made.start()
    try:
        await made.send(order(1, "esp", "plain"))
        assert esp.taken[0].headers["X-PM-Metadata-gw"] == KEYS.token(Purpose.ESP, message().id)
        assert esp.taken[0].headers["X-PM-Message-Stream"] == "broadcast"
        esp.script["MAIL"].append(b"451 4.3.0 not now")
        await made.send(order(2, "esp", "plain"))
        assert plain.taken[0].headers["X-PM-Metadata-gw"] is None
        assert plain.taken[0].headers["X-PM-Message-Stream"] is None
    finally:
        await made.channel.stopService()
        await esp.stop()
        await plain.stop()


@pytest.mark.parametrize(
    ("step", "said", "kind", "hard"),
    [
        ("MAIL", b"550 5.7.1 sender not allowed", PermanentFailure, False),
        ("RCPT", b"550 5.1.1 <jane@player.test> unknown", PermanentFailure, True),
        ("RCPT", b"552 5.2.2 full", PermanentFailure, False),
        ("RCPT", b"450 4.2.1 busy", TemporaryFailure, None),
        ("RCPT", b"451 4.7.1 greylisted", TemporaryFailure, None),
        ("dot", b"451 4.3.0 try later", TemporaryFailure, None),
        ("dot", b"554 5.6.0 not that", PermanentFailure, False),
        ("dot", b"421 4.3.2 going down", TemporaryFailure, None),
        ("dot", Act.DROP, Uncertain, None),
        ("MAIL", b"452 4.3.1 disk full", TemporaryFailure, None),
        ("MAIL", b"530 5.7.0 authenticate first", TemporaryFailure, None),
        ("DATA", Act.DROP, TemporaryFailure, None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_each_answer_has_its_outcome(step: str, said: Any, kind: type, hard: bool | None) -> None:
    """One try, and what the outbox is told; the relay is asked once and no address is in the reason."""
    async with world() as w:
        w.relays["main"].script[step].append(said)
        error = await failure(w.send())
        assert type(error) is kind
        assert getattr(error, "hard", None) is hard
        assert getattr(error, "route", "main") == "main"
        assert w.marks.routes == ["main"]
        assert not w.relays["main"].taken
        assert (await w.send(order(2, to="john@other.test"))).route == "main"


@pytest_twisted.ensureDeferred
async def test_what_before_wire_raises_stops_it() -> None:
    """A lost lease: nothing was written for this message, and the connection serves the next one."""
    async with world() as w:
        w.marks.error = LeaseLost()
        with pytest.raises(LeaseLost):
            await w.send()
        w.marks.error = None
        await w.send(order(2))
        assert [mail.headers["X-Gw-Id"] for mail in w.relays["main"].taken] == [message(2).id]


@pytest_twisted.ensureDeferred
async def test_a_store_that_refuses_all_marks_costs_no_connection() -> None:
    """Many wait for the connections, and the mark of each fails as its turn comes: afterwards they are as before."""
    async with world(table={"connections": 20}) as w:
        w.marks.error = TemporaryFailure("being restated", counts=False)
        done = await DeferredList([w.send(order(n)) for n in range(1, 500)], consumeErrors=True)
        assert not any(ok for ok, _ in done)
        w.marks.error = None
        for number in range(500, 504):
            await w.send(order(number))
        assert len(w.relays["main"].taken) == 4


@pytest_twisted.ensureDeferred
async def test_a_relay_that_dislikes_parameters_is_asked_once_without_and_remembered() -> None:
    """555 on MAIL or RCPT: once more bare, marked once, and bare from then on."""
    async with world() as w:
        seen: list[str] = []

        def decide(step: str, argument: str) -> bytes | None:
            if step in ("MAIL", "RCPT"):
                seen.append(argument)
            return b"555 5.5.4 unsupported" if step == "RCPT" and "NOTIFY" in argument else None

        w.relays["main"].decide = decide
        await w.send()
        assert w.marks.routes == ["main"]
        assert ["SIZE" in one or "NOTIFY" in one for one in seen] == [True, True, False, False]
        await w.send(order(2))
        assert ["SIZE" in one or "NOTIFY" in one for one in seen[4:]] == [False, False]


@pytest_twisted.ensureDeferred
async def test_a_body_that_looks_like_smtp_stays_a_body() -> None:
    """What twisted.mail.smtp ran as commands arrives as text: one mail, unchanged."""
    evil = ".\r\nMAIL FROM:<evil@x>\r\n" + "x" * 16380 + "\r\n.\r\nRCPT TO:<a@b>\r\n..\r\n"
    async with world() as w:
        await w.send(order(1, body="", text_body=evil))
        [mail] = w.relays["main"].taken
        text: Any = email.message_from_bytes(mail.content).get_payload(decode=True)
        assert text.replace(b"\r\n", b"\n").strip() == evil.replace("\r\n", "\n").strip().encode()


@pytest_twisted.ensureDeferred
async def test_a_big_message_arrives_whole() -> None:
    """Several chunks, built in a thread."""
    async with world() as w:
        await w.send(order(1, body="<p>" + "ÄÖÜ mit Text " * 30_000 + "</p>"))
        [mail] = w.relays["main"].taken
        assert int(mail.mail_parameters["SIZE"]) == len(mail.content) > 400_000


@pytest_twisted.ensureDeferred
async def test_nothing_is_begun_after_the_deadline() -> None:
    """Nor by another relay; the outbox ends it."""
    async with world("main", "backup") as w:
        w.relays["main"].script["MAIL"].append(Act.HANG)
        began = NOW.seconds()
        error = await failure(w.send(order(1, "main", "backup", deadline=began + 1.0)))
        assert type(error) is TemporaryFailure
        assert "deadline" in error.reason
        assert 1.0 <= NOW.seconds() - began < 5
        assert w.marks.routes == ["main"]
        assert not w.relays["backup"].taken


@pytest_twisted.ensureDeferred
async def test_what_can_not_be_sent_is_permanent() -> None:
    """Before any relay is asked."""
    async with world() as w:
        assert type(await failure(w.send(order(1, subject="a\nb")))) is PermanentFailure
        assert type(await failure(w.send(order(1, to="ja ne@player.test")))) is PermanentFailure
        assert w.marks.routes == []


@pytest_twisted.ensureDeferred
async def test_addresses_beyond_ascii_need_smtputf8() -> None:
    """Taken by a relay that offers it; refused for good where none of the relays does."""
    made = World()
    new = await made.add("new")
    old = await made.add("old", extensions=("PIPELINING",))
    made.start()
    try:
        await until(lambda: all(made.channel.routes().values()))
        assert (await made.send(order(1, "old", "new", to="jörg@player.test"))).route == "new"
        assert new.taken[0].recipients == ("jörg@player.test",)
        assert "SMTPUTF8" in new.taken[0].mail_parameters
        error = await failure(made.send(order(2, "old", to="jörg@player.test")))
        assert type(error) is PermanentFailure
        assert "5.6.7" in error.reason
    finally:
        await made.channel.stopService()
        await new.stop()
        await old.stop()


@pytest_twisted.ensureDeferred
async def test_a_connection_that_opens_says_nothing_of_what_the_relay_offers() -> None:
    """While others wait for their EHLO answer, what is known from earlier ones counts: nothing is refused for good."""
    made = World()
    relay = await made.add(extensions=("SMTPUTF8",))
    made.start()
    try:
        await made.send()
        relay.script["dot"].append(Act.HANG)
        relay.script["EHLO"].extend([Act.HANG] * 4)
        running = [made.send(order(number)) for number in range(1, 6)]
        await until(lambda: not relay.script["EHLO"] and not relay.script["dot"])
        running += [made.send(order(number, to="jörg@player.test")) for number in range(6, 9)]
        relay.drop_all()
        for attempt in running:
            try:
                await attempt
            except (Uncertain, TemporaryFailure):
                continue
        assert relay.taken[-1].recipients == ("jörg@player.test",)
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest_twisted.ensureDeferred
async def test_a_message_over_the_relays_size_goes_by_another_or_not_at_all() -> None:
    """SIZE of the EHLO answer is believed."""
    made = World()
    small = await made.add("small", extensions=("PIPELINING", "SIZE 2000"))
    large = await made.add("large")
    made.start()
    try:
        await until(lambda: all(made.channel.routes().values()))
        text = "word " * 1000
        assert (await made.send(order(1, "small", "large", text_body=text))).route == "large"
        assert type(await failure(made.send(order(2, "small", text_body=text)))) is PermanentFailure
    finally:
        await made.channel.stopService()
        await small.stop()
        await large.stop()


# -- failover and health ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("connect", b"554 5.3.2 no"),
        ("connect", b"421 4.7.0 too many"),
        ("EHLO", b"451 4.3.0 not now"),
        ("MAIL", b"451 4.3.0 not now"),
        ("MAIL", b"421 4.3.0 not now"),
        ("MAIL", Act.DROP),
        ("DATA", b"451 4.3.0 not now"),
        ("RCPT", b"451 4.3.5 server configuration error"),
        ("dot", b"451 4.3.0 queue file write error"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_trouble_of_one_relay_is_no_trouble_of_the_message(step: str, said: Any) -> None:
    """The next relay of the label takes it, within the same attempt."""
    async with world("main", "backup") as w:
        w.relays["main"].decide = lambda at, _: said if at == step else None
        assert (await w.send(order(1, "main", "backup"))).route == "backup"
        assert w.marks.routes[-1] == "backup"


@pytest_twisted.ensureDeferred
async def test_a_relay_goes_down_and_comes_back_within_ten_seconds() -> None:
    """routes() follows by itself, without any mail; a dead relay costs no waiting."""
    async with world() as w:
        relay, port = w.relays["main"], w.tables["main"].port
        await until(lambda: w.channel.routes()["main"], 5)
        stretch = Stretch()
        await relay.stop()
        await until(lambda: not w.channel.routes()["main"], 10)
        state = w.channel.states()["main"]
        assert (state.up, state.word) == (False, "down")
        assert "refused" in state.reason
        error = await failure(w.send())
        assert type(error) is TemporaryFailure
        assert error.counts
        assert stretch.seconds() < 10
        again = SimulatedRelay(R)
        w.relays["again"] = again
        await again.listen(TCP4ServerEndpoint(R, port, interface="127.0.0.1"))
        await until(lambda: w.channel.routes()["main"], 10)
        await w.send()


@pytest_twisted.ensureDeferred
async def test_a_relay_that_hangs_is_not_up() -> None:
    """It still takes connections, as a stopped process does, but answers nothing: down within 10 s."""
    async with world() as w:
        await until(lambda: w.channel.routes()["main"], 5)
        w.relays["main"].decide = lambda step, _: Act.HANG
        await until(lambda: not w.channel.routes()["main"], 10.5)


@pytest_twisted.ensureDeferred
async def test_a_relay_that_hangs_with_all_its_connections_busy_is_not_up() -> None:
    """No connection is left to find out by, and mail goes by the next relay; down within 10 s, and up again."""
    async with world("main", "backup", table={"connections": 1}) as w:
        await until(lambda: w.channel.routes()["main"], 5)
        w.relays["main"].script["dot"].append(Act.HANG)
        hanging = w.send(order(1, "main"))
        await until(lambda: not w.channel.routes()["main"], 10)
        assert (await w.send(order(2, "main", "backup"))).route == "backup"
        w.relays["main"].drop_all()
        assert type(await failure(hanging)) is Uncertain
        await until(lambda: w.channel.routes()["main"], 10)
        assert (await w.send(order(3, "main", "backup"))).route == "main"


@pytest.mark.parametrize("connections", [1, 2])
@pytest_twisted.ensureDeferred
async def test_a_relay_that_never_greets_what_it_kept_waiting_is_found_again(connections: int) -> None:
    """What connected while it hung is never answered, and yet the relay is known to be back: by a new connection."""
    made = World(QUICK)
    relay = await made.add("main", {"connections": connections})
    relay.script["connect"].append(Act.HANG)
    most = 0

    def seen(_: Any) -> None:
        nonlocal most
        most = max(most, relay.connections)

    relay.on_step = seen
    made.start()
    try:
        await until(lambda: made.channel.routes()["main"], 15)
        assert (await made.send()).route == "main"
        await until(lambda: relay.connections == 1, 5)
        assert most == connections
    finally:
        await made.channel.stopService()
        await relay.stop()


class LateGreeting(LineOnlyReceiver):
    """A mail server that greets after 6 s."""

    transport: Any
    made: ClassVar[list["LateGreeting"]] = []

    def connectionMade(self) -> None:
        """Let it wait."""
        self.made.append(self)
        self.open = True
        self.greeting = QUICK.callLater(6, self.sendLine, b"220 late.test")

    def lineReceived(self, line: bytes) -> None:
        """What a content's lines are answered with does not matter: they come at once with the dot."""
        answers = {b"DATA": b"354 go on", b"QUIT": b"221 bye", b".": b"250 taken"}
        if line in answers or line.startswith((b"EHLO", b"MAIL", b"RCPT")):
            self.sendLine(answers.get(line, b"250 ok"))

    def connectionLost(self, reason: Any = None) -> None:
        """Gone."""
        self.open = False
        if self.greeting.active():
            self.greeting.cancel()


@pytest_twisted.ensureDeferred
async def test_a_relay_that_greets_late_keeps_all_its_connections() -> None:
    """One that is ready takes none of its kind along: they were begun with it, or soon before."""
    LateGreeting.made.clear()
    port = await TCP4ServerEndpoint(R, 0, interface="127.0.0.1").listen(Factory.forProtocol(LateGreeting))
    made = World(QUICK)
    made.tables["main"] = Relay(host="127.0.0.1", port=port.getHost().port, connections=4)
    made.start()
    try:
        await until(lambda: made.channel.routes()["main"], 10)
        await gatherResults([made.send(order(number)) for number in range(1, 7)])
        await until(lambda: not any(one.greeting.active() for one in LateGreeting.made), 10)
        assert [one.open for one in LateGreeting.made] == [True] * 4
    finally:
        await made.channel.stopService()
        await port.stopListening()


@pytest.mark.parametrize("connections", [1, 2, 10])
@pytest_twisted.ensureDeferred
async def test_a_connection_that_the_relay_closed_meanwhile_is_no_failure(connections: int) -> None:
    """An idle connection that is gone when it is used again: a fresh one, the same attempt, one mark."""
    async with world(table={"connections": connections}) as w:
        await w.send()
        w.relays["main"].script["MAIL"].append(Act.DROP)
        await w.send(order(2))
        w.relays["main"].script["MAIL"].append(b"421 4.7.0 too many messages on this connection")
        await w.send(order(3))
        assert w.marks.routes == ["main"] * 3
        assert w.relays["main"].count == 3


@pytest_twisted.ensureDeferred
async def test_connections_are_reused_and_bounded() -> None:
    """60 messages at once over 3 connections at most; none waits for ever, none is lost."""
    async with world(table={"connections": 3}) as w:
        most = 0
        relay = w.relays["main"]

        def look(_: Any) -> None:
            nonlocal most
            most = max(most, relay.connections)

        relay.on_step = look
        results = await DeferredList([w.send(order(number)) for number in range(1, 61)], consumeErrors=True)
        handed = [value for good, value in results if good]
        busy = [value.value for good, value in results if not good]
        assert most <= 3
        assert len(handed) == relay.count >= 9
        assert all(type(error) is TemporaryFailure and not error.counts and error.not_before for error in busy)
        assert len(handed) + len(busy) == 60


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_after_a_hundred_messages() -> None:
    """And no message notices."""
    async with world(table={"connections": 1}) as w:
        for number in range(1, 122):
            await w.send(order(number))
        assert w.relays["main"].count == 121
        assert w.relays["main"].connections_made == 2


@pytest_twisted.ensureDeferred
async def test_a_refused_log_in_never_fails_messages() -> None:
    """AUTH 5xx stops the route, the next relay takes the mail, and it is not tried again every few seconds."""
    made = World()
    locked = await made.add("locked", {"username": "gw", "password": Secret("wrong")}, users={"gw": "right"})
    await made.add("open")
    made.start()
    try:
        assert (await made.send(order(1, "locked", "open"))).route == "open"
        error = await failure(made.send(order(2, "locked")))
        assert type(error) is TemporaryFailure
        assert "535" in error.reason
        assert "wrong" not in error.reason
        assert locked.connections_made <= 2
    finally:
        await made.channel.stopService()
        for relay in made.relays.values():
            await relay.stop()


# -- TLS and AUTH ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN LOGIN", "AUTH LOGIN"])
@pytest_twisted.ensureDeferred
async def test_starttls_and_log_in(mechanisms: str, tmp_path: Any) -> None:
    """Over a verified STARTTLS, with PLAIN or, where only that is offered, LOGIN."""
    authority = Authority(tmp_path)
    made = World()
    table = {"tls": "starttls", "ca_file": authority.ca_file, "username": "gw", "password": Secret("right")}
    relay = await made.add("main", table, tls=authority.server("127.0.0.1"), users={"gw": "right"})
    if "PLAIN" not in mechanisms:
        relay.mechanisms = "LOGIN"
    made.start()
    try:
        await made.send()
        assert relay.taken[0].tls
        assert relay.taken[0].user == "gw"
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest.mark.parametrize("name", ["relay.test", "127.0.0.1"])
@pytest_twisted.ensureDeferred
async def test_a_certificate_must_be_trusted_and_for_this_host(name: str, tmp_path: Any) -> None:
    """An untrusted issuer or another name: no mail, and the reason says which."""
    authority = Authority(tmp_path)
    made = World()
    ca_file = authority.ca_file if name != "127.0.0.1" else ""
    relay = await made.add("main", {"tls": "starttls", "ca_file": ca_file}, tls=authority.server(name))
    made.start()
    try:
        error = await failure(made.send())
        assert type(error) is TemporaryFailure
        assert ("not for this host" if ca_file else "TLS failed") in error.reason
        assert not relay.taken
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest_twisted.ensureDeferred
async def test_starttls_that_is_not_offered_stops_the_route() -> None:
    """tls = "starttls" means required."""
    async with world(table={"tls": "starttls"}) as w:
        assert "STARTTLS" in (await failure(w.send())).reason


@pytest_twisted.ensureDeferred
async def test_implicit_tls_with_a_client_certificate(tmp_path: Any) -> None:
    """Port 465 style; the relay asks for our certificate and gets it."""
    authority = Authority(tmp_path)
    relay = SimulatedRelay(R)
    port = await relay.listen(authority.endpoint(R, "127.0.0.1", client_certificates=True))
    certificate, key = authority.client("gw1")
    table = {"tls": "implicit", "ca_file": authority.ca_file, "certificate": certificate, "private_key": key}
    made = World()
    made.tables["main"] = Relay(host="127.0.0.1", port=port, **table)
    made.start()
    try:
        assert (await made.send()).route == "main"
        made.channel.reconfigure(
            {"main": Relay(host="127.0.0.1", port=port, tls="implicit", ca_file=authority.ca_file)},
            {"amazing": label()},
        )
        assert type(await failure(made.send(order(2)))) is TemporaryFailure
        assert relay.count == 1
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest_twisted.ensureDeferred
async def test_a_certificate_file_that_is_gone_is_trouble_not_a_crash(tmp_path: Any) -> None:
    """The route is down with a reason, also where the file is only read after STARTTLS; the channel works on."""
    authority = Authority(tmp_path)
    made = World()
    table = {"tls": "starttls", "ca_file": str(tmp_path / "none.pem")}
    relay = await made.add("main", table, tls=authority.server("127.0.0.1"))
    made.start()
    try:
        assert "file can't be used" in (await failure(made.send())).reason
        await until(lambda: not made.channel.routes()["main"])
    finally:
        await made.channel.stopService()
        await relay.stop()


# -- pacing ----------------------------------------------------------------------------------------------------------


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_relays_rate_is_paced_evenly() -> None:
    """20/s: 11 messages take half a second, and no two come closer than that by much."""
    async with world(table={"rate": "20/s"}) as w:
        await w.send(order(99))
        began = NOW.seconds()
        await gatherResults([w.send(order(number)) for number in range(1, 11)])
        assert 0.45 <= NOW.seconds() - began < 3


@pytest_twisted.ensureDeferred
async def test_a_shared_rate_is_taken_from_all_processes() -> None:
    """With IStore.reserve_soon the places come from there."""
    asked: list[tuple[str, float, float]] = []

    async def reserve(bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        asked.append((bucket, interval, patience))
        return True, NOW.seconds()

    async with world(table={"rate": "20/s"}, reserve=reserve) as w:
        await w.send()
        assert asked == [("relay:main", 0.05, 5.0)]


@pytest_twisted.ensureDeferred
async def test_one_domain_is_paced_without_stopping_others() -> None:
    """Its messages come back later without counting as failed; others go at full speed."""
    async with world(table={"domains": {"slow.test": Domains(rate="1/h")}}) as w:
        await w.send(order(1, to="a@slow.test"))
        error = await failure(w.send(order(2, to="b@SLOW.test")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        assert error.not_before > NOW.seconds() + 1000
        for number in range(3, 13):
            await w.send(order(number))


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_is_never_more_than_there_is_room_for() -> None:
    """A connection counts once, though a second mail may follow behind the one that is not answered yet."""
    async with world(table={"connections": 1}) as w:
        await w.send(order(1))
        w.relays["main"].script["dot"].append(Act.HANG)
        stuck = [w.send(order(number)) for number in (2, 3)]
        await w.relays["main"].until(lambda: not w.relays["main"].script["dot"])
        state = w.channel.states()["main"]
        assert (state.in_flight, state.window) == (1, 1)
        w.relays["main"].drop_all()
        for one in stuck:
            await one.addErrback(lambda failure: failure.trap(Uncertain) and None)


@pytest_twisted.ensureDeferred
async def test_one_domain_has_its_own_connection_limit() -> None:
    """While one message to it is under way the next waits a little; mail to others passes by."""
    async with world(table={"domains": {"slow.test": Domains(connections=1)}}) as w:
        w.relays["main"].script["dot"].append(Act.HANG)
        stuck = w.send(order(1, to="a@slow.test"))
        await w.relays["main"].until(lambda: not w.relays["main"].script["dot"])
        waiting = w.send(order(2, to="b@slow.test"))
        await w.send(order(3))
        assert not waiting.called
        w.relays["main"].drop_all()
        assert type(await failure(stuck)) is Uncertain
        assert (await waiting).route == "main"


@pytest_twisted.ensureDeferred
async def test_a_domain_that_says_421_is_left_alone_for_a_while() -> None:
    """Mail to it comes back later, not counted; mail to others is untouched."""
    async with world() as w:
        w.relays["main"].script["RCPT"].append(b"421 4.7.28 rate limited")
        assert (await failure(w.send(order(1, to="a@big.test")))).counts
        error = await failure(w.send(order(2, to="b@big.test")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        assert NOW.seconds() < error.not_before <= NOW.seconds() + 5
        await w.send(order(3))
        assert w.channel.states()["main"].throttled == 1


@pytest_twisted.ensureDeferred
async def test_previews_go_at_their_own_low_rate() -> None:
    """A burst of a few, then slowly; ordinary mail is not held up."""
    async with world() as w:
        for number in range(1, 6):
            await w.send(order(number, activity_type="preview"))
        error = await failure(w.send(order(6, activity_type="preview")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        await w.send(order(7))


# -- changes and stopping ----------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_new_configuration_keeps_connections_that_stay() -> None:
    """Rates and limits change in place; a relay that is gone takes leave; a new one is used."""
    async with world("main", "old") as w:
        await until(lambda: all(w.channel.routes().values()))
        new = await w.add("new")
        before = w.relays["main"].connections_made
        tables = {"main": w.tables["main"].model_copy(update={"rate": 50.0}), "new": w.tables["new"]}
        quits: list[str] = []
        w.relays["old"].on_step = lambda step: quits.append(step.step)
        w.channel.reconfigure(tables, {"amazing": label(track_opens=False)})
        await w.relays["old"].until(lambda: w.relays["old"].connections == 0)
        assert quits == ["QUIT"]
        assert set(w.channel.routes()) == {"main", "new"}
        await w.send(order(1, "main"))
        await w.send(order(2, "new"))
        assert w.relays["main"].connections_made == before
        assert w.channel.states()["main"].rate == 50.0
        assert type(await failure(w.send(order(3, "old")))) is TemporaryFailure
        assert new.count == 1


@pytest.mark.parametrize("busy", [True, False])
@pytest_twisted.ensureDeferred
async def test_fewer_connections_by_a_new_configuration_are_fewer_at_once(busy: bool) -> None:
    """What has no mail under way ends, and the others after their mail, though more mail waits."""
    async with world(table={"connections": 3}) as w:
        relay = w.relays["main"]
        await until(lambda: w.channel.routes()["main"], 5)
        sent = [w.send(order(number)) for number in range(1, 10)]
        await relay.until(lambda: relay.connections == 3)
        if not busy:
            await gatherResults(sent)
        w.channel.reconfigure({"main": w.tables["main"].model_copy(update={"connections": 1})}, {"amazing": label()})
        await relay.until(lambda: relay.connections == 1)
        await gatherResults(sent)
        await w.send(order(10))
        assert relay.count == 10
        assert relay.connections_made == 3


@pytest_twisted.ensureDeferred
async def test_stopping_waits_for_the_answer_to_the_dot() -> None:
    """What is on the wire gets its answer; then QUIT."""
    w = World()
    relay = await w.add()
    w.start()
    steps: list[str] = []
    relay.on_step = lambda step: steps.append(step.step)
    sending = Deferred.fromCoroutine(w.channel.send(order(), w.marks))
    await relay.until(lambda: "MAIL" in steps)
    stopped = w.channel.stopService()
    assert (await sending).route == "main"
    await stopped
    assert steps[-1] == "QUIT"
    assert type(await failure(w.send(order(2)))) is TemporaryFailure
    await relay.stop()


@pytest_twisted.ensureDeferred
async def test_stopping_does_not_wait_for_ever() -> None:
    """A relay that never answers the dot: uncertain once the limit is over."""
    w = World(drain=0.3)
    relay = await w.add()
    w.start()
    relay.script["dot"].append(Act.HANG)
    sending = w.send()
    await relay.until(lambda: not relay.script["dot"])
    stopped = w.channel.stopService()
    assert type(await failure(sending)) is Uncertain
    await stopped
    await relay.stop()


@pytest_twisted.ensureDeferred
async def test_silence_after_the_dot_is_uncertain() -> None:
    """When the relay's time for its answer is up."""
    async with world(timeouts=Timeouts(dot=0.2)) as w:
        w.relays["main"].script["dot"].append(Act.HANG)
        error = await failure(w.send())
        assert (type(error), error.route) == (Uncertain, "main")


@pytest_twisted.ensureDeferred
async def test_no_route_of_the_order_is_configured() -> None:
    """A label's relay that a reload took away: temporary, so that the next reload can bring it back."""
    async with world() as w:
        assert type(await failure(w.send(order(1, "gone")))) is TemporaryFailure


@pytest_twisted.ensureDeferred
async def test_with_a_dkim_key_the_mail_is_signed() -> None:
    """By the label's key, in a thread for RSA; test_smtp_dkim.py verifies signatures."""
    dkim = {"domain": "amazing.co", "selector": "gw1", "private_key": Secret(pem(RSA))}
    async with world(labels={"amazing": label(dkim=dkim)}) as w:
        await w.send()
        assert is_valid(w.relays["main"].taken[0].content, RSA)


# -- the simulator's reports -------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_the_simulator_reports_success_by_lmtp() -> None:
    """To the signed return path, with the envelope id, as soon as its delay is over."""
    lmtp = SimulatedRelay(R)
    port = await lmtp.listen(TCP4ServerEndpoint(R, 0, interface="127.0.0.1"))
    w = World()
    relay = await w.add("main", dsn_to=TCP4ClientEndpoint(R, "127.0.0.1", port), dsn_delay=0.01)
    w.start()
    try:
        await w.send()
        await relay.until(lambda: relay.reported == 1)
        [report] = lmtp.taken
        assert report.sender == ""
        assert report.recipients == (relay.taken[0].sender,)
        assert b"Action: delivered\r\n" in report.content
        assert f"Original-Envelope-Id: {message().id}".encode() in report.content
        assert report.headers.get_content_type() == "multipart/report"
    finally:
        await w.channel.stopService()
        await relay.stop()
        await lmtp.stop()


@pytest_twisted.ensureDeferred
async def test_why_nothing_goes_out_is_known_without_a_try() -> None:
    """Of relays that are down, each with its reason; nothing where one may take mail, or was not tried yet."""
    async with world("main", "backup") as w:
        assert w.channel.why_not(("main", "backup")) == ""
        await w.send(order(1, "main"))
        await w.relays["main"].stop()
        await until(lambda: not w.channel.routes()["main"], 10)
        assert w.channel.why_not(("main",)).startswith("main is down: ")
        assert w.channel.why_not(("main", "backup")) == ""
        assert w.channel.why_not(("unknown",)) == "none of its relays is configured"


@pytest_twisted.ensureDeferred
async def test_a_connection_ends_before_the_relay_loses_patience() -> None:
    """Exim drops a connection at its eleventh command that brings no mail: NOOP and RSET together stay below that."""
    connections: list[int] = []

    def decide(step: str, _: str) -> bytes | None:
        if step == "EHLO":
            connections.append(0)
        elif step in ("NOOP", "RSET"):
            connections[-1] += 1
        return b"550 5.1.1 no" if step == "RCPT" else None

    async with world(table={"connections": 1}) as there:
        there.relays["main"].decide = decide
        for number in range(2 * CHORES + 4):
            await failure(there.send(order(number)))
    assert len(connections) > 1
    assert max(connections) == CHORES < 10
