"""One origin (scheme, host, port) as a client: its kept connections, how one is opened, and why that failed, in words.

Owns no limit, no back-off and no meaning of an answer: they are its user's.
"""

from math import inf
from typing import Any
from urllib.parse import urlsplit

from OpenSSL.SSL import Error as TlsError
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from gatewayd.config.host_names import ascii_host
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.reaching import known
from gatewayd.core.tls import Encrypted, RenewedOptions, UnusableFile, WrongName, disliked
from gatewayd.http_client.answers import BadAnswer
from gatewayd.http_client.keepalive import IDLE, ClientConnection, Stale, TooLate

_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (Stale, "the {0} closed a kept connection as the request was written"),
    (error.DNSLookupError, "{0} not found"),
    (error.ConnectionRefusedError, "{0} refused the connection"),
    (error.TimeoutError, "no connection to the {0} in time"),
    (DeferredTimeoutError, "no connection to the {0} in time"),
    (WrongName, "the {0}'s certificate is not its own"),
    (TlsError, "TLS with the {0} failed"),
    (error.ConnectError, "no connection to the {0}"),
    (error.ConnectionDone, "the {0} closed the connection before it answered"),
    (error.ConnectionLost, "the connection to the {0} was lost before it answered"),
)


class Origin:
    """Kept connections to one origin; `timeout` bounds the opening of one, `idle` how long it is kept unused, in s.

    With `tls` a connection counts as open once its handshake is complete: only then can anything be written to it that
    the other side may read. `addresses` are those that the endpoint goes by, where it was made so.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        *,
        tls: bool = False,
        addresses: HostAddresses | None = None,
        timeout: float = 10.0,
        idle: float = IDLE,
    ) -> None:
        self.connections: set[ClientConnection] = set()
        self.idle: list[ClientConnection] = []
        self.used_once_until = 0.0
        self.addresses = addresses or HostAddresses()
        self.timeout = timeout
        self._clock = clock
        self._endpoint = endpoint
        self._tls = tls
        self._factory = Factory.forProtocol(lambda: ClientConnection(clock, self, idle))
        self._factory.noisy = False

    async def connection(self) -> ClientConnection:
        """A kept connection, or a new one. Raises what opening one may raise: nothing was written then."""
        now = self._clock.seconds()
        while self.idle:
            connection = self.idle.pop()
            if now < connection.until:
                connection.until = 0.0
                return connection
            connection.abandon()
        return await self._connect(now)

    def give_back(self, connection: ClientConnection) -> None:
        """Keep one that was not used after all."""
        connection.rest()

    def close(self) -> "list[Deferred[None]]":
        """Close every connection; each Deferred fires when one is closed."""
        return [connection.abandon() for connection in list(self.connections)]

    def let_go(self) -> "list[Deferred[None]]":
        """Close those that are idle, as `close` does, and from now on each of the others once it is answered."""
        self.used_once_until = inf
        return [connection.abandon() for connection in list(self.idle)]

    async def listen(self, seconds: float) -> None:
        """Open a connection, ask nothing, and close it after `seconds`.

        Raises why there is none, why the other side ended it, or BadAnswer where that speaks first.
        """
        connection = await self.connection()
        if seconds:
            # No octet leaves: what comes is why the other side ends it, or nothing until it is too late.
            try:
                await connection.ask(b"", self._clock.seconds() + seconds)
            except TooLate:
                if connection.is_spoken_to:
                    raise BadAnswer("it speaks before it is asked, which is not HTTP") from None
        await connection.abandon()

    async def _connect(self, begun: float) -> ClientConnection:
        connection: ClientConnection = await _opened(self._clock, self._endpoint, self._factory, self.timeout)
        if self._tls:
            left = max(0.0, begun + self.timeout - self._clock.seconds())
            try:
                await connection.secured().addTimeout(left, self._clock)
            except BaseException:
                self.addresses.led_nowhere(connection.transport)
                connection.abandon()
                raise
        return connection


def origin_of(
    reactor: Any,
    url: str,
    *,
    timeout: float,
    idle: float = IDLE,
    ca_file: str = "",
    certificate: str = "",
    private_key: str = "",
) -> Origin:
    """That of `url`, a URL of the operator's. Their files for its TLS are read again where they were renewed."""
    parts = urlsplit(url)
    addresses = HostAddresses()
    endpoint = endpoint_of(addresses.network(reactor), parts.scheme, parts.netloc, timeout)
    tls = parts.scheme == "https"
    if tls:
        host, _ = host_of(parts.netloc)
        options = RenewedOptions(host, ca_file=ca_file, certificate=certificate, private_key=private_key)
        endpoint = Encrypted(endpoint, options)
    return Origin(reactor, endpoint, tls=tls, addresses=addresses, timeout=timeout, idle=idle)


async def knock(clock: IReactorTime, endpoint: IStreamClientEndpoint, timeout: float) -> None:
    """Open a connection and close it at once. Raises why there is none."""
    factory: Any = Factory.forProtocol(Protocol)
    factory.noisy = False
    opened = await _opened(clock, endpoint, factory, timeout)
    opened.transport.loseConnection()


async def _opened(clock: IReactorTime, endpoint: IStreamClientEndpoint, factory: Any, timeout: float) -> Any:
    begun = clock.seconds()
    connecting: Deferred[Any] = endpoint.connect(factory)
    try:
        return await connecting.addTimeout(timeout, clock)
    except error.ConnectingCancelledError:
        # It is no CancelledError, and addTimeout lets it through as well.
        if clock.seconds() - begun >= timeout:
            raise error.TimeoutError from None
        raise CancelledError from None


def endpoint_of(reactor: Any, scheme: str, netloc: str, timeout: float, options: Any = None) -> IStreamClientEndpoint:
    """Where to connect to. `options` is what Twisted's TLS needs for this host; None for plain TCP.

    Raises ValueError where there is no such host or port.
    """
    name, port = host_of(netloc)
    plain = HostnameEndpoint(
        reactor, name.encode(), port or (443 if scheme.lower() == "https" else 80), timeout=timeout
    )
    return wrapClientTLS(options, plain) if options is not None else plain


def host_of(netloc: str) -> tuple[str, int | None]:
    """The host in its form for DNS, and the port. Raises ValueError."""
    parts = urlsplit(f"//{netloc}")
    host, port = parts.hostname or "", parts.port
    name = ascii_host(host)
    if not name:
        raise ValueError("there is no host")
    return name, port


def reason(problem: BaseException, who: str, *, has_keys: bool = False) -> str:
    """Why there was no connection or no answer, or "" for what this can't say. Names nobody but `who`.

    `has_keys`: its table may name an authority, and a certificate of ours.
    """
    if isinstance(problem, UnusableFile):
        return str(problem)
    if isinstance(problem, BadAnswer):
        return f"its answer is unreadable: {problem}"
    for kind, words in _REASONS:
        if isinstance(problem, kind):
            why = known(problem) if kind is error.ConnectError else ""
            if isinstance(problem, TlsError) and kind is TlsError:
                why = disliked(problem) if has_keys else disliked(problem, "", "")
            return words.format(who) + (why and f": {why}")
    return ""
