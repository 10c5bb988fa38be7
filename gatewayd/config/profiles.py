"""The ready profiles of providers: files in the keys of [providers.NAME], one a vendor, under what the operator wrote.

Reads the files that come with the package (gatewayd/providers/profiles) and nothing else. A profile's keys lie under
the table's own: tables are merged key by key, whatever else the table writes takes the profile's place.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

FOLDER = Path(__file__).parent.parent / "providers" / "profiles"


class Profile(Struct, frozen=True):
    """One file: its keys, and what its head says of it (`Title: text` lines of the comment)."""

    name: str
    keys: Mapping[str, Any]
    head: Mapping[str, str]


@cache
def profiles() -> Mapping[str, Profile]:
    """All of them, by name."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        text = path.read_text("utf-8")
        found[path.stem] = Profile(path.stem, tomllib.loads(text), dict(_head(text)))
    return found


def _head(text: str) -> Iterator[tuple[str, str]]:
    title, words = "", ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        said = line.removeprefix("#").strip()
        match = re.match(r"([A-Z][a-z]+): +(.*)", said)
        if match:
            if title:
                yield title, words
            title, words = match[1], match[2]
        else:
            words = f"{words} {said}".strip()
    if title:
        yield title, words


def filled(raw: Mapping[str, Any], ready: Mapping[str, Profile]) -> dict[str, Any]:
    """`raw` (the whole file) with each provider's profile, one of `ready`, under its own keys."""
    tables = raw.get("providers")
    if not isinstance(tables, Mapping):
        return dict(raw)
    return dict(raw) | {"providers": {name: _filled(table, ready) for name, table in tables.items()}}


def _filled(table: Any, ready: Mapping[str, Profile]) -> Any:
    if not isinstance(table, Mapping):
        return table
    name = table.get("profile")
    profile = ready.get(name) if isinstance(name, str) else None
    merged = _over(profile.keys, table) if profile else dict(table)
    reports, own = merged.get("reports"), table.get("reports")
    named = isinstance(own, Mapping) and "signature" in own
    if profile and not named and isinstance(reports, dict) and not reports.get("secret"):
        # A profile's own proof counts where the operator has brought what proves it (CONTRACT.md).
        reports.pop("signature", None)
    if merged.get("method") == "GET":
        merged.setdefault("body", "none")
    return merged


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = {key: _over(value, {}) if isinstance(value, Mapping) else value for key, value in below.items()}
    for key, value in above.items():
        under = below.get(key)
        merged[key] = _over(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged
