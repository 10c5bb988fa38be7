"""What is a number or an address already is given back without long thought, as thought would find it."""

import errno
import random
from importlib import import_module
from threading import Thread

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
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
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
                found, expected = readable_number(text, ""), thought_about(text)
                if expected is None and country in (52, 54) and found:
                    # Two countries' former spellings, of which the library knows nothing any more.
                    expected = thought_about(found)
                assert found == expected, text


@pytest.mark.parametrize("kind", [phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
def test_real_numbers_of_all_countries_are_their_own(kind: int) -> None:
    """Such as every country has them, whatever region a directory has for numbers without a plus."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is not None:
            text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert readable_number(text, "GB") == thought_about(text) == text


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+5215512345678", "", "+525512345678"),
        ("+52 1 55 1234 5678", "GB", "+525512345678"),
        ("5215512345678", "MX", "+525512345678"),
        ("005215512345678", "MX", "+525512345678"),
        ("1 55 1234 5678", "MX", "+525512345678"),
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("045 55 1234 5678", "MX", "+525512345678"),
        ("01 55 1234 5678", "MX", "+525512345678"),
        ("+525512345678", "", "+525512345678"),
        ("+54 9 11 15 1234 5678", "", "+5491112345678"),
        ("+54 9 291 15 456 7890", "", "+5492914567890"),
        ("+54 11 15 1234 5678", "", "+5491112345678"),
        ("+5491112345678", "", "+5491112345678"),
        ("+541143211234", "", "+541143211234"),
        ("+551187654321", "", "+551187654321"),
        ("+5511987654321", "", "+5511987654321"),
    ],
)
def test_a_mobile_number_in_a_former_spelling_is_the_number_of_today(text: str, region: str, number: str) -> None:
    """Mexico's 1, 01, 044 and 045 are gone, and Argentina's 9 and 15 are one; what can be read stays as it is."""
    assert readable_number(text, region) == number


@pytest.mark.parametrize(
    "text", ["+52155123456", "+52155123456789", "+5210512345678", "+5491115123456789", "+549111123456789"]
)
def test_what_is_no_number_in_any_spelling_stays_unreadable(text: str) -> None:
    """Too short, too long, or nobody's."""
    assert readable_number(text, "") is None


@pytest.mark.parametrize(
    ("text", "region"),
    [("12345", "GB"), ("+4412345", ""), ("555-0123", "US"), ("+15550123", ""), ("2125550", "US"), ("5512 3456", "MX")],
)
def test_what_is_only_dialled_within_a_town_is_no_number(text: str, region: str) -> None:
    """Without its area code nobody outside can reach it, and an SMS to it is paid for."""
    assert readable_number(text, region) is None


@pytest.mark.parametrize("text", ["-447700900123", "-7700900123", " -7700900123", "\u22127700900123"])
def test_a_number_below_zero_is_none(text: str) -> None:
    """As a signed column gives what was too large for it: the digits behind the sign are not what was stored."""
    assert readable_number(text, "GB") is None


@pytest.mark.parametrize("text", ["4915112345678.0", "+4915112345678.00", "015112345678.0", "4915112345678,0"])
def test_a_number_that_was_written_as_a_fraction_is_itself(text: str) -> None:
    """As table sheets export it: the zero behind the point would make it somebody else's."""
    assert readable_number(text, "DE") == "+4915112345678"


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_mobile_number_without_its_plus_is_itself(region: str) -> None:
    """As columns of numbers have it: in its own country a landline of that spelling would begin with a zero."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if example is not None:
        text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert readable_number(text[1:], region) == text


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("491701234567", "DE", "+491701234567"),
        ("49 (151) 2345-6789", "DE", "+4915123456789"),
        ("04915 123456", "DE", "+494915123456"),
        ("030 123456", "DE", "+4930123456"),
        ("4930123456", "DE", "+4930123456"),
        ("62812345678", "ID", "+62812345678"),
    ],
)
def test_digits_that_begin_as_their_country_does(text: str, region: str, number: str) -> None:
    """A zero before them says that they are national."""
    assert readable_number(text, region) == number


@pytest.mark.parametrize("text", ["+49151O2345678", "+49 151 1234567O", "0151 l2345678", "01511234l5678"])
def test_letters_in_the_place_of_digits_make_no_other_number(text: str) -> None:
    """Left out, what remains is somebody else's."""
    assert readable_number(text, "DE") is None


@pytest.mark.parametrize("text", ["+49 151 1234567 m", "tel:+491511234567", "M0151 1234567", "+49.151.1234567"])
def test_what_stands_around_a_number_does_not_hide_it(text: str) -> None:
    """A word before or behind it, and whatever stands between its groups."""
    assert readable_number(text, "DE") == "+491511234567"


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


def test_a_numbering_plan_that_could_not_be_read_is_read_with_the_next_number() -> None:
    """The library opens a file for each country: where none can be opened, it must not stand still from then on."""

    def fails(code: str) -> None:
        raise OSError(errno.EMFILE, code)

    def reads(code: str) -> None:
        import_module(f"phonenumbers.data.region_{code}")

    found: list[str | None] = [readable_number("044 668 18 00", "CH")]
    phonenumbers.PhoneMetadata.register_region_loader("FO", fails)
    try:
        with pytest.raises(OSError, match="FO"):
            readable_number("211234", "FO")
    finally:
        phonenumbers.PhoneMetadata.register_region_loader("FO", reads)
    again = Thread(target=lambda: found.append(readable_number("211234", "FO")), daemon=True)
    again.start()
    again.join(30)
    assert found == ["+41446681800", "+298211234"]
