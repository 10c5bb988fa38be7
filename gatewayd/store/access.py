"""The configured Redis: the endpoint that reaches it, and the link that the store's scripts go out on."""

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import clientFromString, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint

from gatewayd.config import Redis
from gatewayd.core.tls import client_options
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink


def redis_endpoint(reactor: Any, table: Redis) -> IStreamClientEndpoint:
    """How the configured Redis is reached; a TLS one with the certificates of the table, where it names any.

    Raises OSError or ValueError for a certificate or key file that can't be used.
    """
    kind, _, rest = table.endpoint.partition(":")
    host, _, port = rest.partition(":")
    if kind != "tls" or not (table.ca_file or table.certificate):
        plain: IStreamClientEndpoint = clientFromString(reactor, table.endpoint)
        return plain
    options = client_options(host, ca_file=table.ca_file, certificate=table.certificate, private_key=table.private_key)
    return wrapClientTLS(options, clientFromString(reactor, f"tcp:{host}:{port.partition(':')[0]}"))


def redis_link(reactor: Any, table: Redis, instance: str, retention: float, jitter: Callable[[], float]) -> RedisLink:
    """The link to the configured Redis, with the arguments that the store's scripts take; `retention` in seconds."""
    return RedisLink(
        reactor,
        redis_endpoint(reactor, table),
        database=table.database,
        username=table.username,
        password=table.password.reveal(),
        jitter=jitter,
        arguments=RedisStore.script_arguments(instance, table.max_queued, retention),
        prefix=RedisStore.key_prefix(table.key_prefix),
    )
