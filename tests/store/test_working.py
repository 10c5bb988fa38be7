"""Which queues nobody works on, as the processes on one Redis tell each other."""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.working import ENDED_AFTER, Working
from redis_server import RedisServer

PREFIX = RedisStore.key_prefix("working:")


@pytest.fixture
def link(redis_server: RedisServer) -> Iterator[RedisLink]:
    """To a Redis without a word of another test."""
    arguments = RedisStore.script_arguments("one", 5000, 7 * 86400.0, "boot")
    link = RedisLink(reactor, redis_server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=PREFIX)
    link.startService()
    pytest_twisted.blockon(ensureDeferred(link.command("FLUSHDB")))
    yield link
    pytest_twisted.blockon(link.stopService())


@pytest_twisted.ensureDeferred
async def test_what_no_process_works_on_any_more_is_known_to_all(link: RedisLink) -> None:
    """By two looks in a row; what is said holds for a time, and what was nobody's is somebody's again at once."""
    front, sender = Working(link, ()), Working(link, ("sms", "im"))
    await sender.look()
    await front.look()
    assert front.without() == frozenset()
    await front.look()
    assert front.without() == {"email", "reports"}
    assert 0 < await link.command("PTTL", f"{PREFIX}works:sms") <= ENDED_AFTER * 1000
    # As when the sender has ended, and its word ran out.
    await link.command("DEL", f"{PREFIX}works:sms", f"{PREFIX}works:im")
    await front.look()
    assert front.without() == {"email", "reports"}
    await front.look()
    assert front.without() == {"email", "sms", "im", "reports"}
    await sender.look()
    await front.look()
    assert front.without() == {"email", "reports"}


@pytest_twisted.ensureDeferred
async def test_while_redis_is_silent_nothing_is_said_of_other_processes(link: RedisLink) -> None:
    """Nor right behind: each has to say first that it is there."""
    front = Working(link, ())
    await front.look()
    await front.look()
    assert front.without()
    await link.stopService()
    await front.look()
    assert front.without() == frozenset()
    link.startService()
    await front.look()
    assert front.without() == frozenset()
