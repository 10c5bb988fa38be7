"""Failovers under load: messages are posted while the master goes, and afterwards each is looked for everywhere.

What a round does to the three Redis is a row of KINDS. Lost is a message that was answered 0 and of which Smartico
heard no final status; twice is one that the SMSC or the relay took more than once, or of which Smartico heard a status
again.
"""

import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from daemon import World
from load import Load, copies, mails
from msgspec import Struct
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from redis_server import later, until
from redis_trio import NAME, Trio, ask

FINAL = frozenset({"delivered", "failed", "rejected"})


class Round(Struct, frozen=True):
    """What became of one round's messages. `lost`, `twice` and `told_twice` name them."""

    kind: str
    accepted: int
    refused: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    told_twice: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.kind:<28} accepted {self.accepted:>5}  answered 10 {self.refused:>5}  lost {len(self.lost)}"
            f"  twice {len(self.twice)}  told twice {len(self.told_twice)}  failover {self.seconds:.1f} s"
        )


async def kill(trio: Trio, master: int) -> Callable[[], Awaitable[None]]:
    """kill -9; it returns with its data, as a replica, once there is another master."""
    trio.kill(master)

    async def back() -> None:
        await trio.start_again(master, master=trio.ports[await trio.master()])

    return back


async def kill_and_return_as_master(trio: Trio, master: int) -> Callable[[], Awaitable[None]]:
    """kill -9; it returns as the master that it was, until the Sentinels make it a replica."""
    trio.kill(master)

    async def back() -> None:
        await trio.start_again(master)

    return back


async def cut_and_kill(trio: Trio, master: int) -> Callable[[], Awaitable[None]]:
    """Its replicas hear nothing more for half a second; then kill -9."""
    others = [index for index in range(3) if index != master]
    for index in others:
        trio.servers[index].signal(signal.SIGSTOP)
    await later(0.5)
    trio.kill(master)
    for index in others:
        trio.servers[index].signal(signal.SIGCONT)

    async def back() -> None:
        await trio.start_again(master, master=trio.ports[await trio.master()])

    return back


async def freeze(trio: Trio, master: int) -> Callable[[], Awaitable[None]]:
    """It stands still, and goes on as the master that it was once there is another."""
    trio.servers[master].signal(signal.SIGSTOP)

    async def back() -> None:
        trio.servers[master].signal(signal.SIGCONT)

    return back


async def asked(trio: Trio, master: int) -> Callable[[], Awaitable[None]]:
    """SENTINEL FAILOVER, as for an upgrade: the old master stands, and becomes a replica."""

    async def switched() -> bool:
        # A Sentinel refuses it so soon after the one before, and may give it up: asked again until it is done.
        await ask(trio.sentinel_ports[0], "SENTINEL", "FAILOVER", NAME)
        await later(1.0)
        return await trio.master() != master

    await until(switched, 60)

    async def back() -> None:
        return None

    return back


KINDS: dict[str, Callable[[Trio, int], Awaitable[Callable[[], Awaitable[None]]]]] = {
    "killed": kill,
    "killed, returns as master": kill_and_return_as_master,
    "replicas cut, then killed": cut_and_kill,
    "frozen, goes on as master": freeze,
    "asked for": asked,
}


async def prepare(world: World, trio: Trio, replicas: int, *, peers: int = 0) -> None:
    """The world's daemon goes by the trio's Sentinels, and so do its peers; no second copy of anything."""
    world.settings["redis"] = {"sentinels": trio.sentinels, "master": NAME, "replicas": replicas}
    world.settings["relays"]["main"]["on_uncertain"] = "hold"
    world.label["email_deadline"] = world.label["sms_deadline"] = "120s"
    await world.start()
    for number in range(peers):
        peer = world.another(f"gw{number + 2}")
        await peer.start()
        await peer.ready()


async def play(world: World, trio: Trio, kind: str, number: int, messages: int) -> Round:
    """One round: the load, the failover in its midst, and the count once all is quiet."""
    await until(lambda: whole(trio), 60)
    for daemon in (world.daemon, *world.others):
        await daemon.ready(30)
    before = await trio.master()
    daemons = (world.daemon, *world.others)
    loads = [
        Load(world, channel, messages // len(daemons), callers=6, name=f"round{number}-{index}", daemon=daemon)
        for index, daemon in enumerate(daemons)
        for channel in ("sms", "email")
    ]
    done: Deferred[Any] = DeferredList([load.done for load in loads], fireOnOneErrback=True)
    await until(lambda: sum(len(load.ids) for load in loads) > messages // 4, 60)
    begun = reactor.seconds()
    back = await KINDS[kind](trio, before)

    async def switched() -> bool:
        return await trio.master() != before

    await until(switched, 60)
    seconds = reactor.seconds() - begun
    await back()
    await done
    ids = {text: message_id for load in loads for text, message_id in load.ids.items()}

    def lost() -> set[str]:
        ended = {heard.ext_message_id for heard in world.smartico.heard if heard.status in FINAL}
        return {text for text, message_id in ids.items() if message_id not in ended}

    with suppress(AssertionError):
        await until(lambda: not lost(), 150)
    taken = copies(world) + mails(world)
    heard = {text: world.smartico.statuses(message_id) for text, message_id in ids.items()}
    return Round(
        kind=kind,
        accepted=len(ids),
        refused=sum(len(load.refused) for load in loads),
        lost=tuple(sorted(lost())),
        twice=tuple(sorted(text for text in ids if taken[text] > 1)),
        told_twice=tuple(sorted(text for text, statuses in heard.items() if len(statuses) > len(set(statuses)))),
        seconds=seconds,
    )


async def whole(trio: Trio) -> bool:
    """One master, two replicas that follow it."""
    roles = [await trio.role(index) for index in range(3)]
    return sorted(roles) == [b"master", b"slave", b"slave"] and await trio.followed()
