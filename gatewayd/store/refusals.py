"""What Redis says where it does not do a command now: a table by its error codes, and its words where it gives no code.

Pure. What is not listed is a fault of ours. Wordings: Redis 6.2, 7.0, 7.2 and 8, Valkey 8 and 9; inside a script
version 6 puts its own words before the error, later ones write the script's hash and line behind it.
"""

import re
from collections.abc import Mapping

from msgspec import Struct


class Refusal(Struct, frozen=True):
    """Redis did not do it now. `reason` is its own text, without what names our script.

    `elsewhere`: this connection leads to a server that will never do it, another one may lead to the right one.
    `untouched`: nothing of what was asked is done. `foreign`: another program wrote one of our keys.
    """

    reason: str
    elsewhere: bool = False
    untouched: bool = True
    foreign: bool = False


class _Row(Struct, frozen=True):
    elsewhere: bool = False
    untouched: bool = True
    foreign: bool = False


_WAIT = _Row()
_ELSEWHERE = _Row(elsewhere=True)
_HALF_DONE = _Row(untouched=False)

_CODES: Mapping[str, _Row] = {
    "BUSY": _WAIT,  # a script of somebody else runs for long
    "CLUSTERDOWN": _WAIT,
    "LOADING": _WAIT,
    "MISCONF": _WAIT,  # it can't write its file
    "NOPERM": _WAIT,
    "NOREPLICAS": _WAIT,  # fewer than min-replicas-to-write
    "OOM": _WAIT,
    "TRYAGAIN": _WAIT,  # a slot is being moved
    "ASK": _ELSEWHERE,
    "MASTERDOWN": _ELSEWHERE,  # a replica that lost its master
    "MOVED": _ELSEWHERE,
    "NOAUTH": _ELSEWHERE,  # the password was set since we logged in: a new connection logs in
    "READONLY": _ELSEWHERE,  # a replica, as a demoted master is one
    "REDIRECT": _ELSEWHERE,  # Valkey, in a failover
    "WRONGTYPE": _Row(untouched=False, foreign=True),
    "UNBLOCKED": _ELSEWHERE,  # a master that became a replica lets go of who waits
}

_WORDS: tuple[tuple[str, _Row], ...] = (
    # A right that is missing for one command of a script: those before it were done.
    ("The user executing the script can't ", _HALF_DONE),
    ("ACL failure in script: ", _HALF_DONE),
    ("Script attempted to execute a write command while the cluster is down", _HALF_DONE),
    ("Script attempted to execute a command while the cluster is down", _HALF_DONE),
    ("Lua script attempted to execute a write command while the cluster is down", _HALF_DONE),
    ("Lua script attempted to execute a command while the cluster is down", _HALF_DONE),
    # Valkey 9.1; no other refusal begins so.
    ("Can not execute a write command '", _HALF_DONE),
    ("Can not execute a command '", _HALF_DONE),
    # Taken from Redis' configuration by rename-command, as hardened ones have it: nothing that we store can be stored.
    *((f"unknown command {quote}{name}{quote}", _WAIT) for name in ("EVALSHA", "EVAL", "SCRIPT") for quote in "'`"),
    ("Unknown Redis command called from ", _HALF_DONE),
    # By an operator; Redis does it only to one that wrote nothing yet.
    ("Script killed by user", _WAIT),
    ("max number of clients reached", _WAIT),
)

_BEFORE = re.compile(r"(?:ERR )?(?:Error running script \(call to \w+\): (?:@user_script: ?\d+: ){0,2})?-?(?:ERR )?")
_BEHIND = re.compile(r" script: (?:\w{40}, )?on @user_script.*", re.DOTALL)


def refusal(text: str) -> Refusal | None:
    """What the error `text` of a reply means, or None where it is no refusal."""
    before = _BEFORE.match(text)
    said = _BEHIND.sub("", text[before.end() if before else 0 :])
    row = _CODES.get(said.partition(" ")[0])
    if row is None:
        row = next((row for words, row in _WORDS if said.startswith(words)), None)
    # Of a command that it does not know it says the beginning of what was to be stored.
    reason = said.partition(", with args beginning with")[0]
    return Refusal(reason, row.elsewhere, row.untouched, row.foreign) if row else None
