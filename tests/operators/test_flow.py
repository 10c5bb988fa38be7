"""What our own counting shows, against what prometheus_client would have shown."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gatewayd.operators.flow import Flow

BOUNDS = (0.01, 0.1, 1.0)
ENDS = [
    (0.005, "amazing", "sms", "sent"),
    (0.01, "amazing", "sms", "sent"),
    (0.5, "amazing", "email", "sent"),
    (7.0, "other", "sms", "sent"),
    (1.0, "amazing", "sms", "failed"),
]


@pytest.mark.parametrize("count", range(len(ENDS) + 1))
def test_the_page_is_prometheus_clients_own(count: int) -> None:
    """Names, labels, buckets, sums: all but the moments since when each is counted."""
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    total = Counter("ends_total", "How many.", ("label", "channel", "outcome"), registry=theirs)
    time = Histogram("ends_seconds", "How long.", ("channel", "outcome"), buckets=BOUNDS, registry=theirs)
    flow = Flow(
        ("ends_total", "How many."),
        ("ends_seconds", "How long."),
        BOUNDS,
        labels=("label", "channel", "outcome"),
        timed_by=("channel", "outcome"),
    )
    ours.register(flow)
    for seconds, label, channel, outcome in ENDS[:count]:
        total.labels(label, channel, outcome).inc()
        time.labels(channel, outcome).observe(seconds)
        flow.ended(seconds, label, channel, outcome)
    assert lines(ours) == lines(theirs)


def lines(registry: CollectorRegistry) -> list[str]:
    """The page without the moments."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
