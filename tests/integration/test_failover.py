"""A failover of Redis under load: three Redis, three Sentinels, `replicas = 1`; none lost, none twice."""

import pytest
import pytest_twisted
from daemon import World
from failover_rounds import KINDS, play, prepare
from twisted.internet import reactor

from gatewayd.sandbox.smsc import Behaviour
from redis_trio import Trio

MESSAGES = 60


@pytest.mark.timeout(300)
@pytest_twisted.ensureDeferred
async def test_a_failover_loses_nothing_and_sends_nothing_twice() -> None:
    """Of each kind: killed, killed and back as a master, its replicas cut before, frozen, and asked for."""
    trio = Trio()
    try:
        await trio.start()
        async with World(reactor, players=MESSAGES, behaviour=Behaviour(receipt_delay=0.3)) as world:
            await prepare(world, trio, 1)
            for number, kind in enumerate(KINDS):
                one = await play(world, trio, kind, number, MESSAGES)
                assert (one.accepted, one.lost, one.twice) == (2 * MESSAGES, (), ()), (
                    f"{one}\n{world.daemon.log[-9000:]}"
                )
            assert "Traceback" not in world.daemon.log
    finally:
        trio.remove()
