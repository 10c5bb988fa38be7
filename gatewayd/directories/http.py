"""Players behind an operator's HTTP service: one GET for each look-up, JSON back, 404 for an unknown id."""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import quote

import msgspec
import treq
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.web.client import Agent, HTTPConnectionPool
from zope.interface import implementer

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories.rows import recipient_of

LARGEST = 65536
CONNECTIONS = 16
_PLACES = ("{ext_user_id}", "{label}")


@implementer(IRecipientDirectory)
class HttpDirectory:
    """`url` holds {ext_user_id} and may hold {label}, percent-encoded into path or query; redirects are not followed.

    `authorization` goes into the Authorization header, unless it is "". Raises ValueError for a URL without
    {ext_user_id}, or with a place-holder in its host.
    """

    def __init__(
        self, reactor: Any, url: str, authorization: str = "", *, client: Any = None, connect_timeout: float = 5.0
    ) -> None:
        host, slash, _ = url.partition("://")[2].partition("/")
        if "{" in host or not slash:
            raise ValueError("url: place-holders belong into the path or the query")
        if "{ext_user_id}" not in url:
            raise ValueError("url: has no {ext_user_id}")
        if "{" in url.replace(_PLACES[0], "").replace(_PLACES[1], ""):
            raise ValueError("url: the place-holders are {ext_user_id} and {label}")
        self._url = url
        self._headers: dict[bytes | str, bytes | str] = {b"Accept": b"application/json"}
        if authorization:
            self._headers[b"Authorization"] = authorization.encode()
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONNECTIONS
        # The pool's own retry would hide a failure for as long again; the outbox is who tries again.
        self._pool.retryAutomatically = False
        self._client = client or HTTPClient(Agent(reactor, connectTimeout=connect_timeout, pool=self._pool))

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player that the service tells of, always asked anew. Raises TemporaryFailure."""
        if ext_user_id in (".", ".."):
            # As a segment of a path they would mean another path, percent-encoded or not (RFC 3986 6.2.2.2).
            return None
        url = self._url.replace("{ext_user_id}", quote(ext_user_id, safe="")).replace("{label}", quote(label, safe=""))
        try:
            response = await self._client.get(
                EncodedURL.from_text(url), headers=self._headers, allow_redirects=False, unbuffered=True
            )
            body = await _bounded(response)
        except (CancelledError, TemporaryFailure):
            raise
        except Exception as error:
            raise TemporaryFailure(f"the directory can't be asked: {type(error).__name__}") from None
        if response.code == 404:
            return None
        if response.code != 200:
            raise TemporaryFailure(f"the directory answered with status {response.code}")
        try:
            row = msgspec.json.decode(body, type=dict[str, Any])
        except (ValueError, RecursionError):
            raise TemporaryFailure("the directory's answer is not a JSON object") from None
        return recipient_of(row)

    def close(self) -> Awaitable[None]:
        """Close the kept connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing if isinstance(closing, Deferred) else succeed(None)


async def _bounded(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0

    def keep(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > LARGEST:
            raise TemporaryFailure("the directory's answer is too long")
        parts.append(data)

    await treq.collect(response, keep)
    return b"".join(parts)
