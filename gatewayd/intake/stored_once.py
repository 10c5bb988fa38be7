"""A message stored once, and taken back where its caller heard that nothing was stored: the end of an acceptance.

Owns the race between the store's answer and the caller's patience. Must not know what makes a request acceptable.
"""

import itertools
from collections.abc import Mapping
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.consent import Consent
from gatewayd.core.errors import ErrorCode, Refused, StoreUnavailable, StoreUntouched
from gatewayd.core.interfaces import Acceptance, Decided, IAccepting
from gatewayd.core.log import Logger
from gatewayd.core.model import Channel, Decision, Leased, Message, Resolved
from gatewayd.core.persist import persist
from gatewayd.core.tokens import Keys
from gatewayd.intake.rules import SendRequest, content_of

log = Logger()

NO_MEMORY = "there was no memory for it"
"""What is told where a request was too much for what this process may have: it may come again."""


class IOutbox(Protocol):
    """Where a message that this instance accepted may go on from memory."""

    def room(self) -> bool:
        """Whether one more leased message is welcome."""

    def offer(self, leased: Leased) -> None:
        """Take a message that is already leased to this instance."""

    def hold(self, key: str, doing: Deferred[None]) -> None:
        """Begin nothing under this id before `doing` has ended."""


class Caller:
    """Who waits for the answer, about which player (`user`, by the best spelling of the id that is known).

    `has_heard_no`: they were told that nothing was stored, so nothing may stay.
    """

    def __init__(self, user: str) -> None:
        self.user = user
        self.has_heard_no = False


class StoringOnce:
    """Stores what was found to be acceptable. `outboxes` are those that this process works on."""

    def __init__(
        self,
        clock: IReactorTime,
        store: IAccepting,
        keys: Keys,
        *,
        outboxes: Mapping[Channel, IOutbox],
        consent: Consent,
        decided: Decided,
    ) -> None:
        self._clock = clock
        self._store = store
        self._keys = keys
        self._outboxes = outboxes
        self._consent = consent
        self._decided = decided
        self._attempts = itertools.count()

    async def store(
        self,
        message: Message,
        ids: tuple[str, ...],
        request: SendRequest,
        found: Resolved,
        until: float,
        caller: Caller,
    ) -> str:
        """The id of `message`, whether it is stored now or was before. Raises Refused, and StoreUnavailable.

        Runs to its end even if the caller's time is up: what was stored after all must be taken back.
        The store is asked, a second time where a newer consent lifts the stop that it found; who has heard "nothing
        stored" meanwhile, or may hear it, has it undone; else the message is ours, and leaves from memory where it can.
        """
        stops = self._stop_hashes(message, request, found)
        outbox = self._outboxes.get(message.channel)

        async def ask(attempt: str) -> tuple[Acceptance, str]:
            prints = self._keys.fingerprints(content_of(request))
            return await self._store.accept(
                message,
                prints[0],
                earlier_fingerprints=prints[1:],
                player_hash=self._keys.user_hashes(message.label, message.ext_user_id)[0],
                earlier_ids=ids[1:],
                stop_hashes=stops,
                lease=outbox is not None and outbox.room(),
                until=until,
                attempt=attempt,
            )

        attempt = f"{next(self._attempts)}"
        try:
            outcome, message_id = await ask(attempt)
            if outcome is Acceptance.SUPPRESSED and await self._consent.lifts(message, stops, found.consented_at):
                self._store.heard(attempt)
                attempt = f"{next(self._attempts)}"
                outcome, message_id = await ask(attempt)
        except StoreUntouched:
            raise
        except StoreUnavailable:
            self._undo_accept(message, attempt)
            raise
        except MemoryError:
            self._undo_accept(message, attempt)
            raise Refused(ErrorCode.TRY_AGAIN, NO_MEMORY) from None
        if caller.has_heard_no:
            self._undo_accept(message, attempt)
            return message_id
        self._store.heard(attempt)
        if outcome is Acceptance.LEASED and outbox is not None:
            outbox.offer(Leased(message, lease=attempt))
        self._say(message, outcome, message_id)
        return verdict(outcome, message_id)

    def _stop_hashes(self, message: Message, request: SendRequest, found: Resolved) -> tuple[str, ...]:
        """By what the stop list would hold this player; nothing for what an operator's own people are sent."""
        if request.activity_type:
            return ()
        users = (found.user, request.ext_user_id)
        return self._keys.stop_hashes(message.label, users, message.channel, found.address)

    def _say(self, message: Message, outcome: Acceptance, message_id: str) -> None:
        log.debug(
            "{outcome} {message_id} of {label}/{channel}",
            outcome=outcome.value,
            message_id=message_id,
            label=message.label,
            channel=message.channel.value,
        )
        if outcome in _TAKEN:
            what = Decision("accepted", message.label, message.channel, message_id, message.uid, message.ext_user_id)
            self._decided(what)

    def _undo_accept(self, message: Message, attempt: str) -> None:
        """The caller was told, or is told next, that nothing was stored. Redis may have stored it and lost the word."""
        taking = Deferred.fromCoroutine(
            persist(self._clock, self._store.undo_accept, message.id, message.channel, attempt)
        )
        taking.addErrback(lambda failure: failure.trap(CancelledError))
        taking.addErrback(
            lambda failure: log.failure(
                "a bug: {message_id} was refused, and may be sent", failure, message_id=message.id
            )
        )
        outbox = self._outboxes.get(message.channel)
        if outbox is not None:
            outbox.hold(message.id, taking)


_TAKEN = frozenset({Acceptance.LEASED, Acceptance.STORED})
_VERDICTS: dict[Acceptance, tuple[ErrorCode, str]] = {
    Acceptance.CONFLICT: (ErrorCode.UID_CONFLICT, "the uid was used before with other content"),
    Acceptance.SUPPRESSED: (ErrorCode.SUPPRESSED, "the user or the address is on the stop list"),
    Acceptance.FULL: (ErrorCode.TRY_AGAIN, "too many messages are waiting"),
}


def verdict(outcome: Acceptance, message_id: str) -> str:
    """The message's id, where the store took it now or before; else raises Refused."""
    refusal = _VERDICTS.get(outcome)
    if refusal is not None:
        raise Refused(*refusal)
    return message_id
