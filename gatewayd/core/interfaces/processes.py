"""What the processes on one Redis share through it: rates, heartbeats, each other's leases, what it forgot.

Times are seconds since the epoch.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from zope.interface import Interface

from gatewayd.core.model import Channel
from gatewayd.core.status import State


class IProcesses(Interface):
    """This process among its peers. Each method is one atomic step; any may raise StoreUnavailable."""

    async def reserve(bucket: str, slots: int, interval: float, burst: float) -> float:
        """Reserve `slots` moments in an even sequence shared by all processes; the first of them, at or after now.

        `interval` is the seconds between two moments; `burst` how many seconds' worth may pile up unused.
        """

    async def reserve_soon(bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        """Reserve one moment of that sequence, unless it is over `patience` seconds away; whether, and when it is."""

    async def beat(*, first: bool, dead_after: float) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        """This instance lives: is its name still its own, which peers had no beat for `dead_after`, what is paused.

        By the store's clock. Nobody is dead before there were heartbeats for as long, without a gap of 5 s. The
        process that said `first` last owns the name.
        """

    def forgotten_since() -> float:
        """How many seconds of what was written the store may have forgotten since this was asked last; mostly 0."""

    def has_restated() -> None:
        """All of that was said: until then nobody leases or marks, for half a minute at most."""

    async def restate_marks(marks: Sequence[tuple[str, str, int]]) -> tuple[list[str], list[str]]:
        """Messages, each with its route and the stamp of a mark: whose mark was forgotten; who was uncertain anyway.

        The former are uncertain from now on, unless they are settled.
        """

    async def restate_heard(items: Sequence[tuple[str, str, State | None, bool]]) -> list[tuple[bool, bool, str]]:
        """Messages, each with the letters that were heard, their final state, and whether its end was recorded.

        What was heard is known as heard from now on, and its state with it. Of each: whether any was not known so,
        whether its end is not known still, and the letters that are still to be told.
        """

    async def come_forward() -> None:
        """Where the last heartbeat heard that the store's clock was set back: what stands in the future moves along."""

    async def recover(instance: str, *, unwritten: Sequence[str] = ()) -> int:
        """Give back all that an instance had leased; how much it was.

        Of our own name that is what a former process had: what this one leased stays, or the one that owns the name
        now. Under the leases of these names nothing left, as `release` says.
        """

    def lease_name(lease: str) -> str:
        """What a lease of this process is called elsewhere."""

    async def requeue_set_aside() -> int:
        """Give back a part of what was set aside and is no longer paused or is past its deadline; how much it was."""

    async def make_due(channel: Channel, *, every: bool = False) -> None:
        """Make due what was put off only because its way was busy, and what is uncertain: the ways have changed.

        With `every`, what was tried and failed, too: it may have waited for what is back, or mended.
        """

    async def make_reports_due(message_ids: Collection[str]) -> None:
        """Make due what waits to be told of these messages."""

    async def leases(kind: str, is_in_work: Callable[[str], bool]) -> Mapping[str, str]:
        """What this instance holds in the queue `kind` and has not in work, each with the name of its lease."""

    async def release(
        kind: str,
        message_id: str,
        lease: str,
        *,
        unwritten: Sequence[str] = (),
        route: str = "",
        progress: Sequence[str] = (),
    ) -> None:
        """Give back what this instance holds, where it does so under this very lease, as `leases` named it.

        Where it is one of `unwritten`, the caller knows that nothing left under it but the segments that `route` gave
        the ids `progress`: its mark says nothing.
        """
