"""What is a number or an address already is given back without long thought, as thought would find it."""

import random

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd.core.contact import readable_email, readable_number

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


def validated(text: str) -> str | None:
    """What the other library makes of an address."""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    address = f"{found.local_part}@{found.ascii_domain}"
    return address if len(found.local_part) <= 64 and len(address) <= 254 else None


@given(
    st.text("aZ9._+-'!", min_size=1, max_size=70),
    st.sampled_from(
        ["Example.COM", "players.co.uk", "a..b.com", "-a.com", "a-.com", "a.b", "com", "1.2", "xn--p1ai.com"]
    ),
)
@example("a" * 64, "example.com")
@example("a" * 65, "example.com")
@example("a" * 64, f"{'b' * 60}.{'c' * 60}.{'d' * 60}.example")
@example("a", f"{'b' * 64}.com")
@example("a", f"{'b' * 63}.com")
@example("a.b+c_d-e", "xn--bcher-kva.example.com")
@example("postmaster", "example.com")
def test_an_address_is_read_as_the_library_reads_it(local: str, domain: str) -> None:
    """Whatever its local part, and whether the domain was seen before."""
    assert readable_email(f"{local}@{domain}") == validated(f"{local}@{domain}")
