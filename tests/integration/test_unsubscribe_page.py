"""The unsubscribe page in a real browser, over a real socket: how it looks, and that its button works."""

import base64
import json
import tomllib
import uuid
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol

from conftest import need
from fakes import FakeClaims, FakeEvidence, FakeMeter, FakeStore
from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys
from gatewayd.evidence.public import PublicPaths
from gatewayd.evidence.unsubscribe import UnsubscribePages

KEYS = Keys(b"k" * 32)
ID = str(uuid.UUID(int=7, version=4))
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
    "--hide-scrollbars",
)  # fmt: skip
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
DESK = {"width": 1000, "height": 700, "deviceScaleFactor": 1, "mobile": False}


class Browser(ProcessProtocol):
    """Headless Chromium, driven over its debugging pipe: JSON between NULs on descriptors 3 and 4."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()
        self.events: list[dict[str, Any]] = []
        self._numbers = count(1)
        self._asked: dict[int, Deferred[Any]] = {}
        self._awaited: list[tuple[str, Deferred[None]]] = []
        self._buffer = b""
        self._session: dict[str, str] = {}

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Answers and events on 4; what the browser prints is nobody's business."""
        if childFD != 4:
            return
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._asked.pop(message["id"]).callback(message)
                continue
            self.events.append(message)
            for pair in [pair for pair in self._awaited if pair[0] == message["method"]]:
                self._awaited.remove(pair)
                pair[1].callback(None)

    def processEnded(self, reason: object) -> None:
        """It is gone; whoever waits for an answer need not."""
        for waiting in self._asked.values():
            waiting.errback(ConnectionError("the browser is gone"))
        self._asked.clear()
        self.gone.callback(None)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        answer: Deferred[Any] = Deferred()
        self._asked[number] = answer
        message = {"id": number, "method": method, "params": params} | self._session
        self.transport.writeToChild(3, json.dumps(message).encode() + b"\0")  # type: ignore[union-attr]
        found = await answer
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    def happens(self, method: str) -> "Deferred[None]":
        """Fires at the next event of this name."""
        waiting: Deferred[None] = Deferred()
        self._awaited.append((method, waiting))
        return waiting

    async def open_page(self) -> None:
        """A blank page, which all further commands are about."""
        target = await self.call("Target.createTarget", url="about:blank")
        session = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": session["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.call(f"{domain}.enable")

    async def go(self, url: str, language: str = "en", *, device: dict[str, Any] = DESK, dark: bool = False) -> None:
        """Load `url` as that device would."""
        await self.call("Emulation.setDeviceMetricsOverride", **device)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        loaded = self.happens("Page.loadEventFired")
        await self.call("Page.navigate", url=url)
        await loaded

    async def value(self, expression: str) -> Any:
        """What a script of the test's own finds on the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    async def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


class Served:
    """A public listener on a free port; `evidence` is what it recorded."""

    def __init__(self) -> None:
        store = FakeStore(reactor)
        self.evidence = FakeEvidence()
        public = PublicPaths(
            reactor,  # type: ignore[arg-type]
            KEYS,
            evidence=self.evidence,
            esp={},
            base_url="",
            claims=FakeClaims(reactor),
            ping=store.ping,
            fetch=self.fetch,
            meter=FakeMeter(),
            providers={},
            mails_out=lambda provider: 0,
            about=store.about,
        )
        self.port = reactor.listenTCP(0, public.site(reactor), interface="127.0.0.1")  # type: ignore[attr-defined]
        token = KEYS.subscription(ID, "amazing", "hhu234556")
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/u/{token}"

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Nobody asks."""
        raise AssertionError(url)


@asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[tuple[Browser, Served]]:
    """A browser beside a listener; both are gone afterwards."""
    program = need("chromium")
    browser, served = Browser(), Served()
    process = reactor.spawnProcess(  # type: ignore[attr-defined]
        browser,
        program,
        [program, *FLAGS, f"--user-data-dir={directory / 'profile'}"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"},
        childFDs={0: "w", 1: "r", 2: "r", 3: "w", 4: "r"},
    )
    try:
        await browser.open_page()
        yield browser, served
    finally:
        if not browser.gone.called:
            process.signalProcess("KILL")
        await browser.gone
        await served.port.stopListening()


def share(png: bytes, wanted: Callable[[int, int, int], bool]) -> float:
    """The part of a screenshot's points that are `wanted`, by red, green and blue (PNG: 8 bits, RGB or RGBA)."""
    at, packed, width, depth = 8, b"", 0, 0
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        data = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, depth = int.from_bytes(data[:4]), {2: 3, 6: 4}[data[9]]
        elif kind == b"IDAT":
            packed += data
        at += 12 + length
    raw, stride = zlib.decompress(packed), width * depth
    above, hits, rows = bytearray(stride), 0, len(raw) // (stride + 1)
    for row in range(rows):
        start = row * (stride + 1)
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above, depth)
        hits += sum(wanted(*above[x : x + 3]) for x in range(0, stride, depth))
    return hits / (rows * width)


def _unfiltered(kind: int, line: bytearray, above: bytearray, depth: int) -> bytearray:
    for x in range(len(line)):
        left, up = (line[x - depth] if x >= depth else 0), above[x]
        corner = above[x - depth] if x >= depth else 0
        if kind == 4:
            near = min(
                (abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)
            )
        guess = (0, left, up, (left + up) // 2, near[2] if kind == 4 else 0)[kind]
        line[x] = (line[x] + guess) & 255
    return line


def like(red: int, green: int, blue: int) -> Callable[[int, int, int], bool]:
    """Points of about this colour."""
    return lambda r, g, b: abs(r - red) + abs(g - green) + abs(b - blue) < 12


@pytest_twisted.ensureDeferred
async def test_the_page_is_styled_in_light_and_dark_under_its_own_policy(tmp_path: Path) -> None:
    """The policy lets the page's style work: a blue button on white by day, a pale one on black by night."""
    async with browsing(tmp_path) as (browser, served):
        await browser.go(served.url)
        light = await browser.picture()
        (tmp_path / "light.png").write_bytes(light)
        assert share(light, like(0xF3, 0xF5, 0xF8)) > 0.5
        assert 0.01 < share(light, like(0x1F, 0x5F, 0xD6)) < 0.1
        await browser.go(served.url, dark=True)
        night = await browser.picture()
        (tmp_path / "dark.png").write_bytes(night)
        assert share(night, like(0x0F, 0x14, 0x19)) > 0.5
        assert 0.01 < share(night, like(0x8A, 0xB4, 0xFF)) < 0.1
        # A policy that blocks something of ours, or a missing picture, would be told here.
        complaints = [event for event in browser.events if event["method"] == "Log.entryAdded"]
        assert [entry for entry in complaints if "favicon" not in str(entry)] == []
        assert served.evidence.facts == []


@pytest_twisted.ensureDeferred
async def test_every_language_fits_a_phone(tmp_path: Path) -> None:
    """Nothing is cut off or must be scrolled sideways, and the button is large enough for a thumb."""
    async with browsing(tmp_path) as (browser, served):
        words = resources.files("gatewayd.evidence") / "templates" / "unsubscribe.toml"
        for language in tomllib.loads(words.read_text("utf-8")):
            await browser.go(served.url, language, device=PHONE)
            assert await browser.value("document.documentElement.lang") == language
            assert await browser.value("document.documentElement.scrollWidth <= innerWidth"), language
            assert await browser.value("document.querySelector('main').scrollWidth <= innerWidth"), language
            assert await browser.value("document.querySelector('button').getBoundingClientRect().height >= 44")
            assert await browser.value("document.querySelector('button').getBoundingClientRect().bottom <= innerHeight")
        (tmp_path / "phone.png").write_bytes(await browser.picture())


@pytest_twisted.ensureDeferred
async def test_the_button_unsubscribes_and_says_so(tmp_path: Path) -> None:
    """Under the page's own policy the form may be sent; the answer is the confirmation, at the same address."""
    async with browsing(tmp_path) as (browser, served):
        await browser.go(served.url, "de", device=PHONE)
        assert served.evidence.facts == []
        loaded = browser.happens("Page.loadEventFired")
        await browser.value("document.querySelector('button').click()")
        await loaded
        name = KEYS.user_hashes("amazing", "hhu234556")[0]
        told = Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", "page", label="amazing", user_hash=name)
        assert served.evidence.facts == [told]
        assert await browser.value("document.querySelector('h1').textContent") == "Sie sind abgemeldet"
        assert await browser.value("location.href") == served.url
        assert await browser.value("document.querySelector('form')") is None
        assert await browser.value("document.cookie") == ""
        (tmp_path / "done.png").write_bytes(await browser.picture())


@pytest.mark.parametrize(
    "colours",
    [
        ((0x1B, 0x24, 0x30), (0x56, 0x61, 0x6F), (0xFF, 0xFF, 0xFF), (0x1F, 0x5F, 0xD6)),
        ((0xE9, 0xEE, 0xF4), (0xA3, 0xB0, 0xBE), (0x1A, 0x21, 0x29), (0x8A, 0xB4, 0xFF)),
    ],
)
def test_the_texts_can_be_read(colours: tuple[tuple[int, int, int], ...]) -> None:
    """Both schemes reach WCAG's 4.5 to 1 for the texts on the card, and the button stands out by 3 to 1."""

    def light(colour: tuple[int, int, int]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
        bright, dim = sorted((light(one), light(other)), reverse=True)
        return (bright + 0.05) / (dim + 0.05)

    text, soft, card, accent = colours
    page = UnsubscribePages().page("en").ask.decode()
    for colour in colours:
        short = "#" + "".join(f"{part:02x}" for part in colour)
        assert short in page or short == "#ffffff"
    assert contrast(text, card) >= 4.5
    assert contrast(soft, card) >= 4.5
    assert contrast(accent, card) >= 3
