"""Accepting: stored once, told once, undone where its caller heard otherwise; on the fake store and on real Redis."""

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Handed
from gatewayd.store.link import RedisLink
from store_world import World, alone, sms, timeless, world

__all__ = ["alone", "world"]


@pytest_twisted.ensureDeferred
async def test_the_same_uid_is_taken_once(world: World) -> None:
    """The same id with the same fingerprint is SAME, with another one CONFLICT, and is queued once."""
    message = sms(world.clock)
    assert await world.one.accept(message, "a") == (Acceptance.STORED, message.id)
    assert await world.two.accept(message, "a") == (Acceptance.SAME, message.id)
    assert await world.two.accept(message, "b") == (Acceptance.CONFLICT, message.id)
    assert [timeless(leased.message) for leased in await world.two.lease_messages(Channel.SMS, 10)] == [
        timeless(message)
    ]
    assert await world.one.lease_messages(Channel.SMS, 10) == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_stored_once_its_caller_was_told_so(world: World) -> None:
    """An accept that comes after its `until` stores nothing; a duplicate of what was stored in time gets its id."""
    late, again = sms(world.clock), sms(world.clock)
    # The two clocks' difference is known to half of what an answer takes, which on a busy machine is long.
    over, ahead = world.clock.seconds() - 2, world.clock.seconds() + 3
    with pytest.raises(StoreUnavailable):
        await world.one.accept(late, "a", until=over)
    assert await world.one.about(late.id) is None
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    assert await world.one.accept(late, "b", until=ahead) == (Acceptance.STORED, late.id)
    assert await world.one.accept(again, "a", until=ahead) == (Acceptance.STORED, again.id)
    assert await world.one.accept(again, "a", until=over) == (Acceptance.SAME, again.id)


@pytest_twisted.ensureDeferred
async def test_an_accept_whose_caller_was_refused_is_undone(world: World) -> None:
    """Nothing is left of it, and its uid is as good as new; run again for a lost reply it says what it said."""
    for lease, said in ((True, Acceptance.LEASED), (False, Acceptance.STORED)):
        message = sms(world.clock)
        for _ in range(2):
            assert (await world.one.accept(message, "a", lease=lease, attempt="1")) == (said, message.id)
        await world.one.undo_accept(message.id, Channel.SMS, "9")
        assert await world.one.about(message.id) is not None
        await world.one.undo_accept(message.id, Channel.SMS, "1")
        assert await world.one.about(message.id) is None
        assert await world.one.trace([message.id]) is None
        assert await world.one.lease_messages(Channel.SMS, 10) == []
        assert await world.one.held() == {}
        assert (await world.one.counts())["amazing", Channel.SMS, "in_flight"] == 0
        assert (await world.one.counts())["amazing", Channel.SMS, "accepted"] == 0
    assert (await world.one.accept(message, "b"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_what_another_caller_heard_of_stays(world: World) -> None:
    """Told as taken by a duplicate, or on its way already: it is not undone."""
    heard, asked, sent = sms(world.clock), sms(world.clock), sms(world.clock)
    for message in (heard, asked, sent):
        await world.one.accept(message, "a", lease=True, attempt="1")
    assert (await world.two.accept(heard, "a", attempt="2"))[0] is Acceptance.SAME
    assert await world.two.known([asked.id], "a") == (Acceptance.SAME, asked.id)
    await world.one.mark(sent, "world", "hash")
    for message in (heard, asked, sent):
        await world.one.undo_accept(message.id, Channel.SMS, "1")
        assert await world.one.about(message.id) is not None


@pytest_twisted.ensureDeferred
async def test_a_message_of_which_every_caller_was_refused_is_undone(world: World) -> None:
    """The caller asked again before the store was back, at another instance too, and was refused each time."""
    message = sms(world.clock)
    await world.one.accept(message, "a", lease=True, attempt="1")
    for store, attempt in ((world.one, "2"), (world.two, "1"), (world.two, "1")):
        assert (await store.accept(message, "a", attempt=attempt))[0] is Acceptance.SAME
    assert (await world.two.accept(message, "b", attempt="3"))[0] is Acceptance.CONFLICT
    for store, attempt in ((world.one, "1"), (world.two, "3"), (world.two, "1")):
        await store.undo_accept(message.id, Channel.SMS, attempt)
        assert await world.one.about(message.id) is not None
    await world.one.undo_accept(message.id, Channel.SMS, "2")
    assert await world.one.about(message.id) is None
    assert (await world.two.accept(message, "b"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_two_instances_may_give_their_attempts_the_same_name(world: World) -> None:
    """Daemons that started together count alike: one's call is not the other's, nor taken back by it."""
    message = sms(world.clock)
    await world.one.accept(message, "a", lease=True, attempt="0")
    assert await world.two.accept(message, "b", attempt="0") == (Acceptance.CONFLICT, message.id)
    await world.two.undo_accept(message.id, Channel.SMS, "0")
    assert await world.one.about(message.id) is not None
    assert await world.two.accept(message, "a", attempt="0") == (Acceptance.SAME, message.id)


@pytest.mark.parametrize("apart", [-900.0, 900.0])
@pytest_twisted.ensureDeferred
async def test_the_server_may_have_another_clock(alone: tuple[World, RedisLink, str], apart: float) -> None:
    """A quarter of an hour before or behind, compared at a heartbeat or set since: late is late, in time is in time."""
    world, _, _ = alone
    world.clock.advance(apart)
    for compared in (False, True):
        if compared:
            await world.one.beat(first=True, dead_after=15)
            with pytest.raises(StoreUnavailable):
                await world.one.accept(sms(world.clock), "a", until=world.clock.seconds() - 0.5)
        outcome, _ = await world.one.accept(sms(world.clock), "a", until=world.clock.seconds() + 1)
        assert outcome is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_a_uid_keeps_its_id_over_a_key_rotation(world: World) -> None:
    """A uid that was taken under a previous key's id answers with that id."""
    old, new = sms(world.clock), sms(world.clock)
    await world.one.accept(old, "a")
    assert await world.one.accept(new, "a", earlier_ids=[old.id]) == (Acceptance.SAME, old.id)
    assert await world.one.known([new.id, old.id], "a") == (Acceptance.SAME, old.id)
    assert await world.one.known([new.id], "a") is None


@pytest_twisted.ensureDeferred
async def test_a_fingerprint_of_a_previous_key_still_compares(world: World) -> None:
    """The same content is the same whatever key its fingerprint was made with; other content is not."""
    old = sms(world.clock)
    await world.one.accept(old, "old print")
    earlier = {"earlier_fingerprints": ["older print", "old print"]}
    assert await world.one.accept(old, "new print", **earlier) == (Acceptance.SAME, old.id)
    assert await world.one.known([old.id], "new print", **earlier) == (Acceptance.SAME, old.id)
    assert await world.one.accept(old, "new print") == (Acceptance.CONFLICT, old.id)


@pytest_twisted.ensureDeferred
async def test_the_high_water_mark_counts_what_waits(world: World) -> None:
    """Past `max_queued` waiting messages the next is FULL; once one was sent there is room again."""
    messages = [await world.leased() for _ in range(20)]
    assert (await world.one.accept(sms(world.clock), "a"))[0] is Acceptance.FULL
    await world.one.mark(messages[0], "world", "")
    await world.one.settle_sent(messages[0].id, Channel.SMS, Handed("world"))
    assert (await world.one.accept(sms(world.clock), "a"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_of_many_in_one_call_each_has_its_own_answer(world: World) -> None:
    """One of them is on the stop list, one stands there twice, one again with other content: the rest is stored."""
    await world.one.beat(first=True, dead_after=15)
    await world.one.stop("amazing", Channel.SMS, "name-5", 3600)
    some = [sms(world.clock) for _ in range(8)]
    cases = [(message, "a", f"name-{number}") for number, message in enumerate(some)]
    cases[3:3] = [(some[2], "a", "name-2"), (some[1], "b", "name-1")]
    asked = [world.one.accept(message, print_, stop_hashes=["none", name]) for message, print_, name in cases]
    answers = await gatherResults([ensureDeferred(one) for one in asked])
    other = {3: Acceptance.SAME, 4: Acceptance.CONFLICT, 7: Acceptance.SUPPRESSED}
    assert [answer for answer, _ in answers] == [other.get(number, Acceptance.STORED) for number in range(10)]
    assert await world.one.about(some[5].id) is None
    assert len(await world.one.lease_messages(Channel.SMS, 20)) == 7


@pytest_twisted.ensureDeferred
async def test_of_many_marks_in_one_call_one_may_be_stopped(world: World) -> None:
    """Who was put on the stop list since gets nothing, and all others do."""
    await world.one.beat(first=True, dead_after=15)
    some = [await world.leased() for _ in range(5)]
    await world.one.stop("amazing", Channel.SMS, "name-3", 3600)
    asked = [world.one.mark(one, "world", "", stop_hashes=[f"name-{n}"]) for n, one in enumerate(some)]
    stamps = await gatherResults([ensureDeferred(one) for one in asked])
    assert [stamp > 0 for stamp in stamps] == [True, True, True, False, True]
