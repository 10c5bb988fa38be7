"""A daemon whose only way out for SMS is an SMSC that is not ours."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from daemon import World
from smpp_peers import Peer, npm_smsc
from twisted.internet import reactor


@asynccontextmanager
async def around(players: int, smsc: dict[str, Any], **behaviour: Any) -> AsyncIterator[tuple[World, Peer]]:
    """A daemon that is not started yet, and an npm SMSC as its only way out."""
    peer = await npm_smsc(**behaviour)
    try:
        async with World(reactor, players=players) as world:
            world.settings["smscs"]["world"] |= {"port": peer.port} | smsc
            yield world, peer
    finally:
        await peer.stop()


def copies(report: dict[str, Any]) -> Counter[str]:
    """How often the SMSC has each text."""
    return Counter(message["text"] for message in report["messages"])


async def copies_there(peer: Peer) -> Counter[str]:
    """As `copies`, of what it has now."""
    return copies(await peer.ask())
