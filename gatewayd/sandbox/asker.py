"""Who in the sandbox asks over HTTP: Smartico posts, a vendor reports. By treq: theirs is not the daemon's client."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import treq
from treq.client import HTTPClient
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

CONNECTS_WITHIN = 30.0
"""Seconds; a program that is stopped, as tests stop the daemon, answers later."""

KEPT = 32
"""Connections to one origin that are kept: a campaign's callers."""


class AskerAnswer(NamedTuple):
    """An answer."""

    status: int
    body: bytes


class Asker:
    """Asks by kept connections to each origin."""

    def __init__(self, reactor: Any) -> None:
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = KEPT
        self._client = HTTPClient(Agent(reactor, connectTimeout=CONNECTS_WITHIN, pool=self._pool))

    async def ask(
        self, url: str, method: str = "GET", headers: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> AskerAnswer:
        """The answer. Raises why there is none."""
        given = Headers()
        for name, value in headers:
            given.addRawHeader(name, value)
        response = await self._client.request(method, url, headers=given, data=body, allow_redirects=False)
        return AskerAnswer(response.code, await treq.content(response))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.closeCachedConnections()
