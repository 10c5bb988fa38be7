"""Which "slow down" is about the pace, and which about its message."""

from gatewayd.core.backlog import Backlog


def refused(backlog: Backlog, *moments: float, message_id: str = "a") -> list[bool]:
    """What a "slow down" to this message is said to be at each of these moments."""
    return [backlog.is_refused_for_itself(message_id, at) for at in moments]


def test_a_message_that_is_refused_while_others_pass_is_refused_for_itself() -> None:
    """The third time in a row with a later submit of another accepted in between, and from then on."""
    backlog = Backlog(lambda: 0.5)
    for at, verdict in ((10.0, False), (12.0, False), (14.0, True), (16.0, True)):
        assert refused(backlog, at) == [verdict]
        backlog.accepted("b", at + 0.5)


def test_a_next_hop_that_refuses_all_means_the_pace() -> None:
    """However often: nobody passes, or only what was written before."""
    backlog = Backlog(lambda: 0.5)
    backlog.accepted("b", 1.0)
    assert refused(backlog, 10.0) == [False]
    backlog.accepted("b", 9.0)
    assert refused(backlog, *range(11, 30)) == [False] * 19


def test_a_message_that_was_accepted_begins_anew() -> None:
    """A long SMS may have segments of which one is throttled."""
    backlog = Backlog(lambda: 0.5)
    for at in (10.0, 12.0):
        assert refused(backlog, at) == [False]
        backlog.accepted("b", at + 0.5)
    backlog.accepted("a", 13.0)
    assert refused(backlog, 14.0) == [False]
