"""The dashboard in a real browser: it is drawn, says what is so, and works in the dark, on a phone and by keyboard.

With GATEWAYD_SCREENSHOTS=DIR the pictures are kept there, to be looked at.
"""

import os
import re
from collections.abc import Iterator
from math import sin
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from chromium import Page, Picture, chromium, page
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString

from admin_world import EMAIL, SMS, World
from gatewayd.core.model import QueueState, WayState
from gatewayd.operators.figures import Snapshot

__all__ = ["chromium", "page"]

WAYS = {
    EMAIL: {
        "main": WayState(True, "up", since=1, in_flight=4, window=10, rate=50.0, handed=0, throttled=3),
        "backup": WayState(False, "down", "TLS: certificate has expired", since=1, window=4),
    },
    SMS: {"world": WayState(True, "bound", since=1, in_flight=12, window=20, rate=100.0, throttled=41)},
}


def history(world: World, hours: float = 2.0) -> list[Snapshot]:
    """Samples of a believable afternoon: a campaign, a dip, and a few failures."""
    now = world.clock.seconds()
    sums = {(label, channel): [0.0, 0.0, 0.0, 0.0] for label in ("amazing", "other") for channel in (EMAIL, SMS)}
    found, handed = [], 0.0
    for index in range(int(hours * 360)):
        counts: dict[tuple[str, Any, str], int] = {}
        for place, ((label, channel), total) in enumerate(sums.items()):
            flow = max(
                0.0, (3 + place) * (1.2 + sin(index / 55 + place)) + (40 if 300 < index < 420 and not place else 0)
            )
            total[0] += flow
            total[1] += (total[0] - total[1]) * 0.35
            total[2] += (total[1] - total[2]) * 0.06
            total[3] += flow * (0.12 if 350 < index < 400 else 0.015)
            accepted, taken, ended, failed = map(int, total)
            delivered = max(ended - failed, 0)
            counts |= {
                (label, channel, "accepted"): accepted + failed,
                (label, channel, "handed"): taken,
                (label, channel, "sent"): max(taken - delivered, 0),
                (label, channel, "delivered"): delivered,
                (label, channel, "failed"): failed,
            }
        handed += 70 + 25 * sin(index / 20)
        swell = 300 if 300 < index < 420 else 4
        ways = {
            channel: {
                name: WayState(
                    way.up, way.word, way.reason, now - 7000, way.in_flight, way.window, way.rate,
                    int(handed * (4 if name == "world" else 2)), way.throttled,
                )
                for name, way in states.items()
            }
            for channel, states in WAYS.items()
        }  # fmt: skip
        found.append(
            Snapshot(
                now - (int(hours * 360) - index) * 10,
                redis_seconds=0.0004,
                counts=counts,
                queues={
                    "email": QueueState(int(swell * (1 + sin(index / 9) / 3)), 3, 2.0 + swell / 10),
                    "sms": QueueState(int(6 + 5 * sin(index / 7)), 2, 1.0),
                    "reports": QueueState(int(swell / 4), 1, 1.5 + swell / 20),
                },
                ways=ways,
            )
        )
    return found


class Browser:
    """A World on a real port, and Chromium to look at it."""

    def __init__(self, world: World, page: Page) -> None:
        self.world = world
        self.url = ""
        self._port: Any = None
        self._page = page

    async def open(self, *, busy: bool) -> None:
        """Serve; `busy` with a past and with trouble to show, else as on the first day."""
        if busy:
            samples = history(self.world)
            self.world.admin.watch.samples.extend(one.sample() for one in samples)
            latest = samples[-1]

            async def look() -> Snapshot:
                return Snapshot(
                    self.world.clock.seconds(),
                    redis_seconds=0.0004,
                    counts=latest.counts,
                    queues=latest.queues,
                    dead=len(await self.world.store.dead_letters(500)),
                    paused=await self.world.store.paused(),
                    ways=latest.ways,
                )

            self.world.admin.watch.look = look  # type: ignore[method-assign]
        self._port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(self.world.admin.site(reactor))
        self.url = f"http://127.0.0.1:{self._port.getHost().port}"

    async def close(self) -> None:
        """Serve no more."""
        if self._port is not None:
            await self._port.stopListening()

    async def load(self, path: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> Page:
        """The page at `path`, as it is once scripts ran."""
        device = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self._page.go(self.url + path, device=device, dark=dark)
        return self._page

    async def shoot(self, name: str, path: str, *, width: int, height: int, dark: bool = False) -> Picture:
        """A picture of the page at `path`, by a coarse grid of points, and a point beside what it shows."""
        keep = os.environ.get("GATEWAYD_SCREENSHOTS")
        file = Path(keep) / f"{name}.png" if keep else None
        shown = await self.load(path, width=width, height=height, dark=dark)
        return await shown.picture(at=(4, min(600, height - 1)), step=3, rows=640, file=file)

    async def text(self, path: str) -> str:
        """The page as the browser holds it once scripts ran."""
        return await (await self.load(path)).html()


@pytest.fixture
def browser(page: Page) -> Iterator[Browser]:
    """A browser and a world; closed at the end."""
    one = Browser(World(), page)
    yield one
    pytest_twisted.blockon(Deferred.fromCoroutine(one.close()))


def trouble(world: World) -> None:
    """Something of everything that an operator should see."""
    world.dead("uid-9")
    world.sms.ways["world"] = True
    world.run(world.store.pause("other", SMS))


@pytest_twisted.ensureDeferred
async def test_the_overview_in_light_dark_and_on_a_phone(browser: Browser) -> None:
    """The same page suits all three: it is drawn in each, dark where dark is preferred, and not wider than a phone."""
    trouble(browser.world)
    await browser.open(busy=True)
    light = await browser.shoot("overview-light", "/?span=2h", width=1280, height=1700)
    dark = await browser.shoot("overview-dark", "/?span=2h", width=1280, height=1700, dark=True)
    phone = await browser.shoot("overview-phone", "/?span=2h", width=500, height=2600)
    assert min(light.point) > 200
    assert max(dark.point) < 60
    for picture in (light, dark, phone):
        assert len(picture.points) > 12


@pytest_twisted.ensureDeferred
async def test_what_the_browser_reads(browser: Browser) -> None:
    """Figures, states and plots are in the page, and the browser had nothing to block or to miss."""
    trouble(browser.world)
    await browser.open(busy=True)
    page = await browser.text("/")
    for words in ("Callback backlog", "Dead letters", "certificate has expired", "paused", "of 100/s", "Oldest"):
        assert words in page, words
    assert page.count('<svg class="plot"') == 6
    assert page.count('class="line delivered"') >= 4


@pytest_twisted.ensureDeferred
async def test_the_first_day(browser: Browser) -> None:
    """With no history yet the page is calm and complete."""
    await browser.open(busy=False)
    picture = await browser.shoot("overview-first-day", "/", width=1280, height=1300)
    assert len(picture.points) > 8
    assert "no data yet" in await browser.text("/")


@pytest_twisted.ensureDeferred
async def test_the_other_pages(browser: Browser) -> None:
    """Timeline, dead letters, confirmation and a message not found."""
    world = browser.world
    trouble(world)
    message = world.sent("uid-1")
    await browser.open(busy=True)
    await browser.shoot("trace", "/trace?id=uid-1", width=900, height=800)
    await browser.shoot("trace-phone", "/trace?id=uid-1", width=500, height=900, dark=True)
    await browser.shoot("dead", "/dead-letters", width=1100, height=500)
    await browser.shoot("confirm", "/confirm?verb=pause&label=amazing&channel=sms", width=900, height=500)
    assert message.id in await browser.text("/trace?id=uid-1")
    assert "no message with this id" in await browser.text("/trace?id=nobody")
    assert "Pause sms of amazing?" in await browser.text("/confirm?verb=pause&label=amazing&channel=sms")


@pytest_twisted.ensureDeferred
async def test_the_page_renews_itself(browser: Browser) -> None:
    """Eleven seconds later the browser shows what has happened since, without a reload."""
    await browser.open(busy=False)
    looks, look = [], browser.world.admin.watch.look

    async def change() -> Snapshot:
        looks.append(await look())
        if len(looks) == 1:
            # The page is on its way; what happens now can only be on a later one.
            await browser.world.store.pause("amazing", SMS)
        return looks[-1]

    browser.world.admin.watch.look = change  # type: ignore[method-assign]
    loaded = await browser.load("/")
    await loaded.pass_time(11)
    page = await loaded.html()
    assert len(looks) >= 2
    assert '<strong class="badge warn">paused</strong>' in page
    assert "no answer since then" not in page


@pytest_twisted.ensureDeferred
async def test_every_link_and_button_is_reached_by_keyboard(browser: Browser) -> None:
    """Nothing acts that is not a link, a button or a field, and what renews itself can keep the focus by its id."""
    trouble(browser.world)
    await browser.open(busy=True)
    page = await browser.text("/")
    assert "onclick" not in page
    assert 'tabindex="-1"' not in page
    live = page[page.index('id="live"') : page.index("</main>")]
    links = re.findall(r"<a\b[^>]*>", live)
    assert len(links) >= 8
    assert all(" id=" in link for link in links), links
    assert len(re.findall(r' id="([^"]+)"', page)) == len(set(re.findall(r' id="([^"]+)"', page)))


@pytest_twisted.ensureDeferred
async def test_when_all_is_down(browser: Browser) -> None:
    """The page is still drawn, says what is the matter, and shows no figure that nobody knows."""
    world = browser.world
    world.store.down = True
    world.sms.ways = {"world": False}
    await browser.open(busy=False)
    await browser.shoot("overview-down", "/", width=1000, height=900)
    page = await browser.text("/")
    for words in (
        "Not ready",
        "redis: the fake is down",
        "no SMSC or provider is up (world)",
        "Nothing is known while Redis",
    ):
        assert words in page, words
