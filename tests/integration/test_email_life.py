"""An email's life through the daemon: a real Postfix both ways, opens, unsubscribing, relays that are slow."""

import json
import os
import re
from pathlib import Path

import pytest
import pytest_twisted
from daemon import free_port
from email_life import PERSON, Life, dsn, is_signed, life, links, parsed, pem, subject_of
from evenness import fullest_second, tries
from fair_clock import Stretch
from postfix import Postfix
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gatewayd.sandbox.players import Player
from gatewayd.sandbox.relay import Taken
from redis_server import later, until
from returned_mail import arf, mail

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"


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
    """Link, mail and complaint say whose they are by themselves, long after the message's record is gone."""

    def prepare(world: Life) -> None:
        world.label.update(track_opens=True, one_click_unsubscribe=True)
        world.settings["gatewayd"]["retention"] = "1s"
        world.add_player(Player("third", "third@players.example"))

    async with life(prepare) as world:
        for player, way in (("hhu234556", "link"), ("1001", "mail"), ("third", "complaint")):
            message_id, taken = await world.sent(player)
            _, page, address = links(taken)
            await world.lmtp(taken.sender, dsn(taken, "delivered", "2.0.0"))
            await world.heard(message_id, "accepted", "delivered")

            async def forgotten(wanted: str = message_id) -> bool:
                return await world.daemon.messages(wanted) is None

            await until(forgotten, 60)
            assert (await world.email(player)).error_code == 0
            if way == "link":
                await one_click(world, page)
            elif way == "mail":
                await world.lmtp(address, subject_of(taken), "a@players.example")
            else:
                original = b"message/rfc822\r\n\r\n" + taken.content
                await world.lmtp(taken.sender, arf().partition(b"message/rfc822")[0] + original, "fbl@isp.test")
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
