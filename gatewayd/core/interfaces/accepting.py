"""What intake asks of the store: each message once, and undone where its caller was refused.

Times are seconds since the epoch.
"""

from collections.abc import Sequence
from enum import StrEnum

from zope.interface import Interface

from gatewayd.core.model import Channel, Message


class Acceptance(StrEnum):
    """What the store did with a new message."""

    STORED = "stored"
    LEASED = "leased"
    SAME = "same"
    CONFLICT = "conflict"
    SUPPRESSED = "suppressed"
    FULL = "full"


class IAccepting(Interface):
    """New messages. Each method is one atomic step; any may raise StoreUnavailable."""

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
