"""What the store offers: all that Redis holds, by who asks for it; stop lists, claims on outside events.

Each method is one atomic step. Times are seconds since the epoch.
"""

from collections.abc import Sequence
from enum import StrEnum

from zope.interface import Interface

from gatewayd.core.interfaces.accepting import IAccepting
from gatewayd.core.interfaces.facts import IFacts
from gatewayd.core.interfaces.people import IShownToPeople
from gatewayd.core.interfaces.processes import IProcesses
from gatewayd.core.interfaces.queues import IQueues
from gatewayd.core.model import Channel, Stop


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
    ) -> bool:
        """Put a player or an address, by its keyed hash, on the list; a stop never becomes shorter or older.

        False where they were on it already.

        `user` is the player's id where it is known; `owner` is the keyed hash of the player whose address it is: who
        takes them off takes it off, too. `since` is when it began (seconds since the epoch), 0 for now.
        """

    async def put_all(stops: Sequence[Stop]) -> None:
        """Put many on the list, in as few steps as may be; by the same rule. `since` is 0 for now."""

    async def lift(label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """Lift the stops of these players and addresses that are older than the consent; how many there were."""

    async def forget(label: str, channel: Channel, hashes: Sequence[str]) -> int:
        """The stops of these players hold, and do not say any more whose they are; how many did."""

    async def some(label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """One step over the list, oldest first: those that began at `since` or later. Starts and ends with cursor "0".

        Each is given once; one that begins anew meanwhile comes again with its new time.
        """


class IStore(IAccepting, IQueues, IFacts, IShownToPeople, IProcesses):
    """All of it, as one value: who needs a part of it says which."""
