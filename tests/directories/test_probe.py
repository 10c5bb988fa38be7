"""A directory that nobody asks is asked all the same, so that one that is down is seen before a campaign finds it."""

from twisted.internet.task import Clock

from gatewayd.core.errors import TemporaryFailure
from gatewayd.directories.probe import EVERY, Probe
from gatewayd.directories.remembered import Remembered
from intake_world import Players, label, recipients_of


def test_a_quiet_directory_is_asked_and_its_trouble_and_its_return_are_said() -> None:
    """Once it was quiet for 5 s, and at each look while it is in trouble; for nobody's id."""
    clock, players = Clock(), Players()
    clock.advance(1000)
    recipients = recipients_of(
        {"amazing": label()}, players=Remembered(clock, "players", players, timeout=2.0, cache=30.0)
    )
    probe = Probe(clock, recipients)
    probe.startService()
    assert players.asked == []
    clock.pump([1.0] * 6)
    assert len(players.asked) == 1
    players.failure = TemporaryFailure("it is down")
    clock.pump([1.0] * 8)
    assert [one.text for one in recipients.degraded()] == [
        "directory players: it is down; messages of amazing are taken unchecked, and wait"
    ]
    players.failure = None
    clock.pump([1.0] * 3)
    assert list(recipients.degraded()) == []
    assert all(name.startswith("gatewayd-probe-") and fresh for _, name, fresh in players.asked)
    probe.stopService()
    assert clock.getDelayedCalls() == []


def test_a_directory_in_doubt_is_asked_at_the_next_look() -> None:
    """One player was not answered, others were before: it may have gone down since, and nobody else asks."""
    clock, players = Clock(), Players()
    clock.advance(1000)
    directory = Remembered(clock, "players", players, timeout=2.0, cache=30.0)
    probe = Probe(clock, recipients_of({"amazing": label()}, players=directory))
    probe.startService()
    directory.answered_at = clock.seconds()
    directory.in_doubt = True
    clock.advance(EVERY)
    assert len(players.asked) == 1
    assert not directory.in_doubt
    clock.advance(EVERY)
    assert len(players.asked) == 1
    probe.stopService()
