"""What an ESMTP client says: the parameters of MAIL and RCPT, and content made safe for the wire. Pure.

Knows RFC 5321, 1870 (SIZE), 3461 (DSN), 6531 and 6533 (SMTPUTF8), 4954 (AUTH). Knows no connection.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

_ADDRESS = re.compile(r"[^\x00-\x20\x7f-\x9f<>]*")
_XTEXT = re.compile(r"[^!-*,-<>-~]")


class Envelope(Struct, frozen=True):
    """One transaction: addresses with ASCII domains. `envelope_id` asks for DSNs, empty for none.

    It is given up at `until` (seconds since the epoch) unless all its content was written by then.
    """

    sender: str
    recipient: str
    envelope_id: str = ""
    smtputf8: bool = False
    until: float = math.inf

    def __repr__(self) -> str:
        return "<Envelope>"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a relay's EHLO offers."""

    keywords: dict[str, str]

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int:
        """The largest message in octets, 0 where there is no such limit."""
        value = self.keywords.get("SIZE", "")
        return int(value) if value.isascii() and value.isdigit() else 0

    @property
    def mechanisms(self) -> frozenset[str]:
        """The names of the AUTH mechanisms."""
        return frozenset(self.keywords.get("AUTH", "").upper().split())


def read_offer(lines: Iterable[str]) -> Offer:
    """The keywords of an EHLO reply, in upper case, without its greeting line; ``AUTH=LOGIN`` counts as AUTH."""
    keywords: dict[str, str] = {}
    for line in list(lines)[1:]:
        word, _, rest = line.strip().partition(" ")
        word = word.upper()
        if word.startswith("AUTH="):
            word, rest = "AUTH", f"{word[5:]} {rest}"
        keywords[word] = f"{keywords[word]} {rest}".strip() if word == "AUTH" and word in keywords else rest.strip()
    return Offer(keywords)


def mail_and_rcpt(envelope: Envelope, offer: Offer, size: int, *, bare: bool) -> tuple[bytes, bytes]:
    """The MAIL and RCPT commands for a message of `size` octets, with what the relay offers.

    With `bare` no parameter is used but SMTPUTF8. Raises ValueError where an address could break out of its command.
    """
    if not _ADDRESS.fullmatch(envelope.sender) or not _ADDRESS.fullmatch(envelope.recipient):
        raise ValueError("an address that can't stand in a command")
    mail, rcpt = f"MAIL FROM:<{envelope.sender}>", f"RCPT TO:<{envelope.recipient}>"
    if not bare:
        if "SIZE" in offer:
            mail += f" SIZE={size}"
        if envelope.envelope_id and "DSN" in offer:
            mail += f" RET=HDRS ENVID={_xtext(envelope.envelope_id)}"
            rcpt += f" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT={_orcpt(envelope.recipient)}"
    if envelope.smtputf8:
        mail += " SMTPUTF8"
    return f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode()


def stuffed(content: bytes) -> bytes:
    """`content` with dots doubled at line starts, over the whole message in one pass (RFC 5321 4.5.2)."""
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        raise ValueError("a bare CR or LF in the content")
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def _xtext(text: str) -> str:
    """`text` as xtext (RFC 3461 4): printable ASCII but for + and =, the rest as +XX."""
    return _XTEXT.sub(lambda match: "".join(f"+{byte:02X}" for byte in match[0].encode()), text)


def _orcpt(address: str) -> str:
    """The ORCPT of `address`: rfc822, or utf-8 in the form that may stand in an SMTPUTF8 command (RFC 6533 3)."""
    if address.isascii():
        return "rfc822;" + _xtext(address)
    return "utf-8;" + "".join(
        f"\\x{{{ord(char):X}}}" if char in "\\+=" or not char >= "!" else char for char in address
    )
