"""said.py: what the audit log has of uncertain copies."""

from gatewayd.work.said import SaidUncertain


def test_each_copy_is_new_once() -> None:
    """However often it is looked at; another message's copies are its own."""
    said = SaidUncertain()
    assert [said.is_new("a", 1), said.is_new("a", 1), said.is_new("b", 1)] == [True, False, True]
    assert [said.is_new("a", 2), said.is_new("a", 2)] == [True, False]


def test_a_store_that_counts_fewer_copies_than_were_said_has_forgotten_some() -> None:
    """They are no new ones."""
    said = SaidUncertain()
    assert [said.is_new("a", 2), said.is_new("a", 0), said.is_new("a", 1)] == [True, False, False]


def test_the_first_said_are_forgotten_first() -> None:
    """Where there are too many; another copy of one makes it a late one."""
    said = SaidUncertain(most=2)
    assert [said.is_new(one, 1) for one in "ab"] == [True, True]
    assert [said.is_new("a", 2), said.is_new("c", 1)] == [True, True]
    assert [said.is_new("a", 2), said.is_new("c", 1), said.is_new("b", 1)] == [False, False, True]
