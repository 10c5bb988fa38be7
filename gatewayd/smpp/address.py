"""How numbers, senders and validity are written in a submit_sm (CONTRACT.md, "SMS"; SMPP 3.4, 5.2.5, 5.2.6, 7.1.1).

Pure. No exception here holds a number or a sender.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from gatewayd.core.contact import readable_number
from gatewayd.core.errors import PermanentFailure
from gatewayd.smpp.codec.gsm import UnencodableError, encode_gsm
from gatewayd.smpp.text import DefaultAlphabet

_NAMES: dict[DefaultAlphabet, Callable[[str], bytes]] = {
    "gsm": encode_gsm,
    "gsm-packed": encode_gsm,
    "latin1": lambda name: name.encode("latin-1"),
    "ascii": lambda name: name.encode("ascii"),
}

Address = tuple[int, int, bytes]
"""TON, NPI, address."""

LONGEST_NAME = 11
SHORTEST_NUMBER = 6
"""Digits; what is shorter is a short code, of which no country has two readings."""
LONGEST_ADDRESS = 64
"""Octets of an address that are looked at; the specification allows 20, and 64 in data_sm."""

LONGEST_VALIDITY = 30 * 86400
SHORTEST_VALIDITY = 60

_WITH_AND_WITHOUT = (
    (re.compile(r"521?([0-9]{10})"), ("52{}", "521{}")),
    (re.compile(r"549?([0-9]{10})"), ("54{}", "549{}")),
    (re.compile(r"55([0-9]{2})9?([0-9]{8})"), ("55{}{}", "55{}9{}")),
)
"""Mobile numbers of Mexico, Argentina and Brazil: some networks write a digit (1, 9, 9) that others leave out."""

_NUMBER = re.compile(r"\+?[0-9]+", re.ASCII)
_PUNCTUATION = str.maketrans("", "", " ()-./")


@lru_cache(maxsize=1024)
def source(
    sender: str, ton_npi: tuple[int, int] | None = None, *, default_alphabet: DefaultAlphabet = "gsm"
) -> Address:
    """The sender: a name TON 5 NPI 0, a short code TON 3 NPI 0, a number TON 1 NPI 1; none at all TON 0 NPI 0.

    `ton_npi` overrides the pair; `default_alphabet` is the SMSC's. Raises PermanentFailure for a name that the SMSC
    has no place for.
    """
    number = sender.translate(_PUNCTUATION)
    if not sender:
        ton, npi, address = 0, 0, b""
    elif not _NUMBER.fullmatch(number):
        ton, npi, address = 5, 0, _name(sender, default_alphabet)
    elif number.startswith("+") or not 3 <= len(number) <= 8:
        ton, npi, address = 1, 1, number.lstrip("+").encode()
    else:
        ton, npi, address = 3, 0, number.encode()
    return (*ton_npi, address) if ton_npi else (ton, npi, address)


def _name(sender: str, default_alphabet: DefaultAlphabet) -> bytes:
    """A name in octets: ASCII as it is (SMPP 3.4, 3.1), any other in the SMSC's own alphabet."""
    try:
        name = sender.encode("ascii") if sender.isascii() else _NAMES[default_alphabet](sender)
    except (UnencodableError, UnicodeEncodeError):
        raise PermanentFailure("the sender's name has characters that the SMSC's alphabet has not") from None
    if b"\0" in name:
        # The at sign of GSM 03.38 is the octet that ends a C-string.
        raise PermanentFailure("the sender's name has a character that SMPP has no place for")
    if len(name) > LONGEST_NAME:
        raise PermanentFailure(f"the sender's name has more than {LONGEST_NAME} characters")
    return name


def destination(number: str, ton_npi: tuple[int, int] | None = None) -> Address:
    """The player's number in E.164 form, written without its plus."""
    return (*(ton_npi or (1, 1)), number.translate(_PUNCTUATION).lstrip("+").encode("ascii", "replace"))


def readings(address: bytes, default_region: str = "") -> tuple[str, ...]:
    """The numbers, as digits of E.164, that an address which came in may mean, whatever its TON and NPI say.

    As it is written, then as a subscriber of `default_region` (ISO 3166; "" for none) would write it; none for what is
    no number. SMSCs hand on what a phone wrote, with the TON of their own habit: `07700900021`, `7700900021`,
    `00447700900021` and `447700900021` come as international, national or unknown alike.
    """
    plain = digits(address)
    if not plain:
        return ()
    found = [plain]
    if not default_region or len(plain) < SHORTEST_NUMBER:
        return _with_twins(found)
    for spelling in (address.decode("latin-1").translate(_PUNCTUATION).lstrip("+"), plain):
        for text in (spelling, f"+{spelling}"):
            number = readable_number(text, default_region)
            if number is not None:
                found.append(number.lstrip("+"))
    return _with_twins(found)


def _with_twins(numbers: Sequence[str]) -> tuple[str, ...]:
    """Each number once, then the other spellings of those that networks write in two ways."""
    twins = [
        form.format(*match.groups())
        for number in numbers
        for written, forms in _WITH_AND_WITHOUT
        if (match := written.fullmatch(number))
        for form in forms
    ]
    return tuple(dict.fromkeys([*numbers, *twins]))


def repeated(address: bytes, default_region: str = "") -> tuple[str, ...]:
    """As `readings`, of a number that a receipt repeats: it is what the submit said, but for a trunk prefix.

    Receipts are as many as submits, and to think of a number costs more than all the rest of one.
    """
    plain = digits(address)
    if plain.startswith("0"):
        return readings(address, default_region)
    return (plain,) if plain else ()


def digits(address: bytes) -> str:
    """The digits of a number that came in, without plus or 00; empty for what is none: a name, masked, not given."""
    number = address[:LONGEST_ADDRESS].decode("latin-1").translate(_PUNCTUATION)
    return number.lstrip("+").removeprefix("00") if _NUMBER.fullmatch(number) else ""


def validity(deadline: float, now: float, form: str) -> bytes:
    """validity_period until `deadline`, "relative" or "absolute" (in UTC); empty for any other form."""
    left = min(max(deadline - now, SHORTEST_VALIDITY), LONGEST_VALIDITY)
    if form == "relative":
        return _relative(int(left))
    if form == "absolute":
        return datetime.fromtimestamp(now + left, UTC).strftime("%y%m%d%H%M%S000+").encode()
    return b""


@lru_cache(maxsize=1024)
def _relative(left: int) -> bytes:
    minutes, seconds = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02d}{hours:02d}{minutes:02d}{seconds:02d}000R".encode()
