"""Who could come in by what the file says: ports that are open beyond this machine, and proofs that can be guessed.

Pure: endpoint strings are read by their words, nothing is looked up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gatewayd.config.as_written import items_of
from gatewayd.config.clear_text import beyond_loopback
from gatewayd.config.endpoint_words import by_systemd, words
from gatewayd.config.esp import ESP_NAMES, ESP_NEEDS
from gatewayd.config.secret import ELSEWHERE

_OWN_DOORS = {
    "admin": "whoever reaches it may do everything",
    "bounces": "whoever reaches it may write about any message whose token he has",
}
"""Listeners that have no log-in: for this machine, unless the file says `open = true`."""

_GUESSABLE = 16
"""Characters that a secret must have where it alone keeps strangers out."""


def open_doors(raw: Mapping[str, Any]) -> Iterator[str]:
    """A line for each listener without a log-in that is open to other machines, and not on purpose."""
    for part, what in _OWN_DOORS.items():
        table = raw.get(part)
        if not isinstance(table, Mapping) or table.get("open") is True:
            continue
        for index, text in enumerate(items_of(table.get("listen"))):
            if isinstance(text, str) and is_open(text):
                yield (
                    f"{part}.listen[{index}]: is open beyond this machine, and {what}: name an interface such as"
                    f" interface=127.0.0.1, or say that it is meant: open = true in [{part}]"
                )


def only_by_systemd(listens: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A line for each listener that nobody but systemd opens, by the tables' names."""
    for part, endpoints in listens.items():
        for index, text in enumerate(endpoints):
            if by_systemd(text):
                yield f"{part}.listen[{index}]: only systemd can open {text}: whether it does shows when it starts us"


def is_open(endpoint: str) -> bool:
    """Whether a Twisted server endpoint string may listen beyond loopback; of what can't be known: yes."""
    said = words(endpoint)
    if said.kind == "unix" or (said.kind == "systemd" and said.named.get("domain", "").upper() == "UNIX"):
        return False
    if said.kind not in ("tcp", "tcp6", "ssl"):
        return True
    return beyond_loopback(said.named.get("interface", ""))


def _host_of_sentinel(text: str) -> str:
    """Of `host` or `host:port`; what is neither has a fault of its own."""
    match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::\d+)?", text)
    return match[1].strip("[]") if match else ""


def clear_redis(table: Mapping[str, Any]) -> Iterator[str]:
    """A Redis on another machine that is spoken to in clear text, and not on purpose."""
    if table.get("clear_text") is True or table.get("tls") is True:
        return
    hosts = [
        (f"redis.sentinels[{index}]", _host_of_sentinel(str(text)))
        for index, text in enumerate(items_of(table.get("sentinels")))
    ]
    endpoint = str(table.get("endpoint") or "")
    said = words(endpoint)
    if said.kind == "tcp" and not hosts:
        hosts = [("redis.endpoint", said.named.get("host") or next(iter(said.plain), ""))]
    for at, host in hosts:
        if host and beyond_loopback(host):
            yield (
                f"{at}: players' messages and the password would go to another machine in clear text: tls = true, or"
                " say that it is meant: clear_text = true in [redis]"
            )
            return


def guessable(esp: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Secret paths that anybody could try out, and that are the only proof of who posts."""
    for name in (one for one in ESP_NAMES if one not in ESP_NEEDS):
        table = esp.get(name, {})
        secret = table.get("secret")
        # One that stands elsewhere has no length yet; what it points to is looked at once it was read.
        if isinstance(secret, str) and not secret.startswith(ELSEWHERE) and too_short(secret, table):
            yield guessable_line(name)


def too_short(secret: str, table: Mapping[str, Any]) -> bool:
    """Whether a path's secret can be guessed, and nothing else keeps strangers out."""
    return 0 < len(secret) < _GUESSABLE and not (table.get("username") and table.get("password"))


def guessable_line(name: str) -> str:
    """The error about one ESP."""
    return (
        f"esp.{name}.secret: has fewer than {_GUESSABLE} characters and is the only proof of who posts: a longer one"
        " (openssl rand -hex 16), or username and password as well"
    )
