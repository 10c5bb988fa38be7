"""When another copy may leave of what may have been taken."""

import pytest

from gatewayd.config.ways import Relay
from gatewayd.core.model import Channel, Email, Leased, Message
from gatewayd.core.retry import RELAY
from gatewayd.core.status import State
from gatewayd.work.copies import Copies
from gatewayd.work.policies import Policies

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
