"""Messages by a channel of relays: what each answer makes of them."""

import email
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint

from dkim_keys import RSA, is_valid, pem
from gatewayd.config import Secret
from gatewayd.core.errors import LeaseLost, PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Handed
from gatewayd.core.tokens import Purpose
from gatewayd.sandbox.relay import Act, SimulatedRelay
from gatewayd.smtp.timeouts import Timeouts
from redis_server import until
from smtp_orders import NOW, R, World, failure, order, world
from smtp_world import KEYS, label, message

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
async def test_a_relay_that_refuses_every_mail_says_so() -> None:
    """From the third message on, for reasons of its own; the next that it takes, or judges, ends that."""
    async with world() as w:
        for answer in (None, b"550 5.1.1 unknown", b"450 4.2.1 busy"):
            w.relays["main"].decide = lambda step, argument: b"452 4.3.1 disk full" if step == "MAIL" else None
            for number in (1, 1, 1, 2):
                await failure(w.send(order(number)))
            assert w.channel.states()["main"].refuses == ""
            await failure(w.send(order(3)))
            state = w.channel.states()["main"]
            assert state.refuses == state.reason == "it refuses every mail, the latest with 452 4.3.1 disk full (MAIL)"
            assert state.up
            w.relays["main"].decide = lambda step, argument, said=answer: said if step == "RCPT" else None
            await DeferredList([w.send(order(4))], consumeErrors=True)
            assert w.channel.states()["main"].refuses == ""


@pytest_twisted.ensureDeferred
async def test_a_relay_that_rejects_one_mail_after_the_other_says_so() -> None:
    """From the tenth in a row on, in its own words without the address; the next that it takes ends that."""
    async with world() as w:
        said = b"554 5.7.1 <jane@player.test>: content is refused"
        w.relays["main"].decide = lambda step, argument: said if step == "RCPT" else None
        for number in (1, 1, 2, 3, 4, 5, 6, 7, 8, 9):
            await failure(w.send(order(number)))
            assert w.channel.states()["main"].refuses == ""
        await failure(w.send(order(10)))
        words = "it rejects one mail after the other, the latest with 554 5.7.1 <[redacted]>: content is refused (RCPT)"
        assert w.channel.states()["main"].refuses == words
        w.relays["main"].decide = lambda step, argument: None
        await w.send(order(11))
        assert w.channel.states()["main"].refuses == ""


@pytest_twisted.ensureDeferred
async def test_mails_are_counted_by_the_provider_that_took_them() -> None:
    """An ESP that no relay names as its provider may be behind those that name none."""
    async with world("main", "ses") as w:
        w.tables["ses"] = w.tables["ses"].model_copy(update={"provider": "ses"})
        w.channel.reconfigure(w.tables, {"amazing": label()})
        await w.send(order(1))
        await w.send(order(2))
        await w.send(order(3, "ses"))
        assert (w.channel.handed_by("ses"), w.channel.handed_by("mailjet")) == (1, 2)


@pytest_twisted.ensureDeferred
async def test_a_label_of_which_a_relay_rejects_every_mail_is_said_though_it_takes_those_of_others() -> None:
    """A sender that an ESP did not verify is one brand's: its mails end as rejected, between others that go out."""
    async with world(labels={"amazing": label(), "other": label()}) as w:
        ours = [order(100 + number) for number in range(10)]
        others = [replace(one, message=replace(one.message, label="other")) for one in ours]
        for number, other in enumerate(others):
            assert w.channel.states()["main"].refuses == ""
            w.relays["main"].decide = lambda step, argument: b"550 5.7.1 not verified" if step == "MAIL" else None
            await failure(w.send(order(number)))
            w.relays["main"].decide = lambda step, argument: None
            await w.send(other)
        state = w.channel.states()["main"]
        words = "it rejects one mail after the other, the latest with 550 5.7.1 not verified (MAIL)"
        assert (state.refuses, state.refuses_of) == (words, ("amazing",))
        await w.send(order(11))
        state = w.channel.states()["main"]
        assert (state.refuses, state.refuses_of) == ("", ())


@pytest_twisted.ensureDeferred
async def test_a_run_of_dead_addresses_is_the_lists_fault_and_not_the_relays() -> None:
    """Mailboxes that nobody has: ten of an old list say nothing of the relay, a hundred in a row do."""
    async with world() as w:
        w.relays["main"].decide = lambda step, argument: b"550 5.1.1 unknown" if step == "RCPT" else None
        for number in range(99):
            await failure(w.send(order(number)))
        assert w.channel.states()["main"].refuses == ""
        await failure(w.send(order(99)))
        words = "it rejects one mail after the other, the latest with 550 5.1.1 unknown (RCPT)"
        assert w.channel.states()["main"].refuses == words


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


@pytest.mark.parametrize(
    ("lacks", "refusal", "content"),
    [
        ("SMTPUTF8", b"555 5.5.4 Unsupported option: SMTPUTF8", {"to": "jörg@player.test"}),
        ("SIZE", b"552 5.3.4 Message size exceeds fixed limit", {"text_body": "word " * 1000}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_first_mail_after_a_start_learns_what_its_relay_lacks_too_late(
    lacks: str, refusal: bytes, content: dict[str, str]
) -> None:
    """What EHLO said only then is no reason to end the message: a relay behind it may take such mail."""
    made = World()
    old = await made.add("old", extensions=("SIZE 2000",))
    new = await made.add("new")
    old.decide = lambda step, line: refusal if step == "MAIL" and lacks in line else None
    made.start()
    try:
        assert (await made.send(order(1, "old", "new", **content))).route == "new"
        assert made.marks.routes == ["old", "new"]
        assert len(new.taken) == 1
    finally:
        await made.channel.stopService()
        await old.stop()
        await new.stop()


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
    """By the label's key, in a thread for RSA; test_dkim.py verifies signatures."""
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
