"""Two instances of the channel on one Redis: one rate, kept together against a strict limiter."""

from collections import Counter

import pytest_twisted
from smpp_counts import backlog, fullest_second
from smpp_peers import npm_smsc
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults

from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, until
from smpp_world import Rates, World, settings


class SharedRates(Rates):
    """IStore.reserve on a real Redis."""

    def __init__(self, store: RedisStore) -> None:
        super().__init__()
        self.reserve = store.reserve  # type: ignore[method-assign]


@pytest_twisted.ensureDeferred
async def test_two_instances_keep_one_rate(redis_server: RedisServer) -> None:
    """Together at least 95 taken a second and under 2 % throttled, by a limiter of 100/s with a bucket of 10."""
    prefix = RedisStore.key_prefix("shared:")
    links, worlds = [], []
    peer = await npm_smsc(rate=100, bucket=10, answer_delay=20)
    try:
        for name in ("one", "two"):
            arguments = RedisStore.script_arguments(name, 1_000_000, 86400.0)
            link = RedisLink(reactor, redis_server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=prefix)
            link.startService()
            links.append(link)
            store = RedisStore(link, reactor, prefix, name)
            worlds.append(World({"world": settings(peer.port, rate="100/s")}, rates=SharedRates(store)))
        for world in worlds:
            world.channel.startService()
        await until(lambda: all(world.all_bound() for world in worlds))
        counts = await gatherResults([ensureDeferred(backlog(world, 400, Counter())) for world in worlds])
        assert counts == [400, 400]
        report = await peer.ask()
        assert (report["taken"] - 1) / (report["at"][-1] - report["at"][0]) >= 95
        assert report["throttled"] / report["submits"] < 0.02
        assert fullest_second(report["at"]) <= 110
    finally:
        await gatherResults([world.channel.stopService() for world in worlds])
        await peer.stop()
        for link in links:
            await link.stopService()
