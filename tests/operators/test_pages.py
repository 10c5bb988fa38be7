"""The dashboard's pages and buttons."""

import re
from sys import getrefcount
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from admin_world import EMAIL, NOW, SMS, Reply, World
from fakes import FakeStore
from gatewayd.core.model import Channel, Decision
from gatewayd.operators.figures import Sample
from gatewayd.operators.message_orders import PAGE


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def form(world: World, **fields: str) -> Reply:
    """The reply to the dashboard's own form."""
    return world.ask("/do", urlencode(fields).encode(), Content_Type="application/x-www-form-urlencoded")


def token_of(page: Reply) -> str:
    """The token hidden in a form."""
    match = re.search(rb'name="token" value="([^"]+)"', page.body)
    assert match is not None
    return match[1].decode()


def test_pausing_on_the_dashboard_asks_first(world: World) -> None:
    """The link changes nothing; the button of the page it leads to does, and goes back to the overview."""
    asked = world.ask("/confirm?verb=pause&label=amazing&channel=sms")
    assert b"Pause sms of amazing?" in asked.body
    assert not world.run(world.store.paused())
    done = form(world, verb="pause", label="amazing", channel="sms", token=token_of(asked))
    assert (done.status, done.headers["location"]) == (303, "/")
    assert world.run(world.store.paused()) == {("amazing", SMS)}
    assert b"paused" in world.ask("/").body
    form(world, verb="resume", label="amazing", channel="sms", token=token_of(asked))
    assert not world.run(world.store.paused())


def test_a_form_without_our_token_does_nothing(world: World) -> None:
    """Even from a browser that tells no origin."""
    for fields in ({}, {"token": "wrong"}, {"token": "ünï"}):
        reply = form(world, verb="pause", label="amazing", channel="sms", **fields)
        assert reply.status == 403
        assert b"not one of ours" in reply.body
    assert not world.run(world.store.paused())


def test_dead_letters_on_the_dashboard(world: World) -> None:
    """Listed, told again one by one or all at once, and dropped."""
    first, second, third = (world.dead(f"uid-{number}") for number in (1, 2, 3))
    assert first.id.encode() in world.ask("/dead-letters").body
    token = token_of(world.ask("/confirm?verb=retry-all"))
    assert form(world, verb="drop", id=first.id, token=token).status == 303
    assert form(world, verb="drop", id=first.id, token=token).status == 404
    assert form(world, verb="retry", id=second.id, token=token).status == 303
    assert form(world, verb="retry-all", token=token).status == 303
    assert world.run(world.store.dead_letters(10)) == []
    assert {job.message_id for job in world.run(world.store.lease_reports(10))} == {second.id, third.id}


def test_all_is_all_and_each_is_in_the_audit_log(world: World) -> None:
    """There may be more than a page shows; whoever reads the audit log finds what was told again, and when."""
    dead = {world.dead(f"uid-{number}").id for number in range(PAGE + 1)}
    token = token_of(world.ask("/confirm?verb=retry-all"))
    assert form(world, verb="retry-all", token=token).status == 303
    assert world.run(world.store.dead_letters(10)) == []
    assert {one.message_id for one in world.decisions if one.what == "dead letters retried"} == dead


class Hopeless(FakeStore):
    """A store of statuses that Smartico refuses for good as soon as it is told them again."""

    async def retry_dead(self, message_id: str) -> bool:
        """As the fake's; but it is dead again."""
        letters = {key: letter for key, letter in self.db.dead.items() if key[0] == message_id}
        done = await super().retry_dead(message_id)
        later = self._now() + 1
        self.db.dead |= {key: replace(letter, given_up_at=later) for key, letter in letters.items()}
        return done


def test_all_are_told_again_though_each_is_refused_again_at_once() -> None:
    """The newest come back as the newest: those behind them have their turn all the same."""
    world = World(Hopeless)
    dead = {world.dead(f"uid-{number}").id for number in range(PAGE + 1)}
    token = token_of(world.ask("/confirm?verb=retry-all"))
    assert form(world, verb="retry-all", token=token).status == 303
    retried = [one.message_id for one in world.decisions if one.what == "dead letters retried"]
    assert sorted(retried) == sorted(dead)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/confirm?verb=explode", 404),
        ("/confirm?verb=pause&label=nobody&channel=sms", 404),
        ("/confirm?verb=pause&label=amazing&channel=fax", 400),
        ("/?span=1y", 400),
        ("/trace?id=nobody", 404),
    ],
)
def test_a_wrong_link_gets_a_page_that_says_so(world: World, path: str, status: int) -> None:
    """People read HTML, programs JSON."""
    reply = world.ask(path)
    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")
    assert b"That did not work" in reply.body


@pytest.mark.parametrize("path", ["/", "/trace?id=uid-1", "/dead-letters", "/confirm?verb=retry-all"])
def test_pages_bear_no_inline_script_or_style(world: World, path: str) -> None:
    """The policy forbids them, and none is there that it would break."""
    world.accept()
    reply = world.ask(path)
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(rb"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://(?!www\.w3\.org)", reply.body)


def test_what_a_page_shows_is_escaped(world: World) -> None:
    """A uid is the caller's free text."""
    world.accept("<script>alert(1)</script>", user='"><img src=x>')
    body = world.ask("/trace?id=%3Cscript%3Ealert(1)%3C/script%3E").body
    assert b"<script>alert" not in body
    assert b"<img src=x" not in body
    assert b"&lt;script&gt;" in body


def test_the_overview_without_redis(world: World) -> None:
    """It is drawn, and says what is the matter."""
    world.store.down = True
    reply = world.ask("/")
    assert reply.status == 200
    assert b"Not ready" in reply.body
    assert b"the fake is down" in reply.body


@pytest.mark.parametrize("name", ["dashboard.css", "dashboard.js", "icon.svg"])
def test_assets_are_served_with_their_kind(world: World, name: str) -> None:
    """nosniff is on, so the kind must be right."""
    reply = world.ask(f"/static/{name}")
    assert reply.status == 200
    assert reply.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    assert reply.body
    assert world.ask("/static/../admin.py").status == 404
    assert world.ask("/static/nope").status == 404
    assert world.ask("/static/%64ashboard.css").status == 200


def test_two_hours_of_samples_keep_no_dead_letter(world: World) -> None:
    """Each sample had its own five hundred: 155 MB."""
    world.dead("uid-1")
    (letter,) = world.run(world.store.dead_letters(1))
    before = getrefcount(letter)
    world.admin.watch.startService()
    world.clock.pump([10.0] * 6)
    assert getrefcount(letter) == before
    assert world.ask("/verbs/status").json["dead_letters"] == {"count": 1, "more": False}
    world.admin.watch.stopService()


def test_a_page_reads_few_of_the_samples(world: World) -> None:
    """With fifty labels each look held the reactor up for 1.8 s: a line has 60 parts, and so 61 ends."""
    read: set[float] = set()

    class Counts(dict[tuple[str, Channel, str], int]):
        def __init__(self, at: float) -> None:
            self.at = at

        def get(self, key: Any, default: Any = None) -> Any:
            read.add(self.at)
            return default

    moments = [NOW - 10.0 * number for number in range(720, 0, -1)]
    world.admin.watch.samples.extend(Sample(at, Counts(at), {}, {}) for at in moments)
    assert world.ask("/?span=2h").status == 200
    assert 55 <= len(read) <= 61


def test_samples_are_taken_and_kept_for_two_hours(world: World) -> None:
    """One each ten seconds, none while Redis is silent, the oldest forgotten; the reactor's delay is measured too."""
    watch = world.admin.watch
    watch.startService()
    world.accept()
    world.clock.pump([10.0] * 6)
    assert [sample.at - NOW for sample in watch.samples] == [0, 10, 20, 30, 40, 50, 60]
    world.store.down = True
    world.clock.pump([10.0] * 3)
    world.store.down = False
    world.clock.pump([10.0])
    assert [sample.at - NOW for sample in watch.samples][-2:] == [60, 100]
    world.clock.pump([10.0] * 800)
    assert len(watch.samples) == 721
    assert watch.watched() == 7200
    stopped: list[Any] = []
    watch.stopService().addCallback(stopped.append)
    assert len(stopped) == 1
    assert not world.clock.getDelayedCalls()
    assert world.metrics.registry.get_sample_value("gatewayd_reactor_delay_seconds_count")


def test_the_lists_name_what_went_wrong_and_what_waits(world: World) -> None:
    """Ids, label and reason, each a link to its trace; a refused request has no trace, and the page says why."""
    waiting = world.accept("uid-waits")
    world.run(world.store.settle_again(waiting, world.clock.seconds() + 60, "451 main says no", lease=""))
    world.recent.record(Decision("failed", "amazing", SMS, "id-1", "uid-f", "player-1", "the deadline passed"))
    world.recent.record(Decision("refused", "amazing", EMAIL, "", "uid-r", "player-2", "6 sender not allowed"))
    page = world.ask("/").body.decode()
    for words in ("uid-waits", "451 main says no", "uid-f", "the deadline passed", "uid-r", "error_code 6 sender"):
        assert words in page
    assert "player-" not in page
    assert f"/trace?id={waiting.id}" in page
    notice = world.ask("/trace?id=uid-r").body.decode()
    assert "A refused request never is" in notice
    assert "7 d" in notice


def test_a_trace_folds_its_tries_and_offers_the_next_one(world: World) -> None:
    """How often since when, the next try and the deadline; "Try now" makes it due, and the audit log says so."""
    message, lease = world.accept(), ""
    for number in range(33):
        due = world.clock.seconds() + (number == 32) * 3600
        world.run(world.store.settle_again(message, due, f"451 no, {number}", lease=lease))
        lease = "".join(leased.lease for leased in world.run(world.store.lease_messages(SMS, 1)))
    page = world.ask(f"/trace?id={message.id}").body.decode()
    assert "33 times since" in page
    assert "next try in 60 min" in page
    assert "until its deadline at" in page
    assert "Try now" in page
    form = world.ask(f"/confirm?verb=try-now&id={message.id}").body.decode()
    token = re.findall(r'name="token" value="([^"]+)"', form)[0]
    body = urlencode({"token": token, "verb": "try-now", "id": message.id}).encode()
    reply = world.ask("/do", body, Content_Type="application/x-www-form-urlencoded")
    assert (reply.status, reply.headers["location"]) == (303, f"/trace?id={message.id}")
    (leased,) = world.run(world.store.lease_messages(SMS, 1))
    assert leased.message.id == message.id
    reply = world.ask("/do", body, Content_Type="application/x-www-form-urlencoded")
    assert reply.status == 409
    assert world.decisions == [Decision("tried now", "amazing", SMS, message.id, "uid-1", "player-1", "by an operator")]


def test_a_bidirectional_control_in_an_id_turns_nothing_round(world: World) -> None:
    """The page shows it as an escape; JSON for programs has it as it is."""
    message = world.accept("uid-\u202egpj")
    page = world.ask(f"/trace?id={message.id}").body.decode()
    assert "\u202e" not in page
    assert "uid-\\u202egpj" in page
    assert world.ask(f"/messages/{message.id}").json["uid"] == "uid-\u202egpj"
