"""A failover of Redis under load, and a Redis that forgets all: none lost by the one, none twice by either."""

import pytest
import pytest_twisted
from daemon import World, get
from failover_rounds import KINDS, play, prepare
from load import copies
from twisted.internet import reactor

from gatewayd.sandbox.smsc import Behaviour
from gatewayd.store.link import RedisLink
from redis_trio import Trio

MESSAGES = 60


@pytest.mark.timeout(600)
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
                assert (one.accepted, one.lost, one.twice, one.told_twice) == (2 * MESSAGES, (), (), ()), (
                    f"{one}\n{world.daemon.log[-9000:]}"
                )
            assert "Traceback" not in world.daemon.log
    finally:
        trio.remove()


@pytest_twisted.ensureDeferred
async def test_an_emptied_redis_is_noticed_and_nothing_is_sent_again() -> None:
    """FLUSHALL, and the caller sends its requests once more: they count as sent, and operators read what happened."""
    async with World(reactor, players=20, behaviour=Behaviour(receipt_delay=0.1)) as world:
        await world.start()
        before = [await world.sms(f"p{number}", f"text {number}", im_uid=f"u{number}") for number in range(1, 6)]
        for said in before:
            await world.smartico.until_heard(said.ext_message_id, "accepted", "delivered")
        link = RedisLink(reactor, world.redis.client(), jitter=lambda: 0.5)
        link.startService()
        await link.command("FLUSHALL")
        await link.stopService()
        after = [await world.sms(f"p{number}", f"text {number}", im_uid=f"u{number}") for number in range(1, 6)]
        assert [said.ext_message_id for said in after] == [said.ext_message_id for said in before]
        await world.daemon.logged("Redis came back empty")
        await world.idle("sms")
        assert set(copies(world).values()) == {1}
        _, body = await get(f"{world.daemon.admin}/readyz")
        assert b"Redis came back empty" in body
        assert 'gatewayd_degraded{kind="redis",name="forgot"} 1.0' in await world.daemon.metrics()
