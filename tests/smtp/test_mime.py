"""The MIME builder, read back by the standard library's parser."""

import email
import email.header
import email.policy
import email.utils
import quopri
import re
import time
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.tokens import Purpose
from gatewayd.smtp.added_headers import esp_header, header_lines
from gatewayd.smtp.header_text import encoded_words
from gatewayd.smtp.html_text import text_of
from gatewayd.smtp.mime import Brand, ComposedMail, Unsendable, compose, quoted_printable, with_pixel
from smtp_world import HTML, KEYS, message

FULL = Brand("bounces.amazing.co", "https://go.amazing.co", track_opens=True, one_click=True)
PLAIN = Brand()


def made(brand: Brand = FULL, to: str = "jane@player.test", **fields: Any) -> ComposedMail:
    """A composed mail, checked for what must hold for every mail."""
    mail = compose(message(**fields), to, brand, KEYS)
    raw = mail.head + b"\r\n" + mail.body
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"), "only CRLF"
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"^(\.|From )", mail.body, re.MULTILINE)
    assert max(map(len, mail.body.split(b"\r\n"))) <= 76
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return mail


def read(mail: ComposedMail) -> EmailMessage:
    """The mail as the standard library reads it, without a defect anywhere."""
    parsed: Any = email.message_from_bytes(mail.head + b"\r\n" + mail.body, policy=email.policy.default)
    for part in parsed.walk():
        assert part.defects == []
        for name, value in part.items():
            assert getattr(value, "defects", ()) == (), name
    result: EmailMessage = parsed
    return result


def test_what_a_mail_looks_like() -> None:
    """All headers of a label with every feature, in order."""
    mail = made(at=1_000_000_000.0, reply_to_email_address="help@amazing.co")
    token = {purpose: KEYS.token(purpose, message().id) for purpose in Purpose}
    subscription = KEYS.subscription(message().id, message().label, message().ext_user_id)
    assert mail.head.decode().split("\r\n") == [
        "From: Amazing <noreply@amazing.co>",
        "Reply-To: help@amazing.co",
        "To: jane@player.test",
        "Subject: The best offer",
        "Date: Sun, 09 Sep 2001 01:46:40 +0000",
        f"Message-ID: <{token[Purpose.MESSAGE_ID]}@amazing.co>",
        f"List-Unsubscribe: <https://go.amazing.co/u/{subscription}>,",
        f" <mailto:u+{token[Purpose.UNSUBSCRIBE_MAIL]}@bounces.amazing.co?subject=unsubscribe%20{subscription}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"X-Gw-Id: {message().id}",
        "X-Auto-Response-Suppress: OOF, AutoReply",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="=_{token[Purpose.MESSAGE_ID][-24:]}"',
        "",
    ]
    assert (mail.sender, mail.recipient) == (f"b+{token[Purpose.BOUNCE]}@bounces.amazing.co", "jane@player.test")
    parsed = read(mail)
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_what_a_label_adds() -> None:
    """Its own fields as they are, and an address for complaints whose token is good for nothing else."""
    own = header_lines({"Feedback-ID": "promo:amazing:gatewayd", "List-Id": "<promo.amazing.co>"})
    mail = read(made(replace(FULL, headers=own, complaint_address=True)))
    assert mail["Feedback-ID"] == "promo:amazing:gatewayd"
    assert mail["List-Id"] == "<promo.amazing.co>"
    token = KEYS.token(Purpose.COMPLAINT, message().id)
    assert mail["CFBL-Address"] == f"fbl+{token}@bounces.amazing.co; report=arf"
    assert mail["CFBL-Feedback-ID"] == message().id
    assert "CFBL" not in made(replace(PLAIN, complaint_address=True)).head.decode()
    preview = made(replace(FULL, headers=own, complaint_address=True), activity_type="preview").head.decode()
    assert "CFBL" not in preview
    assert "Feedback-ID" in preview


def test_the_same_message_gives_the_same_bytes() -> None:
    """A resend after a lost answer is a copy that can be recognised."""
    assert made() == made()
    assert made(number=2).head != made().head


def test_the_local_part_of_the_return_path_fits() -> None:
    """At most 64 octets, and it survives case folding."""
    local = made().sender.partition("@")[0]
    assert len(local) <= 64
    assert local == local.lower()


def test_without_bounces_and_public_there_is_nothing_of_them() -> None:
    """MAIL FROM is the From address; no unsubscribe header, no pixel."""
    mail = made(Brand(track_opens=True, one_click=True))
    assert mail.sender == "noreply@amazing.co"
    assert b"List-Unsubscribe" not in mail.head
    assert b"<img" not in mail.body


def test_one_click_needs_https() -> None:
    """RFC 8058: without https no List-Unsubscribe-Post; the header itself stays."""
    head = made(Brand("", "http://127.0.0.1:8081/", one_click=True)).head
    assert b"List-Unsubscribe: <http://127.0.0.1:8081/u/" in head
    assert b"List-Unsubscribe-Post" not in head


def test_a_preview_carries_no_unsubscribe_header_and_no_pixel() -> None:
    """And its {{unsubscribe_url}} has no token: nobody is unsubscribed by a tester's click."""
    mail = made(activity_type="preview", body='<body><a href="{{unsubscribe_url}}">x</a></body>')
    assert b"List-Unsubscribe" not in mail.head
    body = read(mail).get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<img" not in body
    assert 'href="https://go.amazing.co/u/preview"' in body


def test_the_placeholder_becomes_the_players_own_link() -> None:
    """In both parts; the text part that is made from HTML has it too."""
    html = '<body><a href="{{unsubscribe_url}}">Unsubscribe</a></body>'
    parsed = read(made(body=html, text_body=""))
    url = f"https://go.amazing.co/u/{KEYS.subscription(message().id, message().label, message().ext_user_id)}"
    assert parsed.get_body(("plain",)).get_content().strip() == f"Unsubscribe ({url})"  # type: ignore[union-attr]
    assert f'href="{url}"' in parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]


@pytest.mark.parametrize("reply_to", ["", "Amazing <noreply@amazing.co>", "<noreply@AMAZING.co>"])
def test_reply_to_equal_to_from_is_left_out(reply_to: str) -> None:
    """It would say nothing."""
    assert b"Reply-To" not in made(reply_to_email_address=reply_to).head


def test_a_reply_to_of_another_name_is_told() -> None:
    """Though the address is From's: it is what the player's mail program shows."""
    head = made(reply_to_email_address="Support <noreply@amazing.co>").head
    assert b"\r\nReply-To: Support <noreply@amazing.co>\r\n" in head


@pytest.mark.parametrize(
    "name",
    [
        "Amazing",
        "Amazing, Inc.",
        'The "Best"',
        "back\\slash",
        "Ünïcode Çasino",
        "❤" * 40,
        "a" * 120,
        "x " * 60 + "y",
        "=?x?=",
    ],
)
def test_any_display_name_comes_back(name: str) -> None:
    """Quoted or encoded as needed, on lines that are not too long."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    mail = made(from_email_address=f'"{quoted}" <noreply@amazing.co>')
    # (The library's own address objects put a space between two encoded words of one name.)
    phrase, address = email.utils.parseaddr(email.message_from_bytes(mail.head)["From"])
    assert (str(email.header.make_header(email.header.decode_header(phrase))), address) == (name, "noreply@amazing.co")
    assert max(map(len, mail.head.partition(b"Message-ID")[0].split(b"\r\n"))) <= 78


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cn", "Co")), min_size=1, max_size=300))
def test_any_subject_comes_back(text: str) -> None:
    """Encoded where it must be, in encoded words of at most 75 characters on lines of at most 76."""
    head = made(PLAIN, subject=text).head
    start = head.index(b"Subject: ")
    block = head[start : head.index(b"\r\nDate:")]
    assert all(len(line) <= 76 for line in block.split(b"\r\n"))
    assert all(len(word) <= 75 for word in re.findall(rb"=\?utf-8\?[qb]\?[^ ]*", block))
    assert read(made(PLAIN, subject=text))["Subject"] == text


@pytest.mark.parametrize(
    "subject", ["two  spaces", " leading", "trailing ", "word " * 40 + "end", "x" * 300, "=?utf-8?q?x?="]
)
def test_a_subject_keeps_its_spaces(subject: str) -> None:
    """Folding never changes what is read; an encoded word in the caller's text stays literal."""
    assert read(made(PLAIN, subject=subject))["Subject"] == subject


@pytest.mark.parametrize("character", ["x", "é", "П", "玩", "😀"])
def test_whatever_subject_a_request_may_have_can_be_sent(character: str) -> None:
    """998 characters are accepted (intake/rules.py), of any length in bytes; one more is none."""
    assert read(made(PLAIN, subject=character * 998))["Subject"] == character * 998
    with pytest.raises(Unsendable):
        made(PLAIN, subject=character * 999)


@given(st.text(min_size=1, max_size=120), st.integers(0, 60))
def test_encoded_words_never_split_a_character(text: str, used: int) -> None:
    """Each word alone is valid UTF-8, and together they are the text."""
    text = text.encode("utf-8", "replace").decode()
    words = encoded_words(text, used).split("\r\n ")
    said = [email.header.decode_header(word)[0][0].decode("utf-8") for word in words]  # type: ignore[union-attr]
    assert "".join(said) == text


@given(
    st.lists(
        st.sampled_from([".", "..", "From ", "x" * 80, "=", " ", "\t", "é", "", "." * 90, "From " * 20]), max_size=30
    )
)
def test_quoted_printable_comes_back(pieces: list[str]) -> None:
    """Lines of at most 76 octets, none begins with a dot or "From ", and decoding gives the text back."""
    raw = "\n".join(pieces).encode()
    encoded = quoted_printable(raw)
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    assert not re.search(rb"^(\.|From )", encoded, re.MULTILINE)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).rstrip(b"\n") == raw.rstrip(b"\n")


@given(st.text(max_size=400))
def test_any_text_body_comes_back(text: str) -> None:
    """Whatever its script and line ends; only the last line end may be added."""
    if not text.strip():
        return
    got = read(made(PLAIN, body="", text_body=text)).get_content().replace("\r\n", "\n")
    want = re.sub("\r\n?", "\n", text.encode("utf-8", "replace").decode())
    assert got.rstrip("\n") == want.rstrip("\n")


def test_the_encoding_follows_the_text() -> None:
    """Mostly Latin: quoted-printable; mostly not: base64."""
    assert b"quoted-printable" in made(PLAIN, body="", text_body="Grüße aus Köln, und noch etwas").head
    assert b"base64" in made(PLAIN, body="", text_body="Здравствуйте, дорогой игрок").head


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"body": ""}, ["text/plain"]),
        ({"body": HTML, "text_body": ""}, ["multipart/alternative", "text/plain", "text/html"]),
        ({"body": "<img src=x>", "text_body": ""}, ["text/html"]),
    ],
)
def test_the_parts_follow_the_content(fields: dict[str, str], parts: list[str]) -> None:
    """Text alone, both, or HTML alone where it has no words at all."""
    assert [part.get_content_type() for part in read(made(PLAIN, **fields)).walk()] == parts


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"body": " ", "text_body": "\n"}, "no content"),
        ({"subject": "a\r\nBcc: x"}, "control"),
        ({"subject": "é" * 999}, "too long"),
        ({"from_email_address": "a@b.co, c@d.co"}, "From: more than one"),
        ({"reply_to_email_address": "nobody"}, "Reply-To: no address"),
    ],
)
def test_what_can_not_be_mail_is_refused(fields: dict[str, str], reason: str) -> None:
    """With the rule that it breaks, and no address in the reason."""
    with pytest.raises(Unsendable, match=reason):
        compose(message(**fields), "jane@player.test", FULL, KEYS)


@pytest.mark.parametrize("address", ["a b@c.test", "a@b@c.test", "a\r\n@c.test", "<a@c.test", "@c.test"])
def test_a_recipient_that_would_break_the_header_is_refused(address: str) -> None:
    """The directory is not trusted to give addresses only."""
    with pytest.raises(Unsendable, match="recipient"):
        compose(message(), address, FULL, KEYS)


def test_international_addresses() -> None:
    """A domain goes as A-labels everywhere; a local part beyond ASCII needs SMTPUTF8."""
    mail = made(to="jane@bücher.example")
    assert mail.recipient == "jane@xn--bcher-kva.example"
    assert not mail.needs_smtputf8
    assert made(to="jörg@bücher.example").needs_smtputf8
    assert made(PLAIN, from_email_address="jörg@b.co").needs_smtputf8
    assert not made(PLAIN, from_email_address="Jörg <j@b.co>").needs_smtputf8


def test_from_a_caller_never_makes_a_header() -> None:
    """The message, parsed again, has exactly the fields that we wrote."""
    evil = message(
        subject="Hi =?utf-8?q?=0D=0ABcc:_x@y.test?=",
        from_email_address='"x\\" <e@x>" <noreply@amazing.co>',
        body="\n.\nMAIL FROM:<evil@x>\n--=_x\nContent-Type: text/plain\n\n",
    )
    mail = compose(evil, "jane@player.test", PLAIN, KEYS)
    assert "Bcc" not in read(mail)
    assert len(list(read(mail).walk())) == 3


@pytest.mark.parametrize(
    ("provider", "start"),
    [
        ("ses", b"X-SES-MESSAGE-TAGS: gw="),
        ("sendgrid", b'X-SMTPAPI: {"unique_args":{"gw":"'),
        ("mailgun", b'X-Mailgun-Variables: {"gw":"'),
        ("postmark", b"X-PM-Metadata-gw: "),
        ("mailjet", b"X-MJ-CustomID: "),
        ("sparkpost", b'X-MSYS-API: {"metadata":{"gw":"'),
    ],
)
def test_each_esp_gets_our_token_in_its_header(provider: str, start: bytes) -> None:
    """The token is the one that its events are believed by; a plain relay gets none."""
    header = esp_header(provider, message().id, KEYS)
    assert header.startswith(start)
    assert KEYS.token(Purpose.ESP, message().id).encode() in header
    assert header.endswith(b"\r\n")
    assert esp_header("", message().id, KEYS) == b""


# -- the pixel -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<body>x</body></html>", "<body>x"),
        ("<BODY>x</Body >", "<BODY>x"),
        ("x", "x"),
        ("<body>a</body><!-- </body> -->", "<body>a"),
        ("<body>a<script>var s='</body>'</script></body>", "<body>a<script>var s='</body>'</script>"),
        ("<body>a</body><script>var s='</body>'</script>", "<body>a"),
        ("<!--[if mso]></body><![endif]-->x", "<!--[if mso]></body><![endif]-->x"),
        ("<body>one</body>two</body>", "<body>one</body>two"),
        ("<body>a</body><style>p{}</style>", "<body>a"),
        ('<body><a title="</body>" href="x">a</a></html>', '<body><a title="</body>" href="x">a</a></html>'),
        ("<body><a title = '</body>'>a</a></html>", "<body><a title = '</body>'>a</a></html>"),
        ('<body>a</body><p title="</body>">b</p>', "<body>a"),
        ('<body><a title="</body>">"a"</a></body>', '<body><a title="</body>">"a"</a>'),
        ("<body>it's</body> so's", "<body>it's"),
    ],
)
def test_the_pixel_goes_before_the_last_real_body_end(html: str, before: str) -> None:
    """Not into a comment, a script or an attribute, and at the end where there is no </body>."""
    got = with_pixel(html, "https://go.amazing.co/o/t.gif")
    assert got.startswith(before + '<img src="https://go.amazing.co/o/t.gif"')
    assert got.replace(re.search("<img[^>]*>", got)[0], "", 1) == html  # type: ignore[index]


def test_the_pixel_is_in_html_only_where_the_label_says_so() -> None:
    """track_opens; never in a text-only mail."""
    assert b"/o/" in made().body.replace(b"=\r\n", b"")
    assert b"/o/" not in made(Brand("b.test", "https://go.amazing.co")).body.replace(b"=\r\n", b"")
    assert b"/o/" not in made(body="").body


# -- text from HTML --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo\n"),
        ("<p>a<br>b</p>", "a\nb\n"),
        ("<a href='https://x.test/?a=1&amp;b=2'>go</a>", "go (https://x.test/?a=1&b=2)\n"),
        ("<a href='https://x.test'>https://x.test</a>", "https://x.test\n"),
        ("<a href='mailto:a@b.co'>a@b.co</a>", "a@b.co\n"),
        ("<a href='https://x.test'><img alt='Play now'></a>", "Play now (https://x.test)\n"),
        ("<a href='javascript:x()'>x</a>", "x\n"),
        ("<ul><li>one<li>two</ul>", "- one\n- two\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
        ("<head><title>t</title><style>p{}</style></head><body>x<script>y</script></body>", "x\n"),
        ("<head><title>t</title><body>unclosed head", "unclosed head\n"),
        ("&euro;5 &nbsp; bonus &lt;b&gt;", "€5 bonus <b>\n"),
        ("\u200b\u200c\u00ad pre\u034fheader", "preheader\n"),
        ("<img src=x>", ""),
        ("a</div></div></head></a>b <", "a\nb <\n"),
        ("1 < 2 <3 </ a", "1 < 2 <3\n"),
        ("<p class=it's title='<b>'>it's</p>", "it's\n"),
        ("<!--[if mso]>no<![endif]--><!--[if !mso]><!-->yes<!--<![endif]-->", "yes\n"),
        ("<script>if (a<b) '</div>'</script >x<style>p>a{}</style\n>y", "xy\n"),
        ("<A HREF=https://x.test>a</A> <a href='https://y.test'>b<a href=z>c</a>", "a (https://x.test) bc\n"),
        ("a<!-- never ended <p>b", "a\n"),
        ("a<p title='never ended>b</p>", "a\n"),
    ],
)
def test_text_made_from_html(html: str, text: str) -> None:
    """What a reader without HTML needs."""
    assert text_of(html) == text


@pytest.mark.parametrize(
    "piece",
    [
        '<a href="x',
        "<a b=c ",
        "<a b='",
        "<a>",
        "</a",
        "<!--",
        "<!",
        "<script>",
        "<script></body>",
        "<template>",
        "<td>",
        "<",
        "&",
        "</body>",
        "</body<",
    ],
)
def test_broken_html_is_read_at_once(piece: str) -> None:
    """What is made to cost the square of its length costs no more than its length, with its end and without."""

    def cpu(length: int, end: str) -> float:
        html = piece * (length // len(piece)) + end
        began = time.thread_time()
        text_of(html)
        with_pixel(html, "https://go.amazing.co/o/t.gif")
        return time.thread_time() - began

    for end in ("", "</a>" * 5_000, "</svg>" * 5_000, "</body>-->", "</body></script>"):
        once = twice = 1e9
        # The quickest of a few, where that is needed: what else the machine does only ever adds.
        for _ in range(5):
            once, twice = (min(best, cpu(length, end)) for best, length in ((once, 25_000), (twice, 50_000)))
            if twice <= 3 * once + cpu(0, "<p>word</p>" * 2_000):
                break
        else:
            raise AssertionError((end, once, twice))


def test_a_number_of_a_thousand_digits_is_no_character() -> None:
    """Python reads no more than 4,300 digits, and a page may have more."""
    assert text_of(f"a&#{'9' * 9_000};b&#x{'f' * 9_000};c&#{'0' * 40}65;") == "a\ufffdb\ufffdcA\n"


@given(st.text(alphabet="<>/abp =\"'!-&;#\n", max_size=200))
def test_any_html_makes_a_text(html: str) -> None:
    """Broken markup is no reason to fail, and leaves whole lines or nothing."""
    text = text_of(html)
    assert text == "" or (text.endswith("\n") and text.strip())


@given(st.text(alphabet="ab 1@.,;:()<>[]{}\\\"'`|!#$%&*+-/=?^_~é—\u3000\U0001f468\u200dلש", min_size=1, max_size=60))
def test_whatever_is_typed_as_a_name_leaves_one_mailbox(name: str) -> None:
    """From and Reply-To are read back as that one name and that one address, or were refused."""
    try:
        mail = made(PLAIN, from_email_address=f"{name} <news@amazing.co>")
    except Unsendable:
        return
    parsed = read(mail)
    (mailbox,) = parsed["From"].addresses
    assert mailbox.addr_spec == "news@amazing.co"
    # Python 3.11's parser leaves a space between two encoded words, which RFC 2047 6.2 takes away.
    assert "".join(mailbox.display_name.split()) == "".join(name.split()) or name.strip().startswith('"')
    assert [field for field in parsed if field not in made(PLAIN).head.decode()] == []


@pytest.mark.parametrize("body", ["Hello", "5 < 6 & 7 > 3", "Hi &amp; bye\n", "I <3 you"])
def test_a_body_without_tags_gets_a_paragraph(body: str) -> None:
    """The pixel is not the only markup of a mail; what has tags stays as it is."""
    html = read(made(body=body)).get_body(("html",))
    assert html is not None
    assert re.sub(r"\s+", " ", html.get_content()).startswith(f"<p>{body.strip()}</p> <img ")
    plain = read(made(PLAIN, body="<b>Hello</b>")).get_body(("html",))
    assert plain is not None
    assert plain.get_content().strip() == "<b>Hello</b>"
