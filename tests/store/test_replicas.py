"""What a promise waits for: replicas that come and go by script, and Sentinels that say what they are told."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.core.errors import NotReplicated, ReplicasMissing
from gatewayd.store.replicas import PROBE, SETTLES, Replicas
from gatewayd.store.sentinel import Outlook


class Stage:
    """A master that `following` follow, all of whom have everything; `outlook` is what the Sentinels say of it."""

    def __init__(self, *following: str, outlook: Outlook = Outlook.STAYS) -> None:
        self.clock = Clock()
        self.following = list(following)
        self.outlook = outlook
        self.asked_at: list[int] = []  # how many commands the master had by then
        self.commands: list[str] = []
        self.replicas = Replicas(self.clock, 1, self._ask, "key", self._outlook)

    async def _ask(self, *commands: Sequence[Any]) -> list[Any]:
        self.commands += [str(words[0]) for words in commands]
        role = [b"master", 10, [[b"10.0.0.1", name.encode(), b"10"] for name in self.following]]
        replies = {"EVAL": b"OK", "WAIT": len(self.following), "ROLE": role}
        return [replies[words[0]] for words in commands]

    async def _outlook(self) -> Outlook:
        self.asked_at.append(len(self.commands))
        return self.outlook

    def promised(self) -> str:
        """Why nothing is promised, asked as intake does; empty where it is."""
        try:
            self.replicas.check()
        except ReplicasMissing as error:
            return str(error)
        found: list[Any] = []
        waiting: Deferred[Any] = self.replicas.confirmed()
        waiting.addBoth(found.append)
        (result,) = found
        if result is None:
            return ""
        assert result.check(NotReplicated)
        return str(result.value)


def test_where_all_sentinels_agree_a_promise_needs_no_waiting() -> None:
    """No second is lost behind a failover that is over. They are asked once who follows is known, and not before."""
    stage = Stage("a", "b")
    assert stage.promised() == ""
    assert stage.asked_at == [stage.commands.index("ROLE") + 1]


@pytest.mark.parametrize("returned", [(), ("old",)])
def test_one_that_was_made_master_before_we_came_has_nothing_promised_without_it(returned: tuple[str, ...]) -> None:
    """All name the master that it has left; the other one follows still, and the old master, which has come back."""
    stage = Stage("a", *returned, outlook=Outlook.LEAVES)
    for _ in range(40):
        assert stage.promised() == "the Sentinels are making another server the master"
        stage.clock.advance(PROBE)
    stage.outlook = Outlook.STAYS  # it was given up
    stage.clock.advance(PROBE)
    assert stage.promised() == ""


def test_a_sentinel_that_is_silent_costs_the_time_of_a_failover() -> None:
    """It may be the one that has made another one the master; by then we would know."""
    stage = Stage("a", outlook=Outlook.UNKNOWN)
    while stage.clock.seconds() < SETTLES:
        assert "not every Sentinel" in stage.promised()
        stage.clock.advance(PROBE)
    assert stage.promised() == ""


def test_that_time_begins_anew_with_each_one_that_leaves() -> None:
    """It left just before the end: that it was made master would be known only later."""
    stage = Stage("a", "b", outlook=Outlook.UNKNOWN)
    stage.clock.pump([PROBE] * int(SETTLES / PROBE - 1))
    stage.following = ["a"]
    stage.clock.advance(PROBE)
    left = stage.clock.seconds()
    while stage.clock.seconds() < left + SETTLES:
        assert "not every Sentinel" in stage.promised()
        stage.clock.advance(PROBE)
    assert stage.promised() == ""


def test_one_that_leaves_is_missed_though_another_one_comes() -> None:
    """The old master returns as a replica, while the one that followed is made master: as many as before."""
    stage = Stage("a")
    assert stage.promised() == ""
    stage.following = ["old"]
    assert stage.promised() == "a replica has left, perhaps to be the master: nothing is promised for 5 s"


def test_one_that_left_is_not_waited_for_longer_than_the_sentinels_say() -> None:
    """For five seconds it may be a master; behind them, while a Sentinel says that it is at it; then the others do."""
    stage = Stage("a", "b")
    assert stage.promised() == ""
    stage.following, stage.outlook = ["a"], Outlook.LEAVES
    assert "a replica has left" in stage.promised()
    stage.clock.pump([PROBE] * 40)
    assert stage.promised() == "the Sentinels are making another server the master"
    stage.outlook = Outlook.UNKNOWN
    stage.clock.advance(PROBE)
    assert stage.promised() == ""


def test_one_that_comes_back_in_time_has_not_been_made_master() -> None:
    """A replica that was restarted follows again."""
    stage = Stage("a", "b")
    assert stage.promised() == ""
    stage.following = ["a"]
    assert "a replica has left" in stage.promised()
    stage.following = ["b", "a"]
    stage.clock.advance(PROBE)
    assert stage.promised() == ""
