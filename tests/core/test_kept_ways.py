"""What a reload does to ways out: an unknown key means a new connection."""

from pydantic import BaseModel

from gatewayd.core.kept_ways import replace_changed


class Table(BaseModel):
    """A way's table: `rate` may change on a living connection."""

    host: str = "a"
    rate: float = 1.0
    newly_invented: str = ""


class Other(Table):
    """Another kind of way under the same name."""


class Way:
    """Counts what is done to it."""

    def __init__(self, name: str, settings: Table) -> None:
        self.name = name
        self.settings = settings
        self.reconfigured = 0

    def reconfigure(self, settings: Table) -> None:
        """Go by these."""
        self.settings = settings
        self.reconfigured += 1


def reload(before: Table, after: Table) -> tuple[Way, Way, list[Way]]:
    """The way before, the way after, and what is left over."""
    old = Way("main", before)
    ways, over = replace_changed({"main": old}, {"main": after}, {"rate"}, Way)
    return old, ways["main"], over


def test_nothing_changed() -> None:
    """The way stays, and is not even told."""
    old, new, over = reload(Table(), Table())
    assert (new is old, old.reconfigured, over) == (True, 0, [])


def test_a_live_key_changed() -> None:
    """The way stays and goes by the new table."""
    old, new, over = reload(Table(), Table(rate=2.0))
    assert (new is old, old.reconfigured, old.settings.rate, over) == (True, 1, 2.0, [])


def test_any_other_key_means_a_new_connection() -> None:
    """The one that says where it goes, and the one that nobody thought of."""
    for after in (Table(host="b"), Table(newly_invented="x"), Other()):
        old, new, over = reload(Table(), after)
        assert new is not old
        assert (new.settings, over, old.reconfigured) == (after, [old], 0)


def test_what_is_gone_is_left_over_and_what_is_new_is_made() -> None:
    """By name."""
    old = Way("main", Table())
    ways, over = replace_changed({"main": old}, {"backup": Table()}, {"rate"}, Way)
    assert (list(ways), over) == (["backup"], [old])
