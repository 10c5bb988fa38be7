"""The kinds of values in gatewayd.toml: times, rates, networks, secrets, each with its own check.

A wrong value is a ValueError whose text goes on behind the key's path; config/__init__.py puts the two together.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna
from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from gatewayd.config.pem import signing_key
from gatewayd.config.quiet import QuietHours

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LONGEST = 3653 * 86400.0
"""Seconds of the longest time in the file: what is reckoned in days or milliseconds stays within reach."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PER = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class Secret:
    """A value that prints as stars; `reveal` gives the text. `path` is the file that it was read from."""

    __slots__ = ("_path", "_text")

    def __init__(self, text: str, path: Path | None = None) -> None:
        self._text = text
        self._path = path

    def again(self) -> "Secret":
        """As its file has it now; as it is, where it stands in none, or that one can't be read."""
        if self._path is None:
            return self
        try:
            return _secret_file(self._path)
        except ValueError:
            return self

    def reveal(self) -> str:
        """The secret itself: for the wire and for comparisons only."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "<secret>"


def duration(value: object) -> float:
    """`value` in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a time such as "30s", "4h" or "7d"')
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST:
        raise ValueError("is longer than ten years (3653d)")
    return seconds


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than zero")
    return value


def _rate(value: object) -> float:
    if value == "":
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(s|m|min|h)", value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError('is not a rate such as "100/s" (or "" for no limit)')
    return float(match[1]) / _PER[match[2]]


_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Quota(Struct, frozen=True):
    """So many in so many seconds, as "6000/m"; `text` is how it was written."""

    count: float
    seconds: float
    text: str = ""

    def __str__(self) -> str:
        return self.text


def _quota(value: object) -> Quota | None:
    if value is None or isinstance(value, Quota):
        return value
    if not _rate(value):
        return None
    count, _, unit = str(value).partition("/")
    return Quota(float(count), _PER[unit], str(value))


def _quiet_hours(value: object) -> QuietHours | None:
    if value is None or isinstance(value, QuietHours):
        return value
    if value == "":
        return None
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(1, 2) == match.group(3, 4):
        raise ValueError('is not a span of hours such as "22:00-08:00" (or "" for none)')
    return QuietHours(int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4]))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError('is not the name of a time zone such as "Europe/London"') from None
    return value


def _network(value: object) -> Network:
    if isinstance(value, str):
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(f"is not an IPv4 or IPv6 network: {error}") from None
    raise ValueError("is not an IPv4 or IPv6 network")


def secret(value: object, info: ValidationInfo) -> Secret:
    """`value` as a secret: the text itself, or what file:, credential: or env: (the context's `environ`) points to."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError('is not a secret: a string, "file:/path", "credential:name" or "env:NAME"')
    environ: Mapping[str, str] = (info.context or {}).get("environ", {})
    kind, _, rest = value.partition(":")
    if kind == "env":
        if rest not in environ:
            raise ValueError(f"environment variable {rest} is not set")
        return Secret(environ[rest])
    if kind == "credential":
        directory = environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ValueError("credential: needs systemd's $CREDENTIALS_DIRECTORY, which is not set")
        return _secret_file(Path(directory) / rest)
    return _secret_file(Path(rest)) if kind == "file" else Secret(value)


def _secret_file(path: Path) -> Secret:
    try:
        return Secret(path.read_text("utf-8").removesuffix("\n").removesuffix("\r"), path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ValueError(f"cannot read secret file {path}: {reason}") from None


def _revealed(value: object, info: ValidationInfo) -> object:
    return secret(value, info).reveal() if isinstance(value, str) else value


def _full_secret(value: Secret) -> Secret:
    if not value:
        raise ValueError("the secret is empty")
    return value


def _long_secret(value: Secret) -> Secret:
    if len(value.reveal().encode()) < 32:
        raise ValueError("must have at least 32 bytes")
    return value


def _smpp_text(value: str) -> str:
    """What can stand in a C-string of SMPP."""
    if not all("\0" < char <= "\xff" for char in value):
        raise ValueError("has a character that SMPP has no place for")
    return value


def _smpp_password(value: Secret) -> Secret:
    if len(_smpp_text(value.reveal())) > 128:
        raise ValueError("must have at most 128 characters")
    return value


def header_name(value: str) -> str:
    """`value`, where it is the name of a header that we don't write ourselves. Raises ValueError."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", value):
        raise ValueError("is not the name of a header")
    if value.lower() in ("host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade"):
        raise ValueError("is a header that gatewayd writes itself")
    return value


def _signing_key(value: Secret) -> Secret:
    signing_key(value.reveal())
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|localhost", value):
        raise ValueError("is not a domain name")
    return value.lower()


def _host_name(value: str) -> str:
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValueError("is not a host name")
    return value.lower()


def _helo(value: str) -> str:
    """A domain or an address literal (RFC 5321 4.1.3), as EHLO takes them."""
    if value and not re.fullmatch(
        r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[(?:\d{1,3}(\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]+)\]", value
    ):
        raise ValueError("is neither a host name nor an address in square brackets")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?", value):
        raise ValueError("is not an http or https URL")
    return value


def _if_any(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: check(value) if value else value


def _sms_sender(value: str) -> str:
    if value and not re.fullmatch(r"\+?[0-9]{3,15}|[^+\s][^\x00-\x1f\x7f-\x9f]{0,10}", value):
        raise ValueError("is neither a number nor a name of at most 11 characters")
    return value


_OWN_FIELD = re.compile(
    r"from|reply-to|to|subject|date|message-id|x-gw-id|mime-version|content-.*|dkim-signature|list-unsubscribe(-post)?"
    r"|return-path|received|sender|b?cc|resent-.*|cfbl-.*|x-auto-response-suppress|x-ses-message-tags|x-smtpapi"
    r"|x-mailgun-variables|x-pm-metadata-gw|x-mj-customid|x-msys-api",
    re.IGNORECASE,
)


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,60}", value):
        raise ValueError("is not the name of a header field")
    if _OWN_FIELD.fullmatch(value):
        raise ValueError("is a header field that gatewayd writes itself, or none of the sender's")
    return value


def _header_text(value: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]{0,898}[\x21-\x7e])?", value):
        raise ValueError("is not one line of 1 to 900 ASCII characters")
    return value


def _host(value: str) -> str:
    """An IPv6 address stands in brackets only where a port may follow."""
    value = value[1:-1] if value[0] == "[" and value[-1] == "]" else value
    _check_host(value)
    return value


def _check_host(value: str) -> None:
    """What Twisted can't look up (RFC 5891; an underscore, too) would be a ValueError at each try to connect."""
    if ":" in value:
        ipaddress.IPv6Address(value.partition("%")[0])
        return
    try:
        idna.encode(value)
    except idna.IDNAError:
        raise ValueError("is neither an address nor a name that can be looked up") from None


def _host_and_port(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?", value)
    if match is None or not 1 <= int(match[2] or 1) <= 65535:
        raise ValueError('is not a host, or a host and a port: "smsc.example.com:2775", "[2001:db8::1]:2775"')
    _check_host(match[1].strip("[]"))
    return value


def _ton_npi(value: object) -> tuple[int, int] | None:
    if value == "":
        return None
    match = re.fullmatch(r"(\d{1,3})\s*,\s*(\d{1,3})", value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 255 or int(match[2]) > 255:
        raise ValueError('is not a pair of TON and NPI such as "5,1"')
    return int(match[1]), int(match[2])


_OWN_TLVS = {
    0x0424: "message_payload",
    0x020C: "sar_msg_ref_num",
    0x020E: "sar_total_segments",
    0x020F: "sar_segment_seqnum",
}
LONGEST_TLV = 255


def _tlvs(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {"0x1400" = "1101234567"}')
    found = {}
    for tag, text in value.items():
        match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,4})|([0-9]{1,5})", str(tag))
        number = (int(match[1], 16) if match[1] else int(match[2])) if match else 0
        if not 0 < number <= 0xFFFF:
            raise ValueError(f'{tag} is not the tag of an optional parameter such as "0x1400"')
        if number in _OWN_TLVS:
            raise ValueError(f"{tag} is {_OWN_TLVS[number]}, which gatewayd writes itself")
        if number in found:
            raise ValueError(f"{tag} is there twice")
        found[number] = _tlv_octets(tag, text)
    return tuple(found.items())


def _tlv_octets(tag: object, text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f'{tag}: is neither a text nor octets such as "hex:0a0b"')
    try:
        octets = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode("latin-1")
    except (ValueError, UnicodeEncodeError):
        what = "hexadecimal" if text.startswith("hex:") else "Latin-1"
        raise ValueError(f"{tag}: is not {what}") from None
    if len(octets) > LONGEST_TLV:
        raise ValueError(f"{tag}: has more than {LONGEST_TLV} octets")
    return octets


def _statuses(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {"0x400" = "rejected"}')
    found = {}
    for code, meaning in value.items():
        match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,8})|([0-9]{1,9})", str(code))
        status = (int(match[1], 16) if match[1] else int(match[2])) if match else 0
        if not status:
            raise ValueError(f'{code} is not a command_status such as "0x400" or "1024"')
        found[status] = meaning
    return found


def _pin(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError('is not a SHA-256 fingerprint, as "openssl x509 -noout -fingerprint -sha256" prints it')
    return digits


Duration = Annotated[float, BeforeValidator(duration), AfterValidator(_positive)]
Rate = Annotated[float, BeforeValidator(_rate)]
QuotaOrNone = Annotated[Quota | None, BeforeValidator(_quota)]
QuietHoursOrNone = Annotated[QuietHours | None, BeforeValidator(_quiet_hours)]
Zone = Annotated[str, AfterValidator(_zone)]
Net = Annotated[Network, BeforeValidator(_network)]
SecretText = Annotated[Secret, BeforeValidator(secret)]
RevealedSecret = Annotated[Any, BeforeValidator(_revealed)]
"""An argument of somebody else's code: a text is taken as a secret and given plain, all else is left as it is."""
FullSecret = Annotated[Secret, BeforeValidator(secret), AfterValidator(_full_secret)]
SigningKey = Annotated[Secret, BeforeValidator(secret), AfterValidator(_full_secret), AfterValidator(_signing_key)]
SecretKey = Annotated[Secret, BeforeValidator(secret), AfterValidator(_long_secret)]
SystemId = Annotated[str, Field(min_length=1, max_length=15), AfterValidator(_smpp_text)]
SystemType = Annotated[str, Field(max_length=12), AfterValidator(_smpp_text)]
ServiceType = Annotated[str, Field(max_length=5), AfterValidator(_smpp_text)]
AddressRange = Annotated[str, Field(max_length=40), AfterValidator(_smpp_text)]
Tlvs = Annotated[tuple[tuple[int, bytes], ...], BeforeValidator(_tlvs)]
"""Optional parameters by their tags."""
Region = Annotated[str, Field(pattern=r"^([A-Z]{2})?$")]
"""ISO 3166: GB; or none."""
SmppPassword = Annotated[Secret, BeforeValidator(secret), AfterValidator(_smpp_password)]
Domain = Annotated[str, AfterValidator(_domain)]
Helo = Annotated[str, AfterValidator(_helo)]
HostName = Annotated[str, AfterValidator(_host_name)]
DomainOrNone = Annotated[str, AfterValidator(_if_any(_domain))]
Url = Annotated[str, AfterValidator(_url)]
UrlOrNone = Annotated[str, AfterValidator(_if_any(_url))]
TonNpi = Annotated[tuple[int, int] | None, BeforeValidator(_ton_npi)]
SmsSender = Annotated[str, AfterValidator(_sms_sender)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host_and_port)], ...], Strict(False)]
Octet = Annotated[int, Field(ge=0, le=255)]
Count = Annotated[int, Field(ge=1)]
Strings = Annotated[tuple[Text, ...], Strict(False)]
Pins = Annotated[tuple[Annotated[str, AfterValidator(_pin)], ...], Strict(False)]
"""SHA-256 fingerprints of certificates, 64 hexadecimal digits each."""
HeaderFields = dict[Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_text)]]
"""Further header fields of a mail, each on one line."""
SubmitStatuses = Annotated[dict[int, Literal["retry", "rejected", "throttled"]], BeforeValidator(_statuses)]
