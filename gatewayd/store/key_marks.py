"""Whether what stands in this Redis was stored under secret keys that this process has.

Message ids are derived from the secret key, and the stop list is kept by its hashes: under another key a uid is new,
and nobody is stopped. Each process leaves the mark of its key, from which the key can't be had, and looks for others.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Degraded
from gatewayd.store.link import RedisLink

_WRITTEN_EVERY = 3600
"""Seconds between two writings of our own mark."""


class KnownKeys(Struct, frozen=True):
    """The secret keys of a configuration: `marks` of all, that in use first.

    `kept_for`: seconds after which nothing is left of what was stored under a key.
    """

    marks: tuple[str, ...]
    kept_for: float


class KeyMarks:
    """Looks at the marks in Redis, and writes our own; the log has it once for each that we don't know."""

    log = Logger()

    def __init__(self, link: RedisLink, instance: str, known: KnownKeys) -> None:
        self._link = link
        self._instance = instance
        self._known = known
        self._found = ""

    def degraded(self) -> tuple[Degraded, ...]:
        """That somebody else's key is, or was, in use here."""
        return (Degraded("redis", "secret_key", self._found),) if self._found else ()

    async def look(self) -> None:
        """Ask Redis; what it does not tell changes nothing."""
        try:
            now, found = await _marked(self._link)
            why = why_unknown(found, self._known, now)
            if why and not self._found:
                self.log.error("{what}", what=why)
            self._found = why
            own = self._known.marks[0]
            if own not in found or found[own][0] + _WRITTEN_EVERY <= now:
                await self._write(own, now)
        except StoreUnavailable:
            # Who asks for what is degraded is told of that by others.
            return

    async def _write(self, mark: str, now: int) -> None:
        """Say that our key is in use; but where no message ever came nothing depends on it, and it may be changed."""
        if await self._link.command("EXISTS", self._link.key("counts")):
            await self._link.command("HSET", self._link.key("key_marks"), mark, f"{now}|{self._instance}")


async def unknown_keys(link: RedisLink, known: KnownKeys) -> str:
    """Why what stands in Redis is not all known to who has these keys; "" where it is."""
    now, found = await _marked(link)
    return why_unknown(found, known, now)


def why_unknown(found: Mapping[str, tuple[int, str]], known: KnownKeys, now: int) -> str:
    """The same of marks with the second at which, and the instance by which, each was used last."""
    others = [used for mark, used in found.items() if mark not in known.marks and used[0] + known.kept_for > now]
    if not others:
        return ""
    at, instance = max(others)
    day = datetime.fromtimestamp(min(at, now), UTC)
    return (
        f"Redis has what was stored under a secret_key that is not ours (last by {instance}, {day:%Y-%m-%d %H:%M} UTC):"
        " of all labels, who was stopped under it gets messages, and a uid may be sent twice; all processes need one"
        " secret_key, and those before it under previous_secret_keys"
    )


async def _marked(link: RedisLink) -> tuple[int, dict[str, tuple[int, str]]]:
    """Redis' second, and by the mark of each key when and by whom it was used last."""
    seconds, _ = await link.command("TIME")
    listed: list[bytes] = await link.command("HGETALL", link.key("key_marks"))
    texts = [text.decode("utf-8", "replace") for text in listed]
    return int(seconds), {mark: _used(text) for mark, text in zip(texts[::2], texts[1::2], strict=True)}


def _used(text: str) -> tuple[int, str]:
    at, _, instance = text.partition("|")
    return int(at) if at.isdigit() else 0, instance
