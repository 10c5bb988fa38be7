"""Which callback URLs a label allows. Pure: names are not resolved here (the connection checks what they resolve to).

A strict grammar instead of a general parser: what two parsers could read in two ways is refused.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from gatewayd.core.public_addresses import is_public

LONGEST = 4096  # characters of a URL
_LONGEST_HOST = 253  # characters

_URL = re.compile(
    r"""(?P<scheme>https?)://
        (?P<host>\[[0-9A-Fa-f:.]+\]|(?:NAME\.)*NAME\.?)
        (?::(?P<port>[0-9]{1,5}))?
        (?:/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?
        (?:\?[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]{}|-]*)?
    """.replace("NAME", "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"),
    re.VERBOSE | re.IGNORECASE,
)

_NOT_LISTED = "has a host that is not on the label's list"


@lru_cache(maxsize=1024)
def why_own_refused(url: str, hosts: tuple[str, ...], *, plain_http: bool) -> str:
    """As `why_refused`, for the URL that the label itself names: that lists its host, unless the address is private.

    Remembered: it is asked for each message, of a few labels.
    """
    fault = why_refused(url, hosts, plain_http=plain_http)
    return "" if fault == _NOT_LISTED else fault


def why_refused(url: str, hosts: Sequence[str], *, plain_http: bool) -> str:
    """Why a status may not be called back to `url`, or "" where it may.

    `hosts` are patterns without port, `*` for any characters; any port matches. A private or loopback address needs
    to be listed itself. `plain_http` allows http beside https.
    """
    if len(url) > LONGEST:
        return "is too long"
    match = _URL.fullmatch(url)
    if match is None or len(match["host"]) > _LONGEST_HOST:
        return "is not an http or https URL of host, path and query"
    if match["scheme"].lower() != "https" and not plain_http:
        return "is not https"
    if match["port"] and not 0 < int(match["port"]) < 65536:
        return "has no valid port"
    host = match["host"].lower()
    if _is_listed(host, tuple(hosts)):
        return ""
    if _is_inside(bare_host(host)):
        return "has a private or loopback host, which is not on the label's list by itself"
    return _NOT_LISTED


@lru_cache(maxsize=4096)
def _is_listed(host: str, hosts: tuple[str, ...]) -> bool:
    host = bare_host(host)
    listed = [bare_host(pattern.lower()) for pattern in hosts]
    return host in listed or (not _is_inside(host) and any(_matches(pattern, host) for pattern in listed))


def bare_host(host: str) -> str:
    """A host as it is compared: without brackets and the last dot."""
    return host.strip("[]").removesuffix(".")


def _matches(pattern: str, host: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), host) is not None


def _is_inside(host: str) -> bool:
    """Whether `host` means this machine or a private network, or is a number in a form that only some parsers read."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        return ":" in host or last.isdigit() or last.startswith("0x")
    return not is_public(host)
