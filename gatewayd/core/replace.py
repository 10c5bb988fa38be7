"""What a reload does to the ways out: which stay as they are, which are made anew, which end.

Pure. One polarity for every channel: the keys that may change on a living connection are listed; any other key, one
that is not written yet too, means a new connection.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

Settings = TypeVar("Settings", bound=BaseModel)


class Reconfigurable(Protocol[Settings]):
    """A relay, an SMSC or a provider, as far as a reload sees it."""

    @property
    def settings(self) -> Settings:
        """The table that it goes by now."""

    def reconfigure(self, settings: Settings) -> None:
        """Go by these, which differ in live keys only; connections stay."""


W = TypeVar("W", bound=Reconfigurable[Any])


def replace_changed(
    old: Mapping[str, W],
    new: Mapping[str, Settings],
    live_keys: Collection[str],
    make: Callable[[str, Settings], W],
) -> tuple[dict[str, W], list[W]]:
    """The ways for the tables `new`, by name, and those of `old` that are left over: the caller lets them end.

    Where only `live_keys` differ the old way stays and is reconfigured; where any other key does, `make` makes another.
    """
    kept: dict[str, W] = {}
    for name, settings in new.items():
        way = old.get(name)
        if way is None or not same_connection(way.settings, settings, live_keys):
            way = make(name, settings)
        elif way.settings != settings:
            way.reconfigure(settings)
        kept[name] = way
    return kept, [way for name, way in old.items() if kept.get(name) is not way]


def same_connection(old: BaseModel, new: BaseModel, live_keys: Collection[str]) -> bool:
    """Whether two tables differ in `live_keys` at most."""
    if type(old) is not type(new):
        return False
    return all(getattr(old, key) == getattr(new, key) for key in type(old).model_fields if key not in live_keys)
