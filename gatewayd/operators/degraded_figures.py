"""What does not work for somebody, or not at all, as the figures of one look show it. figures.py takes them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from gatewayd.core.model import Channel, Degraded, QueueState, WayState
from gatewayd.operators.metrics import Counts

ROOM_AGAIN = 0.99
"""Part of `max_queued` below which there is room for good: at the mark one message comes in for each that leaves."""

_NAMES = {Channel.EMAIL: "relay", Channel.SMS: "SMSC or provider", Channel.IM: "provider"}


def left_behind(counts: Counts, why_left: Callable[[str, Channel], str]) -> Iterator[Degraded]:
    """Labels, or channels of them, that the file has no more, and whose messages wait for its return, by these counts.

    `why_left` says so behind a label's name; "" where there is a way out.
    """
    for label, channel, what in counts:
        number = counts.get((label, channel, "in_flight"), 0)
        if what == "in_flight" and number > 0 and (why := why_left(label, channel)):
            text = f"{label} {why}: {number} of its messages ({channel}) wait for its return"
            yield Degraded("label", f"{label}/{channel}", f"{text}, or for their deadline")


def full(queues: Mapping[str, QueueState], max_queued: int, *, was_full: bool) -> Iterator[Degraded]:
    """That as many messages wait as may, by these figures; `was_full` by those before them."""
    waiting = sum(queues[channel].waiting + queues[channel].leased for channel in Channel if channel in queues)
    if waiting >= max_queued or (was_full and waiting > max_queued * ROOM_AGAIN):
        many = f"{waiting} messages wait, and {max_queued} may (max_queued)"
        yield Degraded("queue", "full", f"{many}: requests of all labels are refused with code 10")


def unworked(queues: Mapping[str, QueueState], without_work: Collection[str]) -> Iterator[Degraded]:
    """The queues in which something waits, by these figures, and that nobody works on."""
    for name in sorted(without_work):
        if name in queues and (waiting := queues[name].waiting + queues[name].leased):
            what = "statuses" if name == "reports" else "messages"
            text = f"no running process works on {name} (work of [gatewayd]): {waiting} {what} wait, of whatever label"
            yield Degraded("work", name, text)


def whom_it_hits(
    redis_trouble: str, ways: Mapping[Channel, Mapping[str, WayState]], named: Sequence[Degraded]
) -> Iterator[Degraded]:
    """Each reason why we are not ready, with whom it hits; but a channel of which labels are `named` already."""
    if redis_trouble:
        # A full memory refuses new messages, and nothing else.
        what = "accepted" if "OOM" in redis_trouble else "accepted or sent"
        words = redis_trouble.removeprefix("Redis ").rstrip(".")
        yield Degraded("redis", "down", f"Redis: {words}; nothing can be {what}, for any label")
    said = {one.name.partition("/")[2].partition(" ")[0] for one in named if one.kind == "label"}
    for channel, reason in _dead_ends(ways):
        if channel not in said:
            yield Degraded("channel", channel, f"{reason}; no label's messages go out by it")


def not_ready(redis_trouble: str, ways: Mapping[Channel, Mapping[str, WayState]]) -> Iterator[str]:
    """Why this process cannot do its work; nothing where it can."""
    if redis_trouble:
        yield f"redis: {redis_trouble}"
    for _, reason in _dead_ends(ways):
        yield reason


def _dead_ends(ways: Mapping[Channel, Mapping[str, WayState]]) -> Iterator[tuple[Channel, str]]:
    """The channels of which no way is up, each with its reason."""
    for channel, states in ways.items():
        if not any(way.up for way in states.values()):
            why = (f"{name}: {way.reason}" if way.reason else name for name, way in states.items())
            yield channel, f"{channel}: no {_NAMES[channel]} is up ({'; '.join(why) or 'none configured'})"
