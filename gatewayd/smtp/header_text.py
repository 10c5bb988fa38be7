"""How text and mailboxes stand in a header: folded at spaces, quoted, or in encoded words (RFC 5322, RFC 2047). Pure.

Owns the form of a field's value. Must not know which fields a mail has, or what may stand in them.
"""

import binascii
import re

from gatewayd.core.mailbox import Mailbox

LINE = 76
"""Characters of a line: of a header with an encoded word, and of a body's in base64 or quoted-printable."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_PLAIN = re.compile(r"[^A-Za-z0-9!*+/-]")


def mailbox_line(field: str, mailbox: Mailbox) -> str:
    """The whole line of an address field with one mailbox."""
    address = address_of(mailbox)
    if not mailbox.name:
        return f"{field}: {address}\r\n"
    words = _name_words(mailbox.name, len(field) + 2)
    last = words.rpartition("\n")[2]
    used = len(last) + (len(field) + 2 if last is words else 0)
    space = " " if used + len(address) + 3 <= LINE + 2 else "\r\n "
    return f"{field}: {words}{space}<{address}>\r\n"


def _name_words(name: str, used: int) -> str:
    if not name.isascii() or "=?" in name or used + len(name) > LINE:
        return encoded_words(name, used)
    if _PLAIN_NAME.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def address_of(mailbox: Mailbox) -> str:
    """The mailbox without its name; its domain in A-labels."""
    return f"{mailbox.local}@{mailbox.domain}"


def unstructured(text: str, used: int) -> str:
    """`text` folded at its spaces, or in encoded words where that can't be done faithfully; `used` as there."""
    if not text.isascii() or "=?" in text or text != text.strip() or "  " in text:
        return encoded_words(text, used)
    lines, line = [], ""
    room = LINE - used
    for word in text.split(" "):
        if len(word) > room:
            return encoded_words(text, used)
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, LINE - 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def encoded_words(text: str, used: int) -> str:
    """`text` as RFC 2047 words of at most 75 characters on lines of at most 76; the first line has `used` taken.

    No character is split between two words. Q where that is shorter, else B.
    """
    raw = text.encode()
    q_length = len(raw) + 2 * len(_Q_PLAIN.findall(raw.decode("latin-1").replace(" ", "_"))) - raw.count(b" ") * 2
    base64_wins = q_length > (len(raw) + 2) // 3 * 4
    words, start = [], 0
    room = LINE - used
    while start < len(text):
        end, word = _one_word(text, start, min(room, 75) - 12, base64_wins)
        words.append(word)
        start, room = end, LINE - 1
    return "\r\n ".join(words)


def _one_word(text: str, start: int, room: int, base64_wins: bool) -> tuple[int, str]:
    """One encoded word of at most `room` characters of payload from `text[start:]`, and where the next begins."""
    if base64_wins:
        budget, size, end = room // 4 * 3, 0, start
        while end < len(text):
            size += len(text[end].encode())
            if size > budget and end > start:
                break
            end += 1
        payload = binascii.b2a_base64(text[start:end].encode(), newline=False).decode()
        return end, f"=?utf-8?b?{payload}?="
    pieces, size, end = [], 0, start
    while end < len(text):
        piece = _q(text[end])
        if size + len(piece) > room and end > start:
            break
        size += len(piece)
        pieces.append(piece)
        end += 1
    return end, f"=?utf-8?q?{''.join(pieces)}?="


def _q(char: str) -> str:
    if char == " ":
        return "_"
    return "".join(f"={byte:02X}" for byte in char.encode()) if _Q_PLAIN.match(char) else char
