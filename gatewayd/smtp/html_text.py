"""The text part of a mail whose caller sent HTML only. Pure.

Read as a browser does: what is not ended goes on to the end of the page. So nothing is read twice, whatever the page
looks like; html.parser goes back, and a broken page of 100 kB costs it 20 s.
"""

import re

from gatewayd.core.entities import unescape

_HIDDEN = frozenset({"head", "title", "template", "noscript", "svg", "object"})
_DEEPEST = 50
_BREAKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption"),
        *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav"),
        *("ol", "p", "pre", "section", "table", "tr", "ul"),
    }
)
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"})
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0]+")
# What mail builders fill preheaders with so that clients show nothing else.
_INVISIBLE = re.compile("[\x00-\x08\u00ad\u034f\u200b-\u200d\u2060\ufeff]")
_BLOCK, _PARAGRAPH = "\x01", "\x02"
_BREAK = re.compile("[\n\x01\x02][ \n\x01\x02]*")
_LINKS = ("http://", "https://", "mailto:", "tel:")

_LONGEST = 256 << 10
"""Characters of a page that are read; Gmail shows no more than 102 kB of one."""

_ATTRIBUTE = re.compile(r"""([^\s/>=]++)(?:\s*+=\s*+(?:"([^"]*+)(?:"|\Z)|'([^']*+)(?:'|\Z)|([^\s>]*+)))?""")
# The same without groups: what they hold would be kept for each of a tag's attributes.
_ANY_ATTRIBUTE = r"""[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>]*+))?"""
# Each alternative, once begun, matches: there is nothing to go back for, and nothing is kept to go back to.
_TOKEN = re.compile(
    rf"""
    (?P<text>[^<]++|<(?![a-z/!?]))
    |<!--(?:-?>|.*?(?:--!?>|\Z))
    |<(script|style)(?=[\s/>]).*?(?:</\2(?=[\s/>])[^>]*(?:>|\Z)|\Z)
    |<(?:[!?]|/(?![a-z]))[^>]*(?:>|\Z)
    |<(?P<end>/?)(?P<name>[a-z][^\s/>]*)(?P<attributes>(?:[\s/=]++|{_ANY_ATTRIBUTE})*)(?:>|\Z)
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)


def text_of(html: str) -> str:
    """What a reader without HTML needs: words, lines, list dashes, and each link's address behind its text."""
    reader = _Reader()
    for token in _TOKEN.finditer(html[:_LONGEST]):
        if token["text"] is not None:
            reader.words(unescape(token["text"]))
        elif token["end"]:
            reader.ended(token["name"].lower())
        elif token["name"]:
            reader.began(token["name"].lower(), token["attributes"])
    lines = _BREAK.sub(_line_ends, "".join(reader.out)).split("\n")
    text = "\n".join(_SPACE.sub(" ", line).strip() for line in lines).strip("\n")
    return f"{text}\n" if text else ""


def _line_ends(run: re.Match[str]) -> str:
    """One or two: neighbouring blocks share their break, and an empty line is enough between paragraphs."""
    return "\n\n" if _PARAGRAPH in run[0] or run[0].count("\n") > 1 else "\n"


class _Reader:
    """What a page shows, piece by piece in `out`."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._hidden: list[str] = []
        self._link: tuple[str, int] | None = None

    def began(self, tag: str, attributes: str) -> None:
        if tag == "body":
            # It ends a head that never was.
            self._hidden.clear()
        if tag in _HIDDEN and len(self._hidden) < _DEEPEST:
            self._hidden.append(tag)
        if self._hidden:
            return
        if tag == "br":
            self.out.append("\n")
        elif tag == "li":
            self.out.append(f"{_BLOCK}- ")
        elif tag in ("td", "th"):
            self.out.append(" ")
        elif tag == "img":
            self.out.append(f" {_attribute('alt', attributes)} ")
        elif tag == "a":
            # In a page, links are never inside each other.
            self._link = (_attribute("href", attributes), len(self.out))
        elif tag in _BREAKS:
            self.out.append(_PARAGRAPH if tag in _APART else _BLOCK)

    def ended(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
        elif tag == "a" and self._link is not None:
            (href, start), self._link = self._link, None
            shown = _SPACE.sub(" ", "".join(self.out[start:])).strip()
            href = href.strip()
            if href.lower().startswith(_LINKS) and href not in (shown, f"mailto:{shown}"):
                self.out.append(f" ({href})" if shown else href)
        elif tag in _BREAKS:
            self.out.append(_PARAGRAPH if tag in _APART else _BLOCK)

    def words(self, text: str) -> None:
        if not self._hidden:
            self.out.append(_SPACE.sub(" ", _INVISIBLE.sub("", text)))


def _attribute(name: str, attributes: str) -> str:
    for found in _ATTRIBUTE.finditer(attributes):
        if found[1].lower() == name:
            return unescape(found[2] or found[3] or found[4] or "")
    return ""
