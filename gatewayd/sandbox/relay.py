"""A relay in a box: an ESMTP server on a real socket that takes mail, answers as it is told, and sends real DSNs.

For `gatewayctl sandbox` and for tests. Owns no policy of gatewayd's: it speaks the protocol as a well-behaved (or, when
told so, a hostile) relay would, and keeps what it took.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.sandbox.conversation import Act as Act
from gatewayd.sandbox.conversation import Conversation, RelayAnswer
from gatewayd.sandbox.conversation import RelayStep as RelayStep
from gatewayd.sandbox.conversation import Taken as Taken
from gatewayd.sandbox.returned import LmtpClient, success_dsn

EXTENSIONS = ("PIPELINING", "SIZE 10485760", "DSN", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

DSN_RETRY = 1.0
"""Seconds after which a report that was not taken is handed over again."""


class SimulatedRelay:
    """The server. Answers come from `script` (by step, each used once), then from `decide`, then are good ones.

    With `dsn_to` (a client endpoint that speaks LMTP) each mail whose MAIL FROM is not empty and whose NOTIFY has
    SUCCESS is reported there as `action`, `dsn_delay` seconds after it was taken. With `tls` (a context factory)
    STARTTLS is offered; with `users` (name to password) AUTH is, and needed.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        name: str = "relay.sandbox",
        extensions: tuple[str, ...] = EXTENSIONS,
        on_step: Callable[[RelayStep], None] = lambda _: None,
        dsn_to: Any = None,
        dsn_delay: float = 0.3,
        action: str = "delivered",
        tls: Any = None,
        users: Mapping[str, str] | None = None,
        keep: int = 10_000,
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.extensions = extensions
        self.on_step = on_step
        self.tls = tls
        self.users = dict(users or {})
        self.mechanisms = "PLAIN LOGIN"
        self.taken: deque[Taken] = deque(maxlen=keep)
        self.count = 0
        self.script: dict[str, deque[RelayAnswer]] = defaultdict(deque)
        self.decide: Callable[[str, str], RelayAnswer | None] = lambda step, argument: None
        self.action = action
        self.reported = 0
        self.dsn_to = dsn_to
        self.dsn_delay = dsn_delay
        self._connections: set[Conversation] = set()
        self._made = 0
        self._timers: set[Any] = set()
        self._reports: set[Deferred[Any]] = set()
        self._waiters: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._port: Any = None
        self._resting: deque[LmtpClient] = deque()
        # A mail server's own limit (Postfix: lmtp_destination_concurrency_limit): the rest waits its turn.
        self._lmtp_places = DeferredSemaphore(20)

    # -- for tests and the sandbox ------------------------------------------------------------------------------

    async def listen(self, endpoint: Any) -> int:
        """Listen on a server endpoint; the port number, 0 where there is none."""
        factory = Factory.forProtocol(lambda: Conversation(self))
        factory.noisy = False
        self._port = await endpoint.listen(factory)
        return int(getattr(self._port.getHost(), "port", 0))

    async def stop(self) -> None:
        """Close the port and all connections, and forget DSNs that were not sent yet."""
        if self._port is not None:
            await self._port.stopListening()
            self._port = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for report in list(self._reports):
            report.cancel()
        closing = [conversation.close() for conversation in list(self._connections)]
        closing += [lmtp.close() for lmtp in list(self._resting)]
        await DeferredList(closing)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def connections_made(self) -> int:
        """How many connections there were."""
        return self._made

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires after a step or a DSN that makes `condition` true."""
        done: Deferred[None] = Deferred()
        self._waiters.append((condition, done))
        self._look()
        return done

    def drop_all(self) -> None:
        """Cut all connections."""
        for conversation in list(self._connections):
            conversation.cut()

    # -- for its connections ------------------------------------------------------------------------------------

    def opened(self, conversation: Conversation) -> int:
        """A client connected; its number."""
        self._connections.add(conversation)
        self._made += 1
        return self._made

    def closed(self, conversation: Conversation) -> None:
        """A client is gone."""
        self._connections.discard(conversation)
        self._look()

    def answer_instead(self, step: str, argument: str) -> RelayAnswer | None:
        """What the script says to a step, if anything."""
        waiting = self.script.get(step)
        return waiting.popleft() if waiting else self.decide(step, argument)

    def happened(self, step: RelayStep) -> None:
        """Show a step."""
        self.on_step(step)
        if self._waiters:
            self._look()

    def accept(self, mail: Taken) -> None:
        """A mail is ours now."""
        self.count += 1
        self.taken.append(mail)
        wanted = any("SUCCESS" in one.get("NOTIFY", "").upper() for one in mail.rcpt_parameters)
        if self.dsn_to is not None and wanted and mail.sender:
            timer = self.reactor.callLater(self.dsn_delay, self._report_later, mail)
            self._timers.add(timer)

    def new_id(self) -> str:
        """A queue id, as Postfix makes them."""
        return f"4Zq{self.count + 1:06d}w"

    def _look(self) -> None:
        for waiter in list(self._waiters):
            if waiter[0]():
                self._waiters.remove(waiter)
                waiter[1].callback(None)

    # -- reports ------------------------------------------------------------------------------------------------

    def _report_later(self, mail: Taken) -> None:
        self._timers = {timer for timer in self._timers if timer.active()}
        report: Deferred[Any] = self._lmtp_places.run(lambda: Deferred.fromCoroutine(self._report(mail)))
        self._reports.add(report)
        report.addErrback(self._not_reported, mail)
        report.addBoth(lambda _: self._reports.discard(report))

    async def _report(self, mail: Taken) -> None:
        while self._resting:
            lmtp = self._resting.popleft()
            if lmtp.alive:
                break
        else:
            lmtp = await connectProtocol(self.dsn_to, LmtpClient())
            await lmtp.greeted
        await lmtp.send(mail.sender, success_dsn(mail, self.name, self.action))
        self._resting.append(lmtp)
        self.reported += 1
        self.happened(RelayStep(0, "DSN", mail.sender, self.action))

    def _not_reported(self, failure: Failure, mail: Taken) -> None:
        error = type(failure.value).__name__
        if self._port is not None and not str(failure.value).startswith("5"):
            # Who should take it is down or busy: kept and tried again, as any relay would.
            self._timers.add(self.reactor.callLater(DSN_RETRY, self._report_later, mail))
        self._log.warn("a DSN could not be handed over: {error}", error=error)
        self.happened(RelayStep(0, "DSN", "", f"not handed over: {error}"))
