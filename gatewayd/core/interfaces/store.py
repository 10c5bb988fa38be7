"""What the store offers: messages and reports with their leases, stop lists, claims on outside events, shared rates.

Each method is one atomic step. Times are seconds since the epoch.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum

from zope.interface import Interface

from gatewayd.core.model import (
    AuditHead,
    Channel,
    DeadLetter,
    Erased,
    Evidence,
    Handed,
    Kept,
    Known,
    Leased,
    Message,
    QueueState,
    Receipt,
    ReportJob,
    Stop,
    Stopped,
    Trace,
    Waiting,
)
from gatewayd.core.status import State


class Acceptance(StrEnum):
    """What the store did with a new message."""

    STORED = "stored"
    LEASED = "leased"
    SAME = "same"
    CONFLICT = "conflict"
    SUPPRESSED = "suppressed"
    FULL = "full"


class Claim(StrEnum):
    """Whose an outside event is that somebody wants to record."""

    OURS = "ours"
    ANOTHERS = "another's"
    DONE = "done"


class IEventClaims(Interface):
    """Who records an outside event that may come twice, at once or days later. Any may raise StoreUnavailable."""

    async def claim(keys: Sequence[str]) -> list[Claim]:
        """OURS for each event that nobody has recorded and nobody is recording: for a minute nobody else may.

        ANOTHERS where another call is at it, DONE where `keep` was called for it.
        """

    async def keep(keys: Sequence[str], seconds: float) -> None:
        """These are recorded: they are DONE for so long."""

    async def release(keys: Sequence[str]) -> None:
        """These could not be recorded: whoever brings them again may claim them."""


class IStopList(Interface):
    """Who must not be contacted, by label and channel. Each method may raise StoreUnavailable."""

    async def put(
        label: str,
        channel: Channel,
        keyed_hash: str,
        seconds: float,
        *,
        user: str = "",
        reason: str = "",
        of_address: bool = False,
        owner: str = "",
        since: float = 0.0,
    ) -> None:
        """Put a player or an address, by its keyed hash, on the list; a stop never becomes shorter or older.

        `user` is the player's id where it is known; `owner` is the keyed hash of the player whose address it is: who
        takes them off takes it off, too. `since` is when it began (seconds since the epoch), 0 for now.
        """

    async def put_all(stops: Sequence[Stop]) -> None:
        """Put many on the list, in as few steps as may be; by the same rule. `since` is 0 for now."""

    async def lift(label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """Lift the stops of these players and addresses that are older than the consent; how many there were."""

    async def forget(label: str, channel: Channel, hashes: Sequence[str]) -> None:
        """The stops of these players hold, and do not say any more whose they are."""

    async def some(label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """One step over the list, oldest first: those that began at `since` or later. Starts and ends with cursor "0".

        Each is given once; one that begins anew meanwhile comes again with its new time.
        """


class IStore(Interface):
    """All that Redis holds. Each method is one atomic step; any may raise StoreUnavailable."""

    async def accept(
        message: Message,
        fingerprint: str,
        *,
        earlier_fingerprints: Sequence[str] = (),
        player_hash: str = "",
        earlier_ids: Sequence[str] = (),
        stop_hashes: Sequence[str] = (),
        lease: bool = False,
        until: float | None = None,
        attempt: str = "",
    ) -> tuple[Acceptance, str]:
        """Store `message` once; the answer's second part is the id that the caller gets.

        `fingerprint` tells the same content from other content, as do the earlier ones, by which it may have been
        stored under a previous key; `player_hash` is the keyed hash by which an erasure
        finds the message; `stop_hashes` are keyed hashes of the player and of the address: they may be on the stop
        list of this label and channel. With `lease` the message is ours to send at once (LEASED), else it waits for
        any instance (STORED). After `until` nothing is stored any more, however late the call reaches a server that
        was away (StoreUntouched). `attempt` is this call's own number among this process's, which count up from 0, in
        digits; it is the lease's name, too. A call that has one is followed by `heard`, or by `undo_accept` where it
        raised StoreUnavailable (not StoreUntouched) or its caller could not wait: until then nobody else gets the
        message to send, nor for UNHEARD_FOR seconds where this process can say neither.
        """

    def heard(attempt: str) -> None:
        """The caller of this `accept` is told what it gave: the message is anybody's to send. Asked in the same turn of
        the reactor, that is said at once; else with the next heartbeat or message.
        """

    async def undo_accept(message_id: str, channel: Channel, attempt: str) -> None:
        """Undo an `accept` whose caller was told that nothing was stored: there is no such message.

        It stays where another call was told that it is stored, until that one takes it back as well, and where it is
        marked already.
        """

    async def known(
        ids: Sequence[str], fingerprint: str, *, earlier_fingerprints: Sequence[str] = ()
    ) -> tuple[Acceptance, str] | None:
        """SAME or CONFLICT where one of `ids` was accepted before, else None."""

    async def lease_messages(channel: Channel, limit: int) -> list[Leased]:
        """Lease up to `limit` due messages."""

    async def lease_overdue(channel: Channel, rank: int, limit: int) -> tuple[int, list[Leased]]:
        """Lease those of `limit` waiting ones, from `rank` on, whose deadline has passed; how many of these stay."""

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

    async def settle_sent(message_id: str, channel: Channel, handed: Handed) -> list[Receipt]:
        """The next hop took it: state sent, report accepted, content gone, remote ids kept for receipts.

        Returns the parked receipts that waited for these ids: the caller tracks them now.
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
        message_id: str, route: str, written_at: float, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        """A late answer said what `route` has of an uncertain SMS (`progress`, no more): queue it again, due now.

        False where it doesn't wait in that uncertainty any more: settled, being worked on, or marked for another
        copy after `written_at`, of which the answer says nothing.
        """

    async def settle_final(message: Message, state: State, reason: str, reports: str, *, lease: str) -> None:
        """It ends here as failed or rejected; `reports` are status.LETTERS to queue."""

    async def set_aside(message: Message, *, lease: str) -> None:
        """Its label's channel is paused: it waits, off the queue, until resumed or past its deadline."""

    async def record_evidence(evidence: Evidence) -> str:
        """Apply the transition table; "moved", "ignored", or "unknown" where the message is not kept any more."""

    async def record_receipt(receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        """Match and fold one receipt: "moved", "sent" (it shows that all was taken), "ignored", or
        "parked"/"unknown" where no id matches; and the message.

        An uncertain message that went to the receipt's number on that SMSC is taken for it, and with `by_number`, once
        the receipt has waited 10 s, the latest one to it whose answer is awaited still. Of several messages to that
        number that were given its id on one day, it is about the oldest one whose end is not known; brought again in
        the same `wording`, about that one still.
        """

    async def parked_receipts(limit: int) -> tuple[list[Receipt], list[Receipt]]:
        """Parked receipts to look up again now, and those given up as orphans."""

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

    async def unsuppress(label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        """Take keyed hashes off, and what they own; False where none of it was on the list."""

    async def stopped(label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        """How a player, by these keyed hashes of their id, stands on the list; None where they are not on it."""

    async def latest_to(number_hashes: Sequence[str]) -> str | None:
        """The id of the latest message that went to a number, by any of its names; or to any of several numbers."""

    async def about(message_id: str) -> Known | None:
        """What is kept of one message: whose it is, where it went and when."""

    async def trace(ids: Sequence[str]) -> Trace | None:
        """The first of `ids` that is kept."""

    async def fields(message_id: str) -> Mapping[str, str]:
        """A message's record as it stands, each field by its name in the store's legend; empty where none is kept."""

    async def waiting(message_id: str, channel: Channel) -> Waiting | None:
        """When a message is tried next and until when; None where it is in no queue (in work, or not waiting)."""

    async def longest_waiting(limit: int) -> list[Trace]:
        """Of the messages that are due first, those that were accepted first, with their timelines."""

    async def try_now(message_id: str, channel: Channel) -> bool:
        """Make a message due that waits for its next try; False where it is in no queue."""

    async def dead_letters(limit: int) -> list[DeadLetter]:
        """The newest first."""

    async def retry_dead(message_id: str) -> bool:
        """Queue a message's dead reports again; False where it has none."""

    async def drop_dead(message_id: str) -> bool:
        """Forget a message's dead reports; False where it has none."""

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

    async def reserve(bucket: str, slots: int, interval: float, burst: float) -> float:
        """Reserve `slots` moments in an even sequence shared by all processes; the first of them, at or after now.

        `interval` is the seconds between two moments; `burst` how many seconds' worth may pile up unused.
        """

    async def reserve_soon(bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        """Reserve one moment of that sequence, unless it is over `patience` seconds away; whether, and when it is."""

    async def ping() -> float:
        """Seconds that Redis took to answer. Raises StoreUnavailable where it is away, or took no writes lately."""

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

    async def restate_told(items: Sequence[tuple[str, str, State | None, bool]]) -> list[tuple[bool, bool, str]]:
        """Messages, each with the letters that were told, their final state, and whether its end was recorded.

        What was told is known as told from now on, and its state with it. Of each: whether any was not known as told,
        whether its end is not known still, and the letters that are still to be told.
        """

    async def come_forward() -> None:
        """Where the last heartbeat heard that the store's clock was set back: what stands in the future moves along."""

    async def recover(instance: str, *, before: float = 0.0) -> int:
        """Give back all that an instance had leased, or had leased before that time; how much it was."""

    async def requeue_set_aside() -> int:
        """Give back a part of what was laid aside and is no longer paused or is past its deadline; how much it was."""

    async def make_due(channel: Channel, *, every: bool = False) -> None:
        """Make due what was put off only because its way was busy, and what is uncertain: the ways have changed.

        With `every`, what was tried and failed, too: it may have waited for a label or route that is back.
        """

    async def make_reports_due(message_ids: Collection[str]) -> None:
        """Make due what waits to be told of these messages."""

    async def stray_leases(kind: str, age: float) -> list[str]:
        """What this instance has held for `age` or longer in the queue `kind`."""

    async def release(kind: str, message_id: str, *, age: float, unwritten: Sequence[str] = ()) -> None:
        """Give a lease back that this instance has held for `age` or longer.

        Where it is one of `unwritten`, the caller knows that nothing left under it: its mark says nothing.
        """
