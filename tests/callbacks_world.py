"""A callback host over memory, and what one asks of it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gatewayd.callbacks import Callbacks
from memory_network import Reactor

OK = b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n{"error_code": 0,}'


def callbacks(reactor: Reactor, **options: Any) -> Callbacks:
    """Callbacks without jitter."""
    return Callbacks(reactor, lambda: 1.0, **options)


class Get:
    """A GET under way; `outcome` is its answer or its exception once there is one."""

    def __init__(self, service: Callbacks, url: str = "http://api.example/cb", **options: Any) -> None:
        self.outcome: Any = None
        self._under_way = Deferred.fromCoroutine(service.get(url, **options))
        self._under_way.addBoth(self._ended)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._under_way.cancel()

    def _ended(self, result: Any) -> None:
        self.outcome = result.value if isinstance(result, Failure) else result


start = Get


def outcome(get: Get) -> Any:
    """Its answer or its exception."""
    return get.outcome
