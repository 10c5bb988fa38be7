"""Whom a fact puts on the stop list: a player, an address or a number, by what happened and by what the label says.

What becomes of a message by it is track.py's. Each method returns once the stop is durable.
"""

from collections.abc import Callable, Mapping

from gatewayd.config import Label
from gatewayd.core.interfaces import Decided, IMeter, IRecipients, IStopList
from gatewayd.core.log import Logger
from gatewayd.core.model import Channel, Decision, Evidence, Inbound, Known, WhyNot
from gatewayd.core.status import LETTERS, Event, Report
from gatewayd.core.tokens import Keys
from gatewayd.evidence.stop_words import is_stop_word, plain

STOPPING: dict[Event, Callable[[Label], bool]] = {
    Event.COMPLAINED: lambda label: label.suppress_on_complaint,
    Event.UNSUBSCRIBED: lambda label: label.suppress_on_unsubscribe,
    Event.STOPPED: lambda label: label.suppress_on_unsubscribe,
}
"""What stops a player, where the label does not forbid it."""

_SAYS_NOTHING = Label.model_construct()
"""Of a label that the configuration has no more: who unsubscribed from it must not get its mail when it is back."""

_FAILURES = frozenset({Event.FAILED, Event.BOUNCED, Event.REJECTED})


class Stopping:
    """By the rules of `labels`; `recipients` say how the directory spells a player's id, and where an email went."""

    log = Logger()

    def __init__(
        self,
        stops: IStopList,
        keys: Keys,
        labels: Mapping[str, Label],
        recipients: IRecipients | None,
        meter: IMeter,
        decided: Decided,
    ) -> None:
        self.labels = labels
        self._stops = stops
        self._keys = keys
        self._recipients = recipients
        self._meter = meter
        self._decided = decided

    def asks_for_it(self, text: str, label: str) -> bool:
        """Whether a player's text to a message of `label` is one of its stop words."""
        return is_stop_word(plain(text), self.labels.get(label, _SAYS_NOTHING).stop_words)

    async def stop(self, evidence: Evidence, known: Known) -> bool:
        """Put on the stop list whom this fact stops; whether they were not on it."""
        label = self.labels.get(known.label, _SAYS_NOTHING)
        wanted = STOPPING.get(evidence.event)
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

    async def stop_by_itself(self, evidence: Evidence) -> None:
        """The same where its message is kept no more: whoever unsubscribes brings along who they are."""
        label = self.labels.get(evidence.label, _SAYS_NOTHING)
        wanted = STOPPING.get(evidence.event)
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

    async def stop_number(self, inbound: Inbound) -> None:
        """Whoever was erased, or whose messages are kept no more, is known by the number alone, and so is their stop.

        Which label they mean nobody knows: it holds for each that sends by this SMSC or provider and has that word.
        """
        word = plain(inbound.text)
        meant = {
            name: (channel, label.suppress_for)
            for name, label in self.labels.items()
            if (channel := _channel_by(inbound.smsc, label)) is not None
            and is_stop_word(word, label.stop_words)
            and label.suppress_on_unsubscribe
        }
        # A number that can be read in several ways is each of them.
        names = [one for one in (inbound.number_hash, *inbound.earlier_hashes) if one]
        if not meant or not names:
            self._meter.evidence("inbound", "text", "ignored")
            return
        reason = f"{Event.STOPPED} by inbound: its number, to which no message is kept"
        for name, (channel, seconds) in meant.items():
            newly = [
                await self._stops.put(name, channel, one, seconds, reason=reason, of_address=True) for one in names
            ]
            if all(newly):
                self._decided(Decision(Event.STOPPED, name, channel, reason=reason))
        self._meter.evidence("inbound", Event.STOPPED, "matched")
        self.log.info(
            "a stop word came by {smsc} from a number to which no message is kept: no {channel} of {labels} to it any"
            " more",
            smsc=inbound.smsc,
            channel=next(iter(meant.values()))[0],
            labels=", ".join(meant),
            # Whoever has a telephone can text as often as he likes.
            log_limited=True,
        )


def _channel_by(way: str, label: Label) -> Channel | None:
    """What `label` sends by this SMSC or provider, which carries one kind; None where nothing."""
    if any(way in route.via for route in label.sms_routes):
        return Channel.SMS
    return Channel.IM if way in label.im_via else None
