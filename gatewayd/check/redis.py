"""Whether the configured Redis will keep what is given to it: persistence, eviction, version."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IStreamClientEndpoint

from gatewayd import config
from gatewayd.check.finding import FAIL, OK, SKIP, WARN, Finding
from gatewayd.core.errors import StoreUnavailable
from gatewayd.store import RedisStore
from gatewayd.store.access import redis_endpoint
from gatewayd.store.condition import fields
from gatewayd.store.connection import ErrorReply
from gatewayd.store.key_marks import KnownKeys, unknown_keys
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts
from gatewayd.store.sentinel import Master, Sentinels, chosen

_CALLED = re.compile(r"\bp?call\('([A-Z]+)'")

OLDEST = (6, 2)
"""The first version whose scripts and commands are all there."""

CLOCKS_APART = 2.0
"""Seconds between this host's clock and Redis' from which on somebody should look at both."""


async def look(reactor: Any, table: config.Redis, known: KnownKeys) -> list[Finding]:
    """PING, version, the settings that decide whether an accepted message can be lost, whose secret keys were used."""
    try:
        endpoint = redis_endpoint(reactor, table, lambda: 0.5)
    except (OSError, ValueError) as error:
        return [Finding(FAIL, "redis", f"a certificate or key file can't be used: {error}")]
    sentinels = await _sentinels(endpoint) if isinstance(endpoint, Sentinels) else []
    if table.sentinels and table.endpoint:
        sentinels.append(Finding(WARN, "redis endpoint", "is not looked at: the Sentinels say where the master is"))
    return sentinels + await _server(reactor, endpoint, table, known)


async def _sentinels(endpoint: Sentinels) -> list[Finding]:
    """What each Sentinel says; three that agree are as it should be."""
    answers = await endpoint.ask(everybody=True)
    master = chosen(list(answers.values()))
    found = []
    for name, answer in answers.items():
        if not isinstance(answer, Master):
            found.append(Finding(FAIL, f"sentinel {name}", answer))
        elif master and (answer.host, answer.port) != (master.host, master.port):
            found.append(Finding(WARN, f"sentinel {name}", f"names another master: {answer.host}:{answer.port}"))
        else:
            found.append(Finding(OK, f"sentinel {name}", f"the master is {answer.host}:{answer.port}"))
    if len(answers) < 3:
        found.append(Finding(WARN, "sentinels", f"{len(answers)}: with fewer than three one that dies ends failovers"))
    return found


async def _server(
    reactor: Any, endpoint: IStreamClientEndpoint, table: config.Redis, known: KnownKeys
) -> list[Finding]:
    link = RedisLink(
        reactor,
        endpoint,
        database=table.database,
        username=table.username,
        password=table.password.reveal(),
        jitter=lambda: 0.5,
        prefix=RedisStore.key_prefix(table.key_prefix),
    )
    link.startService()
    try:
        # The first command waits for the connection; the second one's time is Redis's own.
        await link.command("PING")
        begun = reactor.seconds()
        await link.command("PING")
        took = reactor.seconds() - begun
        about = await _about(link)
        version = about.get("redis_version", "?")
        found = [Finding(OK, "redis", f"answers (PING {took * 1000:.1f} ms), version {version}")]
        found += await _commands(link, table)
        found += await _clock(reactor, link)
        found += await _keys(link, known)
        found += replication(about, table.replicas, sentinels=bool(table.sentinels)) if about else []
        return found + refusals(about) + judge(version, await _settings(link, about))
    except StoreUnavailable as error:
        return [Finding(FAIL, "redis", str(error))]
    finally:
        await link.stopService()


def needed() -> list[str]:
    """The commands of Redis that the store asks for, and its scripts."""
    called = {name for script in all_scripts().values() for name in _CALLED.findall(script.source.decode())}
    return sorted((called | {"EVAL", "EVALSHA", "MGET", "PING", "SCAN"}) - _LESS.keys())


_LESS: Mapping[str, str] = {
    "BGREWRITEAOF": "what was erased stays in the append-only file",
    "INFO": "nobody can say whether it keeps what it is given",
    "ROLE": "a replica is known by its first refusal only",
}
"""Commands without which messages go on, and what is missing then."""


async def _about(link: RedisLink) -> dict[str, str]:
    """What INFO says; nothing where it may not be asked, which `_rights` says."""
    try:
        return fields(await link.command("INFO"))
    except StoreUnavailable as error:
        if "NOPERM" in str(error):
            return {}
        raise


async def _commands(link: RedisLink, table: config.Redis) -> list[Finding]:
    """Who makes a Redis harder to misuse takes commands from it, or from our user; it says so only where one is asked
    for.
    """
    names = sorted({*needed(), *_LESS, *(("WAIT",) if table.replicas else ())})
    try:
        known: Sequence[Sequence[Any] | None] = await link.command("COMMAND", "INFO", *names)
        shapes = dict(zip(names, known, strict=True))
        gone = [name for name, shape in shapes.items() if shape is None]
        key = link.prefix + "check"
        denied = await _denied(link, {name: shape for name, shape in shapes.items() if shape is not None}, key)
    except CancelledError:
        raise
    except Exception as error:
        # It may not be asked: then nothing is known.
        return [Finding(SKIP, _user(table), f"its rights can't be looked at: {error}")]
    found = []
    if gone:
        text = f"it has no {', '.join(gone)}, taken away by rename-command: no message can be stored without"
        found.append(Finding(FAIL, "redis commands", text))
    return found + _rights(denied, table)


async def _denied(link: RedisLink, shapes: Mapping[str, Sequence[Any]], key: str) -> dict[str, str]:
    """Which commands our user may not give, and why, in Redis' words.

    It looks at rights when a command is queued in a transaction, and what is queued here is thrown away.
    """
    denied = {}
    # Without that right nothing would end the transaction. There is none yet, and Redis says so.
    with suppress(ErrorReply):
        await link.command("DISCARD")
    await link.command("MULTI")
    try:
        for name, (_, arity, _, first, *_) in shapes.items():
            words = ["0"] * (abs(arity) - 1)
            if first:
                words[first - 1] = key
            try:
                await link.command(name, *words)
            except StoreUnavailable as error:
                if "NOPERM" not in str(error):
                    raise
                denied[name] = str(error)
    finally:
        await link.command("DISCARD")
    return denied


def _user(table: config.Redis) -> str:
    return f"redis user {table.username or 'default'}"


def _rights(denied: Mapping[str, str], table: config.Redis) -> list[Finding]:
    """What is wrong with the rights of our user."""
    what = _user(table)
    # "No permissions to access a key", and 6.2: "to access one of the keys used as arguments".
    keys = [name for name, why in denied.items() if re.search(r"\bkeys?\b", why)]
    never = [name for name in denied if name not in keys and name not in _LESS]
    found = [
        Finding(WARN, what, f"may not run {name}: {less}")
        for name, less in _LESS.items()
        if name in denied and name not in keys
    ]
    if never:
        found.append(Finding(FAIL, what, f"may not run {', '.join(never)}: no message can be stored without"))
    if keys:
        text = f"may not use keys that begin with {table.key_prefix} (ACL SETUSER ... ~{table.key_prefix}*)"
        found.append(Finding(FAIL, what, text))
    return found


async def _clock(reactor: Any, link: RedisLink) -> list[Finding]:
    """What processes share is timed by Redis' clock; deadlines and quiet hours, and logs, by the host's."""
    seconds, _ = await link.command("TIME")
    apart = int(seconds) - reactor.seconds()
    if abs(apart) < CLOCKS_APART:
        return [Finding(OK, "clock", "this host's and Redis' agree")]
    side = "before" if apart > 0 else "behind"
    return [Finding(WARN, "clock", f"Redis' clock is {abs(apart):.0f} s {side} this host's: is time-sync running?")]


async def _keys(link: RedisLink, known: KnownKeys) -> list[Finding]:
    """Whether others use, or used, a secret key that we lack; nothing where we may not look, which `_rights` says."""
    try:
        why = await unknown_keys(link, known)
    except StoreUnavailable as error:
        if "NOPERM" in str(error):
            return []
        raise
    return [Finding(FAIL, "secret_key", why)] if why else []


def replication(about: dict[str, str], wanted: int, *, sentinels: bool) -> list[Finding]:
    """Whether there are as many replicas as each promise waits for, by Redis' INFO."""
    there = int(about.get("connected_slaves") or 0)
    if there < wanted:
        text = f"{there} of {wanted} that [redis] replicas asks for: every request gets error_code 10"
        return [Finding(FAIL, "redis replicas", text)]
    if sentinels and not wanted:
        text = f"{there} follow, and [redis] replicas = 0: a failover may lose its last second"
        return [Finding(WARN, "redis replicas", text)]
    return [Finding(OK, "redis replicas", f"{there} follow, {wanted} are waited for")] if there or wanted else []


async def _settings(link: RedisLink, about: dict[str, str]) -> dict[str, str]:
    """What CONFIG GET says; where that is forbidden, what INFO says as well."""
    known = {
        "appendonly": {"1": "yes", "0": "no"}.get(about.get("aof_enabled", ""), ""),
        "maxmemory-policy": about.get("maxmemory_policy", ""),
        "maxmemory": about.get("maxmemory", ""),
        "appendfsync": "",
    }
    for name in known:
        try:
            pair: Sequence[bytes] = await link.command("CONFIG", "GET", name)
        except CancelledError:
            raise
        except StoreUnavailable as error:
            if "NOPERM" in str(error):
                return known
            raise
        except Exception:
            # Managed services and strict ACLs forbid CONFIG; INFO's answers stand, and judge says what is unknown.
            return known
        if len(pair) == 2:
            known[name] = pair[1].decode()
    return known


def refusals(about: dict[str, str]) -> list[Finding]:
    """Why this Redis takes no writes now, by its INFO; empty where nothing speaks against it."""
    used, limit = (int(about.get(name) or 0) for name in ("used_memory", "maxmemory"))
    found = []
    if about.get("role") == "slave":
        found.append(Finding(FAIL, "redis role", "a replica, which takes no writes: name its master"))
    if limit and used >= limit and about.get("maxmemory_policy") == "noeviction":
        found.append(Finding(FAIL, "redis maxmemory", f"full: {used} of {limit} bytes; nothing more can be stored"))
    for name, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "snapshot")):
        if about.get(name, "ok") != "ok":
            word = FAIL if name.startswith("aof") else WARN
            found.append(Finding(word, f"redis {name}", f"its last {what} could not be written: is the disk full?"))
    return found


def judge(version: str, settings: dict[str, str]) -> list[Finding]:
    """What the settings mean for accepted messages."""
    found = []
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers and numbers < OLDEST:
        found.append(Finding(FAIL, "redis", f"version {version} is older than {OLDEST[0]}.{OLDEST[1]}"))
    return [
        *found,
        _persistence(settings["appendonly"]),
        *_syncing(settings["appendonly"], settings["appendfsync"]),
        _eviction(settings["maxmemory-policy"], settings["maxmemory"]),
    ]


def _persistence(appendonly: str) -> Finding:
    if appendonly == "yes":
        return Finding(OK, "redis appendonly", "yes: accepted messages outlive a restart of Redis")
    if appendonly == "no":
        return Finding(
            FAIL, "redis appendonly", "no: a restart of Redis loses accepted messages (CONFIG SET appendonly yes)"
        )
    return Finding(WARN, "redis appendonly", "could not be read")


_FSYNC = {
    "always": (OK, "always: accepted messages outlive a power cut"),
    "everysec": (OK, "everysec: a power cut can lose the last second; always loses nothing, and costs some speed"),
    "no": (WARN, "no: a power cut can lose what was accepted in the last half minute"),
}


def _syncing(appendonly: str, appendfsync: str) -> list[Finding]:
    if appendonly == "no":
        return []
    word, text = _FSYNC.get(appendfsync, (WARN, "could not be read"))
    return [Finding(word, "redis appendfsync", text)]


def _eviction(policy: str, maxmemory: str) -> Finding:
    limit = f"maxmemory {maxmemory}" if maxmemory.strip("0") else "no maxmemory"
    if policy == "noeviction":
        return Finding(OK, "redis maxmemory-policy", f"noeviction, {limit}")
    if not policy:
        return Finding(WARN, "redis maxmemory-policy", "could not be read")
    text = f"{policy}, {limit}: Redis may throw accepted messages away (CONFIG SET maxmemory-policy noeviction)"
    return Finding(FAIL, "redis maxmemory-policy", text)
