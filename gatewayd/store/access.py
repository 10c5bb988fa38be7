"""The configured Redis: the endpoint that reaches it, and the link that the store's scripts go out on."""

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from gatewayd.config import Config, Redis
from gatewayd.config.endpoint_words import words
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import AuditHead
from gatewayd.core.tls import Encrypted, RenewedOptions
from gatewayd.core.tokens import Keys
from gatewayd.store import RedisStore
from gatewayd.store.key_marks import KnownKeys
from gatewayd.store.link import RedisLink, stays
from gatewayd.store.sentinel import Sentinels

SENTINEL_PORT = 26379

TIMEOUT = 30
"""Seconds that one address of Redis has to take a connection where the endpoint names none, as Twisted has it."""


def redis_endpoint(reactor: Any, table: Redis, jitter: Callable[[], float]) -> IStreamClientEndpoint:
    """How the configured Redis is reached; a TLS one with the certificates of the table, where it names any.

    Raises OSError or ValueError for a certificate or key file that can't be used.
    """
    if table.sentinels:
        return _sentinels(reactor, table, jitter)
    said = words(table.endpoint)
    if not (said.kind == "tls" or (said.kind == "tcp" and table.tls)):
        plain: IStreamClientEndpoint = clientFromString(reactor, table.endpoint)
        return plain
    places = iter(said.plain)
    host, port = (said.named[part] if part in said.named else next(places) for part in ("host", "port"))
    timeout, bound = float(said.named.get("timeout", TIMEOUT)), said.named.get("bindAddress")
    return _encrypted(table, host, HostnameEndpoint(reactor, host, int(port), timeout, bindAddress=bound))


def _sentinels(reactor: Any, table: Redis, jitter: Callable[[], float]) -> Sentinels:
    def reach(host: str, port: int) -> IStreamClientEndpoint:
        plain = HostnameEndpoint(reactor, host, port)
        return _encrypted(table, host, plain) if table.tls else plain

    if table.tls:
        _options(table, "localhost")()
    return Sentinels(
        reactor,
        {name: reach(*_host_and_port(name)) for name in table.sentinels},
        table.master,
        reach,
        username=table.sentinel_username,
        password=table.sentinel_password.reveal(),
        jitter=jitter,
    )


def _host_and_port(text: str) -> tuple[str, int]:
    """Of `host`, `host:port` or `[IPv6]:port`, as the configuration checked it."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, int(port.removeprefix(":") or SENTINEL_PORT)
    host, _, port = text.partition(":")
    return host, int(port or SENTINEL_PORT)


def _encrypted(table: Redis, host: str, plain: IStreamClientEndpoint) -> IStreamClientEndpoint:
    options = _options(table, host)
    # A file that can't be used is said at once, not when a connection is opened.
    options()
    return Encrypted(plain, options)


def _options(table: Redis, host: str) -> RenewedOptions:
    return RenewedOptions(host, ca_file=table.ca_file, certificate=table.certificate, private_key=table.private_key)


def redis_link(
    reactor: Any, table: Redis, instance: str, retention: float, boot: str, jitter: Callable[[], float]
) -> RedisLink:
    """The link to the configured Redis, with the arguments that the store's scripts take; `retention` in seconds.

    `boot` is unique to the process: what it leased is not the lease of another one of the same name.
    """
    endpoint = redis_endpoint(reactor, table, jitter)
    link = RedisLink(
        reactor,
        endpoint,
        database=table.database,
        username=table.username,
        password=table.password.reveal(),
        replicas=table.replicas,
        outlook=endpoint.outlook if isinstance(endpoint, Sentinels) else stays,
        jitter=jitter,
        arguments=RedisStore.script_arguments(instance, table.max_queued, retention, boot),
        prefix=RedisStore.key_prefix(table.key_prefix),
    )
    if isinstance(endpoint, Sentinels):
        endpoint.on_switch = link.leave
        endpoint.setServiceParent(link)  # type: ignore[no-untyped-call]
    return link


def key_ring(config: Config) -> Keys:
    """The configured secret key, and those before it."""
    table = config.gatewayd
    return Keys(table.secret_key.reveal().encode(), [key.reveal().encode() for key in table.previous_secret_keys])


def known_keys(config: Config) -> KnownKeys:
    """The same as their marks, and for how long what is stored under a key may be needed."""
    kept_for = max([config.gatewayd.retention, *(label.suppress_for for label in config.labels.values())])
    return KnownKeys(key_ring(config).marks, kept_for)


async def remembered_head(reactor: Any, config: Config) -> AuditHead | None:
    """The head of this instance's audit log that Redis remembers, for a command. Raises OSError where it is away."""
    table, own = config.redis, config.gatewayd
    try:
        link = redis_link(reactor, table, own.instance, own.retention, "command", lambda: 0.5)
    except ValueError as error:
        raise OSError(f"Redis: a certificate or key file can't be used: {error}") from None
    link.startService()
    try:
        store = RedisStore(link, reactor, own.instance)
        return await store.audit_head(own.instance)
    except StoreUnavailable as error:
        raise OSError(f"Redis can't be asked for the audit log's head: {error}") from None
    finally:
        await link.stopService()
