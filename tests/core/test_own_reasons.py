"""When a next hop that is up lets nothing through."""

import pytest
from twisted.internet.task import Clock

from gatewayd.core.own_reasons import FOR_LONG, IN_VAIN_FOR, OwnReasons

WORDS = "no submit gets through, the latest ended with ESME_RMSGQFUL"


def put_off_for_long() -> tuple[Clock, OwnReasons]:
    """A next hop that said "slow down" to each of two messages, FOR_LONG apart."""
    clock = Clock()
    reasons = OwnReasons(clock, "submit")
    reasons.in_vain("ESME_RTHROTTLED")
    clock.advance(FOR_LONG - 1)
    reasons.in_vain("ESME_RTHROTTLED")
    assert reasons.words() == ""
    clock.advance(1)
    reasons.in_vain("ESME_RMSGQFUL")
    return clock, reasons


def test_what_gets_nothing_through_for_long_is_said() -> None:
    """Of all labels, and for as long as somebody may still mean it."""
    clock, reasons = put_off_for_long()
    assert reasons.words() == WORDS
    assert reasons.labels() == ()
    clock.advance(IN_VAIN_FOR)
    assert reasons.words() == ""


@pytest.mark.parametrize("what", ["works", "rejected", "refused", "forget"])
def test_any_other_answer_ends_it(what: str) -> None:
    """It took one, or judged it, or speaks of itself, which is said in other words."""
    _, reasons = put_off_for_long()
    if what == "works":
        reasons.works("amazing")
    elif what == "rejected":
        reasons.rejected("amazing", "m1", "no")
    elif what == "refused":
        reasons.refused("m1", "no")
    else:
        reasons.forget()
    assert reasons.words() == ""


def test_a_restart_that_ends_many_connections_at_once_is_not_said() -> None:
    """They go again, and get through, or the next hop is down and says so itself."""
    clock = Clock()
    reasons = OwnReasons(clock, "mail")
    for _ in range(100):
        reasons.in_vain("connection lost")
    clock.advance(FOR_LONG)
    assert reasons.words() == ""
