"""What every provider's module shares: the request, the frozen event, and how its words are read and cleaned.

Owns the closed vocabulary at this edge. Knows no provider, no storage and no clock: the time comes with the request.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from gatewayd.core import half_pairs
from gatewayd.core.addresses import addresses_in
from gatewayd.core.enhanced_codes import HARD, spares_the_address
from gatewayd.core.redact import redact
from gatewayd.core.status import Event

LATE = 3600.0
"""How far ahead of our clock a provider's may be at most, in seconds: never further than its window goes back."""

DETAIL_LENGTH = 200

MOST_EVENTS = 5000
"""In one request: several times what any provider sends, and read within a fraction of a second."""

Json = dict[str, Any]


class Forged(Exception):
    """The request does not prove that the provider sent it; the text says what was missing, never what was given."""


class Unreadable(Exception):
    """The provider may well have sent it, but it is not in the provider's form."""


class EspRequest(Struct, frozen=True):
    """One POST as it came. Header names are lower case; `body` is byte for byte what was signed.

    `now` is seconds since the epoch. `certificate` is the PEM text that `ses.certificate_url` asked for. `url` is what
    the provider was told to post to.
    """

    headers: Mapping[str, str]
    body: bytes
    now: float
    certificate: bytes = b""
    url: str = ""


class Settings(Struct, frozen=True):
    """The proofs that the operator configured for one provider. Printing it shows none of them."""

    signing_key: str = ""
    public_key: str = ""
    topic_arns: tuple[str, ...] = ()
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return "<Settings>"


class EspEvent(Struct, frozen=True):
    """One thing that a provider says of one message.

    `token` is what stood where our signed token belongs: unchecked, empty where nothing did. `event` is None for what
    settles nothing. `key` tells this event from every other one of the provider's. `hard` marks an address that does
    not exist, `machine` an open that no person made. `detail` holds the provider's words, without addresses. Where
    no token came back, `mail_id` (the mail's Message-ID) or `sender` (its envelope sender) may say which it was. `at`
    is when it happened as the provider has it, in seconds since the epoch; 0 where it does not say.
    """

    token: str
    event: Event | None
    key: str
    detail: str = ""
    hard: bool = False
    machine: bool = False
    mail_id: str = ""
    sender: str = ""
    at: float = 0.0


# core.tokens: 47 digits of base32, alone or in the provider's own form around it; that of a Message-ID is another.
_TOKEN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z2-7]{47}(?![A-Za-z0-9@])")
_LONGEST = 1000
_LONGEST_TIME = 40
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_MOST_NAMES = 100
_MOST_ADDRESSES = 10
_ADDRESSEES = frozenset(
    {"email", "emailaddress", "recipient", "recipients", "rcpt", "rcpt_to", "raw_rcpt_to", "to", "destination"}
)
"""Under which names, in lower case, providers say whom a mail was for."""

_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_NO_DOMAIN = re.compile(r"nxdomain|(?:domain|host)[^.]{0,20} not (?:found|exist)|no such domain", re.IGNORECASE)


def plain(*parts: object, about: Mapping[str, Any] | None = None) -> str:
    """The parts as one short line that may be kept: addresses and long numbers are blotted out.

    `about` is what the provider said beside them; nothing of a recipient's address in it stays in the line.
    """
    text = " ".join(str(part) for part in parts if isinstance(part, str | int) and part != "")
    return redact(text, DETAIL_LENGTH, _addressees(about))


def _addressees(said: object, *, named: bool = False, deep: int = 4) -> list[str]:
    """The recipients' addresses in what a provider said; `named`: it stands under the name of one."""
    if isinstance(said, str):
        return addresses_in(said[:_LONGEST])[:_MOST_ADDRESSES] if named else []
    if not deep or not isinstance(said, Mapping | list):
        return []
    found: list[str] = []
    pairs = said.items() if isinstance(said, Mapping) else (("", one) for one in said)
    for name, value in itertools.islice(pairs, _MOST_NAMES):
        found += _addressees(value, named=(name.lower() in _ADDRESSEES) if name else named, deep=deep - 1)
    return found[:_MOST_ADDRESSES]


def enhanced_code(*texts: object) -> str:
    """The first enhanced status code (RFC 3463) that says more than x.0.0; empty where there is none."""
    for text in texts:
        for found in _ENHANCED.finditer(text if isinstance(text, str) else ""):
            if found[2] != "0" or found[3] != "0":
                return found[0]
    return ""


def is_hard(*texts: object, otherwise: bool) -> bool:
    """Whether the address is at fault, by the enhanced code in `texts`; `otherwise` counts where there is none.

    It is not where the words name another reason; 5.4.4 counts only where they say that the domain is none.
    """
    if any(isinstance(text, str) and spares_the_address(text[:_LONGEST]) for text in texts):
        return False
    code = enhanced_code(*texts)
    if code == "5.4.4":
        return any(isinstance(text, str) and _NO_DOMAIN.search(text) for text in texts)
    return code in HARD if code else otherwise


def decoded(body: bytes) -> Any:
    """The JSON in `body`. Raises Unreadable."""
    try:
        return half_pairs.decoded_anyway(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("the body is not JSON") from None


def batch(body: bytes) -> list[Json]:
    """The events in a body that is a list of objects, or one object alone. Raises Unreadable."""
    data = decoded(body)
    if isinstance(data, dict):
        return [data]
    if not isinstance(data, list):
        raise Unreadable("the body is neither a list nor an object")
    if len(data) > MOST_EVENTS:
        raise Unreadable(f"more than {MOST_EVENTS} events at once")
    return [item for item in data if isinstance(item, dict)]


def table(data: object, *path: str) -> Json:
    """The object at `path`, or an empty one: what a provider leaves out is never a reason to fail."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def text(data: Json, *names: str) -> str:
    """The first of `names` that holds a text or a number, as text; else empty."""
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return ""


def moment(data: Json, name: str) -> float:
    """The time under `name` in seconds since the epoch, of a number of them or of a date with its zone; else 0."""
    said = text(data, name)[:_LONGEST_TIME]
    try:
        if _NUMBER.fullmatch(said):
            return float(said)
        when = datetime.fromisoformat(said)
        return when.timestamp() if when.tzinfo is not None else 0.0
    except (ValueError, OverflowError):
        return 0.0


def first_token(*groups: Iterable[object]) -> str:
    """The first value that has the form of a token of ours; empty where none has."""
    for value in itertools.chain(*groups):
        if isinstance(value, str) and (found := _TOKEN.search(value[:_LONGEST])):
            return found[0]
    return ""


def is_true(value: object) -> bool:
    """Providers write truth as true, 1, "1" and "true"."""
    return value is True or (isinstance(value, str | int) and str(value).lower() in ("1", "true"))


def fingerprint(data: Json) -> str:
    """A name for an event that its provider gave none."""
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()[:32]


def check_age(when: float, now: float, window: float) -> None:
    """Raises Forged for a signature older than `window` seconds, or as far in the future."""
    if not now - window <= when <= now + min(window, LATE):
        raise Forged("the signature's time is outside the window")
