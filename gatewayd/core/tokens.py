"""Everything that the installation's secret key makes: ids, signed tokens, keyed hashes, sealed addresses.

Pure: no randomness is needed, because whatever must be unique is made from the message's id. A token names its
purpose in its signature, so that one kind never passes for another.
"""

import base64
import hashlib
import hmac
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

_TAG = 12  # bytes of a token's proof
_NAME = 15  # bytes of a hash
_BODY = 1 + 16 + _TAG
_SHORT, _SHORT_TAG = 32, 7  # letters and digits of a short token, and bytes of its proof
_ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
_REMEMBERED = 2048  # hashes: of the messages that are on their way through
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_DIGIT_OF = _DIGITS.encode().ljust(256)
_AS_NUMBER = "0123456789abcdefghijklmnopqrstuv"  # the digits of the same worth where Python reads a number
_TOKEN = re.compile("[a-zA-Z2-7]+")
_NUMERALS = str.maketrans(_DIGITS + _DIGITS[:26].upper(), _AS_NUMBER + _AS_NUMBER[:26])


class Purpose(StrEnum):
    """What a token is good for; it is part of the signature."""

    BOUNCE = "bounce"
    COMPLAINT = "fbl"
    UNSUBSCRIBE_MAIL = "unsub-mail"
    UNSUBSCRIBE = "unsub-http"
    OPEN = "open"
    ESP = "esp"
    MESSAGE_ID = "message-id"
    REPORT = "report"


class Subscription(NamedTuple):
    """Whose unsubscribe link it is: the message it came in, its label, the player's keyed hash."""

    message_id: str
    label: str
    user_hash: str


class Keys:
    """The key ring: the first key makes, all of them are accepted.

    Tokens are 47 characters of lower-case base32 that survive case folding and fit a 64 octet local part:
    key id (1 byte), message id (16), truncated HMAC-SHA256 (12).
    """

    def __init__(self, secret: bytes, previous: Sequence[bytes] = ()) -> None:
        self._ring = (secret, *previous)
        self._kids = tuple(hashlib.sha256(b"kid\0" + key).digest()[0] for key in self._ring)
        self._seal = AESSIV(_derive(secret, "seal", 64))
        self._unseal = tuple(AESSIV(_derive(key, "seal", 64)) for key in self._ring)
        self._id_keys = tuple(_keyed(_derive(key, "id", 32)) for key in self._ring)
        self._print_keys = tuple(_derive(key, "fingerprint", 32) for key in self._ring)
        self._hash_keys = tuple(_keyed(_derive(key, "hash", 32)) for key in self._ring)
        self._signing_keys = tuple(map(_keyed, self._ring))
        self.marks = tuple(_derive(key, "mark", 8).hex() for key in self._ring)
        """One for each key, by which two key rings are compared; a key can't be had from it."""
        # A player and an address are named at acceptance and, as a rule soon after, at delivery.
        self._hashes = lru_cache(maxsize=_REMEMBERED)(self._make_hashes)
        self._number_hashes = lru_cache(maxsize=_REMEMBERED)(self._make_number_hashes)

    def message_ids(self, label: str, channel: str, uid: str) -> tuple[str, ...]:
        """The `ext_message_id` of a caller's uid, and those it had under previous keys.

        Always the same UUIDs, so that no look-up table is needed; a key rotation must not send a uid twice.
        """
        name = f"{label}\0{channel}\0{uid}".encode()
        return tuple(_uuid(key(name)) for key in self._id_keys)

    def token(self, purpose: Purpose, message_id: str) -> str:
        """A signed token for `message_id`, good for `purpose` only."""
        body = bytes([self._kids[0]]) + _packed(message_id)
        return _base32(body + _sign(self._signing_keys[0], purpose, body))

    def read(self, purpose: Purpose, token: str) -> str | None:
        """The message id in a token of ours for `purpose`; None for anything else, in constant time per key."""
        raw = _unbase32(token)
        if raw is None or len(raw) != _BODY:
            return None
        body, tag = raw[:17], raw[17:]
        return _message_id(body[1:]) if self._signed(purpose, body, tag) else None

    def read_short(self, purpose: Purpose, token: str) -> str | None:
        """The same of what `shortened` made."""
        if len(token) != _SHORT or not token.isascii() or not token.isalnum():
            return None
        number = 0
        for sign in token:
            number = number * 62 + _ALPHANUMERIC.index(sign)
        if number >> 8 * (16 + _SHORT_TAG):
            return None
        raw = number.to_bytes(16 + _SHORT_TAG)
        bodies = ((key, bytes([kid]) + raw[:16]) for kid, key in zip(self._kids, self._signing_keys, strict=True))
        proofs = [_sign(key, purpose, body)[:_SHORT_TAG] for key, body in bodies]
        return _message_id(raw[:16]) if any(hmac.compare_digest(raw[16:], proof) for proof in proofs) else None

    def _signed(self, purpose: Purpose, body: bytes, tag: bytes) -> bool:
        ring = zip(self._kids, self._signing_keys, strict=True)
        return any(kid == body[0] and hmac.compare_digest(tag, _sign(key, purpose, body)) for kid, key in ring)

    def subscription(self, message_id: str, label: str, ext_user_id: str) -> str:
        """A token for an unsubscribe link: it says whose it is by itself, because it must outlive the message's record.

        Longer than `token` and for URLs only. Holds the player's keyed hash, never the id.
        """
        user_hash = bytes.fromhex(self.user_hashes(label, ext_user_id)[0])
        body = bytes([self._kids[0]]) + _packed(message_id) + user_hash + label.encode()
        return _base32(body + _sign(self._signing_keys[0], Purpose.UNSUBSCRIBE, body))

    def read_subscription(self, token: str) -> "Subscription | None":
        """What `subscription` was given, in keyed form; None for anything that no key of the ring signed."""
        raw = _unbase32(token) if len(token) <= 400 else None
        if raw is None or len(raw) <= 1 + 16 + _NAME + _TAG:
            return None
        body, tag = raw[:-_TAG], raw[-_TAG:]
        if not self._signed(Purpose.UNSUBSCRIBE, body, tag):
            return None
        label = body[17 + _NAME :].decode("utf-8", "replace")
        return Subscription(_message_id(body[1:17]), label, body[17 : 17 + _NAME].hex())

    def user_hashes(self, label: str, ext_user_id: str) -> tuple[str, ...]:
        """How a player is named on the stop list: under today's key first, then under the previous ones."""
        return self._hashes(f"user\0{label}\0{ext_user_id}")

    def address_hashes(self, address: str) -> tuple[str, ...]:
        """How an email address is named where it must be recognised again and never read; today's key first."""
        return self._hashes("address\0" + address.strip().casefold())

    def number_hashes(self, number: str) -> tuple[str, ...]:
        """How a phone number is named, whatever its punctuation: only its digits count; today's key first."""
        return self._number_hashes(number)

    def stop_hashes(self, label: str, users: Iterable[str], channel: str, address: str = "") -> tuple[str, ...]:
        """Every keyed hash by which a player, by any spelling of their id, or an address may be on the stop list."""
        found = [one for user in dict.fromkeys(users) for one in self.user_hashes(label, user)]
        if address:
            found += self.number_hashes(address) if channel == "sms" else self.address_hashes(address)
        return tuple(found)

    def fingerprints(self, content: bytes) -> tuple[str, ...]:
        """What tells this content from other content, and of which nobody without a key can guess it.

        Under today's key first, then under the previous ones, and last without one, as 0.1.0 stored it.
        """
        keyed = (hashlib.blake2b(content, key=key, digest_size=15).digest() for key in self._print_keys)
        plain = hashlib.blake2b(content, digest_size=16).hexdigest()
        return (*(base64.b64encode(digest).decode() for digest in keyed), plain)

    def seal(self, text: str, message_id: str) -> str:
        """`text` encrypted for this installation and bound to `message_id` (AES-SIV: the same twice is harmless)."""
        return base64.b64encode(self._seal.encrypt(text.encode(), [message_id.encode()])).decode()

    def unseal(self, sealed: str, message_id: str) -> str:
        """What `seal` was given. Raises ValueError where no key of the ring opens it."""
        raw = base64.b64decode(sealed)
        for box in self._unseal:
            try:
                return box.decrypt(raw, [message_id.encode()]).decode()
            except InvalidTag:
                continue
        raise ValueError("sealed with a key that is not configured any more")

    def _make_number_hashes(self, number: str) -> tuple[str, ...]:
        return self._make_hashes("number\0" + "".join(filter(str.isdigit, number)))

    def _make_hashes(self, text: str) -> tuple[str, ...]:
        return tuple(key(text.encode())[:_NAME].hex() for key in self._hash_keys)


def shortened(token: str) -> str:
    """What `Keys.token` made in 32 letters and digits, whose case counts; empty for anything else.

    For those who take no more: less of the proof, seven bytes that nobody hits upon.
    """
    raw = _unbase32(token)
    if raw is None or len(raw) != _BODY:
        return ""
    number, signs = int.from_bytes(raw[1 : 17 + _SHORT_TAG]), []
    for _ in range(_SHORT):
        number, sign = divmod(number, 62)
        signs.append(_ALPHANUMERIC[sign])
    return "".join(reversed(signs))


def _derive(secret: bytes, use: str, length: int) -> bytes:
    return hashlib.blake2b(use.encode(), key=hashlib.blake2b(secret).digest(), digest_size=length).digest()


def _sign(key: "_Keyed", purpose: Purpose, body: bytes) -> bytes:
    return key(purpose.encode() + b"\0" + body)[:_TAG]


_Keyed = Callable[[bytes], bytes]


def _keyed(key: bytes) -> _Keyed:
    """HMAC-SHA256 under `key` (RFC 2104), whose two blocks are hashed once.

    `hmac.digest` has OpenSSL look for the algorithm by its name each time, which takes four times as long.
    """
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    within = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    around = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(data: bytes) -> bytes:
        inner, outer = within.copy(), around.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()

    return digest


def _uuid(digest: bytes) -> str:
    """The first 16 bytes as a random UUID is written (RFC 9562 5.4); the library's own way takes five times as long."""
    digits = digest[:16].hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _packed(message_id: str) -> bytes:
    return bytes.fromhex(message_id.replace("-", ""))


def _message_id(packed: bytes) -> str:
    """What `_packed` was given."""
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _moves() -> Iterator[tuple[int, int, int]]:
    """How far, and masks of which bits: the upper half of each block of groups, and the lower one, which stays."""
    for groups in (32, 16, 8, 4, 2, 1):
        stays = sum(((1 << 5 * groups) - 1) << block for block in range(0, 512, 16 * groups))
        yield 3 * groups, stays << 5 * groups, stays


_MOVES = tuple(_moves())


def _base32(raw: bytes) -> str:
    """As `base64.b32encode`, without its padding and in a third of its time.

    40 bytes at a time are one number: its groups of five bits are moved apart, half of them at each step, until each
    has a byte of its own.
    """
    digits = bytearray()
    for start in range(0, len(raw), 40):
        number = int.from_bytes(raw[start : start + 40].ljust(40, b"\0"))
        for bits, moves, stays in _MOVES:
            number = (number & moves) << bits | number & stays
        digits += number.to_bytes(64)
    return digits.translate(_DIGIT_OF)[: -(-len(raw) * 8 // 5)].decode()


def _unbase32(text: str) -> bytes | None:
    size, over = divmod(len(text) * 5, 8)
    # One token, one spelling (but for its case): its digits alone, as many as are needed, and what the last one has
    # over is zero.
    if not _TOKEN.fullmatch(text) or over >= 5:
        return None
    number = int(text.translate(_NUMERALS), 32)
    return None if number & (1 << over) - 1 else (number >> over).to_bytes(size)
