"""When a measured rate is a verdict."""

import pytest
from evenness import MOST_WITHHELD, Try, fullest_second, tries


def judged(*measured: tuple[bool, bool]) -> int:
    """How many tries were made, where each keeps its bounds or not on a machine that is idle or not."""
    made = 0
    for (kept, idle), one in zip(measured, tries(), strict=False):
        made += 1
        one.kept, one.tells, one.said = kept, idle, "measured"
    return made


def test_one_of_three_that_keeps_its_bounds_is_enough() -> None:
    """And ends it, on a busy machine too."""
    assert judged((True, True), (False, True)) == 1
    assert judged((False, True), (True, False), (False, True)) == 2


def test_none_of_three_fails_and_on_a_busy_machine_skips() -> None:
    """One measurement of an idle machine is enough to fail."""
    fails = [(False, False), (False, True), (False, False), (False, False)]
    with pytest.raises(AssertionError, match="measured; measured; measured"):
        judged(*fails)
    with pytest.raises(pytest.skip.Exception, match="too busy"):
        judged(*[(False, False)] * 4)


def test_what_was_measured_is_said_with_what_was_withheld() -> None:
    """For whoever reads a failure."""
    one = Try()
    one.judge(False, "23 in a second")
    assert one.said.startswith("23 in a second (")
    assert 0 < MOST_WITHHELD < 1


@pytest.mark.parametrize(("moments", "most"), [([0.0], 1), ([0.0, 0.5, 1.0, 1.4], 3), ([0.0, 0.9, 1.8, 2.7], 2)])
def test_the_fullest_second(moments: list[float], most: int) -> None:
    """Whichever second that is; its end belongs to the next one."""
    assert fullest_second(moments) == most
