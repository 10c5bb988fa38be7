"""Redis' endpoint string: what it says holds with TLS as it does without."""

from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from gatewayd.config import Redis
from gatewayd.store.access import redis_endpoint
from memory_network import Reactor


@pytest.mark.parametrize(
    ("words", "timeout", "bound"),
    [(":timeout=2", 2, None), (":bindAddress=10.0.0.9:timeout=1", 1, ("10.0.0.9", 0)), ("", 30, None)],
)
@pytest.mark.parametrize("more", [{"endpoint": "tcp"}, {"endpoint": "tcp", "tls": True}, {"endpoint": "tls"}])
def test_an_endpoint_s_words_hold_however_it_is_reached(
    more: dict[str, Any], words: str, timeout: int, bound: tuple[str, int] | None
) -> None:
    """`timeout=` was ignored with TLS: an address that leads nowhere had its 30 s."""
    reactor = Reactor()
    table = Redis.model_validate(more | {"endpoint": f"{more['endpoint']}:redis.internal:6380{words}"})
    redis_endpoint(reactor, table, lambda: 0.5).connect(Factory.forProtocol(Protocol))
    ((_, port, _, *found),) = reactor.tcpClients
    assert (port, *found) == (6380, timeout, bound)
