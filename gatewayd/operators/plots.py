"""Plots as SVG, drawn on the server: numbers in, markup out. Pure.

Owns scales, bins and lines. Colours are the style sheet's: a line has the class of its kind, so that light and dark,
and the rule that no page of ours has inline styles, are settled there.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup
from msgspec import Struct

Points = Sequence[tuple[float, float]]
"""Times (seconds since the epoch, rising) and values."""

Values = tuple[float | None, ...]

_WIDTH, _HEIGHT = 360, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 6, 10, 20


class Series(Struct, frozen=True):
    """One line: `kind` is its CSS class, None a gap."""

    name: str
    kind: str
    values: Values


def bounds(times: Sequence[float], now: float, span: float, bins: int) -> tuple[int, ...]:
    """Where in `times` (rising) the latest one stands at each end of the `bins` parts of the last `span` seconds.

    One more than there are parts; -1 where an end lies before all of them.
    """
    return tuple(bisect_right(times, now - span * (bins - index) / bins) - 1 for index in range(bins + 1))


def per_minute(counts: Sequence[float | None], span: float) -> Values:
    """How much a rising count grew in each part of `span` seconds, per minute; `counts` are those at the parts' ends.

    None where one is not known. A count that fell (a late bounce moved a message) grew by 0.
    """
    minutes = span / (len(counts) - 1) / 60
    return tuple(
        None if before is None or after is None else max(0.0, after - before) / minutes
        for before, after in pairwise(counts)
    )


def levels(points: Points, now: float, span: float, bins: int) -> Values:
    """The highest value seen in each part; between two points the earlier one holds. None before the first point."""
    times = [at for at, _ in points]
    width = span / bins
    found: list[float | None] = []
    for index in range(bins):
        begin = now - span + index * width
        # The last part includes this very moment.
        last = bisect_right(times, begin + width)
        first = max(bisect_right(times, begin) - 1, 0)
        inside = [value for _, value in points[first:last]]
        found.append(max(inside) if inside else None)
    return tuple(found)


def ceiling(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten, at or above `value`; at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= value * 0.999999)


def plot(series: Sequence[Series], *, title: str, span: float, unit: str) -> Markup:
    """Lines over the last `span` seconds, with three rulings and times below. Screen readers get title and peaks."""
    top = ceiling(max((value for line in series for value in line.values if value is not None), default=0.0))
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(_spoken(series, title, span, unit))}">',
        *_rulings(top),
        *_times(span),
    ]
    for line in series:
        if line.kind == "failed" and not any(line.values):
            # A red line at the bottom is read as trouble: where nothing failed there is none.
            continue
        parts += [f'<path class="line {escape(line.kind)}" d="{path}"/>' for path in _paths(line.values, top)]
    return Markup("".join(parts) + "</svg>")


def _rulings(top: float) -> Iterable[str]:
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        yield f'<line class="ruling" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick" x="{_LEFT - 4}" y="{y + 3.5}" text-anchor="end">{short(top * share)}</text>'


def _times(span: float) -> Iterable[str]:
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * share, 1)
        text = "now" if share == 1 else f"−{_length(span * (1 - share))}"
        yield f'<text class="tick" x="{x}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{text}</text>'


def _paths(values: Values, top: float) -> Iterable[str]:
    """One path for each stretch without a gap; a lone point becomes a dash that can be seen."""
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(values) - 1, 1)
    stretch: list[str] = []
    for index, value in enumerate((*values, None)):
        if value is not None:
            stretch.append(f"{_LEFT + index * step:.1f} {_y(value, top)}")
        elif stretch:
            yield f"M{stretch[0]}h2" if len(stretch) == 1 else "M" + "L".join(stretch)
            stretch = []


def _y(value: float, top: float) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top, 1)


def _spoken(series: Sequence[Series], title: str, span: float, unit: str) -> str:
    peaks = []
    for line in series:
        known = [value for value in line.values if value is not None]
        if known:
            peaks.append(f"{line.name} now {short(known[-1])}, peak {short(max(known))}")
    return f"{title}, last {_length(span)}, {unit}: {'; '.join(peaks) or 'no data yet'}"


def short(value: float) -> str:
    """A number in at most four characters or so: 0.5, 12, 1.2k, 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.0f}{letter}" if scaled >= 10 or scaled == floor(scaled) else f"{scaled:.1f}{letter}"
    return f"{value:.0f}" if value >= 10 or value == floor(value) else f"{ceil(value * 10) / 10:g}"


def _length(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
