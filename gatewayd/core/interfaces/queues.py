"""What the queues ask of the store: messages and reports that are due, leased, and settled.

Times are seconds since the epoch.
"""

from collections.abc import Callable, Sequence

from gatewayd.core.interfaces.facts import IAbout
from gatewayd.core.model import Channel, Handed, Leased, Message, ReportJob, SettledSent
from gatewayd.core.status import State


class IQueues(IAbout):
    """Messages and reports with their leases. Each method is one atomic step; any may raise StoreUnavailable."""

    async def lease_messages(channel: Channel, limit: int) -> list[Leased]:
        """Lease up to `limit` due messages."""

    async def lease_overdue(channel: Channel, rank: int, limit: int) -> tuple[int, list[Leased]]:
        """Lease those of `limit` waiting ones, from `rank` on, whose deadline has passed; how many of these stay."""

    def why_no_mark() -> str:
        """Why nothing can be marked as being on the wire now, as far as is known; "" where something can."""

    async def mark(
        message: Message,
        route: str,
        address_hash: str,
        *,
        lease: str,
        segments: int = 1,
        stop_hashes: Sequence[str] = (),
    ) -> int:
        """Mark a leased message as being on the wire of `route`: the mark's stamp, 0 for a player on the stop list.

        A stamp is the store's own, larger than those that the message had before, though the store's clock was set
        back, and no moment of ours: how far the two clocks are apart changes. Of a long SMS, each segment anew. Raises
        LeaseLost where `lease` is not its lease any more, whoever holds it now and under whatever name;
        TemporaryFailure where its label's channel is paused: a pause counts from the moment it is stored, on all
        instances. `address_hash` is the keyed hash of where it goes; for an SMS of so many `segments` this becomes the
        latest message to that number.
        """

    async def settle_sent(message_id: str, channel: Channel, handed: Handed) -> SettledSent:
        """The next hop took it: state sent, report accepted, content gone, remote ids kept for receipts.

        Where it gave all segments one id, of which a receipt has said before this that it arrived, delivered, too.
        Returns that, and the parked receipts that waited for these ids.
        """

    async def settle_again(
        message: Message,
        due: float,
        reason: str,
        *,
        lease: str,
        counts: bool = True,
        uncertain: bool = False,
        route: str = "",
        progress: Sequence[str] = (),
    ) -> None:
        """Try it again at `due`; `uncertain` keeps the mark that it may have been taken.

        A message that was uncertain when it was leased, and was not marked since, stays so. The reason stands in the
        timeline once, with how often it came. Nothing happens where `lease` is not its lease any more; so with all
        that take one.
        """

    async def record_segments(message_id: str, lease: str, route: str, remote_ids: Sequence[str]) -> None:
        """The SMSC took these segments of a leased SMS, and there are more: it is uncertain of none until `mark`."""

    async def resume_from(
        message_id: str, route: str, stamp: int, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        """A late answer said what `route` has of an uncertain SMS (`progress`, no more): queue it again, due now.

        False where it doesn't wait in that uncertainty any more: settled, being worked on, or marked for another
        copy after the one of `stamp`, of which the answer says nothing.
        """

    async def settle_final(message: Message, state: State, reason: str, reports: str, *, lease: str) -> None:
        """It ends here as failed or rejected; `reports` are status.LETTERS to queue."""

    async def set_aside(message: Message, *, lease: str) -> None:
        """Its label's channel is paused: it waits, off the queue, until resumed or past its deadline."""

    def feed_reports(room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        """From now on a new report is leased to this instance and offered to it, where there is room."""

    async def lease_reports(limit: int) -> list[ReportJob]:
        """Lease up to `limit` messages that have a status to tell, each with its next one."""

    async def report_heard(job: ReportJob) -> ReportJob | None:
        """The status was heard; the next one of the same message, still leased, or None."""

    async def report_again(job: ReportJob, due: float, reason: str, *, counts: bool = True) -> None:
        """Tell it again at `due`."""

    async def report_dead(job: ReportJob, reason: str, *, waited: float, tries: int) -> ReportJob | None:
        """Give it up: kept as a dead letter; the message's later statuses go on, with the one returned.

        `waited` are the seconds since it was queued, `tries` how often it was told in vain.
        """
