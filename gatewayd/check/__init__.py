"""`gatewayctl check`: reads the configuration, then connects to everything in it, all at once, each within a limit.

Owns the list of what is looked at, and the end of a look that takes too long. Sends nothing and changes nothing.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.task import deferLater

from gatewayd.check import bulk, dns, house, neighbours, players, providers, redis
from gatewayd.check.finding import FAIL, OK, PATIENCE, SKIP, WARN, Finding, failed
from gatewayd.config import Config
from gatewayd.store.access import known_keys

__all__ = ["FAIL", "OK", "SKIP", "WARN", "Finding", "failed", "look_at_everything"]

Look = tuple[str, Awaitable[list[Finding]]]


async def look_at_everything(
    reactor: Any,
    config: Config,
    tell: Callable[[Finding], None],
    *,
    lookup: dns.Lookup | None = None,
    patience: float = PATIENCE + 2.0,
) -> list[Finding]:
    """All findings; `tell` gets each as soon as it is there. `lookup` asks the DNS, else this machine's resolvers.

    Never raises for a neighbour's fault. Each look ends after `patience` seconds: by default a little more than what a
    neighbour has, for taking leave.
    """
    found: list[Finding] = []

    async def one(what: str, look: Awaitable[list[Finding]]) -> None:
        for finding in await _within(reactor, what, look, patience):
            found.append(finding)
            tell(finding)

    running = []
    for what, look in _looks(reactor, config, lookup or dns.Resolver(reactor)):
        running.append(Deferred.fromCoroutine(one(what, look)))
        # What has come for the others is read first: to begin all may take a busy machine longer than one may take.
        await deferLater(reactor, 0)
    await gatherResults(running, consumeErrors=True)
    return found


def _looks(reactor: Any, config: Config, lookup: dns.Lookup) -> Iterator[Look]:
    yield "configuration", _now([*house.look(config, reactor.seconds()), *bulk.unsubscribing(config)])
    yield "redis", redis.look(reactor, config.redis, known_keys(config))
    for name, table in config.directories.items():
        users = {label: own for label, own in config.labels.items() if own.directory == name}
        yield f"directory {name}", players.look(reactor, name, table, users)
    for name, relay in config.relays.items():
        yield f"relay {name}", neighbours.relay(reactor, name, relay)
    for name, table_of_smsc in config.smscs.items():
        yield f"smsc {name}", neighbours.smsc(reactor, name, table_of_smsc)
    for name, table_of_provider in config.providers.items():
        yield f"provider {name}", providers.look(reactor, name, table_of_provider)
    for name, own in config.labels.items():
        yield f"callback of {name}", _now(neighbours.callback_rules(name, own))
    for scheme, host, port in neighbours.callback_targets(config.labels):
        yield f"callback host {host}:{port}", neighbours.callback(reactor, scheme, host, port)
    for question in dns.questions(config):
        yield "dns", question(lookup)
    for asking in bulk.questions(config):
        yield "dns", asking(lookup)


async def _now(findings: list[Finding]) -> list[Finding]:
    return findings


async def _within(reactor: Any, what: str, look: Awaitable[list[Finding]], patience: float) -> list[Finding]:
    """What `look` finds, if it does in time."""

    async def run() -> list[Finding]:
        return await look

    try:
        return await Deferred.fromCoroutine(run()).addTimeout(patience, reactor)
    except (TooLate, CancelledError):
        word = SKIP if what == "dns" else FAIL
        return [Finding(word, what, f"no end within {patience:g} s")]
    except Exception as error:
        return [Finding(FAIL, what, neighbours.words(error))]
