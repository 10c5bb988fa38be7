"""Ids, tokens, hashes and seals that the secret key makes."""

import base64
import hashlib
import hmac
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.tokens import Keys, Purpose, shortened

OLD, NEW = b"o" * 32, b"n" * 32
KEYS = Keys(NEW, [OLD])
MESSAGE = "a540f662-45b3-41ee-be56-0242ac120002"


def test_an_id_is_a_uuid_that_depends_on_every_part() -> None:
    """The same uid gives the same UUID; another label, channel, uid or key gives another one."""
    ids = [
        KEYS.message_ids("amazing", "email", "u1")[0],
        KEYS.message_ids("amazing", "sms", "u1")[0],
        KEYS.message_ids("other", "email", "u1")[0],
        KEYS.message_ids("amazing", "email", "u2")[0],
        KEYS.message_ids("amazing", "email", "u1")[1],
    ]
    assert len(set(ids)) == 5
    assert ids[0] == KEYS.message_ids("amazing", "email", "u1")[0]
    assert all(str(uuid.UUID(found)) == found for found in ids)


@given(st.text(max_size=20))
def test_an_id_is_written_as_the_library_writes_it(uid: str) -> None:
    """Ids that are in Redis already were made by uuid.UUID: each is what that makes of its own bytes."""
    (found,) = Keys(OLD).message_ids("l", "sms", uid)
    assert found == str(uuid.UUID(bytes=uuid.UUID(found).bytes, version=4))


def test_after_a_rotation_the_old_ids_and_names_are_still_known() -> None:
    """What the previous key made stands second in what the new ring makes."""
    before = Keys(OLD)
    assert KEYS.message_ids("l", "sms", "u")[1] == before.message_ids("l", "sms", "u")[0]
    assert KEYS.user_hashes("l", "u")[1] == before.user_hashes("l", "u")[0]
    assert KEYS.read(Purpose.OPEN, before.token(Purpose.OPEN, MESSAGE)) == MESSAGE
    assert KEYS.unseal(before.seal("someone", MESSAGE), MESSAGE) == "someone"


@given(st.uuids(), st.sampled_from(list(Purpose)), st.sampled_from(list(Purpose)))
def test_a_token_serves_one_purpose(message: uuid.UUID, made: Purpose, read: Purpose) -> None:
    """A token is read back for the purpose it was made for and for no other, whatever its letter case."""
    token = KEYS.token(made, str(message))
    assert len(token) == 47
    assert len("b+" + token) <= 64
    assert KEYS.read(read, token) == (str(message) if made is read else None)
    assert KEYS.read(made, token.upper()) == str(message)


@given(st.uuids(), st.sampled_from(list(Purpose)), st.sampled_from(list(Purpose)), st.sampled_from([KEYS, Keys(OLD)]))
def test_a_short_token_serves_one_purpose(message: uuid.UUID, made: Purpose, read: Purpose, keys: Keys) -> None:
    """In 32 letters and digits; a token of another length is none, nor one with another sign in it."""
    token = shortened(keys.token(made, str(message)))
    assert len(token) == 32
    assert token.isascii()
    assert token.isalnum()
    assert KEYS.read_short(read, token) == (str(message) if made is read else None)
    assert KEYS.read(made, token) is None
    assert KEYS.read_short(made, token[:-1] + ("0" if token[-1] != "0" else "1")) is None
    assert KEYS.read_short(made, KEYS.token(made, str(message))) is None


@pytest.mark.parametrize("text", ["", "z" * 32, "0" * 32, "\u0661" * 32, "-" * 32, "a" * 31])
def test_what_is_no_short_token_is_none(text: str) -> None:
    """Whatever a stranger writes; and nothing else can be shortened."""
    assert KEYS.read_short(Purpose.REPORT, text) is None
    assert shortened(text) == ""


@given(st.uuids(), st.text(max_size=120))
def test_tokens_are_written_as_the_library_writes_base32(message: uuid.UUID, label: str) -> None:
    """A token of any length has the digits of RFC 4648 and no padding: those in mails that were sent stay good."""
    for token in (KEYS.token(Purpose.OPEN, str(message)), KEYS.subscription(str(message), label, "player")):
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        assert raw[1:17] == message.bytes
        assert base64.b32encode(raw).decode().rstrip("=").lower() == token


@given(st.text(max_size=60))
def test_anything_else_is_no_token(text: str) -> None:
    """Garbage is refused without an exception."""
    assert KEYS.read(Purpose.BOUNCE, text) is None


@given(st.integers(0, 46), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_changed_token_is_refused(place: int, letter: str) -> None:
    """Changing any one character makes a token worthless."""
    token = KEYS.token(Purpose.BOUNCE, MESSAGE)
    forged = token[:place] + letter + token[place + 1 :]
    assert (KEYS.read(Purpose.BOUNCE, forged) == MESSAGE) == (forged == token)


def test_another_installations_token_is_refused() -> None:
    """A token signed with a key that is not in the ring is worthless."""
    assert KEYS.read(Purpose.BOUNCE, Keys(b"x" * 32).token(Purpose.BOUNCE, MESSAGE)) is None


def test_numbers_are_known_by_their_digits() -> None:
    """A number's name does not depend on its punctuation; an address's not on its case."""
    assert KEYS.number_hashes("+44 7700 900123") == KEYS.number_hashes("447700900123")
    assert KEYS.address_hashes("A@B.co") == KEYS.address_hashes(" a@b.CO ")
    assert KEYS.number_hashes("447700900124") != KEYS.number_hashes("447700900123")


def test_a_seal_is_bound_to_its_message() -> None:
    """A sealed address opens only with the message it was sealed for, and does not show what it holds."""
    sealed = KEYS.seal("canary@example.com", MESSAGE)
    assert "canary" not in sealed
    assert KEYS.unseal(sealed, MESSAGE) == "canary@example.com"
    with pytest.raises(ValueError, match="not configured"):
        KEYS.unseal(sealed, str(uuid.uuid4()))


@given(st.uuids(), st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True), st.text(max_size=30))
def test_a_subscription_says_whose_it_is(message: uuid.UUID, label: str, user: str) -> None:
    """An unsubscribe token gives back message, label and the player's keyed hash, in any letter case."""
    token = KEYS.subscription(str(message), label, user)
    found = KEYS.read_subscription(token.upper())
    assert found == (str(message), label, KEYS.user_hashes(label, user)[0])
    assert KEYS.read(Purpose.UNSUBSCRIBE, token) is None


@given(st.integers(0, 80), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_changed_subscription_is_refused(place: int, letter: str) -> None:
    """Changing any one character makes an unsubscribe token worthless; a short or foreign one is refused as well."""
    token = KEYS.subscription(MESSAGE, "amazing", "player")
    forged = token[:place] + letter + token[place + 1 :]
    assert (KEYS.read_subscription(forged) is not None) == (forged == token)
    assert KEYS.read_subscription(KEYS.token(Purpose.UNSUBSCRIBE, MESSAGE)) is None
    assert KEYS.read_subscription(Keys(b"x" * 32).subscription(MESSAGE, "amazing", "player")) is None


def test_a_fingerprint_of_content_can_be_guessed_by_nobody_without_the_key() -> None:
    """Equal under one key, another under another one; a former key's and the keyless one of 0.1.0 stand behind it."""
    today, former = Keys(b"n" * 32), Keys(b"o" * 32)
    both = Keys(b"n" * 32, [b"o" * 32])
    content = b"player-1, whoever asks"
    assert today.fingerprints(content) == Keys(b"n" * 32).fingerprints(content)
    assert today.fingerprints(content)[0] != former.fingerprints(content)[0]
    assert both.fingerprints(content) == (
        today.fingerprints(content)[0],
        former.fingerprints(content)[0],
        hashlib.blake2b(content, digest_size=16).hexdigest(),
    )


@pytest.mark.parametrize("length", [1, 32, 64, 65, 200])
def test_a_token_is_signed_by_hmac_sha256(length: int) -> None:
    """As the standard library computes it, under keys of any length: mails that are out already bear such ones."""
    secret = bytes(range(256))[:length]
    body = hashlib.sha256(b"kid\0" + secret).digest()[:1] + uuid.UUID(MESSAGE).bytes
    tag = hmac.digest(secret, b"open\0" + body, "sha256")[:12]
    token = base64.b32encode(body + tag).decode().rstrip("=").lower()
    assert Keys(secret).token(Purpose.OPEN, MESSAGE) == token
    assert Keys(secret).read(Purpose.OPEN, token) == MESSAGE
