"""What is brought forward page by page, on a real Redis."""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from gatewayd.core.model import Channel
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.part import AT_ONCE
from redis_server import RedisServer, ShiftedClock
from store_world import sms

PREFIX = RedisStore.key_prefix("make-due:")
ALL = 2 * AT_ONCE + 200


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[RedisStore]:
    """One that may hold as many."""
    clock = ShiftedClock()
    arguments = RedisStore.script_arguments("one", 5000, 7 * 86400.0, "boot")
    link = RedisLink(clock, redis_server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=PREFIX)
    link.startService()
    pytest_twisted.blockon(ensureDeferred(link.command("FLUSHDB")))
    yield RedisStore(link, clock, "one")
    pytest_twisted.blockon(link.stopService())


@pytest.mark.parametrize("moments", [1, 2, ALL])
@pytest_twisted.ensureDeferred
async def test_every_page_is_brought_forward(store: RedisStore, moments: int) -> None:
    """1,200 that wait for one moment, for two, or each for one of its own: all that were put off, on whatever page.

    Every third one was tried: it keeps its back-off, and stands between the others.
    """
    clock = ShiftedClock()
    messages = [sms(clock) for _ in range(ALL)]
    await gatherResults([ensureDeferred(store.accept(one, "f", lease=True)) for one in messages])
    tried = {one.id for one in messages[::3]}
    now = clock.seconds()
    await gatherResults(
        [
            ensureDeferred(
                store.settle_again(one, now + 300 + 60.0 * (number % moments), "busy", lease="", counts=one.id in tried)
            )
            for number, one in enumerate(messages)
        ]
    )
    assert await store.lease_messages(Channel.SMS, 1) == []
    await store.make_due(Channel.SMS)
    assert await _leased(store) == {one.id for one in messages} - tried
    await store.make_due(Channel.SMS, every=True)
    assert await _leased(store) == tried


async def _leased(store: RedisStore) -> set[str]:
    """All that are due."""
    found: set[str] = set()
    while some := await store.lease_messages(Channel.SMS, 200):
        found.update(leased.message.id for leased in some)
    return found
