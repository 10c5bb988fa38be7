"""Times that are given on gatewayctl's command line, as a person writes them."""

from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import UTC, datetime

from gatewayd.operators.orders import LONGEST_LIFT


def length(text: str) -> float:
    """`text` as seconds: 30m, 1h. Raises ArgumentTypeError."""
    try:
        seconds = _seconds_in(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a length of time such as 1h (0s: the guard stands again)") from None
    if seconds > LONGEST_LIFT:
        raise ArgumentTypeError(f"{text!r} is longer than 7d")
    return seconds


def moment(text: str, now: float) -> float:
    """`text` as a moment: a time in ISO 8601 (UTC where it names no zone, as all that is printed), or so long ago (7d).

    Raises ArgumentTypeError.
    """
    with suppress(ValueError):
        return now - min(_seconds_in(text), now)
    try:
        return _moment_in(text)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is neither a time such as 2026-01-31T12:00 nor one such as 7d") from None


def _moment_in(text: str) -> float:
    found = datetime.fromisoformat(text)
    seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if seconds < 0:
        raise ValueError
    return seconds


def _seconds_in(text: str) -> float:
    # Here, because most commands need nothing of the configuration's reader, which takes long to import.
    from gatewayd.config.times import seconds_in

    return seconds_in(text)
