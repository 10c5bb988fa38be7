"""The GETs to Smartico: persistent connections, a limit and a breaker for each host, time-outs, verified TLS.

Owns connections and when a host is left alone. Knows nothing of labels, statuses or what an answer means. No URL ever
reaches an exception or the log: its query holds the API key.
"""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import ICallbacks
from gatewayd.core.model import Degraded
from gatewayd.core.retry import LINK
from gatewayd.http_client import origin
from gatewayd.http_client.answers import AnswerReader, BadAnswer, asked_for
from gatewayd.http_client.keepalive import Stale, TooLate
from gatewayd.http_client.lookups import OneAtATime, Resolving
from gatewayd.http_client.origin import Origin
from gatewayd.http_client.public_only import PublicOnly
from gatewayd.http_client.requests import request

log = Logger()

_URL = re.compile(r"(https?)://([^/?#\s@\\]+)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_PLAIN_PATH = re.compile(r"/[!-~]*")
_ACCEPT = (("Accept", "application/json"),)
_TICK = 0.5
_PATIENCE = 0.5
_FAILURES_TO_BREAK = 5
_LONGEST_LINE = 1_000
_APART = 0.005
_FARTHEST = 1_800.0
_MOST_TURNED_AWAY = 100_000
_MOST_HOSTS = 1_000
_RETRY_AFTER = (429, 503)


@implementer(ICallbacks)
class Callbacks(Service):
    """GETs over kept connections, at most `limit` at a time to one host; `timeout` (seconds) bounds each as a whole.

    A host that is down or slow costs nobody else anything: once its places are taken and no answer is near, or once
    it failed several times in a row, `get` raises at once, and says when to come again. `on_return` hears who was
    turned away by a host that is up again.
    """

    def __init__(
        self,
        reactor: Any,
        random: Callable[[], float],
        *,
        limit: int = 16,
        timeout: float = 10.0,
        on_return: Callable[[Collection[str]], None] = lambda askers: None,
    ) -> None:
        self._reactor = reactor
        self._network = Resolving(reactor, OneAtATime(reactor.nameResolver))
        self._random = random
        self._limit = limit
        self._timeout = timeout
        self._on_return = on_return
        self._hosts: dict[tuple[str, str, bool], _Host] = {}

    async def get(self, url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
        """Status and body of one GET; a body over 64 kB is a failure, a redirect is not followed.

        With `allow_private` the host may be at a private or loopback address. Raises TemporaryFailure, with `counts`
        false where nothing was tried; PermanentFailure where `url` is not one that can be asked.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise PermanentFailure("the callback URL is unusable")
        key = (match[1], match[2], allow_private)
        host = self._hosts.get(key) or self._new_host(key)
        try:
            waiting = host.enter(self._reactor.seconds())
            if waiting is not None:
                await waiting
        except TemporaryFailure:
            host.remember(asker)
            raise
        try:
            answer = await host.ask(_path(match[3]))
        except CancelledError:
            raise
        except PermanentFailure:
            raise
        except Exception as problem:
            raise self._failure(host, problem) from None
        finally:
            host.leave(self._reactor.seconds())
        if turned_away := host.answered():
            self._on_return(turned_away)
        if answer.status in _RETRY_AFTER:
            later = asked_for(answer.retry_after, self._reactor.seconds())
            raise TemporaryFailure(f"callback answered HTTP {answer.status}", not_before=later)
        return answer.status, answer.body

    def hosts(self) -> Mapping[str, str]:
        """Each callback host that was asked since the start, and why the latest try failed; "" where it did not.

        Of one that labels may reach in different ways, the way that was taken last counts.
        """
        latest = sorted(self._hosts.items(), key=lambda entry: entry[1].left_at)
        return {netloc: host.trouble for (_, netloc, _), host in latest}

    def degraded(self) -> Iterator[Degraded]:
        """The hosts that take no status."""
        for host, why in self.hosts().items():
            if why:
                yield Degraded("callbacks", host, f"Smartico at {host} hears no status: {why}; statuses wait")

    def stopService(self) -> Deferred[Any]:
        """Close every connection; fires once they are closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        closed = [gone for host in self._hosts.values() for gone in host.close()]
        return DeferredList(closed)

    def _new_host(self, key: tuple[str, str, bool]) -> "_Host":
        if len(self._hosts) >= _MOST_HOSTS:
            for old in [key for key, host in self._hosts.items() if not host.origin.connections and not host.busy]:
                del self._hosts[old]
        scheme, netloc, allow_private = key
        guard = None if allow_private else PublicOnly(self._network)
        host = self._hosts[key] = _Host(
            self._reactor,
            self._random,
            _origin(self._reactor, guard or self._network, scheme, netloc, self._timeout),
            guard,
            netloc,
            self._limit,
            self._timeout,
        )
        return host

    def _failure(self, host: "_Host", problem: Exception) -> TemporaryFailure:
        now = self._reactor.seconds()
        if isinstance(problem, Stale):
            return TemporaryFailure("the callback host closed a kept connection", not_before=now, counts=False)
        if isinstance(problem, BadAnswer):
            return TemporaryFailure(f"the callback's answer is unreadable: {problem}")
        reason = self._reason(host, problem)
        host.failed(now, reason)
        return TemporaryFailure(reason)

    def _reason(self, host: "_Host", problem: Exception) -> str:
        if isinstance(problem, TooLate):
            return f"no answer to the callback in {self._timeout:g} s"
        if isinstance(problem, error.DNSLookupError) and host.hides_addresses():
            return "the callback host is at a private address"
        return origin.reason(problem, "callback host") or f"callback failed: {type(problem).__name__}"


class _Host:
    """One origin as one kind of caller sees it: its connections, its places, and whether it is worth asking."""

    def __init__(
        self,
        clock: IReactorTime,
        random: Callable[[], float],
        kept: Origin,
        guard: "PublicOnly | None",
        netloc: str,
        limit: int,
        timeout: float,
    ) -> None:
        self.busy = 0
        self.origin = kept
        self._clock = clock
        self._random = random
        self._guard = guard
        self._netloc = netloc
        self._host = origin.host_header(netloc)
        self._limit = limit
        self._timeout = timeout
        self._line: deque[tuple[float, Deferred[None]]] = deque()
        self._watch: Any = None
        self._pace = 0.0  # smoothed seconds that an answer takes
        self.left_at = 0.0  # when a place was last given back, or first taken
        self._next_place = 0.0
        self.trouble = ""
        self._failures = 0
        self._failing_since = 0.0
        self._down_until = 0.0
        self._probing = False
        self._probes = 0
        self._askers: set[str] = set()

    @property
    def down(self) -> bool:
        """Whether it failed so often in a row that it is only probed."""
        return self._failures >= _FAILURES_TO_BREAK

    def enter(self, now: float) -> Deferred[None] | None:
        """Take a place, at once or when the Deferred fires. Raises TemporaryFailure where waiting is no use."""
        if self.down:
            if self._probing or now < self._down_until:
                raise self._turned_away(now)
            self._probing = True
        elif self.busy >= self._limit:
            near = self._pace * (len(self._line) + 1) / self._limit <= _PATIENCE and now - self.left_at <= _PATIENCE
            if not near or len(self._line) >= _LONGEST_LINE:
                raise self._turned_away(now)
            place: Deferred[None] = Deferred()
            self._line.append((now, place))
            if self._watch is None:
                self._watch = self._clock.callLater(_TICK, self._watch_line)
            return place
        if not self.busy:
            self.left_at = now
        self.busy += 1
        return None

    def leave(self, now: float) -> None:
        """Give the place back, or on to the first in the line."""
        self.left_at = now
        self._probing = False
        while self._line:
            _, place = self._line.popleft()
            if not place.called:
                place.callback(None)
                return
        self.busy -= 1

    def close(self) -> "list[Deferred[None]]":
        """Close its connections, and send away who waits for one; each Deferred fires when one is closed."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._send_away(self._clock.seconds(), len(self._line))
        return self.origin.close()

    def hides_addresses(self) -> bool:
        """Whether the name was ever found at a private address that may not be asked."""
        return self._guard is not None and self._guard.nameResolver.hidden > 0

    def remember(self, asker: str) -> None:
        """Note one who is turned away while it is down. Past a limit nobody is: they come back at their places."""
        if asker and self.down and len(self._askers) < _MOST_TURNED_AWAY:
            self._askers.add(asker)

    def answered(self) -> Collection[str]:
        """It answered, whatever it said: it is up. Gives whom it had turned away."""
        if self.down:
            log.info("callback host {host} is up again", host=self._netloc)
        self.trouble = ""
        if self._failures:
            self._failures = self._probes = 0
            self._down_until = self._next_place = 0.0
        turned_away, self._askers = self._askers, set()
        return turned_away

    def failed(self, now: float, reason: str) -> None:
        """It could not be asked, or did not answer."""
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        self.trouble = reason
        if self.down and now >= self._down_until:
            if not self._probes:
                log.warn("callback host {host} is left alone for a while: {reason}", host=self._netloc, reason=reason)
            # Several requests fail together: only the first of them makes the back-off grow.
            self._probes = self._probes + 1
            self._down_until = LINK.next_due(self._probes, self._failing_since, now, self._random())
            self._send_away(now, len(self._line))

    async def ask(self, path: str) -> AnswerReader:
        """One GET on a kept or a new connection."""
        begun = self._clock.seconds()
        connection = await self.origin.connection()
        octets = request("GET", path, self._host, _ACCEPT, has_body=False)
        answer = await connection.ask(octets, begun + self._timeout)
        self._pace += (self._clock.seconds() - begun - self._pace) / 8
        return answer

    def _watch_line(self) -> None:
        now = self._clock.seconds()
        self._watch = None
        self._send_away(now, sum(since <= now - _PATIENCE for since, _ in self._line))
        if self._line:
            self._watch = self._clock.callLater(_TICK, self._watch_line)

    def _send_away(self, now: float, count: int) -> None:
        for _ in range(count):
            _, place = self._line.popleft()
            if not place.called:
                place.errback(Failure(self._turned_away(now)))

    def _turned_away(self, now: float) -> TemporaryFailure:
        state = "down" if self.down else "busy"
        return TemporaryFailure(f"callback host is {state}", not_before=self._place(now), counts=False)

    def _place(self, now: float) -> float:
        """When to come again: one behind the other, so that it costs little however many are turned away."""
        first = max(now + 0.25, self._down_until)
        self._next_place = max(self._next_place + _APART, first)
        if self._next_place > first + _FARTHEST:
            self._next_place = first
        return self._next_place


def _origin(clock: IReactorTime, network: Any, scheme: str, netloc: str, timeout: float) -> Origin:
    tls = scheme.lower() == "https"
    try:
        name, _ = origin.host_of(netloc)
        # SSL_CERT_FILE and SSL_CERT_DIR are honoured by OpenSSL itself. A name that no certificate can have is refused.
        options = optionsForClientTLS(name, trustRoot=platformTrust()) if tls else None
        endpoint = origin.endpoint_of(network, scheme, netloc, timeout, options)
    except (ValueError, UnicodeError):
        raise PermanentFailure("the callback URL is unusable") from None
    return Origin(clock, endpoint, tls=tls, timeout=timeout)


def _path(text: str) -> str:
    """The request target, with whatever may not stand in it escaped."""
    return text if _PLAIN_PATH.fullmatch(text) else origin.target(text)
