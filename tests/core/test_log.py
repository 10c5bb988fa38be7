"""Debug lines that nobody reads."""

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from gatewayd.core.log import Logger


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    """What was said; afterwards all is said again."""
    yield []
    Logger.debugging = True


@pytest.mark.parametrize("debugging", [True, False])
def test_a_debug_line_that_nobody_reads_is_no_event(events: list[LogEvent], debugging: bool) -> None:
    """And all others are, whoever reads them."""
    log = Logger(namespace="here", observer=events.append)
    Logger.debugging = debugging
    log.debug("small")
    log.info("large {size}", size=3)
    assert [event["log_format"] for event in events] == ["small"] * debugging + ["large {size}"]
    assert (events[-1]["log_namespace"], events[-1]["size"]) == ("here", 3)
