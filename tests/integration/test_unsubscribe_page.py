"""The unsubscribe page in a real browser, over a real socket: how it looks, and that its button works."""

import tomllib
import uuid
from collections.abc import Iterator
from importlib import resources

import pytest
import pytest_twisted
from chromium import Page, chromium, page
from twisted.internet import reactor

from fakes import FakeClaims, FakeEvidence, FakeMeter, FakeStore
from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys
from gatewayd.evidence.public import PublicPaths
from gatewayd.evidence.unsubscribe import UnsubscribePages

__all__ = ["chromium", "page"]

KEYS = Keys(b"k" * 32)
ID = str(uuid.UUID(int=7, version=4))
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


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


@pytest.fixture
def served() -> Iterator[Served]:
    """A listener; gone afterwards."""
    one = Served()
    yield one
    pytest_twisted.blockon(one.port.stopListening())


@pytest_twisted.ensureDeferred
async def test_the_page_is_styled_in_light_and_dark_under_its_own_policy(page: Page, served: Served) -> None:
    """The policy lets the page's style work: a blue button on white by day, a pale one on black by night."""
    await page.go(served.url)
    light = await page.picture()
    assert light.share(0xF3, 0xF5, 0xF8) > 0.5
    assert 0.01 < light.share(0x1F, 0x5F, 0xD6) < 0.1
    await page.go(served.url, dark=True)
    night = await page.picture()
    assert night.share(0x0F, 0x14, 0x19) > 0.5
    assert 0.01 < night.share(0x8A, 0xB4, 0xFF) < 0.1
    # A policy that blocks something of ours, or a missing picture, would be told here.
    complaints = [event for event in page.events if event["method"] == "Log.entryAdded"]
    assert [entry for entry in complaints if "favicon" not in str(entry)] == []
    assert served.evidence.facts == []


@pytest_twisted.ensureDeferred
async def test_every_language_fits_a_phone(page: Page, served: Served) -> None:
    """Nothing is cut off or must be scrolled sideways, and the button is large enough for a thumb."""
    words = resources.files("gatewayd.evidence") / "templates" / "unsubscribe.toml"
    for language in tomllib.loads(words.read_text("utf-8")):
        await page.go(served.url, language, device=PHONE)
        assert await page.value("document.documentElement.lang") == language
        assert await page.value("document.documentElement.scrollWidth <= innerWidth"), language
        assert await page.value("document.querySelector('main').scrollWidth <= innerWidth"), language
        assert await page.value("document.querySelector('button').getBoundingClientRect().height >= 44")
        assert await page.value("document.querySelector('button').getBoundingClientRect().bottom <= innerHeight")


@pytest_twisted.ensureDeferred
async def test_the_button_unsubscribes_and_says_so(page: Page, served: Served) -> None:
    """Under the page's own policy the form may be sent; the answer is the confirmation, at the same address."""
    await page.go(served.url, "de", device=PHONE)
    assert served.evidence.facts == []
    loaded = page.happens("Page.loadEventFired")
    await page.value("document.querySelector('button').click()")
    await loaded
    name = KEYS.user_hashes("amazing", "hhu234556")[0]
    told = Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", "page", label="amazing", user_hash=name)
    assert served.evidence.facts == [told]
    assert await page.value("document.querySelector('h1').textContent") == "Sie sind abgemeldet"
    assert await page.value("location.href") == served.url
    assert await page.value("document.querySelector('form')") is None
    assert await page.value("document.cookie") == ""


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
    html = UnsubscribePages().page("en").ask.decode()
    for colour in colours:
        short = "#" + "".join(f"{part:02x}" for part in colour)
        assert short in html or short == "#ffffff"
    assert contrast(text, card) >= 4.5
    assert contrast(soft, card) >= 4.5
    assert contrast(accent, card) >= 3
