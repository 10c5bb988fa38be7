"""How numbers, senders and validity are written in a submit_sm (CONTRACT.md, "SMS"; SMPP 3.4, 5.2.5, 5.2.6, 7.1.1).

Pure. No exception here holds a number or a sender.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from gatewayd.core.errors import PermanentFailure
from gatewayd.core.number_readings import NUMBER, PUNCTUATION
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

LONGEST_VALIDITY = 30 * 86400
SHORTEST_VALIDITY = 60


@lru_cache(maxsize=1024)
def source(
    sender: str, ton_npi: tuple[int, int] | None = None, *, default_alphabet: DefaultAlphabet = "gsm"
) -> Address:
    """The sender: a name TON 5 NPI 0, a short code TON 3 NPI 0, a number TON 1 NPI 1; none at all TON 0 NPI 0.

    `ton_npi` overrides the pair; `default_alphabet` is the SMSC's. Raises PermanentFailure for a name that the SMSC
    has no place for.
    """
    number = sender.translate(PUNCTUATION)
    if not sender:
        ton, npi, address = 0, 0, b""
    elif not NUMBER.fullmatch(number):
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
    return (*(ton_npi or (1, 1)), number.translate(PUNCTUATION).lstrip("+").encode("ascii", "replace"))


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
