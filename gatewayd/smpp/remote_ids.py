"""The ids of submits: as an answer gives one and a receipt names it, and the forms in which the two meet.

Owns the rules of [smscs.NAME] message_ids. It knows no store, no receipt and no message of ours.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from gatewayd.core.encoded import decodings

IdRule = Literal["as-is", "decimal", "hex", "auto"]

AROUND = " \t\r\n\"'()[]{}<>."
"""What SMSCs put around a value, in the answer or in the receipt."""

_LONGEST_ID = 128  # characters
_END = 7  # digits of a number
_PAIR = re.compile(r"(.)(.)")
_NO_DIGITS = re.compile(r"[^0-9]+")
_DECIMAL = re.compile(r"[0-9]+", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_PREFIXED = re.compile(r"0[xX][0-9a-fA-F]+", re.ASCII)
_SIGNED = re.compile(r"-[0-9]{1,19}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]+(?:-[0-9a-fA-F]+)+", re.ASCII)


def stored(message_id: bytes | str, rule: IdRule) -> str:
    """The one form under which a submit's answer is kept, so that `forms` of its receipt's id meet it.

    Empty where the answer brought no id.
    """
    plain = _plain(message_id)
    if rule == "decimal":
        return _to_decimal(plain) or plain
    if rule == "hex":
        return _to_hex(plain) or plain
    return plain


def forms(message_id: bytes | str, rule: IdRule, guess: IdRule = "auto") -> tuple[str, ...]:
    """The forms under which a receipt's id may have been kept, best first; none for an empty id.

    `rule` says how the ids in receipts are written: `decimal` where submit answers are hexadecimal, `hex` the other
    way round, `auto` where nobody knows: what `guess` says, as it is, then either conversion that is possible.
    """
    plain = _plain(message_id)
    if not plain:
        return ()
    if rule == "auto":
        converted = {"decimal": _to_hex(plain), "hex": _to_decimal(plain)}
        return tuple(dict.fromkeys(filter(None, (converted.get(guess), plain, *converted.values()))))
    if rule == "decimal" and not _DECIMAL.fullmatch(plain):
        # Not a decimal number after all: the answer's own form, as receipted_message_id often has it.
        return (_to_decimal(plain) or plain,)
    return (plain,)


def lookups(ids: Sequence[str], rule: IdRule, guess: IdRule = "auto") -> tuple[str, ...]:
    """`forms` of all the ids in a receipt, that of the TLV before that of the text."""
    if len(ids) == 2 and rule in ("decimal", "hex"):
        in_tlv, in_text = ids
        if (stored(in_tlv, rule),) == forms(in_text, rule):
            # The TLV repeats the answer and the text has the receipt's form: read as the latter it could meet a
            # stranger's id.
            return (stored(in_tlv, rule),)
    return tuple(dict.fromkeys(form for one in ids for form in forms(one, rule, guess)))


def holds_number(message_id: str, numbers: Iterable[str]) -> bool:
    """Whether an id has one of these numbers in it, in whatever form: it is that person's, then.

    Countries and networks write what a number begins with as they like; it is known by its end. Telephones have two
    digits in each octet, the second of them in front.
    """
    digits = _NO_DIGITS.sub("", message_id)
    texts = [digits, _PAIR.sub(r"\2\1", digits), _to_decimal(message_id)]
    texts += (_NO_DIGITS.sub("", decoded.text) for decoded in decodings(message_id))
    return any(number[-_END:] in text for number in numbers if len(number) >= _END for text in texts)


class IdsSeen:
    """What one SMSC's ids were seen to look like, from which the rule is guessed where it is `auto`.

    Short hexadecimal and decimal numbers look alike: of two messages to one player, the id of one can be the other's
    in the other form. A letter in the answers and none in receipts, or the other way round, tells which form is whose.
    """

    def __init__(self) -> None:
        self._answers = self._receipts = False

    def answered(self, message_id: bytes) -> None:
        """A submit was answered with this id."""
        self._answers = self._answers or _has_hex_letters(message_id)

    def lookups(self, ids: Sequence[str], rule: IdRule) -> tuple[str, ...]:
        """As `lookups`; these are seen, too."""
        if rule != "auto":
            return lookups(ids, rule)
        self._receipts = self._receipts or any(map(_has_hex_letters, ids))
        guess: IdRule = "auto"
        if self._answers is not self._receipts:
            guess = "decimal" if self._answers else "hex"
        return lookups(ids, rule, guess)


def _has_hex_letters(message_id: bytes | str) -> bool:
    plain = _plain(message_id)
    return bool(_HEX.fullmatch(plain)) and not _DECIMAL.fullmatch(plain)


@lru_cache(maxsize=1024)
def _plain(message_id: bytes | str) -> str:
    """The id as it is compared. Of one submit it is asked several times, and its receipt comes soon."""
    return _canonical(cleaned(message_id))


def cleaned(message_id: bytes | str) -> str:
    """An id as it was meant, without what was put around it; its form is the SMSC's still."""
    text = message_id.decode("latin-1") if isinstance(message_id, bytes) else message_id
    # Ids are kept in lists with blanks between them. 0x11 is the underscore of GSM 03.38, as some write receipts.
    return "_".join(text.partition("\0")[0].replace("\x11", "_").strip(AROUND).split())[:_LONGEST_ID]


def _canonical(message_id: str) -> str:
    """Without what SMSCs change between answer and receipt: leading zeros, 0x, letter case, a sign.

    The case of an id in both cases is kept: there it tells one id from another.
    """
    if not message_id:
        return ""
    if _PREFIXED.fullmatch(message_id):
        message_id = message_id[2:]
    if message_id.startswith("-") and _SIGNED.fullmatch(message_id):
        # What Java prints of an int or a long whose first bit is set, where it has no sign in hexadecimal.
        number = int(message_id)
        message_id = str(number % (1 << 32 if number >= -(1 << 31) else 1 << 64))
    if message_id.isupper() or _HEX.fullmatch(message_id) or _UUID.fullmatch(message_id):
        message_id = message_id.lower()
    return message_id.lstrip("0") or "0"


def _to_hex(message_id: str) -> str:
    return f"{int(message_id):x}" if _DECIMAL.fullmatch(message_id) else ""


def _to_decimal(message_id: str) -> str:
    return str(int(message_id, 16)) if _HEX.fullmatch(message_id) else ""
