"""Vendors: reached the way the daemon reaches them, and asked what costs nothing, where their profile knows it.

Owns no words on what an answer to a message means. Nothing is sent to anybody.
"""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twisted.internet.defer import CancelledError

from gatewayd.check.finding import FAIL, LISTENED, OK, WARN, Finding
from gatewayd.config import Provider
from gatewayd.config.profiles import profiles
from gatewayd.core.errors import Down, NotWritten, Unanswered
from gatewayd.providers.exchange import Answered
from gatewayd.providers.templates import filled
from gatewayd.providers.vendor import Vendor

HARMLESS = "Harmless"
"""The line of a profile's head with a path that a GET may ask for, and that only good credentials get."""


async def look(reactor: Any, name: str, table: Provider, listened: float = LISTENED) -> list[Finding]:
    """Connect, with TLS where it has it, to what stands for `listened` seconds; ask who we are, where that can be
    asked; a line each.
    """
    what, where = f"provider {name}", _host_of(table.url)
    vendor = vendor_of(reactor, name, table)
    try:
        await vendor.connect(listened)
    except CancelledError:
        raise
    except Exception as problem:
        return [Finding(FAIL, what, f"{where}: {vendor.reason(problem)}")]
    secure = "TLS with a good certificate" if table.url.startswith("https:") else "connected, without TLS"
    found = [Finding(OK, what, f"{where}: {secure}")]
    if not table.url.startswith("https:") and table.clear_text:
        found.append(Finding(WARN, what, "texts, numbers and credentials go there in clear text (clear_text)"))
    path = profiles()[table.profile].head.get(HARMLESS) if table.profile else None
    if path:
        found.append(await _known(vendor, what, table, path))
    await vendor.stop()
    return found


async def _known(vendor: Vendor, what: str, table: Provider, path: str) -> Finding:
    """Whether the credentials are good."""
    target, _, query = path.partition("?")
    url = urlunsplit((*urlsplit(table.url)[:2], target, query, ""))
    asking = table.model_copy(update={"url": url, "method": "GET", "body": "none", "fields": {}})
    words = {"username": table.username, "password": table.password.reveal()}
    try:
        answer = await ask(vendor, asking, words)
    except (Down, NotWritten, Unanswered) as trouble:
        return Finding(FAIL, what, f"{target}: {trouble}")
    if 200 <= answer.status < 300:
        return Finding(OK, what, "the credentials are good")
    if answer.status in (401, 403):
        return Finding(FAIL, what, f"the credentials are refused: {answer.status}")
    return Finding(WARN, what, f"whether the credentials are good is not known: {answer.status} to {target}")


async def ask(vendor: Vendor, table: Provider, words: dict[str, str]) -> Answered:
    """One request, that stands for no message."""
    return await vendor.ask(filled(table, words), "", _nothing_to_mark)


def vendor_of(reactor: Any, name: str, table: Provider) -> Vendor:
    """The vendor as the daemon would reach it, without its pace: one request is within any."""
    unpaced = table.model_copy(update={"rate": 0.0})
    return Vendor(reactor, name, unpaced, reserve=_at_once, jitter=lambda: 0.0)


async def _at_once(bucket: str, slots: int, interval: float, burst: float) -> float:
    return 0.0


async def _nothing_to_mark() -> None:
    """Nothing of it is stored."""


def _host_of(url: str) -> str:
    return urlsplit(url).netloc
