"""A player who agreed to be written to again: a stop of ours that is older is lifted, and the audit log says so."""

from collections.abc import Sequence

from twisted.logger import Logger

from gatewayd.core.interfaces import Decided, IStopList, unrecorded
from gatewayd.core.model import Decision, Message

log = Logger()


class Consent:
    """Asked by whoever finds a player on the stop list, at acceptance and right before the wire."""

    def __init__(self, stops: IStopList, decided: Decided = unrecorded) -> None:
        self._stops = stops
        self._decided = decided

    async def lifts(self, message: Message, hashes: Sequence[str], consented_at: float) -> bool:
        """Whether a stop under one of these keyed hashes was older than the consent, and is gone now.

        `consented_at` is in seconds since the epoch, 0 where no consent is known. Raises StoreUnavailable.
        """
        if not consented_at:
            return False
        lifted = await self._stops.lift(message.label, message.channel, hashes, consented_at)
        if not lifted:
            return False
        log.info(
            "a stop of a player of {label}/{channel} was lifted: their consent is newer",
            label=message.label,
            channel=message.channel.value,
            message_id=message.id,
        )
        reason = "the player's consent is newer (consented_at)"
        self._decided(
            Decision(
                "stop lifted", message.label, message.channel, message.id, message.uid, message.ext_user_id, reason
            )
        )
        return True
