"""Stored once and durable before it is answered, whatever the store and the caller do."""

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from fakes import FakeStore
from gatewayd.core.errors import Refused, StoreUnavailable
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel
from gatewayd.core.tokens import Keys
from gatewayd.intake.accept import ANSWER_WITHIN, DIRECTORY_WITHIN, STORE_WITHIN
from gatewayd.intake.patience import ON_THE_WAY
from intake_requests import MAIL, code, mail, silent, stored
from intake_world import EMAIL, KEYS, NOW, Intake


@pytest_twisted.ensureDeferred
async def test_what_is_stored() -> None:
    """The message holds the player's id and the content, never the player's address, and its deadline."""
    intake = Intake()
    found = await intake.acceptor.accept("amazing", MAIL)
    message = stored(intake)
    assert found == message.id == KEYS.message_ids("amazing", "email", EMAIL["email_uid"])[0]
    assert (message.uid, message.label, message.ext_user_id) == (EMAIL["email_uid"], "amazing", "hhu234556")
    assert (message.accepted_at, message.deadline) == (NOW, NOW + 86400)
    assert message.content == MAIL.content
    assert "anna" not in repr(intake.store.db.rows)


@pytest_twisted.ensureDeferred
async def test_a_store_that_is_down_means_try_again() -> None:
    """At once where it says so; no duplicate can be told from a stranger then either."""
    intake = Intake()
    intake.store.down = True
    assert await code(intake, MAIL) == 10
    intake.players.players.clear()
    assert await code(intake, MAIL) == 10


@pytest_twisted.ensureDeferred
async def test_a_caller_hears_that_replicas_are_missing() -> None:
    """The store answers, so it is not said that it doesn't."""
    intake = Intake()
    intake.store.no_mark = "0 of 1 replicas have what was written"
    with pytest.raises(Refused, match="try_again: 0 of 1 replicas have what was written"):
        await intake.acceptor.accept("amazing", MAIL)
    assert intake.store.db.rows == {}


@pytest.mark.parametrize("slow_directory", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_silent_store_means_try_again_in_time(slow_directory: bool) -> None:
    """Within STORE_WITHIN of asking, and ANSWER_WITHIN of the request whatever else was slow."""
    intake = silent()
    intake.players.hang = slow_directory
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    began = intake.clock.seconds()
    while not answer.called:
        intake.clock.advance(0.5)
    assert intake.clock.seconds() - began <= (ANSWER_WITHIN if slow_directory else STORE_WITHIN)
    assert await answer == 10


@pytest_twisted.ensureDeferred
async def test_what_is_stored_although_its_caller_was_told_otherwise_is_taken_back() -> None:
    """The store's word came too late: the message is neither kept nor sent, and its uid stays usable."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    intake.clock.pump([0.5] * 8)
    assert await answer == 10
    intake.store.gate.callback(None)
    assert intake.trays[Channel.EMAIL].offered == []
    assert intake.store.db.rows == {}
    assert await code(intake, mail(subject="Other")) == 0


@pytest_twisted.ensureDeferred
async def test_a_process_that_overslept_reads_first_what_has_come() -> None:
    """Its timers are called before its sockets: a message that is stored is not refused for that, and then sent."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    intake.clock.advance(20)
    intake.store.gate.callback(None)
    assert await answer == 0
    assert len(intake.trays[Channel.EMAIL].offered) == 1
    late = silent()
    answer = Deferred.fromCoroutine(code(late, MAIL))
    late.clock.advance(20)
    late.clock.advance(ON_THE_WAY)
    assert await answer == 10, "but it does not wait again"


@pytest_twisted.ensureDeferred
async def test_what_a_lost_reply_left_stored_is_taken_back_once_the_store_is_there() -> None:
    """Nobody knows whether it was stored; the caller is told that it was not, so it is not."""

    class Deaf(FakeStore):
        async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
            await super().accept(*args, **more)
            self.down = True
            raise StoreUnavailable("the reply was lost")

    intake = Intake(Deaf)
    assert await code(intake, MAIL) == 10
    assert len(intake.store.db.rows) == 1
    intake.store.down = False
    intake.clock.advance(1)
    assert intake.store.db.rows == {}


@pytest.mark.parametrize("slow_directory", [False, True])
@pytest_twisted.ensureDeferred
async def test_the_store_takes_nothing_of_which_its_caller_could_not_hear(slow_directory: bool) -> None:
    """What it is asked reaches it no later than ON_THE_WAY before the caller's time is up, or not at all."""
    asked: list[float] = []

    class Watched(FakeStore):
        async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
            asked.append(more["until"])
            return await super().accept(*args, **more)

    intake = Intake(Watched)
    intake.players.hang = slow_directory
    began = intake.clock.seconds()
    answer = Deferred.fromCoroutine(code(intake, MAIL))
    if slow_directory:
        intake.clock.advance(DIRECTORY_WITHIN)
    assert await answer == 0
    assert asked == [began + (ANSWER_WITHIN if slow_directory else STORE_WITHIN) - ON_THE_WAY]


@pytest_twisted.ensureDeferred
async def test_a_caller_who_hangs_up_leaves_nothing_half_done() -> None:
    """Cancelled while the store is asked: the message is stored and offered as if nothing had happened."""
    intake = silent()
    intake.trays[Channel.EMAIL].places = 1
    answer = Deferred.fromCoroutine(intake.acceptor.accept("amazing", MAIL))
    answer.addErrback(lambda failure: None)
    answer.cancel()
    intake.store.gate.callback(None)
    assert len(intake.trays[Channel.EMAIL].offered) == 1
    assert stored(intake).uid == EMAIL["email_uid"]


@pytest_twisted.ensureDeferred
async def test_the_accepting_process_sends_from_memory_while_there_is_room() -> None:
    """Where the outbox has room the message is leased and offered to it, else it waits for any instance."""
    intake = Intake()
    intake.trays[Channel.EMAIL].places = 1
    for uid in ("1", "2"):
        await intake.acceptor.accept("amazing", mail(uid=uid))
    assert [leased.message.uid for leased in intake.trays[Channel.EMAIL].offered] == ["1"]
    assert len(await intake.store.lease_messages(Channel.EMAIL, 5)) == 1


@pytest_twisted.ensureDeferred
async def test_a_duplicate_is_not_offered_again() -> None:
    """Nothing is sent twice."""
    intake = Intake()
    intake.trays[Channel.EMAIL].places = 9
    for _ in range(3):
        await intake.acceptor.accept("amazing", MAIL)
    assert len(intake.trays[Channel.EMAIL].offered) == 1


@pytest_twisted.ensureDeferred
async def test_a_full_queue_means_try_again() -> None:
    """Past the high-water mark nothing is stored; a duplicate still gets its id."""
    intake = Intake()
    intake.store.max_queued = 1
    assert await code(intake, mail(uid="1")) == 0
    assert await code(intake, mail(uid="2")) == 10
    assert await code(intake, mail(uid="1")) == 0


@pytest_twisted.ensureDeferred
async def test_shutting_down_means_try_again() -> None:
    """Nothing is taken on any more."""
    intake = Intake()
    intake.acceptor.shutting_down = True
    assert await code(intake, MAIL) == 10
    assert not intake.store.db.rows


@pytest_twisted.ensureDeferred
async def test_a_rotated_key_still_knows_what_was_taken() -> None:
    """A uid that was taken under the previous secret key gets the id it had."""
    before = Intake()
    first = await before.acceptor.accept("amazing", MAIL)
    after = Intake(lambda clock: before.store, keys=Keys(b"n" * 32, [b"k" * 32]))
    assert await after.acceptor.accept("amazing", MAIL) == first
    assert len(after.store.db.rows) == 1


@pytest_twisted.ensureDeferred
async def test_a_message_for_which_there_is_no_memory_may_come_again() -> None:
    """It is no bug of ours; and what the store has of it after all is taken back."""

    class Narrow(FakeStore):
        async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
            await super().accept(*args, **more)
            raise MemoryError

    intake = Intake(Narrow)
    with pytest.raises(Refused, match="try_again: there was no memory for it"):
        await intake.acceptor.accept("amazing", MAIL)
    assert intake.store.db.rows == {}
