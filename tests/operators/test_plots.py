"""Plots by values: rates from counts, levels from figures, and markup that a browser and a screen reader can take."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.operators.plots import Series, bounds, ceiling, levels, per_minute, plot, short


def test_a_rate_is_what_a_count_grew() -> None:
    """Ten more in each ten seconds are sixty a minute; before the first point nothing is known."""
    assert per_minute([None, None, None, 30.0, 40.0, 50.0, 60.0], 60.0) == (None, None, None, 60.0, 60.0, 60.0)


def test_a_count_that_falls_grew_by_nothing() -> None:
    """A late bounce moves a message from delivered to failed: no negative deliveries."""
    assert per_minute([5.0, 4.0, 6.0], 60.0) == (0.0, 4.0)


@pytest.mark.parametrize("now", [60.0, 1_790_000_060.1])
def test_a_part_ends_with_the_latest_sample_in_it(now: float) -> None:
    """Before the first sample there is none; this very moment's belongs to the last part."""
    times = [now - 31.0, now - 19.0, now]
    assert bounds(times, now, 60.0, 6) == (-1, -1, -1, 0, 0, 1, 2)


def test_a_level_is_the_peak_of_its_part() -> None:
    """A short jam between two samples of a part is not averaged away; the earlier value holds until the next."""
    points = [(0.0, 1.0), (10.0, 90.0), (20.0, 2.0)]
    assert levels(points, 60.0, 60.0, 3) == (90.0, 2.0, 2.0)
    assert levels([], 60.0, 60.0, 2) == (None, None)


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 1), (1, 1), (1.1, 2), (4.9, 5), (5, 5), (51, 100), (1000, 1000)]
)
def test_the_scale_ends_at_a_round_number(value: float, top: float) -> None:
    """1, 2 or 5 times a power of ten."""
    assert ceiling(value) == top


@given(st.floats(min_value=0, max_value=1e12))
def test_the_scale_holds_every_value(value: float) -> None:
    """No line leaves its plot."""
    assert ceiling(value) >= value * 0.999


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.04, "0.1"), (7, "7"), (12.4, "12"), (1200, "1.2k"), (25_000, "25k"), (3e6, "3M")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    """They stand beside an axis; something is never shown as nothing."""
    assert short(value) == text


@given(st.lists(st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)), max_size=20), st.text(max_size=20))
def test_any_plot_is_well_formed(values: list[float | None], name: str) -> None:
    """Gaps, lone points, no points, and any label's name: always one SVG with a text for those who can't see it."""
    safe = "".join(char for char in name if char.isprintable())
    drawn = plot([Series("sent", "sent", tuple(values))], title=safe, span=600.0, unit="a minute")
    root = ElementTree.fromstring(drawn)
    assert safe in (root.get("aria-label") or "")
    stretches = "".join("x" if value is not None else " " for value in values).split()
    assert len([part for part in root.iter() if part.tag.endswith("path")]) == len(stretches)
