"""Where the master is: all Sentinels are asked at once at each connect, and heard when they name another one.

Owns its short connections to the Sentinels, and the long ones on which they say `+switch-master`. Whether that server
takes itself for the master is asked by the link. Why not txredisapi's: it takes up to 10 s, and has its own reactor.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import hiredis
from msgspec import Struct
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.core import tls
from gatewayd.core.retry import STORE, Backoff

ASK_WITHIN = 1.0
"""Seconds that the Sentinels have for their answers; once more than half have answered, nobody is waited for."""

PING_EVERY = 10.0
"""Seconds between two signs of life on a connection that waits for `+switch-master`."""

_SWITCHED = b"+switch-master"


class Master(Struct, frozen=True):
    """Where a Sentinel says that the master is; the higher `epoch` knows of the later failover.

    `replaced` is whether that Sentinel is making another server the master; None where it may not say.
    """

    host: str
    port: int
    epoch: int
    replaced: bool | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


class Outlook(Enum):
    """Whether the server that we are connected to stays the master."""

    STAYS = "every Sentinel names it, and none is replacing it"
    LEAVES = "a Sentinel is replacing it, or they name another one"
    UNKNOWN = "a Sentinel does not answer, or has not heard of it yet"


class NoMasterNamed(Exception):
    """No Sentinel says where the master is; the text says of each why not."""


@implementer(IStreamClientEndpoint)
class Sentinels(Service):
    """An endpoint that connects to the master. As a service it calls `on_switch` when another one became the master.

    `sentinels` are their endpoints by what they are called in the configuration; `reach` makes the endpoint of a
    master. A `password` is theirs, not the master's.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        sentinels: Mapping[str, IStreamClientEndpoint],
        master: str,
        reach: Callable[[str, int], IStreamClientEndpoint],
        *,
        username: str = "",
        password: str = "",
        jitter: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._sentinels = sentinels
        self._name = master
        self._reach = reach
        self._login = [["AUTH", username, password] if username else ["AUTH", password]] if password else []
        self._jitter = jitter
        self._connected_to: tuple[str, int] | None = None  # None while the Sentinels are asked whom to connect to
        self._switched_to: tuple[str, int] | None = None  # what a switch named since they were asked last
        self._listening: list[Deferred[None]] = []
        self.on_switch: Callable[[str], None] = lambda reason: None

    def connect(self, factory: Any) -> Deferred[Any]:
        """A connection to the master that the Sentinels name. Raises NoMasterNamed, or what connecting raises."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: Any) -> Any:
        self._connected_to = self._switched_to = None
        found = await self.ask()
        master = chosen(list(found.values()))
        if master is None:
            raise NoMasterNamed(", ".join(f"{name}: {answer}" for name, answer in found.items()))
        if self._switched_to not in (None, master.address):
            raise NoMasterNamed("the Sentinels made another server the master meanwhile")
        self._connected_to = master.address
        return await self._reach(master.host, master.port).connect(factory)

    async def outlook(self) -> Outlook:
        """What the Sentinels say now of the server that was connected to last.

        A replica is a master for a while, up to a second where nothing is slow, before its Sentinel says
        `+switch-master`. Until then all name the old one, which knows of nothing.
        """
        answers = list((await self.ask(everybody=True)).values())
        master = chosen(answers)
        if master is None:
            return Outlook.UNKNOWN
        ours = [each for each in answers if isinstance(each, Master) and each.address == self._connected_to]
        if master.address != self._connected_to or any(each.replaced for each in ours):
            return Outlook.LEAVES
        agreed = len(ours) == len(answers) and all(each.replaced is False for each in ours)
        return Outlook.STAYS if agreed else Outlook.UNKNOWN

    async def ask(self, *, everybody: bool = False) -> dict[str, "Master | str"]:
        """What each Sentinel says of the master, or why it doesn't; within ASK_WITHIN seconds.

        Returns once more than half have answered, but for `everybody`.
        """
        found: dict[str, Master | str] = dict.fromkeys(self._sentinels, "no answer")
        enough: Deferred[None] = Deferred(lambda _: None)

        async def one(name: str, endpoint: IStreamClientEndpoint) -> None:
            try:
                found[name] = await self._answer(endpoint)
            except CancelledError:
                return
            except Exception as error:
                words = tls.fault(error) or str(error)
                found[name] = words.splitlines()[0] if words else type(error).__name__
            answers = sum(isinstance(answer, Master) for answer in found.values())
            if answers > len(found) // 2 and not everybody and not enough.called:
                enough.callback(None)

        asked = [Deferred.fromCoroutine(one(name, endpoint)) for name, endpoint in self._sentinels.items()]
        finished: Deferred[Any] = gatherResults(asked, consumeErrors=True)
        finished.addCallback(lambda _: None if enough.called else enough.callback(None))
        enough.addTimeout(ASK_WITHIN, self._clock, onTimeoutCancel=lambda result, seconds: None)
        try:
            await enough
        finally:
            for each in asked:
                each.cancel()
        return found

    async def _answer(self, endpoint: IStreamClientEndpoint) -> Master:
        words = [*self._login, ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name], ["SENTINEL", "MASTER", self._name]]
        talk = _SentinelTalk(words)
        protocol: Any = await endpoint.connect(_factory(talk))
        try:
            *_, address, about = await talk.replies
        finally:
            protocol.transport.abortConnection()
        if not isinstance(address, list) or len(address) != 2:
            raise NoMasterNamed(f"knows no master {self._name}" if address is None else str(address))
        return _master(address, about)

    # Hearing of a failover

    def startService(self) -> None:
        """Listen to all Sentinels from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        for endpoint in self._sentinels.values():
            listening = Deferred.fromCoroutine(self._listen(endpoint))
            listening.addErrback(lambda failure: failure.trap(CancelledError))
            listening.addErrback(
                lambda failure: self.log.failure(
                    "a bug: a Sentinel is not listened to until gatewayd is started again", failure
                )
            )
            self._listening.append(listening)

    def stopService(self) -> None:
        """Listen no more."""
        super().stopService()  # type: ignore[no-untyped-call]
        listening, self._listening = self._listening, []
        for each in listening:
            each.cancel()

    async def _listen(self, endpoint: IStreamClientEndpoint) -> None:
        backoff = Backoff(STORE, self._jitter)
        while True:
            talk = _SentinelTalk([*self._login, ["SUBSCRIBE", "+switch-master"]], self._heard)
            try:
                connecting = endpoint.connect(_factory(talk))
                connecting.addTimeout(PING_EVERY, self._clock)
                protocol: Any = await connecting
                try:
                    await self._keep(talk)
                    backoff.worked()
                finally:
                    protocol.transport.abortConnection()
            except CancelledError:
                raise
            except Exception:
                # Why it can't be reached is said where the master is asked for; here is nothing to wait for.
                self.log.debug("a Sentinel can't be listened to")
            now = self._clock.seconds()
            await deferLater(self._clock, backoff.failed(now) - now)

    async def _keep(self, talk: "_SentinelTalk") -> None:
        pinging = LoopingCall(talk.ping)
        pinging.clock = self._clock
        pinging.start(PING_EVERY, now=False).addErrback(lambda failure: None)
        try:
            await talk.gone
        finally:
            if pinging.running:
                pinging.stop()

    def _heard(self, words: Sequence[Any]) -> None:
        if len(words) != 3 or words[0] != b"message" or words[1] != _SWITCHED:
            return
        name, _, _, host, port = words[2].decode().split()
        if name != self._name:
            return
        self._switched_to = (host, int(port))
        # Each Sentinel says so, the last one perhaps when we are there already.
        if self._connected_to not in (None, self._switched_to):
            self.on_switch(f"the Sentinels name another master of {name}")


def chosen(answers: Sequence["Master | str"]) -> Master | None:
    """The answer of the latest failover, and of those the one that most Sentinels give."""
    masters = [answer for answer in answers if isinstance(answer, Master)]
    latest = max((master.epoch for master in masters), default=0)
    newest = [master for master in masters if master.epoch == latest]
    counted = Counter(master.address for master in newest)
    return max(newest, key=lambda master: counted[master.address], default=None)


def _master(address: Sequence[bytes], about: Any) -> Master:
    host, port = address
    if not isinstance(about, list):
        # A Sentinel's own right may forbid the question: then its answers are as old as any.
        return Master(host.decode(), int(port), 0)
    fields = dict(zip(about[::2], about[1::2], strict=False))
    # One that has found its successor names that one already, while its fields are the old one's until all is done.
    is_old = [host, port] == [fields.get(b"ip"), fields.get(b"port")]
    replaced = is_old and b"failover_in_progress" in fields.get(b"flags", b"").split(b",")
    return Master(host.decode(), int(port), int(fields.get(b"config-epoch", 0)), replaced)


class _SentinelTalk(Protocol):
    """Questions in one go, their replies in order; what comes behind them goes to `heard`."""

    def __init__(self, words: Sequence[Sequence[str]], heard: Callable[[Sequence[Any]], None] | None = None) -> None:
        self._words = words
        self._heard = heard
        self._reader = hiredis.Reader()
        self._found: list[Any] = []
        self._silent = False
        self.replies: Deferred[list[Any]] = Deferred(lambda _: None)
        self.gone: Deferred[None] = Deferred(lambda _: None)

    def connectionMade(self) -> None:
        """Ask."""
        assert self.transport is not None
        self.transport.write(b"".join(_packed(each) for each in self._words))

    def dataReceived(self, data: bytes) -> None:
        """Take replies as they become whole."""
        self._silent = False
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._received(reply)
        except (hiredis.ProtocolError, ValueError) as error:
            self._end(Failure(ValueError(f"it speaks no Redis: {type(error).__name__}")))
            self.transport.abortConnection()  # type: ignore[union-attr]

    def _received(self, reply: Any) -> None:
        if len(self._found) < len(self._words):
            self._found.append(reply)
            if isinstance(reply, hiredis.ReplyError) and self._words[len(self._found) - 1][0] == "AUTH":
                self._end(Failure(NoMasterNamed(f"refuses our sentinel_password: {str(reply).partition(' ')[0]}")))
            elif len(self._found) == len(self._words) and not self.replies.called:
                self.replies.callback(self._found)
        elif self._heard is not None and isinstance(reply, list):
            self._heard(reply)

    def ping(self) -> None:
        """Ask for a sign of life, or end where none came since the last one."""
        if self._silent:
            self.transport.abortConnection()  # type: ignore[union-attr]
            return
        self._silent = True
        self.transport.write(_packed(("PING",)))  # type: ignore[union-attr]

    def connectionLost(self, why: Failure = connectionDone) -> None:
        """Twisted: it is over."""
        self._end(why)
        if not self.gone.called:
            self.gone.callback(None)

    def _end(self, why: Failure) -> None:
        if not self.replies.called:
            if self._heard is not None:
                # Who listens waits for `gone`, not for these.
                self.replies.addErrback(lambda failure: None)
            self.replies.errback(why)


def _packed(words: Sequence[str]) -> bytes:
    command: Any = tuple(words)
    packed: bytes = hiredis.pack_command(command)
    return packed


def _factory(talk: _SentinelTalk) -> Any:
    factory: Any = Factory.forProtocol(lambda: talk)
    factory.noisy = False
    return factory
