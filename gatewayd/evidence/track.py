"""Evidence in, status moves on, report queued.

Every fact from outside comes through here, whatever protocol brought it; whom it stops says stopping.py. Each method
returns once the fact is durable, so that its caller may tell the next hop that we took it; StoreUnavailable goes
through to the caller, but for what nobody would bring again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from gatewayd.config import Label
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Decided, IMeter, IRecipients, IStopList, IStore, unrecorded
from gatewayd.core.log import Logger
from gatewayd.core.model import BEFORE_THE_ANSWER, Channel, Decision, Evidence, Handed, Inbound, Known, Receipt
from gatewayd.core.persist import persist
from gatewayd.core.status import FINAL, Event, State
from gatewayd.core.tokens import Keys
from gatewayd.evidence.stopping import STOPPING, Stopping
from gatewayd.evidence.unmatched import UnmatchedReceipts

MACHINE = 5.0
"""Seconds after `accepted` in which an open counts as a machine's (CONTRACT.md, Email)."""

WHOLE_SECONDS = 1.0
"""By how much an open may seem to come before `accepted`, where its source tells no fractions."""

_DID_NOT_ARRIVE = frozenset({Event.FAILED, Event.REJECTED})
_GOOD_NEWS = frozenset({Event.DELIVERED, Event.OPENED, Event.MACHINE_OPENED})

_CONSIDERED = frozenset({Event.OPENED, Event.MACHINE_OPENED, *STOPPING, *_DID_NOT_ARRIVE})


class Tracker:
    """The EvidenceSink: records evidence, receipts and inbound texts."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        store: IStore,
        stops: IStopList,
        keys: Keys,
        labels: Mapping[str, Label],
        meter: IMeter,
        decided: Decided = unrecorded,
        audited: bool = False,
        unmatched: UnmatchedReceipts | None = None,
        recorded: Callable[[str, Event], None] = lambda message_id, event: None,
        received: Callable[[Receipt], None] = lambda receipt: None,
        recipients: IRecipients | None = None,
    ) -> None:
        self._clock = clock
        self._store = store
        self._meter = meter
        self._decided = decided
        self._audited = audited
        self._recorded = recorded
        self._received = received
        self._unmatched = unmatched or UnmatchedReceipts(clock)
        self._stopping = Stopping(stops, keys, labels, recipients, meter, decided)
        self.reconfigure(labels)

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Use other labels from the next fact on."""
        self._labels = self._stopping.labels = labels

    async def record(self, evidence: Evidence) -> None:
        """One fact about one message."""
        known, newly = None, False
        # A plain fact moves its message whatever else is known of it: that saves a question to the store.
        if evidence.hard or evidence.event in _CONSIDERED or self._audited:
            known = await self._store.about(evidence.message_id)
            if known is None:
                await self._stopping.stop_by_itself(evidence)
                return
            evidence = self._judged(evidence, known)
            # First the stop list: if we die in between, the same fact told again still stops the next message.
            newly = await self._stopping.stop(evidence, known)
        result = await self._store.record_evidence(evidence)
        if result == "unknown":
            await self._stopping.stop_by_itself(evidence)
            return
        self._meter.evidence(evidence.source, evidence.event, "matched" if result == "moved" else "ignored")
        # What is no news is only counted: whoever holds a mail can bring it as often as he likes.
        if result == "moved":
            self._moved(evidence, known)
        elif newly and known is not None:
            # No news of the message, but somebody had been taken off the list since.
            self._decide(known, "stop put", f"{evidence.event} by {evidence.source}")

    def _moved(self, evidence: Evidence, known: Known | None) -> None:
        """The fact was news."""
        if known is not None:
            if evidence.event is Event.COMPLAINED:
                self._meter.complained(known.label, known.route)
            self._decide(known, evidence.event, evidence.source)
        self._recorded(evidence.message_id, evidence.event)
        # That an email arrived or was opened is no news to a journal: its line was the relay's answer.
        channel = evidence.channel if known is None else known.channel
        say = self.log.debug if channel is Channel.EMAIL and evidence.event in _GOOD_NEWS else self.log.info
        say(
            "{event} by {source} for {message_id}",
            event=evidence.event,
            source=evidence.source,
            message_id=evidence.message_id,
        )

    async def record_receipt(self, receipt: Receipt) -> None:
        """A delivery receipt: matched, or parked until the submit's answer comes."""
        result, message_id = await self._store.record_receipt(receipt, park=not self._is_about_the_whole(receipt))
        if result == "unknown":
            await self._record_whole(receipt)
        else:
            await self._receipted(receipt, result, message_id)

    async def look_again(self, receipt: Receipt) -> None:
        """A parked receipt once more: by its id, or by the number of a message that is uncertain."""
        result, message_id = await self._store.record_receipt(receipt, park=False, by_number=True)
        if result != "unknown":
            await self._receipted(receipt, result, message_id)
        elif self._is_about_the_whole(receipt) or await self._is_answered(receipt):
            await self._record_whole(receipt)
        else:
            self._unmatched.stranger(receipt.smsc, receipt.came_at or receipt.parked_at)

    def _is_about_the_whole(self, receipt: Receipt) -> bool:
        """A provider's report of a part that no answer named, and none is awaited any more."""
        return bool(receipt.message_id) and self._clock.seconds() >= receipt.whole_after

    async def _is_answered(self, receipt: Receipt) -> bool:
        """Whether its message, which a provider's report names, has its answer, or its attempt ended without one."""
        known = await self._store.about(receipt.message_id) if receipt.message_id else None
        return known is not None and not known.is_on_the_wire

    async def _record_whole(self, receipt: Receipt) -> None:
        known = await self._store.about(receipt.message_id)
        if known is not None and known.parts > 1:
            # As a receipt for a segment that nobody named: the parts that the answer named say when all is there.
            if not receipt.parked_at:
                self._meter.evidence(receipt.smsc, receipt.event or "none", "orphaned")
            return
        # It is looked at again for as long as it is parked: what it said once, it has said.
        if receipt.event is not None and known is not None and known.state not in FINAL:
            await self.record(Evidence(receipt.message_id, receipt.event, receipt.smsc, receipt.detail))

    async def give_up(self, receipt: Receipt) -> None:
        """The last look at a parked receipt: where no message of ours bears its id, that is said."""
        try:
            result, message_id = await self._store.record_receipt(receipt, park=False, by_number=True)
        except StoreUnavailable:
            # It is parked no more, and comes to nobody again.
            self._say_orphaned(receipt)
            raise
        if result != "unknown":
            await self._receipted(receipt, result, message_id)
        elif not self._is_about_the_whole(receipt):
            self._say_orphaned(receipt)

    def _say_orphaned(self, receipt: Receipt) -> None:
        self._meter.evidence("receipt", receipt.event or "none", "orphaned")
        self.log.warn(
            "a receipt from {smsc} for {ids} matches no message of ours: {detail}",
            smsc=receipt.smsc,
            ids=" or ".join(receipt.remote_ids),
            detail=receipt.detail,
        )

    async def record_inbound(self, inbound: Inbound) -> None:
        """A text from a player: a stop word unsubscribes whose latest message went to its number, or that number."""
        message_id = await self._store.latest_to([inbound.number_hash, *inbound.earlier_hashes])
        known = await self._store.about(message_id) if message_id else None
        if known is None or not known.ext_user_id:
            await self._stopping.stop_number(inbound)
        elif self._stopping.asks_for_it(inbound.text, known.label):
            await self.record(Evidence(known.message_id, Event.STOPPED, "inbound", "stop word"))
        else:
            self._meter.evidence("inbound", "text", "ignored")

    async def record_late_answer(self, message_id: str, route: str, remote_ids: tuple[str, ...]) -> None:
        """All of an uncertain message's submits were answered after all: it was taken. Nobody says so twice."""
        known = await persist(self._clock, self._store.about, message_id)
        if known is None or known.state is not State.UNCERTAIN:
            return
        handed = Handed(route, remote_ids, "late answer")
        settled = await persist(self._clock, self._store.settle_sent, message_id, known.channel, handed)
        self._decide(known, State.SENT, f"{route}, late answer")
        if settled.has_arrived:
            self._decide(known, State.DELIVERED, BEFORE_THE_ANSWER)
        for receipt in settled.parked:
            await persist(self._clock, self.record_receipt, receipt)
        self._meter.evidence("late answer", Event.SENT, "matched")

    async def resume_from(
        self, message_id: str, route: str, stamp: int, remote_ids: tuple[str, ...], reason: str
    ) -> None:
        """`route` has of an uncertain message what `remote_ids` say, and no more: it goes on from there at once."""

        async def resume() -> None:
            if await self._store.resume_from(message_id, route, stamp, reason, progress=remote_ids):
                self._meter.evidence("late answer", "none", "matched")

        await persist(self._clock, resume)

    async def record_simulated(self, message_id: str) -> None:
        """A message of a label in test mode counts as delivered."""
        if await self._store.record_evidence(Evidence(message_id, Event.DELIVERED, "test mode")) == "moved":
            known = await self._store.about(message_id) if self._audited else None
            if known is not None:
                self._decide(known, known.state, "test mode")

    async def record_hard_failure(self, message_id: str) -> None:
        """The relay says that the address does not exist."""
        known = await self._store.about(message_id)
        if known is not None:
            await self._stopping.stop(Evidence(message_id, Event.REJECTED, "relay", hard=True), known)

    def _judged(self, evidence: Evidence, known: Known) -> Evidence:
        if evidence.event not in (Event.OPENED, Event.MACHINE_OPENED):
            return evidence
        label = self._labels.get(known.label)
        # An ESP tells it minutes later, in a batch; where its clock is off, ours counts.
        came = evidence.at if evidence.at >= known.sent_at - WHOLE_SECONDS else self._clock.seconds()
        machine = evidence.event is Event.MACHINE_OPENED or came - known.sent_at < MACHINE
        if machine and not (label and label.report_machine_opens):
            return replace(evidence, event=Event.MACHINE_OPENED)
        return replace(evidence, event=Event.OPENED)

    def _decide(self, known: Known, what: str, reason: str) -> None:
        self._decided(
            Decision(what, known.label, known.channel, known.message_id, known.uid, known.ext_user_id, reason)
        )

    async def _receipted(self, receipt: Receipt, result: str, message_id: str) -> None:
        if result == "moved" and receipt.event is not None:
            self._recorded(message_id, receipt.event)
        elif receipt.event is not None:
            self._received(receipt)
        news = result in ("moved", "sent")
        if news and (self._audited or receipt.event in _DID_NOT_ARRIVE):
            known = await self._store.about(message_id)
            if known is not None:
                self._decide(known, known.state if result == "moved" else State.SENT, f"receipt from {receipt.smsc}")
        outcome = {"moved": "matched", "sent": "matched", "parked": "parked"}.get(result, "ignored")
        if result != "parked":
            self._unmatched.matched(receipt.smsc)
        self._meter.evidence("receipt", receipt.event or "none", outcome)
        say = self.log.info if news else self.log.debug
        say(
            "receipt from {smsc} for {message_id}: {detail} ({result})",
            smsc=receipt.smsc,
            message_id=message_id or "no message yet",
            detail=receipt.detail,
            result=result,
        )
