"""The part of RedisStore that takes messages on: each once for its id, and undone where its caller was refused."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Message
from gatewayd.store import lists, rows
from gatewayd.store.link import RedisLink
from gatewayd.store.part import StorePart
from gatewayd.store.players import bucket
from gatewayd.store.unheard import Unheard

_LATE = b"late"
_PROMISED = frozenset({Acceptance.LEASED, Acceptance.STORED, Acceptance.SAME})
"""Answers on which a caller relies: they leave once the replicas have what they say."""


class Accepting(StorePart):
    """What intake asks of the store."""

    def __init__(self, link: RedisLink, clock: Any, instance: str) -> None:
        super().__init__(link, clock, instance)
        self._unheard = Unheard()
        self._saying_heard = False

    async def accept(
        self,
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
        """As IStore."""
        self._link.check_replicas()
        if attempt:
            self._unheard.asked(attempt)
        if not self._moments.has_joined:
            # Kept by a clock that nobody has compared yet, its deadline may have passed for all others.
            try:
                await self._join_clocks()
            except BaseException:
                self.heard(attempt)
                raise
        digest, content, texts = rows.stored(message, small=not lease)
        player_bucket, deadline = str(bucket(player_hash)), rows.ms(self._moments.kept(message.deadline))
        item = (
            message.id,
            lists.packed(message.id),
            f"{fingerprint}|{player_bucket}|{deadline}",
            " ".join((fingerprint, *earlier_fingerprints)),
            message.label,
            message.channel,
            deadline,
            # As text: to Redis a number becomes one at a price.
            str(rows.ms(self._moments.kept(message.accepted_at))),
            message.callback_url,
            digest,
            content,
            player_bucket,
            int(lease),
            " ".join(earlier_ids),
            self._stop_keys(message.label, message.channel, stop_hashes),
        )

        async def ask() -> Any:
            moments = str(self._moments.theirs(message.accepted_at)), self._moments.theirs(until or 0.0)
            undecided = self._unheard.first() if attempt else ""
            return await self._run("accept", *item, *moments, self._link.arguments.boot + attempt, undecided, *texts)

        try:
            reply = await ask()
            if reply == _LATE:
                # It answered in time, perhaps: then one of the two clocks was set since they were compared.
                await self._compare_clocks()
                reply = await ask()
            if reply == _LATE:
                raise StoreUntouched("Redis came to it too late")
        except BaseException as error:
            # Else it may be stored, and is to be taken back.
            if isinstance(error, StoreUntouched) or not isinstance(error, StoreUnavailable):
                self.heard(attempt)
            raise
        code, owner = reply if isinstance(reply, list) else (reply, message.id.encode())
        outcome = Acceptance(code.decode())
        if outcome in _PROMISED:
            await self._link.confirmed()
        if outcome is Acceptance.STORED and attempt and not self._saying_heard:
            # What this process sends itself, it need not tell others of.
            self._saying_heard = True
            self._clock.callLater(0, self._say_heard)
        return outcome, owner.decode()

    def heard(self, attempt: str) -> None:
        """As IStore."""
        if attempt:
            self._unheard.decided(attempt)

    def _say_heard(self) -> None:
        self._saying_heard = False
        key = self._key("heard", self._link.arguments.boot)
        saying = Deferred.fromCoroutine(self._link.command("SET", key, self._unheard.first(), "EX", 3600))
        # The next heartbeat says it again.
        saying.addErrback(lambda failure: failure.trap(StoreUnavailable))

    async def undo_accept(self, message_id: str, channel: Channel, attempt: str) -> None:
        """As IStore."""
        self._unheard.asked(attempt)
        try:
            await self._run("undo_accept", message_id, attempt)
        except StoreUnavailable:
            # It is asked again.
            raise
        except BaseException:
            self._unheard.decided(attempt)
            raise
        self._unheard.decided(attempt)

    async def known(
        self, ids: Sequence[str], fingerprint: str, *, earlier_fingerprints: Sequence[str] = ()
    ) -> tuple[Acceptance, str] | None:
        """As IStore."""
        code, owner = await self._run("find_accepted", " ".join((fingerprint, *earlier_fingerprints)), list(ids))
        if not code:
            return None
        await self._link.confirmed()
        return Acceptance(code.decode()), owner.decode()
