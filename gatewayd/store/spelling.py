"""The short forms of legend.py in the place of the names that scripts say, and what reads a record by them. Pure."""

import re

from gatewayd.store.legend import FIELDS, KEYS
from gatewayd.store.together import TOGETHER

_NAME = re.compile(r"\b(KEY|FIELD)\.([a-z_]+)")
_RECORD = re.compile(r"\bRECORD\(([a-z_,\s]+)\)")
_READ_OTHERWISE = {
    "accepted_at": "(tonumber({}) or NOW)",
    "segments_taken": "({} or 0) + 0",
    "address_hash": "{} or ''",
}
"""How a script has what HMGET gives: as it is, nil where there is none, unless it stands here.

To Lua the sum costs half of what `tonumber` does, which reads the digits twice, and takes nothing that is no number.
"""
_MORE = ("more", "another")
"""Names in a table for fields that a script names as it reads."""

_AND_WITH = {"route": ", accepted_at"}
"""What else it takes to take a field apart."""

_FIELD_OF = {name: field for field, names in TOGETHER.items() for name in names}
OF_A_RECORD = frozenset({"id", "key", "age", *_MORE, *FIELDS, *_FIELD_OF})
"""What may be said of a record (`m.state`), and so of no other table."""
_SAID = re.compile(r"(?<=[a-z_)])\.([a-z_]+)\b")
_READ = re.compile(r"\bREAD\{([^}]*)\}")


def spell(source: str) -> str:
    """A script with the short forms in the place of the names. Raises KeyError for a name that is not here.

    What `readers` puts in the place of RECORD must stand there already, and the whole script: a record is an array in
    which each name that the script says of one (`m.state`) has its place. To Lua that is a fifth of a table with names.
    """

    def short(match: re.Match[str]) -> str:
        if match[1] == "KEY":
            return f"P .. '{KEYS[match[2]].short}'"
        return f"'{FIELDS[match[2]].short}'"

    return _NAME.sub(short, _in_places(source))


def _in_places(source: str) -> str:
    said = sorted({match[1] for match in _SAID.finditer(source)} & OF_A_RECORD)
    places = {name: f"[{place}]" for place, name in enumerate(said, 1)}

    def array(match: re.Match[str]) -> str:
        values = dict(pair.split(" = ") for pair in match[1].split(", "))
        # Also for what is added later: the array would have to grow.
        return "{" + ", ".join(values.get(name, "nil") for name in said) + "}"

    return _SAID.sub(lambda match: places.get(match[1], match[0]), _READ.sub(array, source))


def readers(source: str) -> str:
    """A script with functions in the place of its RECORD(...). Raises KeyError for a name that is not in the legend.

    `RECORD(state, lease)` becomes a function(id) that reads these fields of a message into a record by their names, and
    what stands together with one of them; nil where there is no such message. Behind them may stand `more`, and
    `another`: then it is a function(id, ...), and reads further fields under these names. A message whose
    `segments_taken` is not read has 0.
    """
    return _RECORD.sub(_reader, source)


def _reader(match: re.Match[str]) -> str:
    names = re.findall("[a-z_]+", match[1])
    fields = list(dict.fromkeys(_FIELD_OF.get(name, name) for name in names))
    if "route" in fields and "accepted_at" not in fields:
        fields.append("accepted_at")
    more = ", ..." if "more" in names else ""
    asked = ", ".join(f"FIELD.{field}" for field in fields if field not in _MORE)
    parts = [(field, ", ".join(TOGETHER[field])) for field in fields if field in TOGETHER]
    apart = "".join(f" local {values} = {field}_of(key, {field}{_AND_WITH.get(field, '')})" for field, values in parts)
    values = [f"{name} = {name}" for field in fields for name in TOGETHER.get(field, ())]
    values += [f"{field} = {_as_read(field)}" for field in fields if field not in TOGETHER]
    if "segments_taken" not in names:
        values.append("segments_taken = 0")
    return (
        f"function(id{more}) local key = KEY.message .. id"
        f" local {', '.join(fields)} = unpack(call('HMGET', key, {asked}{more}))"
        f" if not state then return nil end{apart}"
        f" return READ{{id = id, key = key, {', '.join(values)}}} end"
    )


def _as_read(name: str) -> str:
    if name in _MORE:
        return name
    if name not in FIELDS:
        raise KeyError(name)
    otherwise = "({} or 0) + 0" if FIELDS[name].kind == "moment" else "{}"
    return _READ_OTHERWISE.get(name, otherwise).format(name)
