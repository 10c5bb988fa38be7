"""What was stored, and whose caller may have heard "nothing was stored", is nobody else's to send."""

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Channel
from gatewayd.core.persist import persist
from gatewayd.store import RedisStore
from gatewayd.store.unheard import UNHEARD_FOR, Unheard
from redis_server import RedisServer, ShiftedClock, until
from store_world import World, on_redis, sms, world

__all__ = ["world"]

DEAD_AFTER = 15.0


async def cut_off(world: World, seconds: float = 4.0) -> None:
    """Instance one says nothing until it counts as dead and so long after; two, which beat before, finds it so."""
    for beat in range(int(seconds) + 16):
        world.clock.advance(1)
        _, dead, _ = await world.two.beat(first=not beat, dead_after=DEAD_AFTER)
    assert dead == ["one"]


@pytest_twisted.ensureDeferred
async def test_a_peer_sends_nothing_that_its_acceptor_still_has_to_take_back(world: World) -> None:
    """Stored, its reply lost, its caller told that nothing was; then its process is as silent as a dead one."""
    leased, queued = sms(world.clock), sms(world.clock)
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.accept(leased, "a", lease=True, attempt="0", hears=False)
    await world.one.accept(queued, "a", attempt="1", hears=False)
    await cut_off(world)
    assert await world.two.recover("one") == 0
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    await cut_off(world, 0)
    for message, attempt in ((leased, "0"), (queued, "1")):
        await world.one.undo_accept(message.id, Channel.SMS, attempt)
        assert await world.two.about(message.id) is None
    world.clock.advance(1)
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    assert await world.two.recover("one") == 0
    _, dead, _ = await world.two.beat(first=False, dead_after=DEAD_AFTER)
    assert dead == [], "nothing of it is left to be looked after"


@pytest_twisted.ensureDeferred
async def test_a_peer_sends_at_once_what_callers_heard_of(world: World) -> None:
    """Said with the next heartbeat, or with the next message, of which that is not said yet."""
    first, second, third = [sms(world.clock) for _ in range(3)]
    await world.one.accept(first, "a", lease=True, attempt="0")
    await world.one.accept(second, "a", attempt="1")
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.accept(third, "a", lease=True, attempt="2", hears=False)
    await cut_off(world)
    assert await world.two.recover("one") == 1
    world.clock.advance(1)
    found = await world.two.lease_messages(Channel.SMS, 10)
    assert {leased.message.id for leased in found} == {first.id, second.id}
    _, dead, _ = await world.two.beat(first=False, dead_after=DEAD_AFTER)
    assert dead == ["one"], "the third is looked after still"


@pytest_twisted.ensureDeferred
async def test_of_a_process_that_never_comes_back_all_is_sent_in_the_end(world: World) -> None:
    """A caller who was answered 0 right before its host died loses nothing."""
    leased, queued = sms(world.clock), sms(world.clock)
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.accept(leased, "a", lease=True, attempt="0", hears=False)
    await world.one.accept(queued, "a", attempt="1", hears=False)
    await cut_off(world, UNHEARD_FOR)
    assert await world.two.recover("one") == 1
    found = await world.two.lease_messages(Channel.SMS, 10)
    assert {one.message.id for one in found} == {leased.id, queued.id}


@pytest_twisted.ensureDeferred
async def test_who_begins_anew_under_its_name_goes_on_at_once(world: World) -> None:
    """Its former self is dead, and answers nobody any more."""
    leased, queued = sms(world.clock), sms(world.clock)
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.accept(leased, "a", lease=True, attempt="0", hears=False)
    await world.one.accept(queued, "a", attempt="1", hears=False)
    await world.successor.beat(first=True, dead_after=DEAD_AFTER)
    assert await world.successor.recover("one") == 1
    found = await world.successor.lease_messages(Channel.SMS, 10)
    assert {one.message.id for one in found} == {leased.id, queued.id}


@pytest_twisted.ensureDeferred
async def test_a_duplicate_whose_caller_hears_of_it_lets_it_go(world: World) -> None:
    """One who was told 0 is enough, whatever another one may have heard."""
    message = sms(world.clock)
    await world.one.accept(message, "a", attempt="0", hears=False)
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    await world.two.accept(message, "a", attempt="0")
    await world.two.beat(first=True, dead_after=DEAD_AFTER)
    world.clock.advance(1)
    assert len(await world.two.lease_messages(Channel.SMS, 10)) == 1


@pytest_twisted.ensureDeferred
async def test_what_was_written_once_is_nobodys_to_take_back(world: World) -> None:
    """A mark is an answer: its acceptor heard of it. The message goes on as all do."""
    message = sms(world.clock)
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.accept(message, "a", lease=True, attempt="0", hears=False)
    await world.one.mark(message, "world", "hash")
    await cut_off(world)
    assert await world.two.recover("one") == 1
    assert len(await world.two.lease_messages(Channel.SMS, 10)) == 1


@pytest_twisted.ensureDeferred
async def test_its_own_process_keeps_it_back_too(world: World) -> None:
    """A lease that looks forgotten may be one whose reply is on its way."""
    message = sms(world.clock)
    await world.one.accept(message, "a", lease=True, attempt="0", hears=False)
    world.clock.advance(5)
    await world.one.gives_back(message.id)
    world.clock.advance(1)
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    await world.one.accept(sms(world.clock), "a", lease=True, attempt="1")
    world.one.heard("0")
    await world.one.beat(first=True, dead_after=DEAD_AFTER)
    await world.one.gives_back(message.id)
    assert [one.message.id for one in await world.one.lease_messages(Channel.SMS, 10)] == [message.id]


@implementer(IStreamClientEndpoint)
class Wire:
    """The way to a Redis, which can be cut: what was written arrives, and nothing comes back."""

    def __init__(self, server: RedisServer) -> None:
        self._endpoint = server.client()
        self._protocols: list[Any] = []
        self._is_cut = False

    def client(self) -> "Wire":
        """In the place of the server's own."""
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        """As IStreamClientEndpoint."""
        if self._is_cut:
            return fail(Refused())
        return self._endpoint.connect(factory).addCallback(self._connected)

    def _connected(self, protocol: Any) -> Any:
        self._protocols.append(protocol)
        return protocol

    def cut(self) -> None:
        """From now on."""
        self._is_cut = True
        for protocol in self._protocols:
            protocol.transport.pauseProducing()

    def mend(self) -> None:
        """For new connections."""
        self._is_cut = False


@pytest_twisted.ensureDeferred
async def test_a_process_that_is_cut_off_takes_back_what_it_must_when_it_is_back(redis_server: RedisServer) -> None:
    """A real Redis stores the message, its reply does not arrive, and a peer finds the process dead meanwhile."""
    clock, prefix, wire = ShiftedClock(), RedisStore.key_prefix("cut-off:"), Wire(redis_server)
    link, one = on_redis(wire, clock, prefix, "one", "1")
    other, two = on_redis(redis_server, clock, prefix, "two", "2")
    message, both = sms(clock), World(clock, one, two, one)
    await both.one.beat(first=True, dead_after=DEAD_AFTER)
    wire.cut()
    asked = Deferred.fromCoroutine(one.accept(message, "a", lease=True, until=clock.seconds() + 3, attempt="0"))
    await until(lambda: two.about(message.id))
    with pytest.raises(StoreUnavailable):
        await asked
    taking = Deferred.fromCoroutine(persist(clock, one.undo_accept, message.id, Channel.SMS, "0"))
    await cut_off(both)
    assert await two.recover("one") == 0
    assert await two.lease_messages(Channel.SMS, 10) == []
    wire.mend()
    await taking
    assert await two.about(message.id) is None
    for each in (link, other):
        await each.stopService()


@pytest.mark.parametrize("ahead", [False, True])
def test_all_before_the_first_that_is_open_are_decided(ahead: bool) -> None:
    """Also where they end in another order than they began, and where one is open again to be taken back."""
    calls = Unheard()
    assert calls.first() == 0
    for number in ("0", "1", "2"):
        calls.asked(number)
    calls.decided("1")
    assert calls.first() == 0
    calls.decided("0")
    assert calls.first() == 2
    calls.asked("1")
    assert calls.first() == 1
    for number in ("1", "2") if ahead else ("2", "1"):
        calls.decided(number)
    assert calls.first() == 3
