"""Slots: none is used twice, none is lost, wherever whoever has one or waits for one is cancelled."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gatewayd.core.slots import Slot, Slots


class Full(Exception):
    """No slot in time."""


def test_a_slot_is_given_back_once() -> None:
    """Released twice it is one slot still."""
    slots = Slots(Clock(), 2)
    slot = slots.take_now()
    assert slot is not None
    assert slots.take_now() is not None
    slot.release()
    slot.release()
    assert slots.used == 1


def test_a_block_gives_its_slot_back() -> None:
    """However it ends."""
    slots = Slots(Clock(), 1)

    async def use() -> None:
        with await slots.take():
            assert slots.used == 1
            raise Full

    seen: list[type] = []
    Deferred.fromCoroutine(use()).addErrback(lambda failure: seen.append(failure.type))
    assert seen == [Full]
    assert slots.used == 0


def test_the_next_in_line_gets_the_slot() -> None:
    """A slot that comes back goes to who waits longest; it is never counted as free in between."""
    slots = Slots(Clock(), 1)
    first = slots.take_now()
    waiting, ahead = slots.take(), slots.take(ahead=True)
    assert first is not None
    first.release()
    assert slots.used == 1
    assert not waiting.called
    ahead.result.release()
    waiting.result.release()
    assert slots.used == 0


def test_who_waits_too_long_is_sent_away() -> None:
    """With what `too_long` makes."""
    clock, seen = Clock(), []
    slots = Slots(clock, 1, 2.0, Full)
    slots.take_now()
    slots.take().addErrback(lambda failure: seen.append(failure.type))
    clock.advance(2.1)
    assert seen == [Full]
    assert slots.waiting == 0


def test_another_limit_counts_at_once() -> None:
    """More slots serve who waits; fewer take none away, and are not refilled."""
    slots = Slots(Clock(), 1)
    first = slots.take_now()
    second = slots.take()
    slots.limit = 2
    assert second.called
    third = slots.take()
    slots.limit = 1
    assert first is not None
    first.release()
    assert not third.called
    second.result.release()
    assert third.called
    assert slots.used == 1


AWAITS = ("line", "mark", "answer")


@given(
    st.lists(st.tuples(st.sampled_from((*AWAITS, "never")), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), max_size=24),
    st.integers(1, 3),
)
def test_no_slot_leaks_wherever_its_holder_is_cancelled(
    users: list[tuple[str, bool]], steps: list[int], limit: int
) -> None:
    """Users who wait for a slot, hold it over two more awaits, and are cancelled at any of them, in any order."""
    slots = Slots(Clock(), limit)
    at: dict[int, str] = {}
    gates: dict[int, Deferred[None]] = {}

    async def use(number: int, ahead: bool) -> None:
        at[number] = "line"
        with await slots.take(ahead=ahead):
            for step in ("mark", "answer"):
                at[number] = step
                gates[number] = Deferred()
                await gates[number]
        at[number] = "over"

    running = [Deferred.fromCoroutine(use(number, ahead)) for number, (_, ahead) in enumerate(users)]
    for each in running:
        each.addErrback(lambda failure: failure.trap(CancelledError))

    def cancel_where_due() -> None:
        for number, (where, _) in enumerate(users):
            if at[number] == where and not running[number].called:
                running[number].cancel()

    cancel_where_due()
    for number in [*steps, *range(len(users)), *range(len(users)), *range(len(users)), *range(len(users))]:
        gate = gates.get(number)
        if gate is not None and not gate.called:
            gate.callback(None)
        cancel_where_due()
        assert slots.used <= limit
    while open_gates := [gate for gate in gates.values() if not gate.called]:
        open_gates[0].callback(None)
        cancel_where_due()
    assert all(each.called for each in running)
    assert slots.used == slots.waiting == 0


def test_a_slot_alone() -> None:
    """It calls its owner, once."""
    back: list[int] = []
    with Slot(lambda: back.append(1)) as slot:
        slot.release()
    assert back == [1]


def test_who_gives_back_at_once_takes_no_slot_along() -> None:
    """A thousand in line who fail as they are served, one after the other: all are served, and no slot is lost."""
    slots, served = Slots(Clock(), 2), []
    held = [slots.take_now(), slots.take_now()]

    async def use(number: int) -> None:
        with await slots.take():
            served.append(number)
            raise Full

    for number in range(1000):
        Deferred.fromCoroutine(use(number)).addErrback(lambda failure: failure.trap(Full))
    for slot in held:
        assert slot is not None
        slot.release()
    assert served == list(range(1000))
    assert slots.used == 0
