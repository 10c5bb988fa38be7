"""One request taken on or refused: well-formed? allowed? is the recipient known? stored once.

Owns the order of these steps and the time that they may take; what a label allows is in rules.py, what becomes of an
answer that comes too late in stored_once.py. Must not know HTTP, JSON, Redis or any directory's kind.
"""

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from gatewayd.config import Label
from gatewayd.config.labels import sms_route
from gatewayd.core.consent import Consent
from gatewayd.core.errors import ErrorCode, NotReplicated, Refused, StoreUnavailable
from gatewayd.core.interfaces import Acceptance, Decided, IAccepting, IRecipients, unrecorded
from gatewayd.core.log import Logger
from gatewayd.core.model import Channel, Content, Decision, Im, Message, Resolved, Sms, WhyNot
from gatewayd.core.rate import OwnSequence
from gatewayd.core.tokens import Keys
from gatewayd.intake.guard import IntakeGuard
from gatewayd.intake.patience import ON_THE_WAY, within
from gatewayd.intake.rules import (
    SendRequest,
    check_callback,
    check_preview,
    check_sender,
    check_well_formed,
    content_of,
    printable,
)
from gatewayd.intake.stored_once import Caller, IOutbox, StoringOnce, verdict

log = Logger()
T = TypeVar("T")

ANSWER_WITHIN = 4.0
"""Seconds after which the caller has its answer whatever is down. CONTRACT.md promises 5, to a thousand at once too."""

BEGUN_WITHIN = 2.5
"""Seconds, of those, after which a request that only waited for its turn is not begun any more."""

DIRECTORY_WITHIN = 2.5
STORE_LEAST = 1.25
"""Seconds of the store's that no directory may use up."""

STORE_WITHIN = 3.0
PREVIEWS_AT_ONCE = 60.0
"""Seconds' worth of a label's preview_rate that may come at once."""


class IFit(Protocol):
    """What the SMSCs of a label can carry. A reason is for the caller, and empty where there is none."""

    def segments(self, body: str, label: Label) -> int:
        """The segments that an SMS takes, at most."""

    def why_no_sender(self, sender: str, label: Label) -> str:
        """Why it can't have this sender."""

    def why_no_text(self, body: str, label: Label) -> str:
        """Why nothing of this text can be sent."""


class Acceptor:
    """Takes requests on. `outboxes` are those that this process works on."""

    def __init__(
        self,
        clock: IReactorTime,
        store: IAccepting,
        recipients: IRecipients,
        keys: Keys,
        labels: Mapping[str, Label],
        *,
        fit: IFit,
        outboxes: Mapping[Channel, IOutbox],
        consent: Consent,
        guard: IntakeGuard,
        decided: Decided = unrecorded,
    ) -> None:
        self._clock = clock
        self._store = store
        self._recipients = recipients
        self._keys = keys
        self._labels = labels
        self._fit = fit
        self._storing = StoringOnce(clock, store, keys, outboxes=outboxes, consent=consent, decided=decided)
        self._guard = guard
        self._decided = decided
        self._previews: dict[str, tuple[float, OwnSequence]] = {}  # with the rate that it was made for
        self.shutting_down = False

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Go by these labels from the next request on."""
        self._labels = labels

    async def accept(self, label_name: str, request: SendRequest, came_at: float | None = None) -> str:
        """Store `request` once, and give its `ext_message_id`: a duplicate gets the same. Raises Refused.

        Answers within ANSWER_WITHIN seconds of `came_at`, the moment when it reached this host. Cancelling does not
        stop what has been asked of the store.
        """
        caller = Caller(request.ext_user_id)
        try:
            return await self._accept(label_name, request, caller, came_at)
        except Refused as refused:
            log.info(
                "refused {uid} of {label}/{channel}: {code} {reason}",
                uid=printable(request.uid),
                label=label_name,
                channel=request.channel.value,
                code=refused.code.value,
                reason=refused.message,
                # A guard or an outage refuses thousands, which come again: some, and how many, say it.
                log_limited=refused.code is ErrorCode.TRY_AGAIN,
            )
            reason = f"{refused.code.value} {refused.message}"
            uid, user = printable(request.uid), printable(caller.user)
            self._decided(Decision("refused", label_name, request.channel, "", uid, user, reason))
            raise

    async def _accept(self, label_name: str, request: SendRequest, caller: Caller, came_at: float | None) -> str:
        now = self._clock.seconds()
        started = now if came_at is None else came_at
        label = self._label(label_name)
        check_well_formed(request)
        ids = self._keys.message_ids(label_name, request.channel, request.uid)
        try:
            sender = self._check_allowed(label, request)
            self._pace_previews(label_name, label, request)
            if label.intake_rate is not None:
                await self._ask_store(self._guard.check(label_name, label), self._until(started))
            found = await self._check_recipient(label_name, label, request, started)
        except Refused as refused:
            return await self._id_if_taken_before(ids, request, refused, started)
        # The directory's own spelling of the id counts, whatever the caller's: one player, one name.
        caller.user = found.user
        message = replace(self._message(ids[0], label_name, label, request, sender, now), ext_user_id=found.user)
        until = self._until(started)
        storing = self._storing.store(message, ids, request, found, until - ON_THE_WAY, caller)
        try:
            return await self._ask_store(storing, until)
        except Refused:
            caller.has_heard_no = True
            raise

    def _label(self, name: str) -> Label:
        if self.shutting_down:
            raise Refused(ErrorCode.TRY_AGAIN, "shutting down")
        label = self._labels.get(name)
        if label is None:
            raise Refused(ErrorCode.NOT_AUTHORISED, "not authorised")
        return label

    def _check_allowed(self, label: Label, request: SendRequest) -> str:
        """The sender of a message that the label lets in as it is configured now. Raises Refused."""
        sender = check_sender(label, request.content)
        fault = request.channel is Channel.SMS and self._fit.why_no_sender(sender, label)
        if fault:
            raise Refused(ErrorCode.SENDER_NOT_ALLOWED, fault)
        check_callback(label, request.callback_url)
        self._check_length(label, request.content)
        check_preview(label, request)
        return sender

    def _check_length(self, label: Label, content: Content) -> None:
        if not isinstance(content, Sms):
            return
        most = label.max_segments
        # Far over the limit is not worth counting, whatever transliteration may save.
        if len(content.body) > most * 640 or self._fit.segments(content.body, label) > most:
            raise Refused(ErrorCode.TOO_LARGE, f"body has more than {most} segments")
        fault = self._fit.why_no_text(content.body, label)
        if fault:
            raise Refused(ErrorCode.INVALID_REQUEST, fault)

    def _pace_previews(self, label_name: str, label: Label, request: SendRequest) -> None:
        if not request.to_email_address or not label.preview_rate:
            return
        rate = label.preview_rate
        known = self._previews.get(label_name)
        if known is None or known[0] != rate:
            known = self._previews[label_name] = rate, OwnSequence(self._clock, max(1.0, rate * PREVIEWS_AT_ONCE))
        within_rate, _ = known[1].use(1.0 / rate)
        if not within_rate:
            raise Refused(ErrorCode.TRY_AGAIN, "too many messages with to_email_address")

    async def _check_recipient(self, label_name: str, label: Label, request: SendRequest, started: float) -> Resolved:
        """Who the directory says it is now, without an address where it could not say. Raises Refused."""
        looking = self._recipients.address(label_name, request.ext_user_id, request.channel)
        left = min(DIRECTORY_WITHIN, started + ANSWER_WITHIN - STORE_LEAST - self._clock.seconds())
        try:
            # One timer is enough: the directory's own, where it rings in time.
            in_time = self._recipients.patience(label_name) <= left
            found = await (looking if in_time else within(self._clock, left, looking))
        except TimeoutError:
            return Resolved(request.ext_user_id)
        if request.to_email_address and found.why_not is not WhyNot.UNKNOWN:
            # It goes to the preview's address: what the player has and allows does not matter.
            return Resolved(found.user)
        if found.why_not in _UNREACHED:
            code, words = _UNREACHED[found.why_not]
            raise Refused(code, words.format(channel=request.channel))
        if request.channel is Channel.SMS and found.address and sms_route(label.sms_routes, found.address) is None:
            # Now or never: a message that was taken waits for a route that is there no more, until its deadline.
            raise Refused(ErrorCode.NO_ADDRESS, "the label has no SMS route for the user's number")
        return found

    def _message(
        self, message_id: str, label_name: str, label: Label, request: SendRequest, sender: str, now: float
    ) -> Message:
        content = request.content
        to = request.to_email_address
        if isinstance(content, Sms | Im):
            content = replace(content, from_number=sender)
        lifetimes = {
            Channel.EMAIL: label.email_deadline,
            Channel.SMS: label.sms_deadline,
            Channel.IM: label.im_deadline,
        }
        return Message(
            id=message_id,
            uid=request.uid,
            label=label_name,
            ext_user_id=request.ext_user_id,
            content=content,
            accepted_at=now,
            deadline=now + lifetimes[request.channel],
            callback_url=request.callback_url,
            activity_type=request.activity_type,
            sealed_to=self._keys.seal(to, message_id) if to else "",
        )

    async def _id_if_taken_before(
        self, ids: tuple[str, ...], request: SendRequest, refused: Refused, started: float
    ) -> str:
        """A duplicate gets its id even if the player or the label has changed since; otherwise raises `refused`."""
        prints = self._keys.fingerprints(content_of(request))
        asking = self._store.known(ids, prints[0], earlier_fingerprints=prints[1:])
        found = await self._ask_store(asking, self._until(started))
        if found is None or (found[0] is Acceptance.CONFLICT and refused.code in _BY_THE_REQUEST):
            raise refused
        return verdict(*found)

    def _until(self, started: float) -> float:
        return min(self._clock.seconds() + STORE_WITHIN, started + ANSWER_WITHIN)

    async def _ask_store(self, asking: Coroutine[Any, Any, T], until: float) -> T:
        left = until - self._clock.seconds()
        if left <= ON_THE_WAY:
            # Not even begun: the wait for a time-out would come on top of all that this one has waited.
            asking.close()
            raise Refused(ErrorCode.TRY_AGAIN, "there was no time for it")
        try:
            return await within(self._clock, left, asking)
        except NotReplicated as error:
            raise Refused(ErrorCode.TRY_AGAIN, str(error)) from None
        except (StoreUnavailable, TimeoutError):
            raise Refused(ErrorCode.TRY_AGAIN, "the store does not answer") from None


_UNREACHED: dict[WhyNot | None, tuple[ErrorCode, str]] = {
    WhyNot.UNKNOWN: (ErrorCode.USER_NOT_FOUND, "User was not found"),
    WhyNot.MAY_NOT: (ErrorCode.SUPPRESSED, "the user may not be contacted"),
    WhyNot.NO_ADDRESS: (ErrorCode.NO_ADDRESS, "the user has no readable address for {channel}"),
}
"""What a caller is told of a player who can't be written to. A directory that can't be asked refuses nobody."""

_BY_THE_REQUEST = frozenset(
    {
        ErrorCode.INVALID_REQUEST,
        ErrorCode.SENDER_NOT_ALLOWED,
        ErrorCode.CALLBACK_NOT_ALLOWED,
        ErrorCode.TOO_LARGE,
    }
)
"""Refusals for what the request says: they are told of other content under a known uid, too, before the conflict."""
