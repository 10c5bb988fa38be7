"""The Lua scripts as Redis gets them: the states and words of status.py, what a script shares with others, itself.

They are atomic, safe to repeat, and know states only through what `_words` writes above them; the names of keys and
fields become short forms (spelling.py). A function of lua/shared/ is put before the scripts that use it.

Where a script has a file in lua/usual/, its `usual` comes first: it does what is nearly always to be done, in few
commands, and says nil of all else. That is the script's own, whose functions are made only once it is needed: at each
call Redis makes what a script consists of anew, which was a third of the price.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from gatewayd.core.model import Channel
from gatewayd.core.status import FINAL, LETTERS, TRANSITIONS, WAITING, Event, Report, State
from gatewayd.store.calls import Script
from gatewayd.store.spelling import readers, spell
from gatewayd.store.unheard import UNHEARD_FOR

_REFUSED_WHEN_FULL = frozenset({"accept"})
"""All others end, hand over or forget something, or are needed for it: a full memory must not stop them."""

_READ_ONLY = frozenset(
    {"filter_by_player", "measure_player_lists", "find_latest_to_number", "find_leases", "measure_queue"}
)

_WITHIN, _END = "return (function()\n", "end)()\n"
"""Around all behind the opening, which nearly every function uses: to Lua a function's own variables have a price, for
each function within it that uses them; what comes from further out has none."""

_EACH = "local function run(item) return each(values(item)) end\n"
_LONG_WAY = "local function the_long_way()\n"
_OTHERWISE = """return each
end
local long
local function run(item)
  local reply = usual(values(item))
  if reply ~= nil then return reply end
  long = long or the_long_way()
  return long(values(item))
end
"""

_OUTCOME = {Event.DELIVERED: "d", Event.FAILED: "f", Event.BOUNCED: "f", Event.REJECTED: "r"}


def _words() -> str:
    """status.py as Lua: the scripts know no state by themselves."""

    def column(event: Event) -> str:
        rows = (f"{row}>{new}:{letters}" for row, (new, letters) in TRANSITIONS[event].items())
        return ";" + ";".join(rows) + ";"

    def table(pairs: Iterable[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"['{key}'] = {value}" for key, value in pairs) + "}"

    columns = " ".join(f"if event == '{event}' then return {column(event)!r} end" for event in Event)
    kinds = ", ".join(f"'{kind}'" for kind in (*Channel, "reports"))
    return (
        f"local QUEUED, UNCERTAIN = '{State.QUEUED}', '{State.UNCERTAIN}'\n"
        f"local ACCEPTED = '{LETTERS[Report.ACCEPTED]}'\n"
        f"local WAITING = {table((state, 'true') for state in sorted(WAITING))}\n"
        f"local FINAL = {table((state, 'true') for state in sorted(FINAL))}\n"
        f"local OUTCOME = {table((event, repr(letter)) for event, letter in _OUTCOME.items())}\n"
        f"local function COLUMN(event) {columns} end\n"
        f"local KINDS = {{{kinds}}}\n"
        f"local UNHEARD_FOR = {UNHEARD_FOR * 1000:.0f}\n"
    )


@cache
def all_scripts(*, usual: bool = True) -> dict[str, Script]:
    """Each script of lua/ by its name. Without its `usual` it comes to the same, at a higher price."""
    names = sorted(file.name.removesuffix(".lua") for file in _folder().iterdir() if file.name.endswith(".lua"))
    return {name: Script(name, _assembled(name, usual and name in _with_usual())) for name in names}


def _assembled(name: str, has_usual: bool) -> str:
    own = _source(f"{name}.lua")
    usual = _source(f"usual/{name}.lua") if has_usual else ""
    first = _shared_by(usual or own)
    rest = [part for part in _shared_by(own) if part not in first]
    # Of the words only those that are used: Redis runs what stands here at each call.
    words = _words_in("".join([usual or own, *first]))
    opening = ["\n".join(words) + "\n", _source("shared/opening.lua")]
    if name not in _REFUSED_WHEN_FULL | _READ_ONLY:
        opening.append(_source("shared/when_full.lua"))
    if usual:
        more = [word for word in _words_in("".join([own, *rest])) if word not in words]
        own = "".join([usual, _LONG_WAY, "\n".join(more) + "\n", *rest, own, _OTHERWISE])
    else:
        own += _EACH
    return spell("".join([*opening, _WITHIN, *first, own, _source("shared/coda.lua"), _END]))


def _words_in(source: str) -> list[str]:
    named = _named(source)
    return [line for line in _words().splitlines() if _defined(line) & named]


@cache
def _with_usual() -> frozenset[str]:
    return frozenset(file.name.removesuffix(".lua") for file in _folder().joinpath("usual").iterdir())


def _shared_by(source: str) -> list[str]:
    """The files of lua/shared/ whose functions `source` uses, those first that others of them use."""
    found: list[str] = []

    def add(text: str) -> None:
        for function, file in _functions().items():
            part = _source(file)
            if function in _called(text) and part not in found and part != text:
                add(part)
                if part not in found:
                    found.append(part)

    add(source)
    return found


@cache
def _functions() -> dict[str, str]:
    """Each function of lua/shared/ and the file in which it stands."""
    folder = _folder().joinpath("shared")
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".lua"))
    return {
        function: f"shared/{file}"
        for file in files
        for function in re.findall(r"^local function (\w+)", _source(f"shared/{file}"), re.MULTILINE)
    }


@cache
def _called(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\b(\w+)\(", source))


def _defined(line: str) -> set[str]:
    return _named(line.partition("=")[0])


def _named(source: str) -> set[str]:
    return set(re.findall(r"\b[A-Z_]{3,}\b", source))


@cache
def _source(file: str) -> str:
    return readers(_folder().joinpath(*file.split("/")).read_text("utf-8"))


def _folder() -> Traversable:
    return resources.files("gatewayd.store").joinpath("lua")
