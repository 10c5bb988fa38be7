"""Connections to one relay that are being opened: TCP, TLS, greeting, EHLO, log-in.

Owns how one is opened, and which of them hang. When one is wanted, and what it is for, the pool knows.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gatewayd.config import Relay
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.reaching import plain
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.negotiation import Login, RelayTrouble
from gatewayd.smtp.own_name import OwnName
from gatewayd.smtp.timeouts import Timeouts
from gatewayd.smtp.tls import ClientTls

SLOW = 5.0
"""Seconds after which one that is being opened is said to hang."""

GREETING = 8.0
"""Seconds after which, at first, the oldest that hangs makes room for another; doubled each time that was in vain."""


class Openings:
    """Those under way to the relay `name`. Each ends in `opened(session, began)` or `failed(failure)`, once."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        name: str,
        *,
        timeouts: Timeouts,
        own_name: OwnName,
        opened: Callable[[RelaySession, float], None],
        failed: Callable[[Any], None],
        lost: Callable[[RelaySession], None],
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._timeouts = timeouts
        self._own_name = own_name
        self._on_opened = opened
        self._on_failed = failed
        self._on_lost = lost
        self._addresses = HostAddresses()
        self._under_way: dict[Deferred[Any], float] = {}
        self._ungreeted: dict[RelaySession, float] = {}  # connected, since when, and not ready yet
        self._greeting = GREETING

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._under_way)

    def begin(self, relay: Relay, tls: ClientTls) -> None:
        """Open one more; at another address than those that leave us waiting, where there is one."""
        for session, since in self._ungreeted.items():
            if since + SLOW <= self._reactor.seconds():
                self._addresses.led_nowhere(session.transport)
        opening: Deferred[Any] = Deferred.fromCoroutine(self._connect(relay, tls))
        self._under_way[opening] = self._reactor.seconds()
        opening.addBoth(self._ended, opening)
        opening.addErrback(
            lambda failure: self._log.failure(
                "a bug: no connection to relay {relay} could be opened", failure, relay=self._name
            )
        )

    def cancel(self) -> None:
        """Give them all up."""
        for opening in list(self._under_way):
            opening.cancel()

    def _ended(self, result: Any, opening: Deferred[Any]) -> None:
        began = self._under_way.pop(opening)
        if isinstance(result, RelaySession):
            self._on_opened(result, began)
        else:
            self._on_failed(result)

    async def _connect(self, relay: Relay, tls: ClientTls) -> RelaySession:
        starttls = tls.options if relay.tls == "starttls" else None
        name = relay.helo or await self._own_name()
        login = Login(starttls, relay.username, relay.password.reveal(), name)
        endpoint: Any = HostnameEndpoint(
            self._addresses.network(self._reactor), relay.host, relay.port, timeout=self._timeouts.connect
        )
        if relay.tls == "implicit":
            endpoint = wrapClientTLS(tls.options(), endpoint)
        session = RelaySession(self._reactor, login, timeouts=self._timeouts, on_lost=self._on_lost)
        factory = Factory.forProtocol(lambda: session)
        factory.noisy = False
        try:
            await endpoint.connect(factory)
        except CancelledError:
            raise
        except (ConnectError, DNSLookupError, OSError) as error:
            raise RelayTrouble(f"no connection: {plain(error)}") from None
        self._ungreeted[session] = self._reactor.seconds()
        try:
            ready: RelaySession = await session.ready
        except BaseException:
            self._addresses.led_nowhere(session.transport)
            raise
        finally:
            del self._ungreeted[session]
        self._addresses.led_there(session.transport)
        return ready

    # -- those that hang ----------------------------------------------------------------------------------------

    def some_hang(self, now: float) -> bool:
        """Whether one leaves us waiting for long."""
        return any(began + SLOW <= now for began in self._under_way.values())

    def all_hang(self, now: float) -> bool:
        """Whether all, if there are any, are connected and were left waiting.

        What is not even connected comes through by itself, and each look-up of a name holds a thread.
        """
        slow = all(began + SLOW <= now for began in self._under_way.values())
        return slow and len(self._ungreeted) == len(self._under_way)

    def one_is_ready(self, began: float) -> None:
        """That was begun at `began`: those begun long before it will hardly ever be."""
        if began + SLOW > self._reactor.seconds():
            self._greeting = GREETING
        for opening in [one for one, since in self._under_way.items() if since + SLOW <= began]:
            opening.cancel()

    def make_room(self, now: float) -> None:
        """The oldest ends: soon at first, later after longer, for it may be the relay's way to greet late."""
        if self._under_way:
            oldest, began = next(iter(self._under_way.items()))
            if began + self._greeting <= now:
                self._greeting = min(2 * self._greeting, self._timeouts.greeting)
                oldest.cancel()
