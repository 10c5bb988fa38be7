"""What ends again and again, counted in plain numbers, and shown as the counter and the histogram that they are.

prometheus_client looks, locks and checks at each step, for programs whose threads count together: 4 µs for each end,
and an SMS has five. Ours end in one thread.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import inf

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Flow(Collector):
    """`total` counts how many ended, by all `labels`; `time` how long they took, by those of them in `timed_by`.

    Both are a name and a text; `bounds` are the histogram's, in seconds.
    """

    def __init__(
        self,
        total: tuple[str, str],
        time: tuple[str, str],
        bounds: Sequence[float],
        *,
        labels: Sequence[str],
        timed_by: Sequence[str],
    ) -> None:
        self._total = total
        self._time = time
        self._bounds = (*bounds, inf)
        self._names = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]
        self._labels = labels
        self._timed_by = timed_by
        self._positions = [labels.index(name) for name in timed_by]
        self._counted: dict[tuple[str, ...], _Counted] = {}
        self._timed: dict[tuple[str, ...], _Timed] = {}

    def ended(self, seconds: float, *labels: str) -> None:
        """One did, after so long."""
        counted = self._counted.get(labels) or self._new(labels)
        counted.number += 1
        timed = counted.timed
        timed.seconds += seconds
        timed.numbers[bisect_left(self._bounds, seconds)] += 1

    def expect(self, *labels: str) -> None:
        """One may end so: shown with 0 until it does."""
        if labels not in self._counted:
            self._new(labels)

    def collect(self) -> Iterator[Metric]:
        """Prometheus: both, as they stand."""
        total = CounterMetricFamily(*self._total, labels=self._labels)
        for labels, counted in self._counted.items():
            total.add_metric(labels, counted.number)
        yield total
        time = HistogramMetricFamily(*self._time, labels=self._timed_by)
        for labels, timed in self._timed.items():
            so_far, buckets = 0, []
            for name, number in zip(self._names, timed.numbers, strict=True):
                so_far += number
                buckets.append((name, float(so_far)))
            time.add_metric(labels, buckets, timed.seconds)
        yield time

    def _new(self, labels: tuple[str, ...]) -> "_Counted":
        names = tuple(labels[position] for position in self._positions)
        timed = self._timed.get(names)
        if timed is None:
            timed = self._timed[names] = _Timed(len(self._bounds))
        counted = self._counted[labels] = _Counted(timed)
        return counted


class _Timed:
    __slots__ = ("numbers", "seconds")

    def __init__(self, buckets: int) -> None:
        self.seconds = 0.0
        self.numbers = [0] * buckets


class _Counted:
    __slots__ = ("number", "timed")

    def __init__(self, timed: _Timed) -> None:
        self.number = 0
        self.timed = timed
