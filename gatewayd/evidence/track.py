"""Evidence in, status moves on, report queued; and who must not be contacted any more.

Every fact from outside comes through here, whatever protocol brought it. Each method returns once the fact is
durable, so that its caller may tell the next hop that we took it; StoreUnavailable goes through to the caller, but for
what nobody would bring again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from gatewayd.config import Label
from gatewayd.core.interfaces import Decided, IMeter, IRecipients, IStopList, IStore, unrecorded
from gatewayd.core.log import Logger
from gatewayd.core.model import BEFORE_THE_ANSWER, Channel, Decision, Evidence, Handed, Inbound, Known, Receipt, WhyNot
from gatewayd.core.persist import persist
from gatewayd.core.status import FINAL, LETTERS, Event, Report, State
from gatewayd.core.tokens import Keys
from gatewayd.evidence.stop_words import is_stop_word, plain
from gatewayd.evidence.unmatched import UnmatchedReceipts

MACHINE = 5.0
"""Seconds after `accepted` in which an open counts as a machine's (CONTRACT.md, Email)."""

WHOLE_SECONDS = 1.0
"""By how much an open may seem to come before `accepted`, where its source tells no fractions."""

_DID_NOT_ARRIVE = frozenset({Event.FAILED, Event.REJECTED})
_GOOD_NEWS = frozenset({Event.DELIVERED, Event.OPENED, Event.MACHINE_OPENED})

_STOPPING: dict[Event, Callable[[Label], bool]] = {
    Event.COMPLAINED: lambda label: label.suppress_on_complaint,
    Event.UNSUBSCRIBED: lambda label: label.suppress_on_unsubscribe,
    Event.STOPPED: lambda label: label.suppress_on_unsubscribe,
}
_SAYS_NOTHING = Label.model_construct()
"""Of a label that the configuration has no more: who unsubscribed from it must not get its mail when it is back."""

_FAILURES = frozenset({Event.FAILED, Event.BOUNCED, Event.REJECTED})
_CONSIDERED = frozenset({Event.OPENED, Event.MACHINE_OPENED, *_STOPPING, *_DID_NOT_ARRIVE})


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
        self._stops = stops
        self._keys = keys
        self._meter = meter
        self._decided = decided
        self._audited = audited
        self._recorded = recorded
        self._received = received
        self._recipients = recipients
        self._unmatched = unmatched or UnmatchedReceipts(clock)
        self.reconfigure(labels)

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Use other labels from the next fact on."""
        self._labels = labels

    async def record(self, evidence: Evidence) -> None:
        """One fact about one message."""
        known, newly = None, False
        # A plain fact moves its message whatever else is known of it: that saves a question to the store.
        if evidence.hard or evidence.event in _CONSIDERED or self._audited:
            known = await self._store.about(evidence.message_id)
            if known is None:
                await self._stop_by_itself(evidence)
                return
            evidence = self._judged(evidence, known)
            # First the stop list: if we die in between, the same fact told again still stops the next message.
            newly = await self._stop(evidence, known)
        result = await self._store.record_evidence(evidence)
        if result == "unknown":
            await self._stop_by_itself(evidence)
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

    def give_up(self, receipt: Receipt) -> None:
        """A parked receipt was given up: no message of ours bears its id."""
        if self._is_about_the_whole(receipt):
            return
        self._meter.evidence("receipt", receipt.event or "none", "orphaned")
        self.log.warn(
            "a receipt from {smsc} for {ids} matches no message of ours: {detail}",
            smsc=receipt.smsc,
            ids=" or ".join(receipt.remote_ids),
            detail=receipt.detail,
        )

    async def record_inbound(self, inbound: Inbound) -> None:
        """A text from a player: a stop word unsubscribes whose latest message went to its number, or that number."""
        word = plain(inbound.text)
        message_id = await self._store.latest_to([inbound.number_hash, *inbound.earlier_hashes])
        known = await self._store.about(message_id) if message_id else None
        if known is None or not known.ext_user_id:
            await self._stop_number(inbound, word)
        elif is_stop_word(word, self._labels.get(known.label, _SAYS_NOTHING).stop_words):
            await self.record(Evidence(known.message_id, Event.STOPPED, "inbound", "stop word"))
        else:
            self._meter.evidence("inbound", "text", "ignored")

    async def _stop_number(self, inbound: Inbound, word: str) -> None:
        """Whoever was erased, or whose messages are kept no more, is known by the number alone, and so is their stop.

        Which label they mean nobody knows: it holds for each that sends by this SMSC and has that word.
        """
        meant = {
            name: label.suppress_for
            for name, label in self._labels.items()
            if any(inbound.smsc in route.via for route in label.sms_routes)
            and is_stop_word(word, label.stop_words)
            and label.suppress_on_unsubscribe
        }
        # A number that can be read in several ways is each of them.
        names = [one for one in (inbound.number_hash, *inbound.earlier_hashes) if one]
        if not meant or not names:
            self._meter.evidence("inbound", "text", "ignored")
            return
        reason = f"{Event.STOPPED} by inbound: its number, to which no message is kept"
        for name, seconds in meant.items():
            newly = [
                await self._stops.put(name, Channel.SMS, one, seconds, reason=reason, of_address=True) for one in names
            ]
            if all(newly):
                self._decided(Decision(Event.STOPPED, name, Channel.SMS, reason=reason))
        self._meter.evidence("inbound", Event.STOPPED, "matched")
        self.log.info(
            "a stop word came by {smsc} from a number to which no message is kept: no SMS of {labels} to it any more",
            smsc=inbound.smsc,
            labels=", ".join(meant),
            # Whoever has a telephone can text as often as he likes.
            log_limited=True,
        )

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
            await self._stop(Evidence(message_id, Event.REJECTED, "relay", hard=True), known)

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

    async def _stop(self, evidence: Evidence, known: Known) -> bool:
        """Put on the stop list whom this fact stops; whether they were not on it."""
        label = self._labels.get(known.label, _SAYS_NOTHING)
        wanted = _STOPPING.get(evidence.event)
        stops_player = wanted is not None and wanted(label)
        # A bounce after a person's open is a forwarder's: the address was there.
        hard = evidence.hard and evidence.event in _FAILURES and LETTERS[Report.OPENED] not in known.queued_reports
        has_address = known.address_hash and known.channel is Channel.EMAIL
        stops_address = hard and label.suppress_on_hard_bounce and has_address
        if stops_player and await self._went_to_another(known):
            # Whoever looked at a preview says nothing of the player whose data it showed.
            stops_player = False
        if not stops_player and not stops_address:
            return False
        user, user_hash = await self._whose(evidence, known)
        newly = False
        if stops_player and user_hash:
            newly = await self._stops.put(
                known.label,
                known.channel,
                user_hash,
                label.suppress_for,
                user=user,
                reason=f"{evidence.event} by {evidence.source}",
            )
        if stops_address:
            newly |= await self._stops.put(
                known.label,
                known.channel,
                known.address_hash,
                label.suppress_for,
                user=user,
                reason=f"{evidence.event} by {evidence.source}: no such address",
                of_address=True,
                owner=user_hash,
            )
        return newly

    async def _went_to_another(self, known: Known) -> bool:
        """Whether an email is known to have gone to another address than its player's: a preview, or to support."""
        if not known.activity_type or known.channel is not Channel.EMAIL or self._recipients is None:
            return False
        found = await self._recipients.address(known.label, known.ext_user_id, known.channel)
        return bool(found.address) and known.address_hash not in self._keys.address_hashes(found.address)

    async def _whose(self, evidence: Evidence, known: Known) -> tuple[str, str]:
        """The player's id, "" where it is not known, and the keyed hash that the stop list has for it.

        In the directory's own spelling: what was taken while the directory was down has the caller's, and the next
        message may come in another one. Where it does not answer now, an unsubscribe link has it since the mail left.
        """
        if not known.ext_user_id:
            # A player who was erased is named by the link alone.
            return "", evidence.user_hash
        user, spelled = known.ext_user_id, False
        if self._recipients is not None:
            found = await self._recipients.address(known.label, user, known.channel)
            user, spelled = found.user, found.why_not not in (WhyNot.UNAVAILABLE, WhyNot.UNKNOWN)
        hashes = self._keys.user_hashes(known.label, user)
        if evidence.user_hash and not spelled and evidence.user_hash not in hashes:
            return "", evidence.user_hash
        return user, hashes[0]

    async def _stop_by_itself(self, evidence: Evidence) -> None:
        label = self._labels.get(evidence.label, _SAYS_NOTHING)
        wanted = _STOPPING.get(evidence.event)
        if not evidence.label or wanted is None or not wanted(label) or not evidence.user_hash:
            self._meter.evidence(evidence.source, evidence.event, "orphaned")
            return
        reason = f"{evidence.event} by {evidence.source}"
        seconds = label.suppress_for
        if await self._stops.put(evidence.label, Channel.EMAIL, evidence.user_hash, seconds, reason=reason):
            # Whose it is nobody knows any more.
            why = f"{evidence.source}, of a message that is kept no more"
            self._decided(Decision(evidence.event, evidence.label, Channel.EMAIL, evidence.message_id, reason=why))
        self._meter.evidence(evidence.source, evidence.event, "matched")
        self.log.info(
            "{event} by {source} for a message of {label} that is kept no more: no email to its player from now on",
            event=evidence.event,
            source=evidence.source,
            label=evidence.label,
            # Whoever holds an old mail can come as often as he likes.
            log_limited=True,
        )

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
