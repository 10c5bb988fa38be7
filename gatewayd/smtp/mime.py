"""A message's content to the bytes that a relay gets. Pure: no clock, no randomness, no I/O.

Owns which headers mail that leaves has, and its MIME form, and nothing of its way. Built by hand because the standard
library takes forty times as long and folds an unsubscribe URL into an encoded word. The same message always gives the
same bytes, so that a resend after a lost answer is recognisable as a copy: boundary and Message-ID come from signed
tokens, the date is when the message was taken on.
"""

import binascii
import re
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from html import escape

from gatewayd.core.ids import LONGEST
from gatewayd.core.mailbox import Mailbox, ascii_domain, parse
from gatewayd.core.model import Email, Message
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.smtp.header_text import LINE, address_of, mailbox_line, unstructured
from gatewayd.smtp.html_text import text_of

PLACEHOLDER = "{{unsubscribe_url}}"

_ASCII = bytes(range(128))
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NEWLINE = re.compile("\r\n|\r")
_UNSAFE_START = re.compile(rb"^(?:\.|From )[^\n]*", re.MULTILINE)
_LOCAL = re.compile(r"[^\x00-\x20\x7f-\xa0<>@\ud800-\udfff]+")
_ANY_TAG = re.compile(r"<[a-zA-Z!/]")
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_OPAQUE_END = re.compile(r"-->|[\"']|</(?:script|style|textarea|title|xmp|template|noframes)", re.IGNORECASE)
_OPAQUE_OR_BODY_END = re.compile(
    r"<!--.*?(?:-->|\Z)|=\s{0,9}(?:\"[^\"]{0,2000}\"|'[^']{0,2000}')|"
    r"<(script|style|textarea|title|xmp|template|noframes)\b.*?(?:</\1\s*>|\Z)|(?P<end></body\s*>)",
    re.IGNORECASE | re.DOTALL,
)


class Unsendable(ValueError):
    """The message can't be mail at all; the reason holds no address and no content."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What a label and the installation add. An empty `return_domain` or `base_url` means there is none.

    `headers` are whole lines (see added_headers.py), the same in each of the label's mails.
    """

    return_domain: str = ""
    base_url: str = ""
    track_opens: bool = False
    one_click: bool = False
    headers: str = ""
    complaint_address: bool = False


@dataclass(frozen=True, slots=True)
class ComposedMail:
    """Ready but for the relay's own header. `head` are whole header lines, `body` begins behind the empty line.

    `sender` is the envelope sender, `recipient` the address with its domain in A-labels. `needs_smtputf8` where an
    address has a local part beyond ASCII.
    """

    head: bytes
    body: bytes
    sender: str
    recipient: str
    needs_smtputf8: bool = False

    def __repr__(self) -> str:
        return f"<ComposedMail of {len(self.head) + len(self.body) + 2} octets>"


def compose(message: Message, address: str, brand: Brand, keys: Keys) -> ComposedMail:
    """The mail for `message` to `address`. Raises Unsendable."""
    content = message.content
    if not isinstance(content, Email):
        raise Unsendable("not an email")
    origin, from_line = _from(content.from_email_address)
    recipient = _recipient(address)
    preview = bool(message.activity_type)
    mark = keys.token(Purpose.MESSAGE_ID, message.id)
    unsubscribe = _unsubscribe_url(message, brand, keys)
    head = [
        from_line,
        _reply_to(content.reply_to_email_address, origin),
        f"To: {recipient}\r\n",
        _subject(content.subject),
        _date(int(message.accepted_at)),
        f"Message-ID: <{mark}@{origin.domain}>\r\n",
        "" if preview else _unsubscribe_headers(message, brand, keys, unsubscribe),
        "" if preview else _complaint_headers(message, brand, keys),
        brand.headers,
        f"X-Gw-Id: {message.id}\r\nX-Auto-Response-Suppress: OOF, AutoReply\r\nMIME-Version: 1.0\r\n",
    ]
    html, text = _parts(content, unsubscribe)
    if html and brand.track_opens and brand.base_url and not preview:
        pixel = f"{brand.base_url.rstrip('/')}/o/{keys.token(Purpose.OPEN, message.id)}.gif"
        html = with_pixel(html, pixel)
    fields, body = _body(text, html, mark)
    sender = address_of(origin)
    if brand.return_domain:
        sender = f"b+{keys.token(Purpose.BOUNCE, message.id)}@{brand.return_domain}"
    lines = "".join(head).encode() + fields
    return ComposedMail(
        lines, body, sender, recipient, not (recipient.isascii() and sender.isascii() and lines.isascii())
    )


# -- headers ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _from(text: str) -> tuple[Mailbox, str]:
    try:
        mailbox = parse(text)
    except ValueError as error:
        raise Unsendable(f"From: {error}") from None
    return mailbox, mailbox_line("From", mailbox)


def _reply_to(text: str, origin: Mailbox) -> str:
    return "" if not text.strip() else _reply_to_line(text, origin)


@lru_cache(maxsize=1024)
def _reply_to_line(text: str, origin: Mailbox) -> str:
    try:
        mailbox = parse(text)
    except ValueError as error:
        raise Unsendable(f"Reply-To: {error}") from None
    same = (mailbox.local, mailbox.domain) == (origin.local, origin.domain)
    return "" if same and mailbox.name in ("", origin.name) else mailbox_line("Reply-To", mailbox)


def _recipient(address: str) -> str:
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local):
        raise Unsendable("the recipient: not a valid address")
    try:
        return f"{local}@{ascii_domain(domain)}"
    except ValueError as error:
        raise Unsendable(f"the recipient: {error}") from None


def _subject(text: str) -> str:
    if _CONTROL.search(text):
        raise Unsendable("control characters in the subject")
    if len(text) > LONGEST:
        raise Unsendable("the subject is too long")
    if text.isascii() and len(text) <= LINE - 9 and "=?" not in text and text == text.strip():
        return f"Subject: {text}\r\n"
    return f"Subject: {unstructured(text, len('Subject: '))}\r\n"


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return f"Date: {formatdate(second)}\r\n".replace("-0000", "+0000")


# -- unsubscribing and opens -------------------------------------------------------------------------------------


def _unsubscribe_url(message: Message, brand: Brand, keys: Keys) -> str:
    """Where the player unsubscribes. A preview's link has no token: it must not unsubscribe anybody."""
    if not brand.base_url:
        return ""
    token = "preview" if message.activity_type else keys.subscription(message.id, message.label, message.ext_user_id)
    return f"{brand.base_url.rstrip('/')}/u/{token}"


def _unsubscribe_headers(message: Message, brand: Brand, keys: Keys, url: str) -> str:
    """List-Unsubscribe and its -Post (RFC 2369, RFC 8058); each way has a line of its own and is never broken."""
    if not brand.one_click:
        return ""
    ways = [f"<{url}>"] if url else []
    if brand.return_domain:
        token = keys.token(Purpose.UNSUBSCRIBE_MAIL, message.id)
        # The address is too short to say whose it is once the message's record is gone: the subject does.
        whose = url.rpartition("/")[2] or keys.subscription(message.id, message.label, message.ext_user_id)
        ways.append(f"<mailto:u+{token}@{brand.return_domain}?subject=unsubscribe%20{whose}>")
    if not ways:
        return ""
    post = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if url.startswith("https://") else ""
    return "List-Unsubscribe: " + ",\r\n ".join(ways) + f"\r\n{post}"


def _complaint_headers(message: Message, brand: Brand, keys: Keys) -> str:
    """Where a mailbox provider may report a complaint (RFC 9477); DKIM must sign both."""
    if not (brand.complaint_address and brand.return_domain):
        return ""
    token = keys.token(Purpose.COMPLAINT, message.id)
    return f"CFBL-Address: fbl+{token}@{brand.return_domain}; report=arf\r\nCFBL-Feedback-ID: {message.id}\r\n"


def with_pixel(html: str, url: str) -> str:
    """`html` with an invisible image right before its last real </body>, or at its end."""
    pixel = (
        f'<img src="{escape(url)}" width="1" height="1" alt="" '
        'style="display:block;width:1px;height:1px;border:0;margin:0;padding:0">'
    )
    end = _last_body_end(html)
    return html[:end] + pixel + html[end:]


def _last_body_end(html: str) -> int:
    last = None
    for last in _BODY_END.finditer(html):  # noqa: B007 (the last one counts)
        pass
    if last is None:
        return len(html)
    if not _OPAQUE_END.search(html, last.end()):
        return last.start()
    real = [match.start() for match in _OPAQUE_OR_BODY_END.finditer(html) if match["end"]]
    return real[-1] if real else len(html)


# -- body ----------------------------------------------------------------------------------------------------------


def _parts(content: Email, unsubscribe: str) -> tuple[str, str]:
    """HTML and text, one of them perhaps empty; the text is made from the HTML where the caller sent none."""
    html, text = content.body, content.text_body
    if not html.strip() and not text.strip():
        raise Unsendable("no content")
    if unsubscribe:
        html = html.replace(PLACEHOLDER, escape(unsubscribe))
        text = text.replace(PLACEHOLDER, unsubscribe)
    if not html.strip():
        return "", text
    if not _ANY_TAG.search(html):
        # Filters distrust HTML whose only markup is a picture of one pixel.
        html = f"<p>{html.strip()}</p>\n"
    return html, text if text.strip() else text_of(html)


def _body(text: str, html: str, mark: str) -> tuple[bytes, bytes]:
    """The Content-* header lines and the body that they describe."""
    if not html:
        return _entity("plain", text)
    if not text.strip():
        return _entity("html", html)
    # "=_" can stand in neither quoted-printable nor base64, so no body can hold the boundary.
    boundary = b"=_" + mark[-24:].encode()
    pieces = []
    for kind, content in (("plain", text), ("html", html)):
        fields, encoded = _entity(kind, content)
        pieces += [b"--", boundary, b"\r\n", fields, b"\r\n", encoded]
    pieces += [b"--", boundary, b"--\r\n"]
    return b'Content-Type: multipart/alternative; boundary="%s"\r\n' % boundary, b"".join(pieces)


def _entity(kind: str, text: str) -> tuple[bytes, bytes]:
    raw = (_NEWLINE.sub("\n", text) if "\r" in text else text).encode("utf-8", "replace")
    if raw.isascii() or len(raw.translate(None, _ASCII)) * 3 <= len(raw):
        name, encoded = b"quoted-printable", quoted_printable(raw)
    else:
        name, encoded = b"base64", _base64(raw)
    return _ENTITY % (kind.encode(), name), encoded


_ENTITY = b"Content-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n"


def quoted_printable(raw: bytes) -> bytes:
    """`raw` (lines end in LF) as quoted-printable in CRLF lines of at most 76 octets, the last one ended too.

    A dot or "From " never begins a line, so that nothing on the way has to change the body.
    """
    encoded = binascii.b2a_qp(raw)
    if b"\n." in encoded or b"\nFrom " in encoded or encoded.startswith((b".", b"From ")):
        encoded = _UNSAFE_START.sub(_safe_start, encoded)
    if not encoded.endswith(b"\n"):
        encoded += b"\n"
    return encoded.replace(b"\n", b"\r\n")


def _safe_start(match: re.Match[bytes]) -> bytes:
    line, out = match[0], b""
    while line.startswith((b".", b"From ")):
        first = b"=%02X" % line[0]
        if len(line) + 2 <= LINE:
            return out + first + line[1:]
        out += first + b"=\n"
        line = line[1:]
    return out + line


def _base64(raw: bytes) -> bytes:
    encoded = binascii.b2a_base64(raw.replace(b"\n", b"\r\n"), newline=False)
    return b"".join([encoded[start : start + LINE] + b"\r\n" for start in range(0, len(encoded), LINE)])
