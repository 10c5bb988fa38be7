"""Who waits for one SMSC: no slot of a window is lost or used twice, wherever the one who has it is cancelled."""

import gc
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from gatewayd.core.errors import TemporaryFailure
from gatewayd.sandbox.smsc import Behaviour
from gatewayd.smpp.codec.pdu import Status
from smpp_world import Memory, World, order, settings

WINDOW = 3


def ended(sending: Deferred[Any]) -> list[BaseException | None]:
    """Will hold what a send ended with; None for well."""
    seen: list[BaseException | None] = []
    sending.addCallbacks(lambda _: seen.append(None), lambda failure: seen.append(failure.value))
    return seen


def whole_window_is_free(memory: Memory, world: World) -> bool:
    """As many submits as the window has slots go out at once, and no more."""
    memory.smsc.behaviour = Behaviour(answer_delay=4.0)
    most = next(iter(world.channel.states().values())).window
    ends = [ended(world.send(order(900 + n, now=memory.clock.seconds()))) for n in range(most + 2)]
    memory.advance(2.0)
    (way,) = world.channel.states().values()
    memory.advance(12)
    return way.in_flight == most and ends == [[None]] * (most + 2)


@pytest.mark.parametrize("where", ["window", "own window", "rate", "mark", "answer"])
@pytest.mark.parametrize("binds", [1, 2])
def test_no_slot_leaks_wherever_a_send_is_cancelled(where: str, binds: int) -> None:
    """Cancelled before any window, before that of its own bind, in the rate, in the mark, before the answer."""
    memory = Memory(Behaviour(answer_delay=0.0 if where in ("rate", "mark") else 3.0))
    rate = "8/s" if where == "rate" else "1000/s"
    world = memory.world(window=WINDOW, binds=binds, rate=rate, response_timeout="5s")
    marking: list[Deferred[None]] = []

    def mark(route: str) -> Any:
        if where != "mark":
            return world.mark(route)
        marking.append(Deferred())
        return marking[-1]

    body = "x" * 400 if where == "own window" else "Hello"
    sending = [world.send(order(n, body, now=memory.clock.seconds()), mark) for n in range(10)]
    ends = [ended(each) for each in sending]
    # In mid-flight: those of long messages stand before the window of their own bind by then.
    memory.advance(3.2 if where == "own window" else 0.1, step=0.05)
    waiting = [each for each, end in zip(sending, ends, strict=True) if not end]
    assert waiting
    for each in waiting:
        each.cancel()
    memory.advance(20)
    assert all(end for end in ends)
    assert all(end[0] is None or isinstance(end[0], CancelledError | TemporaryFailure) for end in ends)
    assert whole_window_is_free(memory, world)
    stopped = world.channel.stopService()
    memory.advance(30)
    assert stopped.called
    assert memory.clock.getDelayedCalls() == []


def test_a_bind_lost_in_any_state_leaves_its_window_whole() -> None:
    """Slots that are held over a new session are those of their holders, and come back once."""
    memory = Memory(Behaviour(answer_delay=1.0))
    world = memory.world(window=WINDOW)
    marking: Deferred[None] = Deferred()
    ends = [ended(world.send(order(n, now=memory.clock.seconds()), lambda route: marking)) for n in range(2)]
    ends += [ended(world.send(order(n, "x" * 400, now=memory.clock.seconds()))) for n in range(2, 8)]
    memory.advance(0.5)
    memory.smsc.reset()
    memory.advance(20)
    assert world.all_bound()
    marking.callback(None)
    memory.advance(20)
    assert all(ends)
    assert whole_window_is_free(memory, world)
    world.channel.stopService()
    memory.advance(30)


def test_each_who_is_sent_away_has_a_failure_of_their_own() -> None:
    """What the channel writes into one (the segments taken), none of the others says."""
    memory = Memory(Behaviour(answer_delay=1.0))
    world = memory.world(window=1, rate="1000/s")
    ends = [ended(world.send(order(n, "x" * 400, now=memory.clock.seconds()))) for n in range(4)]
    memory.advance(1.1, step=0.05)
    stopped = world.channel.stopService()
    memory.advance(30)
    assert stopped.called
    failures = [end[0] for end in ends]
    assert all(isinstance(failure, TemporaryFailure) and not failure.counts for failure in failures)
    assert len({id(failure) for failure in failures}) == 4
    progress = sorted(len(failure.progress) for failure in failures if isinstance(failure, TemporaryFailure))
    assert progress[:2] == [0, 0]
    assert progress[-1] > 0


def test_who_began_on_a_bind_follows_it_before_others_begin() -> None:
    """In a full window the next segment of a message that has begun goes before the first of one that has not."""
    memory = Memory(Behaviour(answer_delay=0.5))
    world = memory.world(window=1, rate="1000/s")
    first = world.send(order(1, "x" * 400, now=memory.clock.seconds()))
    memory.advance(0.1, step=0.05)
    others = [world.send(order(n, f"other {n}", now=memory.clock.seconds())) for n in (2, 3)]
    memory.advance(5, step=0.05)
    assert all(each.called for each in (first, *others))
    assert [submit.short_message[:5] == b"other" for submit in memory.smsc.submits] == [False] * 3 + [True] * 2


def test_an_smsc_that_answers_nothing_is_named_for_it() -> None:
    """Who waits too long is told how many submits have no answer; where some come, that it is slow."""
    memory = Memory(Behaviour(submit_mute=True))
    world = memory.world(window=WINDOW)
    ends = [ended(world.send(order(n, now=memory.clock.seconds()))) for n in range(WINDOW + 1)]
    memory.advance(6)
    assert str(ends[-1][0]) == "world answers none of 3 submits"
    memory = Memory(Behaviour(answer_delay=4.0))
    world = memory.world(window=1)
    ends = [ended(world.send(order(n, now=memory.clock.seconds()))) for n in range(3)]
    memory.advance(7)
    assert str(ends[-1][0]) == "world answers slowly: 1 of its submits wait"


def test_an_smsc_that_said_slow_down_is_not_said_to_be_full() -> None:
    """In a long pause that follows RTHROTTLED nobody need wait before a message for it to be sent back."""
    memory = Memory(Behaviour(judge=lambda _: Status.RTHROTTLED))
    world = memory.world(window=WINDOW)
    for n in range(5):
        end = ended(world.send(order(n, now=memory.clock.seconds())))
        memory.advance(1.5)
    assert str(end[0]) == "world is busy: it said slow down"


def test_a_session_fault_binds_anew_and_is_no_ones_slot() -> None:
    """RINVBNDSTS to a submit: the bind is made again, its window is whole."""
    verdict = [Status.RINVBNDSTS]
    memory = Memory(Behaviour(judge=lambda _: verdict[0]))
    world = memory.world(window=WINDOW)
    end = ended(ensureDeferred(world.channel.send(order(now=memory.clock.seconds()), world.mark)))
    memory.advance(20)
    assert isinstance(end[0], TemporaryFailure)
    verdict[0] = Status.ROK
    assert len(memory.tried) == 2
    assert whole_window_is_free(memory, world)


class Torn(list[tuple[str, bytes | None]]):
    """A way for octets that is none."""

    def append(self, moving: tuple[str, bytes | None]) -> None:
        """As a bug in what writes."""
        raise RuntimeError("torn")


def test_a_bind_that_can_not_stop_takes_nothing_from_the_others() -> None:
    """What they have on the wire is waited for, as the store is there until all have ended; and it is said once."""
    memory = Memory(Behaviour(answer_delay=1.0))
    world = World({name: settings(2775) for name in ("world", "other")}, memory.clock, endpoint_of=memory.dial)
    world.channel.startService()
    memory.pump()
    sent = ended(world.send(order(routes=("other",), now=memory.clock.seconds())))
    memory.advance(0.5)
    memory.wires[0].moving = Torn()
    with capturedLogs() as told:
        stopped = world.channel.stopService()
        assert not stopped.called
        memory.wires[0].moving = []
        memory.advance(30)
        gc.collect()
    assert (stopped.called, sent) == (True, [None])
    assert [formatEvent(event) for event in told if event["log_level"] >= LogLevel.warn] == [
        "a bind of world did not stop well"
    ]


@pytest.mark.parametrize(
    ("ids", "each", "one"),
    [
        (("a",), ("a",), ("a",)),
        (("m/0",), ("m/0",), ("m/0",)),
        (("a", "b", "c"), ("a", "b", "c"), ("c",)),
        (("a", "a"), ("a",), ("a",)),
        (("a", "m/1", "m/2"), ("a",), ("a",)),
        (("m/0", "m/1", "c"), ("c",), ("c",)),
        (("a", "m/1", "c"), ("a", "m/1", "c"), ("c",)),
        (("m/0", "m/1"), ("m/0", "m/1"), ("m/1",)),
    ],
)
def test_a_message_ends_by_the_names_under_which_receipts_can_come(
    ids: tuple[str, ...], each: tuple[str, ...], one: tuple[str, ...]
) -> None:
    """A segment that was given no id is named by none: where only one was given one, that is the message's."""
    for long_receipts, names in (("each", each), ("one", one)):
        memory = Memory()
        world = memory.world(long_receipts=long_receipts)
        assert world.channel._ways["world"].names_of("m", ids) == names
        world.channel.stopService()
        memory.advance(10)
