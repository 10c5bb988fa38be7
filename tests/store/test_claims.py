"""The contract of claims on outside events, run on the fake and on real Redis."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from fakes import FakeClaims
from gatewayd.core.interfaces import Claim
from gatewayd.store.claims import EventClaims
from gatewayd.store.link import RedisLink

_serial = itertools.count()


@pytest.fixture(params=["fake", "redis"])
def pair(request: Any) -> Iterator[tuple[Any, Any]]:
    """Two processes that share what is claimed."""
    if request.param == "fake":
        shared: dict[str, Any] = {}
        yield FakeClaims(reactor, shared), FakeClaims(reactor, shared)
        return
    server = request.getfixturevalue("redis_server")
    link = RedisLink(reactor, server.client(), jitter=lambda: 0.5, prefix=f"claims{next(_serial)}:")
    link.startService()
    yield EventClaims(link, "boot-1"), EventClaims(link, "boot-2")
    pytest_twisted.blockon(link.stopService())


@pytest_twisted.ensureDeferred
async def test_one_of_many_claims_an_event(pair: tuple[Any, Any]) -> None:
    """Of ten calls at once, by two processes, one may record the event."""
    running = [Deferred.fromCoroutine(pair[turn % 2].claim(["event"])) for turn in range(10)]
    answers = [answer for (answer,) in await gatherResults(running)]
    assert sorted(answers) == [Claim.ANOTHERS] * 9 + [Claim.OURS]


@pytest_twisted.ensureDeferred
async def test_what_is_kept_is_done_for_everybody(pair: tuple[Any, Any]) -> None:
    """A recorded event is done, also for who claimed it; others are free."""
    one, two = pair
    assert await one.claim(["a", "b"]) == [Claim.OURS, Claim.OURS]
    await one.keep(["a"], 60)
    assert await two.claim(["a", "b", "c"]) == [Claim.DONE, Claim.ANOTHERS, Claim.OURS]
    assert await one.claim(["a"]) == [Claim.DONE]


@pytest_twisted.ensureDeferred
async def test_what_is_released_may_be_claimed_again(pair: tuple[Any, Any]) -> None:
    """An event that could not be recorded is free for whoever brings it again."""
    one, two = pair
    await one.claim(["a", "b"])
    await one.release(["a"])
    assert await two.claim(["a", "b"]) == [Claim.OURS, Claim.ANOTHERS]


@pytest_twisted.ensureDeferred
async def test_nothing_asks_for_nothing(pair: tuple[Any, Any]) -> None:
    """No keys: no answers, and no fault."""
    assert await pair[0].claim([]) == []
    await pair[0].keep([], 60)
    await pair[0].release([])
