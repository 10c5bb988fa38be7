"""What operators see and ask for: the stop list, erasure and export, the story of a message."""

from typing import Any

import pytest
import pytest_twisted

from gatewayd.core.errors import LeaseLost
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Evidence, Handed, Kept, Message, Receipt, Sms, Stopped
from gatewayd.core.status import Event, Report, State
from gatewayd.store.link import RedisLink
from store_world import PLAYERS, World, alone, sms, timeless, world

__all__ = ["alone", "world"]


async def erase(store: Any) -> None:
    """All that is stored of player-1."""
    cursor = ""
    while cursor != "0":
        cursor, _ = await store.erase_some(cursor or "0", "amazing", "player-1", hashes=[PLAYERS["player-1"]])


async def uncertain(world: World) -> tuple[Message, float]:
    """A message whose submit was never answered, lying in the queue, and the time of the submit."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    written = world.clock.seconds()
    world.clock.advance(60)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True, route="world")
    return message, written


async def exported(world: World, player: str = "player-1") -> list[Kept]:
    """All that an export of a player gives."""
    cursor, found = "0", []
    while True:
        cursor, _seen, some = await world.one.export_some(cursor, "amazing", player, hashes=[PLAYERS[player]])
        found += some
        if cursor == "0":
            return sorted(found, key=lambda kept: kept.accepted_at)


@pytest_twisted.ensureDeferred
async def test_suppression(world: World) -> None:
    """A name on the stop list of a label and channel stops acceptance and the wire, until taken off or expired."""
    early = await world.leased()
    await world.one.stop("amazing", Channel.SMS, "name", 60)
    assert (await world.one.accept(sms(world.clock), "a", stop_hashes=["other", "name"]))[0] is Acceptance.SUPPRESSED
    assert (await world.one.accept(sms(world.clock, label="else"), "a", stop_hashes=["name"]))[0] is Acceptance.STORED
    assert not await world.one.mark(early, "world", "", stop_hashes=["name"])
    assert await world.one.stopped("amazing", Channel.SMS, ["name"])
    assert await world.one.unsuppress("amazing", Channel.SMS, ["name"])
    assert not await world.one.unsuppress("amazing", Channel.SMS, ["name"])
    assert await world.one.mark(early, "world", "", stop_hashes=["name"])


@pytest_twisted.ensureDeferred
async def test_who_takes_a_player_off_the_list_takes_their_addresses_off(world: World) -> None:
    """Addresses that bounced go with the player whose they were, and only of that label and channel."""
    for label, name in (("amazing", "one"), ("amazing", "two"), ("else", "one")):
        await world.one.stop(label, Channel.EMAIL, name, 60, owner="player")
    assert await world.one.unsuppress("amazing", Channel.EMAIL, ["earlier key", "player"])
    assert not await world.one.stopped("amazing", Channel.EMAIL, ["one", "two"])
    assert await world.one.stopped("else", Channel.EMAIL, ["one"])
    assert not await world.one.unsuppress("amazing", Channel.EMAIL, ["player"])


@pytest_twisted.ensureDeferred
async def test_erase(world: World) -> None:
    """An erasure ends what waits, removes who it was for, and leaves the uid taken."""
    waiting, done, other = await world.leased(), await world.sent("e1"), await world.leased(ext_user_id="player-2")
    await world.told()
    cursor, removed, kept_waiting = "0", 0, 0
    while True:
        cursor, step = await world.one.erase_some(cursor, "amazing", "player-1", hashes=[PLAYERS["player-1"]])
        removed += step.removed
        kept_waiting += step.waiting
        if cursor == "0":
            break
    assert (removed, kept_waiting) == (2, 1)
    for message in (waiting, done):
        trace = await world.one.trace([message.id])
        assert (trace.ext_user_id, trace.uid, trace.timeline) == ("", "", ())
    assert await world.state(waiting) is State.FAILED
    assert await world.told() == [Report.FAILED]
    for message, status in ((waiting, Report.FAILED), (done, Report.ACCEPTED)):
        [report] = (await world.one.trace([message.id])).reports
        assert report.status is status
        assert world.clock.seconds() - 60 < report.at <= report.answered_at <= world.clock.seconds() + 60
    with pytest.raises(LeaseLost):
        await world.one.mark(waiting, "world", "")
    assert (await world.one.accept(waiting, "print"))[0] is Acceptance.SAME
    assert (await world.one.trace([other.id])).ext_user_id == "player-2"


@pytest_twisted.ensureDeferred
async def test_export(world: World) -> None:
    """All that is kept of one player's messages: what waits with its content, what went out without; nobody else's."""
    done = await world.sent("x1", activity_type="bonus")
    await world.told()
    world.clock.advance(10)
    waiting = await world.leased()
    await world.leased(ext_user_id="player-2")
    out, inside = await exported(world)
    assert out.trace == await world.one.trace([done.id])
    assert inside.trace == await world.one.trace([waiting.id])
    assert out.waiting is None
    assert inside.waiting is not None
    assert timeless(inside.waiting) == timeless(waiting)
    assert (out.activity_type, out.address_hash, out.route) == ("bonus", "hash", "world")
    assert out.sent_at == pytest.approx(out.accepted_at, abs=2)
    assert inside.sent_at == 0
    assert inside.accepted_at == pytest.approx(waiting.accepted_at, abs=2)
    assert inside.deadline == pytest.approx(waiting.deadline, abs=0.005)
    assert out.callback_url == inside.callback_url == done.callback_url


@pytest_twisted.ensureDeferred
async def test_a_record_does_not_say_what_its_message_says(alone: tuple[World, RedisLink, str]) -> None:
    """It is made for tickets; a text may be a link that lets somebody in. Short or long, it is not shown."""
    world, _, _ = alone
    for text in ("CANARY-1", "x" * 50 + " CANARY-2 " + "y" * 50, "z" * 3000 + "CANARY-3"):
        message = await world.leased(content=Sms("Amazing", text))
        found = await world.one.fields(message.id)
        assert found["state"] == "queued"
        assert found["content"]
        assert "CANARY" not in "".join(found.values())


@pytest_twisted.ensureDeferred
async def test_nothing_is_exported_after_an_erasure(world: World) -> None:
    """Not even what late evidence adds to the message's remains."""
    await world.sent("x2")
    await world.told()
    await erase(world.one)
    await world.one.record_receipt(Receipt("world", ("x2",), Event.DELIVERED), park=True)
    assert await exported(world) == []


@pytest_twisted.ensureDeferred
async def test_late_news_of_an_erased_message_has_an_end(alone: tuple[World, RedisLink, str]) -> None:
    """A receipt that changes nothing begins the timeline anew; what it leaves goes with the message."""
    world, link, prefix = alone
    message = await world.sent("late")
    receipt = Receipt("world", ("late",), Event.DELIVERED)
    await world.one.record_receipt(receipt, park=True)
    await world.told()
    await erase(world.one)
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    assert await link.command("KEYS", f"{prefix}*{message.id}*") == [f"{prefix}m:{message.id}".encode()]
    assert 0 < await link.command("TTL", f"{prefix}m:{message.id}") <= 7 * 86400


@pytest_twisted.ensureDeferred
async def test_an_erased_uncertain_message_is_under_no_number(alone: tuple[World, RedisLink, str]) -> None:
    """The keyed hash of the number leads to it neither as the latest one nor as one whose answer was lost."""
    world, link, prefix = alone
    message, _ = await uncertain(world)
    assert await link.command("KEYS", f"{prefix}u:*") == [f"{prefix}u:hash".encode()]
    assert await world.one.latest_to(["hash"]) == message.id
    await erase(world.one)
    assert await link.command("KEYS", f"{prefix}u:*") == []
    assert await world.one.latest_to(["hash"]) is None
    [latest] = await link.command("KEYS", f"{prefix}la:*")
    assert await link.command("GET", latest) == bytes(24)


@pytest_twisted.ensureDeferred
async def test_how_a_player_stands_on_the_stop_list(world: World) -> None:
    """Until when, and how many addresses of theirs, on that label and channel only."""
    until = world.clock.seconds() + 60
    await world.one.stop("amazing", Channel.SMS, "player", 60)
    await world.one.stop("amazing", Channel.EMAIL, "address", 90, owner="player")
    by_name = await world.one.stopped("amazing", Channel.SMS, ["older", "player"])
    assert by_name.until == pytest.approx(until, abs=2)
    assert by_name.addresses == 0
    assert await world.one.stopped("amazing", Channel.EMAIL, ["player"]) == Stopped(0.0, 1)
    assert await world.one.stopped("other", Channel.SMS, ["player"]) is None
    assert await world.one.stopped("amazing", Channel.EMAIL, ["nobody"]) is None


@pytest_twisted.ensureDeferred
async def test_a_trace_tells_the_story(world: World) -> None:
    """The timeline has each step in order, and each report with the time it was queued and heard."""
    message = await world.sent("tr1")
    await world.told()
    trace = await world.one.trace(["00000000-0000-4000-8000-ffffffffffff", message.id])
    assert [event.event for event in trace.timeline] == ["taken", "submitting", "sent", "told"]
    assert (trace.uid, trace.channel, trace.state) == (message.uid, Channel.SMS, State.SENT)
    [report] = trace.reports
    assert report.status is Report.ACCEPTED
    assert 0 < report.at <= report.answered_at


@pytest_twisted.ensureDeferred
async def test_what_is_known_of_a_message(world: World) -> None:
    """Whose it is, its state, what was told of it, and when it was sent: when written, while nobody has answered."""
    message = await world.leased()
    known = await world.one.about(message.id)
    assert (known.uid, known.label, known.ext_user_id) == (message.uid, "amazing", "player-1")
    assert (known.state, known.queued_reports, known.sent_at) == (State.QUEUED, "", 0)
    assert not known.is_on_the_wire
    await world.one.mark(message, "world", "hash")
    known = await world.one.about(message.id)
    assert (known.state, known.address_hash) == (State.UNCERTAIN, "hash")
    assert known.is_on_the_wire
    assert known.sent_at == pytest.approx(world.clock.seconds(), abs=2)
    world.clock.advance(60)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("x3",)))
    known = await world.one.about(message.id)
    assert (known.state, known.queued_reports) == (State.SENT, "a")
    assert not known.is_on_the_wire
    assert known.sent_at == pytest.approx(world.clock.seconds(), abs=2)
    await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert (await world.one.about(message.id)).queued_reports == "ad"


@pytest_twisted.ensureDeferred
async def test_what_waits_longest_is_listed_and_may_be_tried_now(world: World) -> None:
    """The oldest first, with the reason; made due by an operator, and not brought back once somebody leased it."""
    old = await world.leased(uid="old")
    world.clock.advance(5)
    young = await world.leased(uid="young")
    later = world.clock.seconds() + 300
    for message in (young, old):
        await world.one.settle_again(message, later, "451")
    assert [trace.uid for trace in await world.one.longest_waiting(10)] == ["old", "young"]
    assert len(await world.one.longest_waiting(1)) == 1
    found = await world.one.waiting(old.id, Channel.SMS)
    assert found is not None
    assert abs(found.due - later) < 0.01
    assert abs(found.deadline - old.deadline) < 0.01
    assert await world.one.try_now(old.id, Channel.SMS)
    (leased,) = await world.one.lease_messages(Channel.SMS, 10)
    assert leased.message.id == old.id
    assert not await world.one.try_now(old.id, Channel.SMS)
    assert await world.one.waiting(old.id, Channel.SMS) is None
    assert await world.one.lease_messages(Channel.SMS, 10) == []
