"""When another copy may leave of what may have been taken, and what the audit log has of it."""

import pytest

from gatewayd.config.ways import Relay
from gatewayd.core.model import Channel, Email, Leased, Message
from gatewayd.core.retry import RELAY
from gatewayd.core.status import State
from gatewayd.work.copies import Copies, Policies, SaidUncertain

NOW = 10_000.0
MESSAGE = Message("id", "u", "amazing", "p", Email("a@amazing.co", "Hi", body="Hello"), NOW - 60, NOW + 3600)


def next_at(marked_at: float, heard_since: float = 0.0) -> float:
    """Of a mail that was marked then."""
    copies = Copies(Policies(Channel.EMAIL, {}), RELAY, lambda route: heard_since)
    item = Leased(MESSAGE, State.UNCERTAIN, route="main", marked_at=marked_at, copies=1, first_tried=marked_at)
    return copies.next_at(item, NOW)


def test_evidence_has_ten_seconds() -> None:
    """From the mark on, or from when it can reach us."""
    assert next_at(NOW - 4) == NOW + 6
    assert next_at(NOW - 30) < NOW
    assert next_at(NOW - 30, NOW - 1) == NOW + 9


@pytest.mark.parametrize("back", [60.0, 600.0, 3600.0])
def test_a_clock_that_was_set_back_puts_no_copy_off(back: float) -> None:
    """Counted from each look anew, the ten seconds would not end before the clock has caught up with the mark."""
    assert next_at(NOW + back) < NOW
    assert next_at(NOW + back, NOW - 1) == NOW + 9


def test_a_relay_that_got_another_name_at_a_restart_still_holds() -> None:
    """Of the old name this process knows nothing: it holds where any of the configured does, and SMS by default."""
    relays = {
        "backup": Relay(host="relay.example"),
        "postfix": Relay(host="relay.example", on_uncertain="hold", uncertain_wait="3s"),
    }
    renamed = Policies(Channel.EMAIL, relays)
    assert (renamed.holds("main"), renamed.wait("main"), renamed.holds("backup")) == (True, 3.0, False)
    assert not Policies(Channel.EMAIL, {"backup": Relay(host="relay.example")}).holds("main")
    assert Policies(Channel.SMS, {"uk": Relay(host="relay.example")}).holds("world")


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
