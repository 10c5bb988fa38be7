"""What operators ask of the store: what it holds of a message or a player, and what a person decides.

Times are seconds since the epoch.
"""

import math
from collections.abc import Mapping, Sequence

from gatewayd.core.interfaces.facts import IAbout
from gatewayd.core.model import AuditHead, Channel, DeadLetter, Erased, Kept, QueueState, Stopped, Trace, Waiting


class IShownToPeople(IAbout):
    """What people see and decide. Each method is one atomic step; any may raise StoreUnavailable."""

    async def trace(ids: Sequence[str]) -> Trace | None:
        """The first of `ids` that is kept."""

    async def fields(message_id: str) -> Mapping[str, str]:
        """A message's record as it stands, each field by its name in the store's legend, but not what the message
        says; empty where none is kept.
        """

    async def waiting(message_id: str, channel: Channel) -> Waiting | None:
        """When a message is tried next and until when; None where it is in no queue (in work, or not waiting)."""

    async def longest_waiting(limit: int) -> list[Trace]:
        """Of the messages that are due first, those that were accepted first, with their timelines."""

    async def try_now(message_id: str, channel: Channel) -> bool:
        """Make a message due that waits for its next try; False where it is in no queue."""

    async def dead_letters(limit: int, until: float = math.inf) -> list[DeadLetter]:
        """The newest first of those that were given up before `until`."""

    async def retry_dead(message_id: str) -> bool:
        """Queue a message's dead reports again; False where it has none."""

    async def drop_dead(message_id: str) -> bool:
        """Forget a message's dead reports; False where it has none."""

    async def unsuppress(label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        """Take keyed hashes off, and what they own; False where none of it was on the list."""

    async def stopped(label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        """How a player, by these keyed hashes of their id, stands on the list; None where they are not on it."""

    async def pause(label: str, channel: Channel) -> None:
        """Accepted messages of this label and channel wait from now on."""

    async def resume(label: str, channel: Channel) -> None:
        """They go on."""

    async def paused() -> frozenset[tuple[str, Channel]]:
        """What waits."""

    async def erase_some(
        cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, Erased]:
        """One step over this player's messages, found by the keyed `hashes`: they are removed. From cursor "0" to "0".

        Waiting ones end as failed, which is still reported.
        """

    async def export_some(
        cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, int, list[Kept]]:
        """One step as `erase_some`: how many messages it looked at, and all that is stored of this player's.

        Starts and ends with cursor "0"; a message may come twice.
        """

    async def replay_some(cursor: str, label: str, start: float, end: float) -> tuple[str, int]:
        """One step over the kept messages: statuses that were heard in [start, end) are queued once more.

        A status counts wherever it was heard, for the first time or by an earlier replay: the same range gives the same
        statuses each time, and each of them once; but for those that wait to be told as it is. Starts and ends with
        cursor "0"; an empty `label` means all. The second part is how many were queued.
        """

    async def audit_head(instance: str) -> AuditHead | None:
        """The head of that instance's audit log as it was kept last."""

    async def keep_audit_head(instance: str, head: AuditHead) -> None:
        """Keep it, for the comparison at the next start."""

    async def queues() -> Mapping[str, QueueState]:
        """Figures of the queues email, sms and reports."""

    async def counts() -> Mapping[tuple[str, Channel, str], int]:
        """For each label and channel: `accepted` and `handed` messages ever, and those in each state past waiting.

        `handed` counts those whose status `accepted` was queued: a next hop took them. `in_flight` counts those whose
        content is kept, by that and not by their state: that the two agree says that nothing got lost.
        """

    async def ping() -> float:
        """Seconds that Redis took to answer. Raises StoreUnavailable where it is away, or took no writes lately."""
