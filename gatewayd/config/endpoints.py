"""Endpoint strings of the configuration, read by Twisted's own parsers; nothing listens and nothing connects."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Strict
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IReactorPluggableNameResolver
from zope.interface import implementer

from gatewayd.config.endpoint_words import (
    CLIENTS,
    SERVERS,
    by_systemd,
    directory_of_tls,
    fault,
    fault_of_systemd,
    plainly,
    port_of_client,
    port_of_server,
    words,
)

_LAST = 65535
_TLS_OF_TWISTED = frozenset({"certificate", "privateKey", "trustRoots", "endpoint"})
_SNI = "tls:DIRECTORY:port=PORT, or ssl:PORT:privateKey=FILE:certKey=FILE"


def server_endpoint(value: str) -> str:
    """`value`, where Twisted can listen by it, with {instance} in it or not. Raises ValueError.

    What only systemd opens is read by its words: it is there in the process that systemd starts, and nowhere else.
    """
    if by_systemd(value):
        if why := fault_of_systemd(value):
            raise ValueError(f"is not a Twisted server endpoint string: {why}")
        return value
    directory = directory_of_tls(value)
    if directory is not None and "{instance}" not in directory and not (directory and Path(directory).is_dir()):
        # Twisted would take `tls:8443` for one, open port 443 and answer nobody.
        names = f"{directory} is" if directory else "it names"
        raise ValueError(f"is not a Twisted server endpoint string: {names} no directory of PEM files: {_SNI}")
    _check("server", value, SERVERS, lambda: serverFromString(None, value.replace("{instance}", "instance")))
    if (port := port_of_server(value)) and not 0 <= int(port) <= _LAST:
        raise ValueError(f"has no port {port}: 1 to {_LAST}, or 0 for any that is free")
    return value


@implementer(IReactorPluggableNameResolver)
class _Nowhere:
    """In a reactor's place where an endpoint string is only read: tls: looks for who resolves names."""

    nameResolver: Any = None

    def installNameResolver(self, resolver: Any) -> Any:
        """Nothing is resolved here."""
        return resolver


def client_endpoint(value: str) -> str:
    """`value`, where Twisted can connect by it: unix:, tcp: or tls:; or empty. Raises ValueError."""
    if not value:
        return value
    if value.partition(":")[0] not in ("unix", "tcp", "tls"):
        raise ValueError("must begin with unix:, tcp: or tls:")
    if elsewhere := sorted(words(value).named.keys() & _TLS_OF_TWISTED):
        # Twisted's own way takes certificates that name no host for everybody's.
        raise ValueError(f"has {elsewhere[0]}=: whom to believe say ca_file, certificate and private_key of its table")
    _check("client", value, CLIENTS, lambda: clientFromString(_Nowhere(), value))
    if (port := port_of_client(value)) and not 0 < int(port) <= _LAST:
        raise ValueError(f"has no port {port}: 1 to {_LAST}")
    return value


def _check(side: str, endpoint: str, forms: Mapping[str, str], read: Callable[[], object]) -> None:
    why = fault(endpoint, forms)
    if not why:
        try:
            read()
            return
        except Exception as error:
            why = plainly(error, endpoint)
    raise ValueError(f"is not a Twisted {side} endpoint string: {why}")


Listens = Annotated[tuple[Annotated[str, AfterValidator(server_endpoint)], ...], Strict(False)]
RedisEndpointOrNone = Annotated[str, AfterValidator(client_endpoint)]
