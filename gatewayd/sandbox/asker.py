"""Who in the sandbox asks others over HTTP: Smartico posts, a vendor reports. By the daemon's own client."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from gatewayd.http_client.answers import AnswerReader
from gatewayd.http_client.origin import Origin, origin_of
from gatewayd.http_client.requests import request, target

CONNECTS_WITHIN = 30.0
"""Seconds; a program that is stopped, as tests stop the daemon, answers later."""

ANSWERS_WITHIN = 300.0


class Asker:
    """Asks by kept connections to each origin."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._origins: dict[tuple[str, str], Origin] = {}

    async def ask(
        self, url: str, method: str = "GET", headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> AnswerReader:
        """The answer. Raises why there is none."""
        parts = urlsplit(url)
        place = parts.scheme, parts.netloc
        origin = self._origins.get(place)
        if origin is None:
            origin = self._origins[place] = origin_of(self._reactor, url, timeout=CONNECTS_WITHIN)
        path = target(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        octets = request(method, path, parts.netloc, headers, body, has_body=method != "GET")
        connection = await origin.connection()
        return await connection.ask(octets, self._reactor.seconds() + ANSWERS_WITHIN)

    async def close(self) -> None:
        """Close all connections."""
        for origin in self._origins.values():
            for closing in origin.close():
                await closing
