"""The text part of a mail whose caller sent HTML only. Pure."""

import re
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "head", "title", "template", "noscript", "svg", "object"})
_BREAKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption"),
        *(
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "header",
            "hr",
            "li",
            "main",
            "nav",
            "ol",
            "p",
        ),
        *("pre", "section", "table", "tr", "ul"),
    }
)
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote"})
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0]+")
# What mail builders fill preheaders with so that clients show nothing else.
_INVISIBLE = re.compile("[\x00-\x08\u00ad\u034f\u200b-\u200d\u2060\ufeff]")
_BLOCK, _PARAGRAPH = "\x01", "\x02"
_BREAK = re.compile("[ \n\x01\x02]*[\n\x01\x02][ \n\x01\x02]*")
_LINKS = ("http://", "https://", "mailto:", "tel:")


def text_of(html: str) -> str:
    """What a reader without HTML needs: words, lines, list dashes, and each link's address behind its text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = _BREAK.sub(_line_ends, "".join(reader.out)).split("\n")
    text = "\n".join(_SPACE.sub(" ", line).strip() for line in lines).strip("\n")
    return f"{text}\n" if text else ""


def _line_ends(run: re.Match[str]) -> str:
    """One or two: neighbouring blocks share their break, and an empty line is enough between paragraphs."""
    return "\n\n" if _PARAGRAPH in run[0] or run[0].count("\n") > 1 else "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._hidden: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            # It ends a head that never was.
            self._hidden.clear()
        if self._hidden:
            if tag in _HIDDEN:
                self._hidden.append(tag)
            return
        values = dict(attrs)
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif tag == "br":
            self.out.append("\n")
        elif tag == "li":
            self.out.append(f"{_BLOCK}- ")
        elif tag in ("td", "th"):
            self.out.append(" ")
        elif tag == "img":
            self.out.append(f" {values.get('alt') or ''} ")
        elif tag in _BREAKS:
            self.out.append(_PARAGRAPH if tag in _APART else _BLOCK)
        if tag == "a":
            self._links.append((values.get("href") or "", len(self.out)))

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            href, start = self._links.pop()
            shown = _SPACE.sub(" ", "".join(self.out[start:])).strip()
            href = href.strip()
            if href.lower().startswith(_LINKS) and href not in (shown, f"mailto:{shown}"):
                self.out.append(f" ({href})" if shown else href)
        elif tag in _BREAKS:
            self.out.append(_PARAGRAPH if tag in _APART else _BLOCK)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.out.append(_SPACE.sub(" ", _INVISIBLE.sub("", data)))
