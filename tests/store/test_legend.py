"""The legend is all there is: scripts know keys and fields by its names, and take nothing by its position."""

import re
from pathlib import Path

import pytest

from gatewayd.store.legend import FIELDS, KEYS
from gatewayd.store.rows import named

LUA = sorted((Path(__file__).parents[2] / "gatewayd" / "store" / "lua").rglob("*.lua"))
PYTHON = sorted((Path(__file__).parents[2] / "gatewayd" / "store").glob("*.py"))


def test_every_name_is_used() -> None:
    """What nobody writes or reads any more leaves the legend; what only Python touches stands there as text."""
    scripts = "".join(path.read_text("utf-8") for path in LUA)
    python = "".join(path.read_text("utf-8") for path in PYTHON if path.name != "legend.py")
    for kind, names in (("KEY", KEYS), ("FIELD", FIELDS)):
        for name in names:
            assert f"{kind}.{name}" in scripts or f'"{name}"' in python, name


def test_no_short_form_is_taken_twice() -> None:
    """Neither of a field nor of a key; and no field's short form begins as a family of fields does."""
    for names in (KEYS, FIELDS):
        shorts = [one.short for one in names.values()]
        assert len(shorts) == len(set(shorts))
    families = {FIELDS[name].short for name in ("report", "heard_between", "step", "detail", "no_news")}
    assert not [one.short for one in FIELDS.values() if one.short[0] in families and one.short not in families]


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.stem)
def test_a_script_takes_nothing_by_its_position_or_short_form(path: Path) -> None:
    """An item has named locals, a record has names; no key is put together from text."""
    source = path.read_text("utf-8")
    assert re.findall(r"\b(?:it|m|f)\[", source) == []
    assert re.findall(r"P \.\. '", source) == []
    assert re.findall(r"(?:HGET|HSET|HDEL|HMGET|HINCRBY)', [^)]*'[a-z]{1,2}'", source) == []


def test_no_key_is_put_together_from_text() -> None:
    """Python takes a family from the legend, too."""
    for path in PYTHON:
        assert re.findall(r"prefix\}[a-z]", path.read_text("utf-8")) == [], path.name


def test_who_writes_a_key_or_a_field_is_there() -> None:
    """A script that was given another name, or a module that has moved, is found here."""
    files = {path.stem for path in (*LUA, *PYTHON)}
    methods = set(re.findall(r"async def (\w+)", "".join(path.read_text("utf-8") for path in PYTHON)))
    for name, one in (*KEYS.items(), *FIELDS.items()):
        for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", f"{one.written_by} {one.goes}"):
            assert word in files | methods | {"suppress_for"}, f"{name}: {word}"


def test_a_record_reads_in_names() -> None:
    """For whoever supports it: each field by its name, families with what follows it."""
    record = {b"s": b"sent", b"Ra": b"9 15", b":sent|world": b"9", b"J1": b"r1"}
    assert named(record) == {"state": "sent", "report a": "9 15", "step sent|world": "9", "segments_taken 1": "r1"}
