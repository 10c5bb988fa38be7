"""The work for a message: resolve the recipient, choose the routes, hand it to its channel.

Sees the operator's directory a second time, but for what was accepted just now, because an opt-out may have come since
acceptance. The address lives in this call and in the channel's, nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from gatewayd.config import Label
from gatewayd.config.labels import sms_route
from gatewayd.core.consent import Consent
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import IChannel, IQueues, IRecipients
from gatewayd.core.model import Channel, Handed, Leased, Message, Order, Resolved, Sms, WhyNot
from gatewayd.core.tokens import Keys
from gatewayd.work.marks import Marks

RECENT = 2.0
"""Seconds after acceptance in which the answer that the directory gave then is still taken for true (README).

It may be as old as the directory's `cache` allows; where none is kept, the directory is asked."""

PROMPT = 300.0
"""Seconds after acceptance in which a message goes out in quiet hours, too: somebody does something right now."""

SIMULATED = "test-mode"
"""The route of a message that a label in test mode did not really send."""

RETURN_LOOK = 300.0
"""Seconds between two looks at whether a label or route that was taken out of the file is back."""

DIRECTORY_RETRY = 5.0
"""Seconds until a directory that could not be asked is asked again for the same message."""

_UNREACHED: dict[WhyNot | None, str] = {
    WhyNot.UNKNOWN: "the directory does not know the user",
    WhyNot.MAY_NOT: "the user may not be contacted",
    WhyNot.NO_ADDRESS: "the user has no address that can be read",
}
"""Why a message ends as rejected, of a player who can't be written to any more."""


class Deliverer:
    """Turns a leased message into an order for its channel.

    `wall` is the time of day, by which players sleep: `clock` follows it slowly where it is set.
    """

    def __init__(
        self,
        clock: Any,
        store: IQueues,
        channels: Mapping[Channel, IChannel],
        recipients: IRecipients,
        keys: Keys,
        *,
        marks: Marks,
        segments: Callable[[str, Label, str], int],
        labels: Mapping[str, Label],
        consent: Consent,
        wall: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._store = store
        self._channels = channels
        self._recipients = recipients
        self._keys = keys
        self._marks = marks
        self._segments = segments
        self._labels = labels
        self._consent = consent

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Go by these labels from the next message on."""
        self._labels = labels

    async def deliver(self, leased: Leased) -> Handed:
        """Hand it to a next hop once. Raises what IChannel.send raises."""
        message = leased.message
        label = self._labels.get(message.label)
        if label is None:
            raise self._not_there(f"label {message.label} is in the configuration no more")
        if label.only_users is not None and message.ext_user_id not in label.only_users:
            # Nothing goes to a wire, so there is no mark: a crash now must not leave it held as uncertain.
            return Handed(SIMULATED, detail="simulated: the label is in test mode")
        channel = self._channels[message.channel]
        self._check_quiet(label, leased)
        # Thousands may wait for what is down: their players are not looked up at each try, to be looked up again.
        ways = _ways_out(label, message.channel)
        if ways and (trouble := channel.why_not(ways)):
            raise TemporaryFailure(trouble, progress=leased.progress)
        found = await self._resolve(message)
        routes, sender = _way_out(label, message.channel, found.address)
        if not routes:
            raise self._not_there(f"label {message.label} has no {message.channel} route for this message any more")
        if sender and isinstance(message.content, Sms):
            message = replace(message, content=replace(message.content, from_number=sender))
        hashes = self._hashes(message.channel, found.address)
        begun_for = leased.address_hash if leased.progress else ""
        address_hash = begun_for if begun_for in hashes else hashes[0]
        mark = self._marker(message, leased.lease, label, found, address_hash)
        # What goes out names the player as the directory does: an unsubscribe link's player is on the stop list so.
        message = replace(message, ext_user_id=found.user)
        # A number that is new meanwhile has none of the segments, and gets the whole.
        progress = leased.progress if begun_for in ("", address_hash) else ()
        order = Order(message, found.address, routes, progress, leased.attempts + 1, leased.route, leased.lease)
        return await channel.send(order, mark)

    def _check_quiet(self, label: Label, leased: Leased) -> None:
        """A campaign that is late must not wake anybody; what somebody waits for, and half an SMS, goes on.

        Raises TemporaryFailure.
        """
        message, now = leased.message, self._clock.seconds()
        # Of a host that slept our own clock knows nothing: it has waited for as long as either says.
        waited = now - min(message.accepted_at, leased.taken_at or now)
        if label.quiet_hours is None or message.activity_type or leased.progress or waited <= PROMPT:
            return
        of_day = self._wall()
        if until := label.quiet_hours.until(label.quiet_timezone, of_day):
            hours = f"{label.quiet_hours} {label.quiet_timezone}"
            reason = f"quiet hours of {message.label} ({hours}): it waits until they end"
            raise TemporaryFailure(reason, not_before=now + until - of_day, counts=False)

    def _not_there(self, reason: str) -> TemporaryFailure:
        """What an operator took out of the file may come back with the next reload, which makes the message due.

        A slip of the editor must not reject a backlog for good: it waits, until its deadline.
        """
        return TemporaryFailure(f"{reason}: it waits", not_before=self._clock.seconds() + RETURN_LOOK, counts=False)

    async def _resolve(self, message: Message) -> Resolved:
        if message.sealed_to:
            try:
                return Resolved(message.ext_user_id, self._keys.unseal(message.sealed_to, message.id))
            except ValueError as error:
                raise PermanentFailure(str(error)) from None
        fresh = self._clock.seconds() - message.accepted_at > RECENT
        found = await self._recipients.address(message.label, message.ext_user_id, message.channel, fresh=fresh)
        if found.why_not in _UNREACHED:
            raise PermanentFailure(_UNREACHED[found.why_not])
        if found.why_not is WhyNot.UNAVAILABLE:
            # The directory is nobody's next hop: asking it again soon loads neither relay nor SMSC.
            soon = found.not_before or self._clock.seconds() + DIRECTORY_RETRY
            raise TemporaryFailure(found.reason, not_before=soon)
        return found

    def _hashes(self, channel: Channel, address: str) -> tuple[str, ...]:
        return self._keys.number_hashes(address) if channel is Channel.SMS else self._keys.address_hashes(address)

    def _marker(
        self, message: Message, lease: str, label: Label, found: Resolved, address_hash: str
    ) -> Callable[[str], Any]:
        stop: tuple[str, ...] = ()
        if not message.activity_type:
            users = (found.user, message.ext_user_id)
            stop = self._keys.stop_hashes(message.label, users, message.channel, found.address)
        content = message.content

        async def before_wire(route: str) -> int:
            segments = self._segments(content.body, label, route) if isinstance(content, Sms) else 1

            async def mark() -> int:
                stamp = await self._store.mark(
                    message, route, address_hash, lease=lease, segments=segments, stop_hashes=stop
                )
                if stamp:
                    self._marks.written(message.id, message.channel, route, stamp)
                return stamp

            if stamp := await mark():
                return stamp
            if await self._consent.lifts(message, stop, found.consented_at) and (stamp := await mark()):
                return stamp
            raise PermanentFailure("the user is on the stop list")

        return before_wire


def _ways_out(label: Label, channel: Channel) -> tuple[str, ...]:
    """All ways that may ever take one of the label's messages."""
    if channel is not Channel.SMS:
        return _way_out(label, channel, "")[0]
    return tuple(dict.fromkeys(name for route in label.sms_routes for name in route.via))


def _way_out(label: Label, channel: Channel, address: str) -> tuple[tuple[str, ...], str]:
    """The routes of this address in order, and the sender that they ask for, "" for any."""
    if channel is not Channel.SMS:
        return label.relays if channel is Channel.EMAIL else label.im_via, ""
    route = sms_route(label.sms_routes, address)
    return (route.via, route.sender) if route is not None else ((), "")
