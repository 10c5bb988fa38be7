"""How parts stand at this moment, and what was decided, for the people who look after gatewayd. No address in it."""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from gatewayd.core.model.message import Channel


class QueueState(Struct, frozen=True):
    """Figures of one queue: members that wait, that are leased, and the age of the oldest, in seconds.

    A message that is held as uncertain waits, but has no part in the age.
    """

    waiting: int
    leased: int
    oldest_age: float


class BindState(Struct, frozen=True):
    """One bind of an SMSC: `phase` says where it stands (bound, binding, waiting, ...), `since` when it came there.

    `reconnects`, `handed` (taken by the SMSC) and `unanswered` count since the process started; `latency` is the
    smoothed time of an answer in seconds.
    """

    smsc: str
    number: int
    mode: str
    phase: str
    since: float
    window: int = 0
    in_flight: int = 0
    reconnects: int = 0
    handed: int = 0
    unanswered: int = 0
    latency: float = 0.0
    last_error: str = ""


class WayState(Struct, frozen=True):
    """How one relay, SMSC or provider stands, for the people who look after it (IChannel.states has them by name).

    `word` says it in a word (up, down, bound, backing-off, ...), `reason` why, redacted; `since` is seconds since the
    epoch. `rate` is the configured limit per second (0: none), `in_flight` of `window` are unanswered now, `handed`
    and `throttled` count since the process started: taken by the next hop, and asked by it to slow down. `binds` are
    those of an SMSC, of which `unreadable` receipts and texts came. `refuses` says why one that is up takes nothing, or
    nothing of the labels `refuses_of`, `receipts` what is wrong with those that it brings.
    """

    up: bool
    word: str = ""
    reason: str = ""
    since: float = 0.0
    in_flight: int = 0
    window: int = 0
    rate: float = 0.0
    handed: int = 0
    throttled: int = 0
    binds: tuple[BindState, ...] = ()
    unreadable: int = 0
    refuses: str = ""
    refuses_of: tuple[str, ...] = ()
    receipts: str = ""


class Degraded(Struct, frozen=True, order=True):
    """Something that does not work for somebody at this moment, though the process runs.

    `kind` is what it is about (label, relay, smsc, provider, directory, redis, clock, reload, callbacks, ...), `name`
    which one: the two are the labels of a metric, so there are few. `text` is one line that names whom it hits, with
    no address and no secret in it.
    """

    kind: str
    name: str
    text: str


MOST_NAMED = 20
"""Of hosts that requests name, which can be any that a label allows, so many have a Degraded of their own at a time."""


class AuditHead(Struct, frozen=True):
    """Where an audit log's chain stands, after how many lines of its file, and how many decisions are missing there."""

    chain: str
    lines: int
    missing: int = 0


_SAID = 5  # names


def some_names(names: Iterable[str]) -> str:
    """Names as a text has them: the first few, and how many more there are; "no label" where there is none."""
    known = list(names)
    more = f" and {len(known) - _SAID} more" if len(known) > _SAID else ""
    return (", ".join(known[:_SAID]) or "no label") + more


class Decision(Struct, frozen=True):
    """One line for the audit log: what was decided about a message, and why. No address, no content."""

    what: str
    label: str
    channel: Channel | Literal[""]
    message_id: str = ""
    uid: str = ""
    ext_user_id: str = ""
    reason: str = ""


Json = dict[str, Any]
