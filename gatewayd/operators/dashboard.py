"""The pages of the admin listener: what a snapshot and its history look like to a person.

Owns the templates' view of the figures, and nothing that acts. The pages work without scripts and without the internet;
a small script of ours only refreshes them.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup
from msgspec import Struct

from gatewayd.core.durations import spoken
from gatewayd.core.model import Channel, DeadLetter, Known, Trace, Waiting, WayState
from gatewayd.operators.figures import Sample, Snapshot, rate_of
from gatewayd.operators.folding import folded
from gatewayd.operators.metrics import Counts
from gatewayd.operators.plots import Series, bounds, levels, per_minute, plot, short
from gatewayd.operators.recent import DatedDecision
from gatewayd.operators.shapes import iso, state_counts
from gatewayd.operators.visible import visible_lines

if TYPE_CHECKING:
    from jinja2 import Environment

SPANS = {"10m": 600.0, "30m": 1800.0, "2h": 7200.0}
_BINS = 60  # points of a plot

_STATIC = {
    "dashboard.css": b"text/css; charset=utf-8",
    "dashboard.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}


class Traffic(Struct, frozen=True):
    """One label's channel on the page."""

    label: str
    channel: Channel
    paused: bool
    counts: dict[str, int]
    picture: Markup
    latest: dict[str, str]


class WayRow(Struct, frozen=True):
    """One relay, SMSC or provider on the page; `rate` is what this process hands over a second, lately."""

    channel: Channel
    name: str
    state: WayState
    rate: float


LISTED = 10
"""Lines in each of the lists."""


class Lists(Struct, frozen=True):
    """What a person asks for by name: the messages that wait longest, and of late those that failed or were refused.

    The latter two are this process's own.
    """

    waiting: tuple[Trace, ...] = ()
    failed: tuple[DatedDecision, ...] = ()
    refused: tuple[DatedDecision, ...] = ()


class DashboardPages:
    """Renders pages; `token` makes the secret of a form, by which it is known as ours when it comes back."""

    def __init__(self, *, instance: str, version: str, token: str) -> None:
        self._globals = {"instance": instance, "version": version, "token": token, "spans": list(SPANS)}
        folder = files("gatewayd.operators") / "static"
        self.static = {name: (kind, (folder / name).read_bytes()) for name, kind in _STATIC.items()}

    def overview(
        self,
        now: Snapshot,
        samples: Sequence[Sample],
        labels: Iterable[str],
        reasons: Sequence[str],
        span: str,
        lists: Lists,
    ) -> str:
        """The dashboard itself; `span` is one of SPANS."""
        history = [*samples, now.sample()] if not now.redis_trouble else list(samples)
        seconds = SPANS[span]
        # Of hundreds of samples a line of counts needs those at the ends of its parts.
        ends = bounds([sample.at for sample in history], now.at, seconds, _BINS)
        past = [history[place].counts if place >= 0 else None for place in ends]
        return self._render(
            "dashboard.html",
            now=now,
            reasons=reasons,
            lists=lists,
            span=span,
            traffic=[
                _traffic(now, past, label, channel, seconds)
                for label in ([] if now.redis_trouble else labels)
                for channel in Channel
                if channel in now.ways or now.counts.get((label, channel, "accepted"))
            ],
            depth=_queue_plot(
                history, now.at, seconds, lambda queue: queue.waiting + queue.leased, "Queue depth", "messages"
            ),
            oldest=_queue_plot(history, now.at, seconds, lambda queue: queue.oldest_age, "Oldest waiting", "seconds"),
            ways=[
                WayRow(channel, name, state, rate_of(history, channel, name))
                for channel, states in now.ways.items()
                for name, state in states.items()
            ],
        )

    def timeline(self, trace: Trace, waiting: Waiting | None, now: float, namesakes: Sequence[Known] = ()) -> str:
        """One message's life; `waiting` says when it is tried next, `namesakes` are others of the uid asked for."""
        given_up = any(step.event == "given up" for step in trace.timeline)
        dead = given_up and any(not report.answered_at for report in trace.reports)
        return self._render(
            "dashboard_trace.html",
            trace=trace,
            steps=folded(trace.timeline),
            waiting=waiting,
            now=now,
            dead=dead,
            namesakes=namesakes,
        )

    def dead_letters(self, letters: Sequence[DeadLetter], *, more: bool) -> str:
        """What was given up, with what can be done about it."""
        return self._render("dashboard_dead.html", letters=letters, more=more)

    def confirm(self, question: str, consequence: str, button: str, fields: dict[str, str]) -> str:
        """A page that asks before something is done; `fields` come back with the form."""
        return self._render(
            "dashboard_confirm.html", question=question, consequence=consequence, button=button, fields=fields
        )

    def notice(self, title: str, text: str) -> str:
        """A page that only says something."""
        return self._render("dashboard_notice.html", title=title, text=text)

    def _render(self, template: str, **view: object) -> str:
        return self._environment.get_template(template).render(**view)

    @cached_property
    def _environment(self) -> "Environment":
        # Imported with the first page: most processes are never looked at.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        made = Environment(
            loader=PackageLoader("gatewayd.operators"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            finalize=_visible,
            lstrip_blocks=True,
        )  # fmt: skip
        made.filters |= {"short": short, "age": spoken, "moment": moment, "clock": clock, "group": group}
        made.globals |= self._globals
        return made


def _traffic(now: Snapshot, past: Sequence[Counts | None], label: str, channel: Channel, span: float) -> Traffic:
    def line(name: str, count: Count) -> Series:
        known = [None if counts is None else count(counts, label, channel) for counts in past]
        return Series(name, name, per_minute(known, span))

    series = [line(name, count) for name, count in _LINES.items()]
    return Traffic(
        label=label,
        channel=channel,
        paused=(label, channel) in now.paused,
        counts=state_counts(now.counts, label, channel),
        picture=plot(series, title=f"{label} {channel}", span=span, unit="messages per minute"),
        latest={line.name: short(line.values[-1]) if line.values[-1] is not None else "–" for line in series},
    )


Count = Callable[[Counts, str, Channel], float]


def _ended(*states: str) -> Count:
    return lambda counts, label, channel: sum(counts.get((label, channel, state), 0) for state in states)


def _handed(counts: Counts, label: str, channel: Channel) -> float:
    """Taken by a next hop: the store counts it where it reports `accepted`."""
    return counts.get((label, channel, "handed"), 0)


_LINES: dict[str, Count] = {
    "accepted": _ended("accepted"),
    "sent": _handed,
    "delivered": _ended("delivered"),
    "failed": _ended("failed", "rejected"),
}
"""The lines of a traffic plot, as counts that rise."""


def _queue_plot(
    history: Sequence[Sample], now: float, span: float, figure: Callable[..., float], title: str, unit: str
) -> Markup:
    series = []
    for name in (*Channel, "reports"):
        points = [(sample.at, figure(sample.queues[name])) for sample in history if name in sample.queues]
        series.append(Series(name, f"q-{name}", levels(points, now, span, _BINS)))
    return plot(series, title=title, span=span, unit=unit)


def _visible(value: object) -> object:
    """Text of others, such as an id or a reason, cannot turn the reading order of a line round."""
    return visible_lines(value) if type(value) is str else value


def moment(at: float) -> str:
    """A time in UTC with milliseconds, or a dash for one that has not come."""
    return (iso(at) or "–").replace("T", " ").removesuffix("Z")


def clock(at: float) -> str:
    """The time of day in UTC; with the day where that is not enough to know it."""
    return moment(at)[5:19]


def group(number: int) -> str:
    """1234567 as 1 234 567, with spaces that do not break."""
    return f"{number:,}".replace(",", "\u202f")
