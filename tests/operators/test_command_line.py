"""Times on gatewayctl's command line."""

import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from functools import partial

import pytest

from gatewayd.operators import command_line


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An operator whose clocks do not show UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_a_time_is_read_as_it_is_printed() -> None:
    """In UTC, as in traces, dead letters and files of the stop list; another zone is named."""
    read = partial(command_line.moment, now=0.0)
    assert read("2026-09-21T14:13:20") == read("2026-09-21 14:13:20.000") == 1_790_000_000
    assert read("2026-09-21T14:13:20Z") == read("2026-09-21T23:13:20+09:00") == 1_790_000_000


def test_times_on_the_command_line() -> None:
    """A moment, or so long ago; a length of time."""
    assert command_line.length("90m") == 5400
    assert command_line.moment("2026-09-21T14:13:20+00:00", 0.0) == 1_790_000_000
    assert command_line.moment("1d", 100_000.0) == 13_600
    for wrong in ("1", "h", "-1h", ""):
        with pytest.raises(ArgumentTypeError):
            command_line.length(wrong)
        with pytest.raises(ArgumentTypeError):
            command_line.moment(wrong, 0.0)


@pytest.mark.parametrize("text", ["300000d", "8d", "169h"])
def test_a_guard_is_lifted_for_a_week_at_most(text: str) -> None:
    """And says so in words."""
    with pytest.raises(ArgumentTypeError, match="longer than 7d"):
        command_line.length(text)
