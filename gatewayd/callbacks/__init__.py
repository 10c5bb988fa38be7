"""The GETs to Smartico: persistent connections, a limit and a breaker for each host, time-outs, verified TLS.

Owns which hosts there are and what may be asked of them; one of them is host.py's. Knows nothing of labels, statuses or
what an answer means. No URL ever reaches an exception or the log: its query holds the API key.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from twisted.application.service import Service
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from gatewayd.callbacks.host import CallbackHost
from gatewayd.core.errors import AnsweredInVain, PermanentFailure, TemporaryFailure
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.interfaces import ICallbacks
from gatewayd.core.model import MOST_NAMED, Degraded
from gatewayd.core.retry import STILL_SO
from gatewayd.core.tls import client_options
from gatewayd.http_client import origin
from gatewayd.http_client.answers import BadAnswer, asked_for
from gatewayd.http_client.keepalive import Stale, TooLate
from gatewayd.http_client.origin import Origin
from gatewayd.http_client.public_only import PublicOnly
from gatewayd.http_client.requests import target

MOST = 64
"""GETs to one host at a time: as many statuses as come of one turn of the reactor, whose wait for one another costs
more than connections do. Over a network each takes some 50 ms, so that it is 1,200 a second."""

_URL = re.compile(r"(https?)://([^/?#\s@\\]+)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_PLAIN_PATH = re.compile(r"/[!-~]*")
_MOST_HOSTS = 1_000  # remembered
_RETRY_AFTER = (429, 503)
_TURNED_DOWN = (error.ConnectionRefusedError, error.ConnectionLost, error.ConnectionDone)


@implementer(ICallbacks)
class Callbacks(Service):
    """GETs over kept connections, at most `limit` at a time to one host; `timeout` (seconds) bounds each as a whole.

    A host that is down or slow costs nobody else anything: once its slots are used and no answer is near, or once
    it failed several times in a row, `get` raises at once, and says when to come again. `on_return` hears who was
    turned away by a host that is up again; `who` is what a host is called where it can't be reached.
    """

    def __init__(
        self,
        reactor: Any,
        random: Callable[[], float],
        *,
        limit: int = MOST,
        timeout: float = 10.0,
        on_return: Callable[[Collection[str]], None] = lambda askers: None,
        who: str = "callback host",
    ) -> None:
        self._reactor = reactor
        self._random = random
        self._limit = limit
        self._timeout = timeout
        self._on_return = on_return
        self._who = who
        self._hosts: dict[tuple[str, str, bool], CallbackHost] = {}

    async def get(self, url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
        """Status and body of one GET; a body over 64 kB is a failure, a redirect is not followed.

        With `allow_private` the host may be at a private or loopback address. Raises TemporaryFailure, with `counts`
        false where nothing was tried; PermanentFailure where `url` is not one that can be asked.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise PermanentFailure("the callback URL is unusable")
        key = (*_one_spelling(match[1], match[2]), allow_private)
        host = self._hosts.get(key) or self._new_host(key)
        try:
            slot = await host.slot()
        except TemporaryFailure:
            host.remember(asker)
            raise
        with slot:
            try:
                answer = await host.ask(_path(match[3]))
            except CancelledError:
                raise
            except PermanentFailure:
                raise
            except Exception as problem:
                raise self._failure(host, problem) from None
        if turned_away := host.answered():
            self._on_return(turned_away)
        if answer.status in _RETRY_AFTER:
            later = asked_for(answer.retry_after, self._reactor.seconds())
            raise AnsweredInVain(f"callback answered HTTP {answer.status}", not_before=later)
        return answer.status, answer.body

    def hosts(self) -> Mapping[str, str]:
        """Each callback host that was asked since the start, and why the latest try failed; "" where it did not.

        Of one that labels may reach in different ways, the way that was taken last counts. One that failed and is asked
        no more, for the file or the requests name another, is none of them.
        """
        in_turn = sorted(self._hosts.items(), key=lambda entry: entry[1].left_at)
        latest = {netloc: host for (_, netloc, _), host in in_turn}
        since = self._reactor.seconds() - STILL_SO
        return {name: host.trouble for name, host in latest.items() if not host.trouble or host.left_at > since}

    def degraded(self) -> Iterator[Degraded]:
        """The hosts that take no status: some by name, as requests name them and can name any that a label allows."""
        # In an order that stays: whichever was tried last, the same ones are named.
        troubled = sorted((host, why) for host, why in self.hosts().items() if why)
        for host, why in troubled[:MOST_NAMED]:
            yield Degraded("callbacks", host, f"Smartico at {host} hears no status: {why}; statuses wait")
        if (more := len(troubled) - MOST_NAMED) > 0:
            yield Degraded("callbacks", "others", f"Smartico at {more} more hosts hears no status; statuses wait")

    def stopService(self) -> Deferred[Any]:
        """Close every connection; fires once they are closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        closed = [gone for host in self._hosts.values() for gone in host.close()]
        return DeferredList(closed)

    def _new_host(self, key: tuple[str, str, bool]) -> CallbackHost:
        if len(self._hosts) >= _MOST_HOSTS:
            for old in [key for key, host in self._hosts.items() if host.idle]:
                del self._hosts[old]
        scheme, netloc, allow_private = key
        guard = None if allow_private else PublicOnly(self._reactor)
        host = self._hosts[key] = CallbackHost(
            self._reactor,
            self._random,
            _origin(self._reactor, guard or self._reactor, scheme, netloc, self._timeout),
            guard,
            netloc,
            self._limit,
            self._timeout,
            self._who,
        )
        return host

    def _failure(self, host: CallbackHost, problem: Exception) -> TemporaryFailure:
        if isinstance(problem, Stale):
            now = self._reactor.seconds()
            return TemporaryFailure(f"the {self._who} closed a kept connection", not_before=now, counts=False)
        if isinstance(problem, BadAnswer):
            return AnsweredInVain(f"the callback's answer is unreadable: {problem}", is_readable=False)
        reason = self._reason(host, problem)
        if isinstance(problem, _TURNED_DOWN) and host.takes_fewer(reason):
            # What was written may be what the host drops: that status backs off by its own tries.
            unwritten = isinstance(problem, error.ConnectionRefusedError)
            return TemporaryFailure(
                reason, not_before=host.comes_again_at() if unwritten else None, counts=not unwritten
            )
        host.failed(reason)
        return TemporaryFailure(reason)

    def _reason(self, host: CallbackHost, problem: Exception) -> str:
        if isinstance(problem, TooLate):
            return f"no answer to the callback in {self._timeout:g} s"
        if isinstance(problem, error.DNSLookupError) and host.hides_addresses():
            return f"the {self._who} is at a private address"
        return origin.reason(problem, self._who) or f"callback failed: {type(problem).__name__}"


@lru_cache(_MOST_HOSTS)
def _one_spelling(scheme: str, netloc: str) -> tuple[str, str]:
    """Scheme and host, which have many spellings, in one (RFC 3986 6.2.2.1, 6.2.3): small letters, no usual port."""
    scheme = scheme.lower()
    return scheme, netloc.lower().removesuffix(":443" if scheme == "https" else ":80").removesuffix(":")


def _origin(clock: IReactorTime, network: Any, scheme: str, netloc: str, timeout: float) -> Origin:
    tls = scheme.lower() == "https"
    try:
        name, _ = origin.host_of(netloc)
        # SSL_CERT_FILE and SSL_CERT_DIR are honoured by OpenSSL itself. A name that no certificate can have is refused.
        options = client_options(name) if tls else None
        addresses = HostAddresses()
        endpoint = origin.endpoint_of(addresses.network(network), scheme, netloc, timeout, options)
    except (ValueError, UnicodeError):
        raise PermanentFailure("the callback URL is unusable") from None
    return Origin(clock, endpoint, tls=tls, addresses=addresses, timeout=timeout)


def _path(text: str) -> str:
    """The request target, with whatever may not stand in it escaped."""
    return text if _PLAIN_PATH.fullmatch(text) else target(text)
