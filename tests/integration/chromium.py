"""Headless Chromium, driven over its debugging pipe: one process for the tests of a file, a page of its own for each.

A new page finds nothing that another has read or kept.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol

from conftest import need

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
    "--hide-scrollbars",
)  # fmt: skip
DESK = {"width": 1000, "height": 700, "deviceScaleFactor": 1, "mobile": False}
LOOK = """
(async (png, [x, y], step, rows) => {
    const octets = Uint8Array.from(atob(png), one => one.charCodeAt(0));
    const image = await createImageBitmap(new Blob([octets]));
    const {width, height} = image;
    const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    const points = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const found = new Map();
    for (let row = 0; row < Math.min(height, rows); row += step)
        for (let column = 0; column < width; column += step) {
            const point = points[row * width + column];
            found.set(point, (found.get(point) || 0) + 1);
        }
    return {point: points[y * width + x], points: [...found]};
})
"""
"""The colour of one point of a PNG, and how many points of each colour it has."""

Colour = tuple[int, int, int]


class Picture:
    """What is seen of a page: the colour of the `point` that was asked for, and how many points of each colour."""

    def __init__(self, point: int, points: list[tuple[int, int]]) -> None:
        self.point = _colour(point)
        self.points = {_colour(point): number for point, number in points}

    def share(self, red: int, green: int, blue: int) -> float:
        """The part of all points that are of about this colour."""
        alike = [n for (r, g, b), n in self.points.items() if abs(r - red) + abs(g - green) + abs(b - blue) < 12]
        return sum(alike) / sum(self.points.values())


def _colour(point: int) -> Colour:
    return point & 255, point >> 8 & 255, point >> 16 & 255


class Page:
    """One page of a browser; `events` is what it told of it."""

    def __init__(self, browser: "Chromium", target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that happened to it."""
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command that is about this page."""
        return await self._browser.call(method, self._session, **params)

    def happens(self, method: str) -> "Deferred[None]":
        """Fires at the next event of this name."""
        return self._browser.happens(method, self._session)

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
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def html(self) -> str:
        """The page as the browser holds it once scripts ran."""
        text: str = await self.value("document.documentElement.outerHTML")
        return text

    async def pass_time(self, seconds: float) -> None:
        """Let the page believe that so much time passes."""
        over = self.happens("Emulation.virtualTimeBudgetExpired")
        budget = seconds * 1000
        await self.call("Emulation.setVirtualTimePolicy", policy="pauseIfNetworkFetchesPending", budget=budget)
        await over

    async def picture(
        self, *, at: tuple[int, int] = (0, 0), step: int = 1, rows: int = 10_000, file: Path | None = None
    ) -> Picture:
        """What is seen: the point `at`, and every `step`-th of the upper `rows`. A PNG in `file`, if that is named."""
        # A page behind another may wait for minutes before it is drawn.
        await self.call("Page.bringToFront")
        png = str((await self.call("Page.captureScreenshot", format="png"))["data"])
        if file is not None:
            file.write_bytes(base64.b64decode(png))
        return Picture(**await self.value(f"{LOOK}({json.dumps(png)}, {list(at)}, {step}, {rows})"))

    async def close(self) -> None:
        """Close it."""
        await self._browser.call("Target.closeTarget", targetId=self._target)


class Chromium(ProcessProtocol):
    """The browser: JSON between NULs on descriptors 3 and 4."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._gone: Deferred[None] = Deferred()
        self._numbers = count(1)
        self._asked: dict[int, Deferred[Any]] = {}
        self._awaited: list[tuple[tuple[str, str], Deferred[None]]] = []
        self._buffer = b""

    def start(self, directory: Path) -> None:
        """Run it, with its files in `directory`."""
        program = need("chromium")
        reactor.spawnProcess(  # type: ignore[attr-defined]
            self,
            program,
            [program, *FLAGS, f"--user-data-dir={directory / 'profile'}"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"},
            childFDs={0: "w", 1: "r", 2: "r", 3: "w", 4: "r"},
        )

    async def stop(self) -> None:
        """End it, and its children with it."""
        if not self._gone.called:
            with suppress(ConnectionError):
                await self.call("Browser.close")
        await self._gone

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
            name = message["method"], message.get("sessionId", "")
            for pair in [pair for pair in self._awaited if pair[0] == name]:
                self._awaited.remove(pair)
                pair[1].callback(None)

    def processEnded(self, reason: object) -> None:
        """It is gone; whoever waits for an answer or an event need not."""
        self._gone.callback(None)
        for waiting in (*self._asked.values(), *(waiting for _, waiting in self._awaited)):
            waiting.errback(ConnectionError("the browser is gone"))
        self._asked.clear()
        self._awaited.clear()

    async def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """The result of a command. ConnectionError once the browser is gone."""
        if self._gone.called:
            raise ConnectionError("the browser is gone")
        number = next(self._numbers)
        answer: Deferred[Any] = Deferred()
        self._asked[number] = answer
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.transport.writeToChild(3, json.dumps(message).encode() + b"\0")  # type: ignore[union-attr]
        found = await answer
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    def happens(self, method: str, session: str) -> "Deferred[None]":
        """Fires at the next event of this name."""
        waiting: Deferred[None] = Deferred()
        self._awaited.append(((method, session), waiting))
        return waiting

    async def page(self) -> Page:
        """A new page; what those before have kept is forgotten. A context of its own costs more: it is a window."""
        target = await self.call("Target.createTarget", url="about:blank")
        session = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, target["targetId"], session["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            await page.call(f"{domain}.enable")
        for kept in ("Cache", "Cookies"):
            await page.call(f"Network.clearBrowser{kept}")
        return page


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """The browser of a file's tests."""
    browser = Chromium()
    browser.start(tmp_path_factory.mktemp("chromium"))
    yield browser
    pytest_twisted.blockon(Deferred.fromCoroutine(browser.stop()))


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A page of its own for each test."""
    one: Page = pytest_twisted.blockon(Deferred.fromCoroutine(chromium.page()))
    yield one
    pytest_twisted.blockon(Deferred.fromCoroutine(one.close()))
