"""The HTML of a returned mail as a person reads it, roughly. Pure, and linear in the length of the page.

Whatever is begun is looked for once: where its end is missing, that is remembered, not found out again.
"""

import re

from gatewayd.core.entities import unescape

_HIDDEN = re.compile(r"<(style|script|head)(?=[\s/>])|<!--", re.IGNORECASE)
_ENDS = {name: re.compile(rf"</{name}[^<>]{{0,200}}>", re.IGNORECASE) for name in ("style", "script", "head")}
_COMMENT_END = re.compile("-->")
# A bare "<" is text: some write "<user@far.example>" into HTML as it is.
_TAG = re.compile(r"<([a-zA-Z/!][^<>]{0,2000})>")
_BREAKS = re.compile(r"/?(br|p|div|tr|td|th|li|h\d|table|pre)\b", re.IGNORECASE)


def readable(markup: str) -> str:
    """`markup` without tags, and without what no browser shows; lines are broken where a block ends."""
    shown = _without_hidden(markup).replace("\n", " ")
    return unescape(_TAG.sub(lambda tag: "\n" if _BREAKS.match(tag[1]) else " ", shown))


def _without_hidden(markup: str) -> str:
    """Without comments, styles, scripts and the head; one that never ends hides nothing: its words may matter."""
    pieces: list[str] = []
    endless: set[str] = set()
    at = 0
    for begun in _HIDDEN.finditer(markup):
        name = (begun[1] or "").lower()
        if begun.start() < at or name in endless:
            continue
        end = _ENDS.get(name, _COMMENT_END).search(markup, begun.end())
        if end is None:
            endless.add(name)
        else:
            pieces += (markup[at : begun.start()], " ")
            at = end.end()
    return "".join([*pieces, markup[at:]])
