"""The unsubscribe page: every language's words, rendered once at the start, and the choice of the reader's language.

Knows nothing of tokens, messages or HTTP beyond the headers that the page itself needs.
"""

import base64
import hashlib
import re
import tomllib
from functools import cache
from importlib import resources
from typing import Final

from msgspec import Struct

FALLBACK: Final = "en"

ONE_CLICK: Final = ("List-Unsubscribe", "One-Click")
"""What a mailbox provider posts (RFC 8058 3.1)."""

BUTTON: Final = ("unsubscribe", "yes")
"""What the page's own button posts."""

# Tags that readers send for a language which the page has under another one.
_SAME: Final = {"no": "nb", "nn": "nb"}

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
_LONGEST_HEADER = 1000


class Page(Struct, frozen=True):
    """One language's page: the question, and what it says once the button was pressed."""

    ask: bytes
    done: bytes


class UnsubscribePages:
    """All pages. `policy` is the Content-Security-Policy that lets exactly their own style and form work."""

    def __init__(self) -> None:
        texts = tomllib.loads(
            (resources.files("gatewayd.evidence") / "templates" / "unsubscribe.toml").read_text("utf-8")
        )
        # Only a process with a public listener needs it.
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("gatewayd.evidence"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        template = environment.get_template("unsubscribe.html")
        self._pages: dict[str, Page] = {}
        for language, given in texts.items():
            # "E-Mail" must not break at its hyphen.
            words = {name: text.replace("-", "\N{NON-BREAKING HYPHEN}") for name, text in given.items()}
            common = {"language": language, "title": words["title"]}
            ask = template.render(
                common,
                done=False,
                heading=words["question"],
                explanation=words["explanation"],
                button=words["button"],
                note=words["note"],
                field=BUTTON[0],
                value=BUTTON[1],
            )
            done = template.render(common, done=True, heading=words["done"], explanation=words["done_explanation"])
            self._pages[language] = Page(ask.encode(), done.encode())
        self.policy = _policy(self._pages[FALLBACK].ask.decode())

    def page(self, language: str) -> Page:
        """The page in a language that `choose` gave."""
        return self._pages[language]

    def choose(self, accept_language: str) -> str:
        """The tag of the best language for an Accept-Language header (RFC 9110 12.5.4); English where none fits."""
        wanted: list[tuple[float, str]] = []
        for part in accept_language[:_LONGEST_HEADER].split(","):
            found = _RANGE.fullmatch(part)
            if found is not None and (weight := float(found[2] or 1)) > 0:
                wanted.append((-weight, found[1].lower()))
        for _, tag in sorted(wanted, key=lambda pair: pair[0]):
            for name in (tag, tag.partition("-")[0]):
                known = _SAME.get(name, name)
                if known in self._pages:
                    return known
        return FALLBACK


@cache
def unsubscribe_pages() -> UnsubscribePages:
    """The pages, rendered once."""
    return UnsubscribePages()


def _policy(page: str) -> str:
    found = _STYLE.search(page)
    digest = hashlib.sha256((found[1] if found else "").encode()).digest()
    style = base64.b64encode(digest).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
