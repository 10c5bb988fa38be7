"""Answers are remembered for a while, asked for once, and trouble is told once."""

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories.remembered import TIRED_AFTER, Remembered, TookTooLong
from intake_world import ANNA, NOW, Players


class World:
    """A Remembered on a fake directory and a clock."""

    def __init__(self, cache: float = 30.0, size: int = 100) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.players = Players()
        self.directory = Remembered(self.clock, "players", self.players, timeout=2.0, cache=cache, size=size)

    def find(self, ext_user_id: str = "hhu234556", label: str = "amazing", fresh: bool = False) -> Deferred[Any]:
        """Begin a look-up."""
        return Deferred.fromCoroutine(self.directory.find(label, ext_user_id, fresh=fresh))


@pytest_twisted.ensureDeferred
async def test_answers_are_remembered_for_a_while() -> None:
    """Known and unknown ids, by label, until the cache's time is over."""
    world = World()
    assert verifyObject(IRecipientDirectory, world.directory)
    for _ in range(3):
        assert await world.find() == ANNA
        assert await world.find("nobody") is None
    assert len(world.players.asked) == 2
    await world.find(label="other")
    assert len(world.players.asked) == 3
    world.clock.advance(30)
    await world.find()
    assert len(world.players.asked) == 4
    world.players.players["nobody"] = ANNA
    assert await world.find("nobody") == ANNA


@pytest_twisted.ensureDeferred
async def test_a_fresh_look_up_sees_an_opt_out_made_since() -> None:
    """It passes the memory by, and corrects it."""
    world = World()
    await world.find()
    world.players.players["hhu234556"] = Recipient(opted_out=True)
    assert await world.find() == ANNA
    assert await world.find(fresh=True) == Recipient(opted_out=True)
    assert await world.find() == Recipient(opted_out=True)
    assert world.players.asked[-1] == ("amazing", "hhu234556", True)


@pytest_twisted.ensureDeferred
async def test_without_a_cache_everything_is_asked() -> None:
    """cache = "0s"."""
    world = World(cache=0)
    for _ in range(3):
        await world.find()
    assert len(world.players.asked) == 3


@pytest_twisted.ensureDeferred
async def test_the_memory_is_bounded() -> None:
    """The oldest answers go first."""
    world = World(size=3)
    for n in (1, 2, 3, 4, 4, 3, 2):
        await world.find(str(n))
    assert [asked[1] for asked in world.players.asked] == ["1", "2", "3", "4"]
    assert len(world.directory._kept) == 3


@pytest_twisted.ensureDeferred
async def test_what_is_too_old_to_be_used_does_not_stay() -> None:
    """The memory grows no larger than what is used of it, however many it may hold."""
    world = World()
    for n in range(4):
        await world.find(str(n))
    world.clock.advance(30.1)
    for n in range(4, 6):
        await world.find(str(n))
    assert len(world.directory._kept) == 2


class Slow(Players):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Deferred[Recipient | None]] = []

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """Waits for its gate."""
        self.gates.append(Deferred())
        return await self.gates[-1]


def slow(timeout: float = 2.0) -> tuple[World, Slow]:
    """A world whose directory answers when told to."""
    world, players = World(), Slow()
    world.directory = Remembered(world.clock, "players", players, timeout=timeout, cache=30.0)
    return world, players


@pytest_twisted.ensureDeferred
async def test_one_look_up_serves_all_who_ask_meanwhile() -> None:
    """And one who gives up takes nothing from the others."""
    world, players = slow()
    askers = [world.find() for _ in range(5)]
    askers[0].addErrback(lambda failure: failure.trap(CancelledError) and None)
    askers[0].cancel()
    players.gates[0].callback(ANNA)
    for asker in askers[1:]:
        assert await asker == ANNA
    assert len(players.gates) == 1


@pytest_twisted.ensureDeferred
async def test_those_who_ask_afresh_wait_for_the_look_up_under_way_and_have_one_of_their_own() -> None:
    """What began before they asked may have missed an opt-out; and no player has two look-ups at a time."""
    world, players = slow()
    old = world.find()
    fresh = [world.find(fresh=True) for _ in range(3)]
    fresh[0].addErrback(lambda failure: failure.trap(CancelledError) and None)
    fresh[0].cancel()
    assert len(players.gates) == 1
    players.gates[0].callback(ANNA)
    assert await old == ANNA
    assert not fresh[1].called
    assert len(players.gates) == 2
    other = world.find("other", fresh=True)
    assert len(players.gates) == 3
    players.gates[1].callback(Recipient(opted_out=True))
    for asker in fresh[1:]:
        assert await asker == Recipient(opted_out=True)
    assert await world.find() == Recipient(opted_out=True)
    players.gates[2].callback(None)
    assert await other is None
    assert len(players.gates) == 3


@pytest_twisted.ensureDeferred
async def test_who_asks_afresh_and_has_given_up_is_not_asked_for() -> None:
    """Nothing is begun for nobody."""
    world, players = slow()
    old, fresh = world.find(), world.find(fresh=True)
    fresh.addErrback(lambda failure: failure.trap(CancelledError) and None)
    fresh.cancel()
    players.gates[0].callback(ANNA)
    assert await old == ANNA
    assert len(players.gates) == 1


class Stubborn(Players):
    """Takes no notice of being cancelled, and comes back when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.comes_back = False
        self.gate: Deferred[None] = Deferred()

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """Waits, however often it is cancelled."""
        self.begun += 1
        while not self.comes_back:
            self.gate = Deferred()
            try:
                await self.gate
            except CancelledError:
                self.asked.append(("cancelled", ext_user_id, fresh))
        return ANNA

    def end(self) -> None:
        """Come back."""
        self.comes_back = True
        self.gate.callback(None)


@pytest_twisted.ensureDeferred
async def test_a_time_out_frees_all_askers() -> None:
    """TemporaryFailure after the time, even from a directory that goes on when it is cancelled."""
    world = World()
    stubborn = Stubborn()
    world.directory = Remembered(world.clock, "players", stubborn, timeout=2.0, cache=30.0)
    askers = [world.find() for _ in range(3)]
    world.clock.advance(1.9)
    assert not any(asker.called for asker in askers)
    world.clock.advance(0.1)
    for asker in askers:
        with pytest.raises(TemporaryFailure):
            await asker
    assert stubborn.asked == [("cancelled", "hhu234556", False)]


@pytest_twisted.ensureDeferred
async def test_a_player_whose_look_up_still_hangs_is_not_asked_for_again_before_its_end() -> None:
    """Each retry would hold something more; it fails at once, in words, and the late answer is nobody's."""
    world = World()
    stubborn = Stubborn()
    world.directory = Remembered(world.clock, "players", stubborn, timeout=2.0, cache=30.0)
    askers = [world.find(), world.find(fresh=True)]
    world.clock.advance(2)
    for asker in askers:
        with pytest.raises(TemporaryFailure):
            await asker
    for n in range(20):
        with pytest.raises(
            TemporaryFailure, match="the directory players has not ended an earlier look-up of this player"
        ) as caught:
            await world.find(fresh=bool(n % 2))
        assert "hhu234556" not in str(caught.value)
        world.clock.advance(5)
    assert stubborn.begun == 1
    stubborn.end()
    assert stubborn.begun == 1
    assert await world.find() == ANNA
    assert stubborn.begun == 2


@pytest.mark.parametrize("late_before", [True, False])
@pytest_twisted.ensureDeferred
async def test_who_hangs_in_the_directory_before_a_reload_is_known_to_hang(late_before: bool) -> None:
    """Else each reload would give one more thread to one query; all others are looked up by the new one."""
    world, stubborn = World(), Stubborn()
    before = Remembered(world.clock, "players", stubborn, timeout=2.0, cache=30.0)
    hanging = Deferred.fromCoroutine(before.find("amazing", "hangs"))
    if late_before:
        world.clock.advance(2)
    world.directory.succeed(before)
    last = Remembered(world.clock, "players", world.players, timeout=2.0, cache=30.0)
    last.succeed(world.directory)
    if not late_before:
        world.clock.advance(2)
    with pytest.raises(TemporaryFailure):
        await hanging
    for directory in (before, world.directory, last):
        with pytest.raises(TemporaryFailure, match="has not ended an earlier look-up of this player yet"):
            await directory.find("amazing", "hangs", fresh=True)
    assert await last.find("amazing", "hhu234556") == ANNA
    world.players.asked.clear()
    stubborn.end()
    assert await last.find("amazing", "hangs") is None
    assert world.players.asked == [("amazing", "hangs", False)]


@pytest_twisted.ensureDeferred
async def test_one_slow_player_is_no_trouble_of_the_directory_where_others_were_answered_meanwhile() -> None:
    """Nothing is said, and nobody is made to wait; but it may have gone down since, and is to be asked soon."""
    world, players = slow()
    with capturedLogs() as told:
        for n in range(2 * TIRED_AFTER):
            hangs, well = world.find(f"hangs {n}"), world.find(f"well {n}")
            players.gates[-1].callback(ANNA)
            assert await well == ANNA
            assert not world.directory.in_doubt
            world.clock.advance(2)
            with pytest.raises(TemporaryFailure):
                await hangs
            assert (world.directory.trouble, world.directory.in_doubt) == ("", True)
        for n in range(2 * TIRED_AFTER):
            ended, well = world.find(f"ended {n}"), world.find(f"well again {n}")
            players.gates[-1].callback(ANNA)
            assert await well == ANNA
            players.gates[-2].errback(TookTooLong("the database ended it"))
            with pytest.raises(TookTooLong):
                await ended
            assert (world.directory.trouble, world.directory.in_doubt) == ("", True)
    assert list(told) == []
    silent = world.find("silent")
    world.clock.advance(2)
    with pytest.raises(TemporaryFailure):
        await silent
    assert world.directory.trouble == "the directory players did not answer in time"


@pytest_twisted.ensureDeferred
async def test_a_failure_goes_to_all_askers_and_is_not_remembered() -> None:
    """The next asker asks anew."""
    world, players = slow()
    askers = [world.find() for _ in range(3)]
    players.gates[0].errback(TemporaryFailure("down"))
    for asker in askers:
        with pytest.raises(TemporaryFailure):
            await asker
    again = world.find()
    players.gates[1].callback(None)
    assert await again is None


@pytest_twisted.ensureDeferred
async def test_a_directory_that_never_answers_is_let_rest() -> None:
    """After some time-outs look-ups fail at once, but for one probe in each time-out; one answer and all is well."""
    world, players = slow()
    for n in range(TIRED_AFTER):
        asker = world.find(str(n))
        world.clock.advance(2)
        with pytest.raises(TemporaryFailure):
            await asker
    probe = world.find("probe")
    assert not probe.called
    for n in range(10):
        with pytest.raises(TemporaryFailure) as caught:
            await world.find(str(n), fresh=bool(n % 2))
        assert caught.value.not_before == world.clock.seconds() + 2
    assert len(players.gates) == TIRED_AFTER + 1
    players.gates[-1].callback(ANNA)
    assert await probe == ANNA
    well = world.find("1")
    players.gates[-1].callback(None)
    assert await well is None


@pytest_twisted.ensureDeferred
async def test_a_consent_that_can_not_be_read_is_told_once() -> None:
    """By the directory's name alone: neither the player nor what stands there."""
    world, players = slow(timeout=2.0)
    with capturedLogs() as told:
        for n in range(3):
            found = world.find(str(n))
            players.gates[-1].callback(Recipient("anna@a.example", id="p-7", consent_is_unreadable=True))
            await found
    assert [formatEvent(event) for event in told] == [
        "directory players: a consented_at can't be read, and lifts no stop; manual 6.1 says what can"
    ]


@pytest_twisted.ensureDeferred
async def test_trouble_is_told_once_and_its_end_too() -> None:
    """One warning with the reason, however many look-ups fail, and one line when it answers again."""
    world = World(cache=0)
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        for down in (True, False, True):
            world.players.down = down
            for _ in range(5):
                await world.find().addErrback(lambda failure: failure.trap(TemporaryFailure) and None)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["log_format"].partition("}")[2] for event in events] == [
        " is in trouble: {reason}",
        " answers again",
        " is in trouble: {reason}",
    ]
    assert events[0]["reason"] == "down"
    assert world.directory.trouble == "down"
    world.players.down = False
    await world.find()
    assert world.directory.trouble == ""
