"""Numbers that stand in E.164 form already are given back without long thought, as thought would find them."""

import random

import phonenumbers
import pytest

from gatewayd.core.contact import readable_number

COUNTRIES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def thought_about(text: str) -> str | None:
    """What the library makes of it."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@pytest.mark.parametrize("chunk", range(8))
def test_a_number_in_e164_form_is_read_as_the_library_reads_it(chunk: int) -> None:
    """Of every country, of every length, with zeros and trunk prefixes."""
    chance = random.Random(chunk)
    for country in COUNTRIES[chunk::8]:
        for length in range(3, 16 - len(str(country))):
            for first in ("0", "1", "8", "9", "".join(chance.choices("123456789", k=3))):
                national = (first + "".join(chance.choices("0123456789", k=length)))[:length]
                text = f"+{country}{national}"
                assert readable_number(text, "") == thought_about(text), text


@pytest.mark.parametrize("kind", [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
def test_real_numbers_of_all_countries_are_their_own(kind: int) -> None:
    """Such as every country has them, whatever region a directory has for numbers without a plus."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is not None:
            text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert readable_number(text, "GB") == thought_about(text) == text
