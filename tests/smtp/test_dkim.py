"""DKIM signatures of ours, checked by dkimpy, which shares no code with them."""

from typing import Any

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkim_keys import ED25519, RSA, is_valid, pem
from gatewayd.config import Dkim, Secret
from gatewayd.smtp.dkim import Signer, relaxed_body
from gatewayd.smtp.mime import Brand, ComposedMail, compose
from smtp_world import KEYS, message

BRAND = Brand("bounces.amazing.co", "https://go.amazing.co", one_click=True)


def signer(*keys: Any) -> Signer:
    """A signer for amazing.co with selector gw1."""
    return Signer([Dkim(domain="amazing.co", selector="gw1", private_key=Secret(pem(key))) for key in keys])


def wire(mail: ComposedMail) -> bytes:
    """The whole message."""
    return mail.head + b"\r\n" + mail.body


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa-2048", "ed25519"])
@pytest.mark.parametrize("subject", ["Hello", "word " * 30 + "end", "Ünï 💰"])
def test_an_independent_verifier_accepts_our_signature(key: Any, subject: str) -> None:
    """With both algorithms, folded and encoded headers, all features on."""
    mail = compose(message(subject=subject, reply_to_email_address="help@amazing.co"), "jane@x.test", BRAND, KEYS)
    signed = signer(key).sign(mail, 1_000_000_000.0, 9e9)
    assert is_valid(wire(signed), key)
    assert max(map(len, signed.head.split(b"\r\n"))) <= 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: The best offer", b"Subject: The worst offer"),
        (b"<p>Hello</p>", b"<p>Goodbye</p>"),
        (b"To: jane", b"To: john"),
        (b"List-Unsubscribe: <https://go", b"List-Unsubscribe: <https://no"),
        (b"List-Unsubscribe-Post: ", b"X-Post: "),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nReply-To: evil@x.test\r\n"),
        (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\nSubject: another\r\n"),
        (b"From: Amazing", b"From: Evil <evil@x.test>\r\nFrom: Amazing"),
        *[
            (b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\n" + name + b": x\r\n")
            for name in (
                b"Content-Type",
                b"To",
                b"Cc",
                b"Sender",
                b"Mime-Version",
                b"Content-Transfer-Encoding",
                b"Message-Id",
                b"List-Unsubscribe",
                b"List-Unsubscribe-Post",
            )
        ],
    ],
)
def test_no_signed_field_can_be_changed_or_added(old: bytes, new: bytes) -> None:
    """What a reader sees is covered, also against a second field of the same name (oversigning)."""
    raw = wire(signer(ED25519).sign(compose(message(), "jane@x.test", BRAND, KEYS), 1e9, 9e9))
    assert old in raw
    assert is_valid(raw, ED25519)
    assert not is_valid(raw.replace(old, new, 1), ED25519)


def test_the_one_click_headers_are_covered() -> None:
    """RFC 8058 4: both List-Unsubscribe fields must be in h=."""
    head = signer(ED25519).sign(compose(message(), "jane@x.test", BRAND, KEYS), 1e9, 9e9).head
    covered = head.partition(b"\r\n h=")[2].partition(b";")[0].replace(b"\r\n ", b"").split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post", b"message-id", b"to"} <= set(covered)
    assert covered.count(b"from") == covered.count(b"list-unsubscribe") == 2
    assert covered.count(b"reply-to") == 1


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b" \r\n")))
def test_the_body_is_canonicalised_as_dkimpy_does(body: bytes) -> None:
    """Spaces at line ends and in runs, and empty lines at the end, do not count."""
    body = body.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    assert relaxed_body(body) == dkim.canonicalization.Relaxed.canonicalize_body(body)


def test_rsa_is_signed_off_the_reactor() -> None:
    """It costs ten times an Ed25519 signature."""
    assert signer(RSA).slow
    assert not signer(ED25519).slow


def test_each_of_a_label_s_keys_signs() -> None:
    """An RSA signature for all and an Ed25519 one for who can; each is valid beside the other, and both end."""
    mail = compose(message(), "jane@x.test", BRAND, KEYS)
    raw = wire(signer(RSA, ED25519).sign(mail, 1e9, 9e9))
    assert raw.count(b"DKIM-Signature: ") == 2
    for number, key in enumerate((RSA, ED25519)):
        assert is_valid(raw, key, number)
    assert raw.count(b"t=1000000000; x=9000432000;") == 2
