"""The Lua scripts as Redis gets them: the states and words of status.py, what all share, and each script itself.

They are atomic, safe to repeat, and know states only through what `_words` writes above them.
"""

from collections.abc import Iterable
from importlib import resources

from gatewayd.core.status import FINAL, TRANSITIONS, WAITING, Event, State
from gatewayd.store.link import Script

_NAMES = (
    "accept known take mark sent again goon final park sweep evidence receipt parked"
    " take_reports told retell dead recover beat strays release erase export replay reserve"
    " queues unstop stopped about hasten took takeback rescore restate"
)

_OUTCOME = {Event.DELIVERED: "d", Event.FAILED: "f", Event.BOUNCED: "f", Event.REJECTED: "r"}


def _words() -> str:
    """status.py as Lua: the scripts know no state by themselves."""

    def column(event: Event) -> str:
        rows = (f"{row}>{new}:{letters}" for row, (new, letters) in TRANSITIONS[event].items())
        return ";" + ";".join(rows) + ";"

    def table(pairs: Iterable[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"['{key}'] = {value}" for key, value in pairs) + "}"

    return (
        f"local QUEUED, UNCERTAIN = '{State.QUEUED}', '{State.UNCERTAIN}'\n"
        f"local WAITING = {table((state, 'true') for state in sorted(WAITING))}\n"
        f"local FINAL = {table((state, 'true') for state in sorted(FINAL))}\n"
        f"local OUTCOME = {table((event, repr(letter)) for event, letter in _OUTCOME.items())}\n"
        f"local COLUMN = {table((event, repr(column(event))) for event in Event)}\n"
    )


def all_scripts() -> dict[str, Script]:
    """Each script of lua/ by its name."""
    before, after = _words() + _source("prelude"), _source("coda")
    return {name: Script(name, before + _source(name) + after) for name in _NAMES.split()}


def _source(part: str) -> str:
    return resources.files("gatewayd.store").joinpath("lua", f"{part}.lua").read_text("utf-8")
