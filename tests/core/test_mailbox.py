"""The reader of one mailbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.mailbox import Mailbox, ascii_domain, parse

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("Amazing <noreply@amazing.co>", "Amazing", "noreply@amazing.co"),
        ("Amazing, Inc. <a@b.co>", "Amazing, Inc.", "a@b.co"),
        ('"Amazing, \\"Inc\\"" <a@b.co>', 'Amazing, "Inc"', "a@b.co"),
        ("a@b.co", "", "a@b.co"),
        ("<a@b.co>", "", "a@b.co"),
        ("  Casino:  VIP  < a@b.co > ", "Casino: VIP", "a@b.co"),
        ("Ünï Çasino ❤ <a@bücher.example>", "Ünï Çasino ❤", "a@bücher.example"),
        ("sales@b.co <a@b.co>", "sales@b.co", "a@b.co"),
        ("Win @ Amazing <a@b.co>", "Win @ Amazing", "a@b.co"),
        ("a+b=c/d@b.co", "", "a+b=c/d@b.co"),
        ("jörg@b.co", "", "jörg@b.co"),
        ("Casino Royal (UK) <a@b.co>", "Casino Royal (UK)", "a@b.co"),
        ("Casino (UK) (VIP <a@b.co>", "Casino (UK) (VIP", "a@b.co"),
        ("Win > Lose <3 <a@b.co>", "Win > Lose <3", "a@b.co"),
        ("Amazing <<a@b.co>", "Amazing <", "a@b.co"),
        ("Bet@Home, Ltd. <a@b.co>", "Bet@Home, Ltd.", "a@b.co"),
        ("@Amazing; it's 100% #1! <a@b.co>", "@Amazing; it's 100% #1!", "a@b.co"),
        ('The "VIP" Club <a@b.co>', 'The "VIP" Club', "a@b.co"),
        ('The "VIP Club <a@b.co>', 'The "VIP Club', "a@b.co"),
        ("Back\\slash [x] {y} | z <a@b.co>", "Back\\slash [x] {y} | z", "a@b.co"),
        (f"{FAMILY} Win\u2122 <a@b.co>", f"{FAMILY} Win\u2122", "a@b.co"),
        ("=?utf-8?q?x?= <a@b.co>", "=?utf-8?q?x?=", "a@b.co"),
    ],
)
def test_one_mailbox_is_read(text: str, name: str, address: str) -> None:
    """The forms that callers write."""
    assert parse(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("Amazing", "no address"),
        ("<>", "no address"),
        ("Amazing <a@b.co>, Evil <e@x.test>", "more than one mailbox"),
        ("a@b.co, e@x.test", "more than one mailbox"),
        ("e@x.test, Amazing <a@b.co>", "more than one mailbox"),
        ("Team: a@b.co, e@x.test;", "a group"),
        ("Team: Amazing <a@b.co>;", "a group"),
        ("Amazing <a@b.co> (promo)", "text after the address"),
        ("<a@b.co> <c@b.co>", "more than one mailbox"),
        ("Amazing <a@b.co>, <c@b.co>", "more than one mailbox"),
        ("a@b.co ; Amazing <a@b.co>", "more than one mailbox"),
        ('"a" <a@b.co>, "b" <c@b.co>', "more than one mailbox"),
        ("n@" * 2000 + " <a@b.co>", "too long"),
        ("<a@b.co> Amazing", "text after the address"),
        ("Amazing a@b.co>", "unbalanced"),
        ("service@bank.test <a@b.co>", "another domain"),
        ('"service@bank.test" <a@b.co>', "another domain"),
        ("service＠bank．test <a@b.co>", "another domain"),
        ("Amazing\r\nBcc: x@y.test <a@b.co>", "control characters"),
        ("Amazing\x00 <a@b.co>", "control characters"),
        ("Amazing\u2028 <a@b.co>", "control characters"),
        ("Amazing\x85 <a@b.co>", "control characters"),
        ("\u202egnizamA <a@b.co>", "bidirectional"),
        ("Amazing <a@\u202eb.co>", "not a valid address"),
        ("a@b@c.co", "more than one at sign"),
        ("a..b@c.co", "not a valid address"),
        ("a b@c.co", "not a valid address"),
        ("a@-c.co", "not a valid address"),
        ("a@[127.0.0.1]", "not a valid address"),
        ("a" * 65 + "@c.co", "too long"),
        ("a@" + ".".join(["c" * 60] * 5), "too long"),
        ("a@\u2488com.co", "internationalised"),
        ("n" * 201 + " <a@b.co>", "name is too long"),
    ],
)
def test_what_is_not_one_mailbox_is_refused(text: str, reason: str) -> None:
    """Several mailboxes, groups, controls and disguises are refused with the rule they break."""
    with pytest.raises(ValueError, match=reason) as caught:
        parse(text)
    assert "@" not in str(caught.value)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What is read can be written into a header and an SMTP command; everything else is ValueError."""
    try:
        mailbox = parse(text)
    except ValueError:
        return
    assert mailbox.address.count("@") == 1
    assert not set(mailbox.address) & set("<> \r\n\t\0,;")
    assert not set(mailbox.name) & set("\r\n\0")
    assert mailbox.domain.isascii()


def test_domains_are_compared_in_a_labels() -> None:
    """Case and script of a domain do not matter; the local part stays as it is."""
    assert parse("A@BÜCHER.example").domain == parse("a@xn--bcher-kva.EXAMPLE").domain == "xn--bcher-kva.example"
    assert ascii_domain("Straße.example") == "xn--strae-oqa.example"
    assert parse("Jane@b.co").local == "Jane"


def test_printing_a_mailbox_shows_nothing() -> None:
    """Whoever logs one by mistake logs no address."""
    assert repr(parse("Jane <jane@b.co>")) == "<Mailbox>"
