"""What a verb of gatewayctl and a button of a page both do: find a message, settle its dead letters, switch a label.

Must not know HTTP but for the status that a Wrong carries.
"""

from collections.abc import Iterable
from contextlib import suppress

from twisted.logger import Logger

from gatewayd.core.durations import spoken
from gatewayd.core.interfaces import Decided, IShownToPeople
from gatewayd.core.model import Channel, Decision, Known, Trace
from gatewayd.core.timeline import in_words
from gatewayd.core.tokens import Keys
from gatewayd.operators.known_labels import KnownLabels
from gatewayd.operators.orders import Switch, Wrong, channels

log = Logger()

PAGE = 500
"""Dead letters that are looked at in one step."""


class MessageOrders:
    """Carries them out. `retention` is for how many seconds an ended message is kept; `by` says who gave an order."""

    def __init__(
        self, store: IShownToPeople, keys: Keys, labels: KnownLabels, decided: Decided, *, retention: float
    ) -> None:
        self._store = store
        self._keys = keys
        self._labels = labels
        self._decided = decided
        self._retention = retention

    async def trace(self, name: str) -> Trace:
        """The message with this id of ours, or uid of the caller's. Raises Wrong."""
        trace = await self._store.trace([name.lower(), *self._ids_of(name, self._labels.configured())])
        if trace is None:
            trace = await self._store.trace(self._ids_of(name, await self._labels.left_behind()))
        if trace is None:
            raise Wrong(
                404,
                f"no message with this id or uid is kept: {name!r}. A refused request never is (the log has a line for"
                f" it, and the dashboard shows the latest); a message is for {spoken(self._retention)} after its end",
            )
        return in_words(trace)

    async def namesakes(self, trace: Trace, name: str) -> tuple[Known, ...]:
        """Where `trace` was found by a uid: the other messages of that uid, which each label and channel may have."""
        if name.lower() == trace.ext_message_id:
            return ()
        ids = self._ids_of(name, (*self._labels.configured(), *await self._labels.left_behind()))
        known = [await self._store.about(one) for one in ids if one != trace.ext_message_id]
        return tuple(one for one in known if one is not None)

    def _ids_of(self, uid: str, labels: Iterable[str]) -> list[str]:
        return [one for label in labels for channel in Channel for one in self._keys.message_ids(label, channel, uid)]

    async def dead_letter(self, verb: str, message_id: str, by: str) -> str:
        """Retry or drop a message's dead statuses; what was done with them, in a word. Raises Wrong."""
        work, done = (self._store.retry_dead, "retried") if verb == "retry" else (self._store.drop_dead, "dropped")
        if not await work(message_id):
            raise Wrong(404, f"message {message_id!r} has no dead letter (gatewayctl dead-letters lists them)")
        log.info("Dead letters of {message_id} {done} by {by}", message_id=message_id, done=done, by=by)
        if known := await self._store.about(message_id):
            whose = (known.label, known.channel, message_id, known.uid, known.ext_user_id)
            self._decided(Decision(f"dead letters {done}", *whose, reason=f"by {by}"))
        return done

    async def retry_all_dead_letters(self, by: str) -> None:
        """Retry those of every message, page by page; not those that are given up again meanwhile."""
        newest = await self._store.dead_letters(1)
        until = newest[0].given_up_at + 0.001 if newest else 0.0
        tried: set[str] = set()
        while page := {letter.message_id for letter in await self._store.dead_letters(PAGE, until)} - tried:
            tried |= page
            for message_id in page:
                # Another operator may have been faster.
                with suppress(Wrong):
                    await self.dead_letter("retry", message_id, by)

    async def try_now(self, name: str, by: str) -> str:
        """Let a message wait no longer for its next try; its id of ours. Raises Wrong."""
        trace = await self.trace(name)
        message_id = trace.ext_message_id
        if not await self._store.try_now(message_id, trace.channel):
            raise Wrong(409, "this message does not wait for another try")
        log.info("{message_id} is tried now, by {by}", message_id=message_id, by=by)
        whose = (trace.label, trace.channel, message_id, trace.uid, trace.ext_user_id)
        self._decided(Decision("tried now", *whose, reason=f"by {by}"))
        return message_id

    async def switch(self, switch: Switch, by: str, *, on: bool) -> tuple[Channel, ...]:
        """Let a label's messages go on, or wait; the channels that this was said of. Raises Wrong."""
        await self._labels.check(switch.label)
        verb = self._store.resume if on else self._store.pause
        done = "resumed" if on else "paused"
        for channel in channels(switch.channel):
            await verb(switch.label, channel)
            log.info("{label}/{channel} {done} by {by}", label=switch.label, channel=channel, done=done, by=by)
            self._decided(Decision(done, switch.label, channel, reason=f"by {by}"))
        return channels(switch.channel)
