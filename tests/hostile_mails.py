"""Mails that somebody wrote to keep us busy: each of about `size` octets, each of a form of its own.

`PIECES` are what a reader may stumble over when it stands there a thousand times; `FORMS` are the places in a mail
where it can stand; `shapes` are whole mails whose structure is the trouble. `random_mail` mixes all of them by a seed.
"""

import base64
import random
from collections.abc import Callable

PIECES: tuple[str, ...] = (
    # HTML that never ends what it began.
    "<style>",
    "<style ",
    "<script>x",
    "<head>",
    "</style",
    "<!--",
    "<!-- -->",
    "<!",
    "<a href='",
    '<a b="',
    "<",
    "<<p>",
    "<br>",
    "&",
    "&#1",
    "&lt;",
    "&#x110000;",
    # Spaces, dashes and line ends, of which several repetitions might share one run.
    " ",
    "\t",
    "-",
    "=",
    "_",
    "> ",
    "\n",
    "\n\n",
    "\n \n",
    "\n--",
    "\r",
    "\x0b",
    "\xa0",
    "\u3000",
    "- - ",
    # Addresses and codes.
    "@",
    "a@",
    "a@b",
    "a@b.",
    "a.b@c.",
    "a-",
    "<a@b.c",
    '"a',
    '"a"@',
    "5.1.",
    "5.1.1",
    "550-",
    "550 5.1.1 ",
    "x400;",
    "\\x{3B",
    "SMTP=a",
    "RCPT TO:<",
    # Beginnings of phrases and of lines with a meaning.
    "could not ",
    "could not be been ",
    "unable to x ",
    "was not accepted ",
    "delivery x ",
    "delivery of ",
    "fail to x ",
    "mailbox is are has ",
    "user a b c ",
    "user <a@b ",
    "address: ",
    "will be keep on trying to ",
    "will now still ",
    "re: fwd: ",
    "aw: [x] ",
    "message ",
    "original message ",
    "returned mail ",
    "begin start of the ",
    "the the ",
    "received: ",
    "--- received",
    "message-id: ",
    "delivered to the ",
    "return receipt ",
    "this is the mail ",
    "if the x ",
    "no longer ",
    "a",
    "ab ",
    "a\n",
    "неизвестн",
    "ошибк",
    "автоматическ",
    "повторн",
    "получател",
    "é",
    "e\u0301",
    "\u0301",
    "ユーザ",
    "配信",
    "不",
    "\U0001f600",
    # Fields, of blocks and of headers.
    "Action: failed\n",
    "Final-Recipient: rfc822;a@b.c\nAction: failed\n\n",
    "Final-Recipient: rfc822;a@b.c\nAction: failed\nStatus: 5.0.0\n\n",
    "Status: 5.1.1\n",
    "X-a: ",
    "x:\n",
    "x: y\n z\n",
    ":\n",
    "Diagnostic-Code: smtp; 550 ",
    " folded\n",
    "Feedback-Type: ",
    "Feedback-Type: abuse\n",
    "Received: x\n",
    # What decodes to something else.
    "=?utf-8?q?a?=",
    "=?utf-8?q?a?= ",
    "=?utf-8?b?YQ==?=\n ",
    "=?x?q?",
    "=?",
    "=41",
    "=\n",
    "A!",
    "QUFB",
    "\x1b$B",
    "{",
    '{"a":',
    "[",
    "!\n ",
)


def _in_text(piece: str, size: int) -> str:
    return piece * max(1, size // len(piece.encode()))


def _mail(head: str, body: str | bytes) -> bytes:
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "surrogateescape")
    start = f"From: MAILER-DAEMON@mx.example\r\nTo: b+x@bounces.example\r\n{head}\r\n"
    return start.encode() + raw


def _parts(kind: str, *parts: tuple[str, str]) -> bytes:
    lines = "".join(f"--=_b\r\n{head}\r\n\r\n{body}\r\n" for head, body in parts)
    head = f'Subject: Undelivered Mail\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="=_b"\r\n'
    return _mail(head, f"{lines}--=_b--\r\n")


def _flat(text: str) -> str:
    return " ".join(text.split())


FORMS: dict[str, Callable[[str, int], bytes]] = {
    "plain": lambda piece, size: _mail("Subject: Undeliverable\r\n", _in_text(piece, size)),
    "person": lambda piece, size: (
        b"From: Ann <ann@far.example>\nSubject: Re: delivery failed\nAuto-Submitted: auto-replied\n\n"
        + _in_text(piece, size).encode()
    ),
    "html": lambda piece, size: _mail("Subject: x\r\nContent-Type: text/html\r\n", _in_text(piece, size)),
    "told, then html": lambda piece, size: _parts(
        "alternative", ("Content-Type: text/plain", ""), ("Content-Type: text/html", _in_text(piece, size))
    ),
    "base64": lambda piece, size: _mail(
        "Subject: x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n",
        base64.encodebytes(_in_text(piece, size * 3 // 4).encode()),
    ),
    "quoted": lambda piece, size: _mail(
        "Subject: failure notice\r\nContent-Transfer-Encoding: quoted-printable\r\n", _in_text(piece, size)
    ),
    "report": lambda piece, size: _parts(
        "report; report-type=delivery-status",
        ("Content-Type: text/plain", "told below"),
        ("Content-Type: message/delivery-status", _in_text(piece, size)),
    ),
    "report and words": lambda piece, size: _parts(
        "report; report-type=delivery-status",
        ("Content-Type: text/plain", _in_text(piece, size // 2)),
        (
            "Content-Type: message/delivery-status",
            "Reporting-MTA: dns; x\n\n" + "Final-Recipient: x\nStatus: 5.0.0\n\n" * 25,
        ),
        ("Content-Type: message/rfc822", _in_text(piece, size // 2)),
    ),
    "feedback": lambda piece, size: _parts(
        "report; report-type=feedback-report",
        ("Content-Type: text/plain", _in_text(piece, size // 2)),
        ("Content-Type: message/feedback-report", _in_text(piece, size // 2)),
    ),
    "returned": lambda piece, size: _parts(
        "report", ("Content-Type: text/plain", "x"), ("Content-Type: message/rfc822", _in_text(piece, size))
    ),
    "wrapped": lambda piece, size: _parts(
        "report",
        ("Content-Type: text/plain", "x"),
        (
            "Content-Type: message/rfc822",
            _parts("report", ("Content-Type: message/delivery-status", _in_text(piece, size))).decode(),
        ),
    ),
    "subject": lambda piece, size: _mail(f"Subject: {_flat(_in_text(piece, size))}\r\n", "x"),
    "subject, folded": lambda piece, size: _mail(
        "Subject: " + "\r\n ".join([_flat(_in_text(piece, 900))] * max(1, size // 900)) + "\r\n", "x"
    ),
    "sender": lambda piece, size: b"From: " + _flat(_in_text(piece, size)).encode() + b"\nSubject: failed\n\nx",
    "content type": lambda piece, size: _mail(
        f"Content-Type: multipart/mixed; boundary={_flat(_in_text(piece, size))}\r\n", "x"
    ),
    "header": lambda piece, size: _in_text(piece, size).encode() + b"\nSubject: failed\n\nx",
    "many headers": lambda piece, size: _mail(
        f"Subject: {_flat(piece)[:60]}\r\n" * (size // (11 + len(_flat(piece)[:60].encode()))), "x"
    ),
    "failed recipients": lambda piece, size: _mail(f"X-Failed-Recipients: {_flat(_in_text(piece, size))}\r\n", "x"),
    "ses": lambda piece, size: (
        b"From: no-reply@sns.amazonaws.com\nSubject: x\n\n" + ('{"bounce":' + _in_text(piece, size)).encode()
    ),
}
"""Where a piece can stand. Each gives a mail of about as many octets as asked for."""


def _nested(size: int, boundary: Callable[[int], str]) -> bytes:
    """Multiparts inside each other, as deep as `size` allows, all of them around one long text."""
    depth = 40
    head = "Subject: failed\r\n" + _type_line(boundary(0))
    body = "".join(f"--{boundary(n)}\r\n{_type_line(boundary(n + 1))}\r\n" for n in range(depth))
    return _mail(head, body + "\n--x" * (size // 4))


def _type_line(boundary: str) -> str:
    return f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n'


def _charset(name: str, filling: bytes) -> Callable[[int], bytes]:
    head = f"Subject: failed\r\nContent-Type: text/plain; charset={name}\r\nContent-Transfer-Encoding: 8bit\r\n"
    return lambda size: _mail(head, filling * (size // len(filling)))


SHAPES: dict[str, Callable[[int], bytes]] = {
    "nested": lambda size: _nested(size, lambda n: f"b{n}"),
    "nested under one boundary": lambda size: _nested(size, lambda _: "x"),
    "nested under prefixes": lambda size: _nested(size, lambda n: "x" * (40 - n)),
    "nested under long boundaries": lambda size: _nested(size, lambda n: f"{n:0>400}"),
    "parts": lambda size: _mail("Subject: failed\r\n" + _type_line("b"), "--b\r\n\r\nx\r\n" * (size // 12)),
    "empty parts": lambda size: _mail("Subject: failed\r\n" + _type_line("b"), "--b\n" * (size // 4)),
    "parts with headers": lambda size: _mail(
        "Subject: failed\r\n" + _type_line("b"),
        ("--b\r\nContent-Type: text/plain\r\n" + "x:\n" * 20000 + "\r\nx\r\n") * (size // 60050 + 1),
    ),
    "parts that are multiparts": lambda size: _mail(
        "Subject: failed\r\n" + _type_line("b"),
        ("--b\r\n" + _type_line("c") + "\r\n" + "--c\r\n" * 2000) * (size // 10050 + 1),
    ),
    "near boundaries": lambda size: _mail("Subject: failed\r\n" + _type_line("b"), "\n--bx" * (size // 5)),
    "boundary and spaces": lambda size: _mail("Subject: failed\r\n" + _type_line("b"), "\n--b " + " " * size),
    "recipients": lambda size: _parts(
        "report; report-type=delivery-status",
        ("Content-Type: text/plain", "x"),
        (
            "Content-Type: message/delivery-status",
            "Reporting-MTA: dns; x\n\n"
            + "".join(
                f"Final-Recipient: rfc822; p{n}@far.example\nAction: failed\nStatus: 5.1.1\n"
                f"Diagnostic-Code: smtp; 550 5.1.1 <p{n}@far.example> unknown user\n\n"
                for n in range(size // 130)
            ),
        ),
    ),
    "reports": lambda size: _parts(
        "report; report-type=delivery-status",
        *[
            (
                "Content-Type: message/delivery-status",
                "Final-Recipient: rfc822; a@b.example\nAction: x\nStatus: 5.0.0\n\n" * 26,
            )
            for _ in range(size // 1800 + 1)
        ],
    ),
    "numbers": lambda size: _mail("Subject: x\r\nContent-Type: text/html\r\n", "&#" + "9" * size + ";"),
    "utf-16": _charset("utf-16", b"\xd8\x00"),
    "iso-2022-jp": _charset("iso-2022-jp", b"\x1b$B!!\x1b(B"),
    "iso-2022-kr": _charset("iso-2022-kr", b"\x0e!!\x0f"),
    "gb18030": _charset("gb18030", b"\x81\x30\x81\x30"),
    "utf-8, broken": _charset("utf-8", b"\xff"),
    "utf-7": _charset("utf-7", b"+AGE-"),
    "charset of many names": lambda size: _parts(
        "mixed", *[(f"Content-Type: text/plain; charset=cp{n % 900 + 100}", "x") for n in range(size // 70)]
    ),
    "nothing": lambda size: b"\r\n" * (size // 2),
    "spaces": lambda size: b" " * size,
    "zeros": lambda size: b"\0" * size,
    "all octets": lambda size: bytes(range(256)) * (size // 256),
}
"""Whole mails whose structure is the trouble."""


def random_mail(seed: int, size: int) -> bytes:
    """A mail of `size` octets that mixes pieces, forms and shapes; the same for the same seed."""
    rng = random.Random(seed)
    text = ""
    while len(text) < size // 8:
        mixture = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 4)))
        text += _in_text(mixture, rng.choice((100, 1000, size // 8)))
    mail = FORMS[rng.choice(sorted(FORMS))](text, size // 2)
    return mail + (SHAPES[rng.choice(sorted(SHAPES))](size // 2) if rng.random() < 0.5 else b"")
