"""From what a directory says of a player to an address that a channel can use, or None. Pure.

Used at acceptance, for the caller's sake, and again at delivery, for the message's. The memo keeps addresses in memory
for a while, never anywhere else.
"""

import re
from contextlib import nullcontext
from functools import cache, lru_cache
from typing import Any

from gatewayd.core.mailbox import ADDRESS_LIMIT, LOCAL_LIMIT
from gatewayd.core.model import Channel, Recipient

_REMEMBERED = 2048
"""Players' spellings: those of the messages that are on their way through."""

_PLAIN_ADDRESS = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)", re.ASCII)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_FORMER_MOBILES = {
    52: re.compile(r"(?:1|01|044|045)([2-9][0-9]{9})", re.ASCII),
    54: re.compile(r"9([1-9][0-9]{11})", re.ASCII),
}
"""National numbers as old databases have them and nobody may write them today, with what is left of them.

Mexico dropped what stood before its mobile numbers in 2019. Argentina writes 9 before the area code when called from
abroad, 15 behind it at home, and both are one too many: without the 9 the library knows which 15 it is.
"""

_WRITTEN_AS_A_FRACTION = re.compile(r"(\+?[0-9]{7,})[.,]0{1,2}", re.ASCII)
"""As a table sheet or a column of fractions writes a number: what stands behind the point are no digits of it."""

_MISSES_DIGITS = re.compile(r"[0-9](?:\W*[^\W\d_]{1,2}[0-9]|[OoIl]\Z)")
"""Letters where digits belong, as O for 0. The library leaves them out, and the rest may be somebody else's number."""

_NEGATIVE = re.compile(r"[-\u2212][0-9]")
"""A number below zero, as of a signed column that was too small: its digits are nobody's number, or somebody else's."""

_LEAST_DIGITS = 7
"""Of what looks like a player's number: no country's mobile numbers have fewer."""

_TEST_DOMAINS = (".invalid", ".local", ".localhost", "@localhost")


def address_of(recipient: Recipient, channel: Channel, default_region: str, ext_user_id: str) -> str | None:
    """Where `recipient` is reached on `channel`: an email address, a number in E.164 form with its plus, or any text.

    The last is for instant messages: the player's own id, `ext_user_id`, where the directory knows no other.
    """
    if channel is Channel.EMAIL:
        return readable_email(recipient.email)
    if channel is Channel.SMS:
        return readable_number(recipient.phone, default_region)
    return (ext_user_id if recipient.im is None else recipient.im) or None


def is_misread(recipient: Recipient, channel: Channel) -> bool:
    """Whether a player of whom `address_of` finds none has something there that looks like one all the same.

    A number without its country is such, or what stands in another column; "n/a" and "0" are not.
    """
    if channel is Channel.EMAIL:
        return "@" in recipient.email
    return channel is Channel.SMS and sum(char.isdigit() for char in recipient.phone[:64]) >= _LEAST_DIGITS


def readable_email(text: str) -> str | None:
    """`text` as one bare address, its domain in lower-case A-labels, or None.

    Quoted local parts and address literals don't count as readable.
    """
    text = text.strip()
    plain = _PLAIN_ADDRESS.fullmatch(text)
    if plain is None or len(plain[1]) > LOCAL_LIMIT:
        return _validated(text)
    # Nothing is to be found out about such a local part, and players have few domains between them.
    local, domain = plain.groups()
    beside_any = _validated(f"a@{domain}")
    address = beside_any and local + beside_any[1:]
    return address if address and len(address) <= ADDRESS_LIMIT else None


@lru_cache(maxsize=_REMEMBERED)
def _validated(text: str) -> str | None:
    # These two libraries take long to be imported, which every start and every command would wait for.
    from email_validator import EmailNotValidError, validate_email

    if not text or len(text) > 4 * ADDRESS_LIMIT:
        return None
    # Test players live in such domains, and the validator refuses them all: there the rest is what it judges.
    ending = ".com" if text.lower().endswith(_TEST_DOMAINS) else ""
    try:
        found = validate_email(text + ending, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    address = f"{found.local_part}@{found.ascii_domain.removesuffix(ending)}"
    if len(found.local_part.encode()) > LOCAL_LIMIT or len(address.encode()) > ADDRESS_LIMIT:
        return None
    return address


class _NoLock(nullcontext[None]):
    """Stands where `phonenumbers` has a lock."""

    def acquire(self) -> None:
        """At once."""

    def release(self) -> None:
        """Nobody waits for it."""


@cache
def _numbering_plans() -> Any:
    """The library `phonenumbers`, which takes long to be imported, too.

    It reads a country's plan with the first number of it, under a lock that it keeps for ever where that fails: no file
    is left to be opened, or an upgrade has taken it away. All of a process would then stand still with the next number.
    That no file is read twice at once Python sees to itself.
    """
    import phonenumbers

    plans: Any = phonenumbers.PhoneMetadata
    plans._metadata_lock = _NoLock()
    return phonenumbers


@cache
def country_code(region: str) -> str:
    """The digits with which numbers of this region (ISO 3166) begin in E.164 form."""
    return str(_numbering_plans().country_code_for_region(region))


@lru_cache(maxsize=_REMEMBERED)
def readable_number(text: str, default_region: str) -> str | None:
    """`text` in E.164 form, or None where it is no number that could exist.

    `default_region` (ISO 3166) reads one without a country code. A mobile number in its country's former
    spelling is given in that of today, so that both have one hash.
    """
    phonenumbers = _numbering_plans()
    text = text.strip()
    if not text or len(text) > 64:
        return None
    if _E164.fullmatch(text) and _stands_as_it_is(text):
        return text
    if fraction := _WRITTEN_AS_A_FRACTION.fullmatch(text):
        text = fraction[1]
    if _MISSES_DIGITS.search(text) or _NEGATIVE.match(text):
        return None
    try:
        number = phonenumbers.parse(text, default_region or None)
    except phonenumbers.NumberParseException:
        return None
    if number.extension:
        return None
    number = _mobile_with_its_country_code(text, number) or number
    if not _may_exist(number):
        national = phonenumbers.national_significant_number(number)
        former = number.country_code in _FORMER_MOBILES and _FORMER_MOBILES[number.country_code].fullmatch(national)
        if not former:
            return None
        number = phonenumbers.parse(f"+{number.country_code}{former[1]}")
        if not _may_exist(number):
            return None
    written: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return written


def _mobile_with_its_country_code(text: str, number: Any) -> Any:
    """The mobile number that `text` is as an international number without its plus, or None.

    `number` is what it is as a national one. In a country with numbers of many lengths, as Germany, most of these could
    be either; but nobody sends an SMS to a landline that would be written with a zero before it.
    """
    phonenumbers = _numbering_plans()
    digits = phonenumbers.normalize_digits_only(text)
    if not digits.startswith(str(number.country_code)):
        return None
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    if phonenumbers.number_type(number) in mobile:
        return None
    try:
        international = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
    return international if phonenumbers.number_type(international) == mobile[0] else None


def _stands_as_it_is(text: str) -> bool:
    """Whether a plus and digits are a number in E.164 form that `phonenumbers` would give back as it is.

    It thinks for as long as our whole look-up of a player. All that it does to such a number is to take out a trunk
    prefix (+44 0 20 ...), and of the rest it asks for the length only; who may have either is left to it.
    """
    known = _numbering_plans().COUNTRY_CODE_TO_REGION_CODE
    for end in (2, 3, 4):
        country, national = int(text[1:end]), text[end:]
        if country in known:
            return not _trunk_prefix(country).match(national) and _is_possible(country, len(national))
    return False


@cache
def _trunk_prefix(country: int) -> re.Pattern[str]:
    """What a national number of this country begins with where it may hold a prefix; a zero always may be one."""
    phonenumbers = _numbering_plans()
    region = phonenumbers.region_code_for_country_code(country)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(country, region)
    prefix = metadata.national_prefix_for_parsing if metadata is not None else ""
    return re.compile(f"0|{prefix}" if prefix else "0")


@cache
def _is_possible(country: int, length: int) -> bool:
    """Whether the national numbers of this country may have so many digits."""
    return _may_exist(_numbering_plans().PhoneNumber(country, int("1" * length)))


def _may_exist(number: Any) -> bool:
    """Whether it has as many digits as its country's numbers, and not only as many as are dialled within a town."""
    phonenumbers = _numbering_plans()
    found = phonenumbers.is_possible_number_with_reason(number)
    return bool(found == phonenumbers.ValidationResult.IS_POSSIBLE)
