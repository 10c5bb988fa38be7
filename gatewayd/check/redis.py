"""Whether the configured Redis will keep what is given to it: persistence, eviction, version."""

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError

from gatewayd import config
from gatewayd.check.finding import FAIL, OK, WARN, Finding
from gatewayd.core.errors import StoreUnavailable
from gatewayd.store.access import redis_endpoint
from gatewayd.store.condition import fields
from gatewayd.store.link import RedisLink

OLDEST = (6, 2)
"""The first version whose scripts and commands are all there."""


async def look(reactor: Any, table: config.Redis) -> list[Finding]:
    """PING, version, and the settings that decide whether an accepted message can be lost."""
    try:
        endpoint = redis_endpoint(reactor, table)
    except (OSError, ValueError) as error:
        return [Finding(FAIL, "redis", f"a certificate or key file can't be used: {error}")]
    link = RedisLink(
        reactor,
        endpoint,
        database=table.database,
        username=table.username,
        password=table.password.reveal(),
        jitter=lambda: 0.5,
    )
    link.startService()
    try:
        # The first command waits for the connection; the second one's time is Redis's own.
        await link.command("PING")
        begun = reactor.seconds()
        await link.command("PING")
        took = reactor.seconds() - begun
        about = fields(await link.command("INFO"))
        version = about.get("redis_version", "?")
        found = [Finding(OK, "redis", f"answers (PING {took * 1000:.1f} ms), version {version}")]
        return found + refusals(about) + judge(version, await _settings(link, about))
    except StoreUnavailable as error:
        return [Finding(FAIL, "redis", str(error))]
    finally:
        await link.stopService()


async def _settings(link: RedisLink, about: dict[str, str]) -> dict[str, str]:
    """What CONFIG GET tells; where that is forbidden, what INFO tells as well."""
    told = {
        "appendonly": {"1": "yes", "0": "no"}.get(about.get("aof_enabled", ""), ""),
        "maxmemory-policy": about.get("maxmemory_policy", ""),
        "maxmemory": about.get("maxmemory", ""),
        "appendfsync": "",
    }
    for name in told:
        try:
            pair: Sequence[bytes] = await link.command("CONFIG", "GET", name)
        except CancelledError:
            raise
        except StoreUnavailable:
            raise
        except Exception:
            # Managed services and strict ACLs forbid CONFIG; INFO's answers stand, and judge says what is unknown.
            return told
        if len(pair) == 2:
            told[name] = pair[1].decode()
    return told


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
