"""What is fetched from Amazon for SES: the certificates that sign its posts, and the confirmation of a topic.

Which URLs are Amazon's says esp/ses.py.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.core.errors import TemporaryFailure

Fetch = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Status and body (at most 64 kB) of one GET that follows no redirect. Raises TemporaryFailure."""

_LONGEST = 5.0  # seconds for a certificate or a confirmation
_MOST_BYTES = 65536  # bytes of it
_CERTIFICATES = 8  # remembered

_log = Logger()


class Amazon:
    """Asked by `fetch`, each time for a few seconds at most."""

    def __init__(self, clock: IReactorTime, fetch: Fetch) -> None:
        self._clock = clock
        self._fetch = fetch
        self._certificates: dict[str, bytes] = {}

    async def certificate(self, url: str) -> bytes:
        """The PEM text at `url`, from memory where it was fetched before. Raises TemporaryFailure."""
        known = self._certificates.get(url)
        if known is not None:
            return known
        status, body = await self._get(url)
        if status != 200 or not body.lstrip().startswith(b"-----BEGIN CERTIFICATE-----"):
            raise TemporaryFailure("the signing certificate could not be fetched")
        if len(self._certificates) >= _CERTIFICATES:
            self._certificates.clear()
        self._certificates[url] = body
        return body

    async def confirm(self, url: str, *, allowed: bool) -> None:
        """Subscribe a topic by asking for `url`, where the operator allows it. Raises TemporaryFailure."""
        if not allowed:
            _log.warn(
                "esp.ses: a listed SNS topic asks to be confirmed, and `confirm = false` forbids it: no events come"
            )
            return
        status, _ = await self._get(url)
        if status != 200:
            raise TemporaryFailure(f"SNS answered {status} to the confirmation")
        _log.info("esp.ses: the SNS subscription is confirmed")

    async def _get(self, url: str) -> tuple[int, bytes]:
        try:
            status, body = await Deferred.fromCoroutine(_called(self._fetch, url)).addTimeout(_LONGEST, self._clock)
        except DeferredTimeoutError:
            raise TemporaryFailure("Amazon did not answer in time") from None
        if len(body) > _MOST_BYTES:
            raise TemporaryFailure("Amazon's answer is too large")
        return status, body


async def _called(fetch: Fetch, url: str) -> tuple[int, bytes]:
    return await fetch(url)
