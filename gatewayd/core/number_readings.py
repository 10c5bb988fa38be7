"""Numbers as others write them: what an SMSC or a vendor names a phone by, as digits of E.164. Pure.

No exception here holds a number.
"""

import re
from collections.abc import Sequence

from gatewayd.core.contact import country_code, readable_number

SHORTEST_NUMBER = 6
"""Digits; what is shorter is a short code, of which no country has two readings."""
LONGEST_NATIONAL_NUMBER = 11
"""Digits without a trunk prefix: no country's mobile numbers have more."""
LONGEST_ADDRESS = 64
"""Octets of an address that are looked at; the specification allows 20, and 64 in data_sm."""

_WITH_AND_WITHOUT = (
    (re.compile(r"521?([0-9]{10})"), ("52{}", "521{}")),
    (re.compile(r"549?([0-9]{10})"), ("54{}", "549{}")),
    (re.compile(r"55([0-9]{2})9?([0-9]{8})"), ("55{}{}", "55{}9{}")),
)
"""Mobile numbers of Mexico, Argentina and Brazil: some networks write a digit (1, 9, 9) that others leave out."""


NUMBER = re.compile(r"\+?[0-9]+", re.ASCII)
PUNCTUATION = str.maketrans("", "", " ()-./")


def readings(address: bytes, default_region: str = "") -> tuple[str, ...]:
    """The numbers, as digits of E.164, that an address which came in may mean, whatever its TON and NPI say.

    As it is written, then as a subscriber of `default_region` (ISO 3166; "" for none) would write it; none for what is
    no number. SMSCs hand on what a phone wrote, with the TON of their own habit: `07700900021`, `7700900021`,
    `00447700900021`, `0447700900021` and `447700900021` come as international, national or unknown alike.
    """
    plain = digits(address)
    if not plain:
        return ()
    found = [plain]
    if not default_region or len(plain) < SHORTEST_NUMBER:
        return _with_twins(found)
    for spelling in (address.decode("latin-1").translate(PUNCTUATION).lstrip("+"), plain, plain.lstrip("0")):
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
    """As `readings`, of a number that a receipt repeats: it is what the submit said, but where it is a national one.

    Receipts are as many as submits, and to think of a number costs as much as a tenth of one.
    """
    plain = digits(address)
    if plain.startswith("0") or _may_be_national(plain, default_region):
        return readings(address, default_region)
    return (plain,) if plain else ()


def _may_be_national(plain: str, region: str) -> bool:
    """Whether it may be a number of `region` that was written with neither country code nor trunk prefix."""
    is_long_enough = region and SHORTEST_NUMBER <= len(plain) <= LONGEST_NATIONAL_NUMBER
    return bool(is_long_enough) and not plain.startswith(country_code(region))


def digits(address: bytes) -> str:
    """The digits of a number that came in, without plus or 00; empty for what is none: a name, masked, not given."""
    number = address[:LONGEST_ADDRESS].decode("latin-1").translate(PUNCTUATION)
    return number.lstrip("+").removeprefix("00") if NUMBER.fullmatch(number) else ""
