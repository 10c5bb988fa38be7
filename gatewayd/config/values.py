"""The kinds of values in gatewayd.toml that several tables have: names, hosts, URLs, header fields.

A wrong value is a ValueError whose text goes on behind the key's path; config/__init__.py puts the two together.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

import idna
from pydantic import AfterValidator, BeforeValidator, Field, Strict

from gatewayd.config.host_names import ascii_host, ascii_pattern, ascii_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST_NAME = r"(?!-)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"


def _network(value: object) -> Network:
    if isinstance(value, str):
        try:
            return ipaddress.ip_network(value)
        except ValueError as error:
            why = repr(value) if "does not appear to be" in str(error) else str(error)
            raise ValueError(f"is not an IPv4 or IPv6 network: {why}") from None
    raise ValueError("is not an IPv4 or IPv6 network")


def header_name(value: str) -> str:
    """`value`, where it is the name of a header that we don't write ourselves. Raises ValueError."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", value):
        raise ValueError("is not the name of a header")
    if value.lower() in ("host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade"):
        raise ValueError("is a header that gatewayd writes itself")
    return value


def _domain(value: str) -> str:
    value = ascii_host(value)
    if not re.fullmatch(r"(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|localhost", value):
        raise ValueError("is not a domain name")
    if len(value) > 253 or re.search(r"[^.]{64}", value):
        raise ValueError("is not a domain name: at most 63 characters between two dots, and 253 in all (RFC 1035)")
    return value.lower()


def _host_name(value: str) -> str:
    value = ascii_host(value)
    if not re.fullmatch(_HOST_NAME, value):
        raise ValueError("is not a host name")
    return value.lower()


def _helo(value: str) -> str:
    """A domain or an address literal (RFC 5321 4.1.3), as EHLO takes them."""
    if value and not re.fullmatch(rf"{_HOST_NAME}|\[(?:\d{{1,3}}(\.\d{{1,3}}){{3}}|IPv6:[0-9A-Fa-f:.]+)\]", value):
        raise ValueError("is neither a host name nor an address in square brackets")
    return value


_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+(?:%[^\s/?#@\[\]]+)?\]|[^\s/?#@:\[\]\\]+)(?::([0-9]*))?(?:[/?][^\s#]*)?")


def http_url(value: str) -> str:
    """`value`, an http or https URL, with its host in A-labels. Raises ValueError."""
    value = ascii_url(value)
    parts = _URL.fullmatch(value)
    if parts is None or (parts[1][0] == "[" and not _is_ipv6(parts[1][1:-1])):
        raise ValueError("is not an http or https URL")
    if parts[2] and not 0 < int(parts[2]) < 65536:
        raise ValueError(f"has no port {parts[2]}: 1 to 65535")
    return value


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _if_any(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: check(value) if value else value


_SMS_SENDER = re.compile(r"\+?[0-9]{3,15}|(?![+\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,11}")


def why_no_sms_sender(text: str) -> str:
    """Why `text` can be nobody's sender, to stand behind the name of its field or key; "" for a number or a name."""
    return "" if _SMS_SENDER.fullmatch(text) else "is neither a number nor a name of at most 11 characters"


def _sms_sender(value: str) -> str:
    if value and (fault := why_no_sms_sender(value)):
        raise ValueError(fault)
    return value


def _sms_senders(value: str) -> str:
    """One that requests may name; a pattern is not looked into."""
    return value if "*" in value else _sms_sender(value)


def _email_senders(value: str) -> str:
    """Compared with bare addresses: without a name, with a local part, and no dot behind the domain."""
    if "@" not in value and "*" not in value:
        raise ValueError(f'is no address and no pattern of one, such as "*@{value}"')
    if re.search(r"[\s<>,]|^@|@.*@|[@.]$", value):
        raise ValueError('is no bare address and no pattern of one, such as "*@amazing.co"')
    return value


_BASE_URL = re.compile(r"https?://[^/?]+(?:/(?:[A-Za-z0-9._~:@!$&'()*+,;=/-]|%[0-9A-Fa-f]{2})*)?")


def _base_url(value: str) -> str:
    """What links begin with: a path and a token stand behind it, in header fields and in HTML."""
    if not _BASE_URL.fullmatch(value):
        raise ValueError("has a query, or a path with what must be percent-encoded: links go on behind it")
    return value


def shaped(pattern: str, what: str) -> AfterValidator:
    """Refuses a text that does not match all of `pattern`, in the words of `what` is wrong then."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


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
    value = ascii_host(value[1:-1] if value[0] == "[" and value[-1] == "]" else value)
    _check_host(value)
    return value


def _callback_host(value: str) -> str:
    """A pattern that the host of some callback_url can match; with a scheme, a port or a path it would match none."""
    value = ascii_pattern(value)
    bare = value[1:-1] if value[0] == "[" and value[-1] == "]" else value
    if re.fullmatch(r"[A-Za-z0-9*-]+(?:\.[A-Za-z0-9*-]+)*\.?", bare):
        return value
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        raise ValueError(
            'is no host, and no pattern of hosts such as "*.smartico.ai", without scheme, port and path'
        ) from None
    return value


def _check_host(value: str) -> None:
    """What Twisted can't look up (RFC 5891; an underscore, too) would be a ValueError at each try to connect."""
    if ":" in value:
        try:
            ipaddress.IPv6Address(value.partition("%")[0])
        except ValueError:
            # Python's words repeat what was read, which may be a whole URL with its password.
            raise ValueError(
                "is no IPv6 address; a port has its own key, and of a URL the host alone is meant"
            ) from None
        return
    try:
        idna.encode(value)
    except idna.IDNAError:
        raise ValueError("is neither an address nor a name that can be looked up") from None


def check_host_of(url: str) -> str:
    """`url`, where its host can be looked up (a name with an underscore can't); ValueError. What is no URL passes."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if host:
        try:
            _check_host(host)
        except ValueError:
            raise ValueError("has a host that is neither an address nor a name that can be looked up") from None
    return url


_MEANT = {"UK": "GB"}
"""What people write for a country whose code is another."""


def is_region(text: str) -> bool:
    """Whether numbers without a country code can be read as this country's."""
    # Only a file that names one waits for this import.
    from phonenumbers import SUPPORTED_REGIONS

    return text in SUPPORTED_REGIONS


def _region(text: str) -> str:
    if not text or is_region(text):
        return text
    capitals = text.strip().upper()
    meant = _MEANT.get(capitals, capitals)
    hint = f" (did you mean {meant}?)" if is_region(meant) else ""
    raise ValueError(f"is no country's code by ISO 3166, such as GB{hint}")


def _host_and_port(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[^\s:\[\]]+)(?::([0-9]{1,5}))?", value)
    if match is None or not 1 <= int(match[2] or 1) <= 65535:
        raise ValueError('is not a host, or a host and a port: "smsc.example.com:2775", "[2001:db8::1]:2775"')
    host = ascii_host(match[1])
    _check_host(host.strip("[]"))
    return host + value[match.end(1) :]


def _pin(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError('is not a SHA-256 fingerprint, as "openssl x509 -noout -fingerprint -sha256" prints it')
    return digits


Net = Annotated[Network, BeforeValidator(_network)]
Domain = Annotated[str, AfterValidator(_domain)]
Helo = Annotated[str, AfterValidator(_helo)]
HostName = Annotated[str, AfterValidator(_host_name)]
DomainOrNone = Annotated[str, AfterValidator(_if_any(_domain))]
BaseUrl = Annotated[str, AfterValidator(http_url), AfterValidator(_base_url)]
ReachedUrl = Annotated[str, AfterValidator(http_url), AfterValidator(check_host_of)]
ReachedUrlOrNone = Annotated[str, AfterValidator(_if_any(http_url)), AfterValidator(check_host_of)]
"""Where we connect to ourselves."""
SmsSender = Annotated[str, AfterValidator(_sms_sender)]
EmailSenders = Annotated[tuple[Annotated[str, Field(min_length=1), AfterValidator(_email_senders)], ...], Strict(False)]
SmsSenders = Annotated[tuple[Annotated[str, Field(min_length=1), AfterValidator(_sms_senders)], ...], Strict(False)]
Region = Annotated[str, AfterValidator(_region)]
"""A country's code by ISO 3166, as GB, by which numbers without one are read; or none."""
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
CallbackHosts = Annotated[tuple[Annotated[Text, AfterValidator(_callback_host)], ...], Strict(False)]
HostPatterns = Annotated[tuple[Annotated[str, Field(min_length=1), AfterValidator(ascii_pattern)], ...], Strict(False)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host_and_port)], ...], Strict(False)]
Octet = Annotated[int, Field(ge=0, le=255)]
Count = Annotated[int, Field(ge=1)]
Strings = Annotated[tuple[Text, ...], Strict(False)]
Pins = Annotated[tuple[Annotated[str, AfterValidator(_pin)], ...], Strict(False)]
"""SHA-256 fingerprints of certificates, 64 hexadecimal digits each."""
HeaderFields = dict[Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_text)]]
"""Further header fields of a mail, each on one line."""
