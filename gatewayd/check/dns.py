"""What the DNS says about the domains that mail is sent under: SPF, DMARC, MX and DKIM.

Nothing here fails the check: mail goes out all the same, and where no resolver answers nothing can be known. A
missing record is a warning to the person who can publish it.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from ipaddress import ip_address
from typing import Any, Concatenate, ParamSpec

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from publicsuffixlist import PublicSuffixList
from twisted.internet.defer import CancelledError
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DomainError

from gatewayd import config
from gatewayd.check.finding import OK, SKIP, WARN, Finding
from gatewayd.config.pem import signing_key

Lookup = Callable[[str, str], Awaitable[list[str]]]
"""The records of one name and type (TXT, MX, A, AAAA, PTR), as texts; none: empty. Raises CannotLookUp."""

Question = Callable[[Lookup], Awaitable[list[Finding]]]
P = ParamSpec("P")

_POLICIES = frozenset({"none", "quarantine", "reject"})


class CannotLookUp(Exception):
    """No resolver answered; the text says how that went."""


class Resolver:
    """Asks the resolvers of this machine; each question may take some seconds."""

    def __init__(self, reactor: Any, *, servers: list[tuple[str, int]] | None = None) -> None:
        resolv = None if servers else "/etc/resolv.conf"
        self._resolver: Any = client.Resolver(resolv, servers, timeout=(1, 2, 2), reactor=reactor)

    async def __call__(self, name: str, kind: str) -> list[str]:
        """See Lookup."""
        ask: Any = {
            "TXT": self._resolver.lookupText,
            "MX": self._resolver.lookupMailExchange,
            "A": self._resolver.lookupAddress,
            "AAAA": self._resolver.lookupIPV6Address,
            "PTR": self._resolver.lookupPointer,
        }[kind]
        try:
            answers, _, _ = await ask(name)
        except CancelledError:
            raise
        except DNSNameError:
            return []
        except DomainError as error:
            raise CannotLookUp(type(error).__name__.removeprefix("DNS")) from None
        except Exception as error:
            raise CannotLookUp(type(error).__name__) from None
        return [text for record in answers if (text := _text(record.payload))]


def _text(payload: Any) -> str:
    if isinstance(payload, dns.Record_TXT):
        return b"".join(payload.data).decode("utf-8", "replace")
    if isinstance(payload, dns.Record_MX):
        return str(payload.name)
    if isinstance(payload, dns.Record_PTR):
        return str(payload.name)
    if isinstance(payload, dns.Record_A):
        return str(payload.dottedQuad())
    if isinstance(payload, dns.Record_AAAA):
        return str(ip_address(payload.address))
    return ""


def sender_domains(*labels: config.Label) -> list[str]:
    """The domains that these labels send email as, each once; none of a pattern for many of them."""
    patterns = (pattern for label in labels if label.relays for pattern in label.email_senders)
    domains = (pattern.rpartition("@")[2].strip("<> ").lower() for pattern in patterns)
    return [name for name in dict.fromkeys(domains) if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name)]


def asked_of(
    look: Callable[Concatenate[Lookup, P], Awaitable[list[Finding]]], *args: P.args, **kwargs: P.kwargs
) -> Question:
    """`look(lookup, *args, **kwargs)`, once there is a lookup."""
    return lambda lookup: look(lookup, *args, **kwargs)


def questions(config_: config.Config) -> Iterator[Question]:
    """Each thing to find out; all can be asked at once."""
    returning = config_.return_domains
    for domain in sender_domains(*config_.labels.values()):
        yield asked_of(dmarc, domain)
        if not returning:
            yield asked_of(spf, domain)
            yield asked_of(mx, domain, "bounces and answers")
    for domain in sorted(returning):
        yield asked_of(spf, domain)
        yield asked_of(mx, domain, "bounces")
    keys = {(one.domain, one.selector): one for label in config_.labels.values() for one in label.dkim_keys}
    for key in keys.values():
        yield asked_of(dkim, key)


def _guarded(
    look: Callable[..., Awaitable[list[Finding]]],
) -> Callable[..., Awaitable[list[Finding]]]:
    async def guarded(lookup: Lookup, *args: Any) -> list[Finding]:
        try:
            return await look(lookup, *args)
        except CannotLookUp as error:
            subject = args[0] if isinstance(args[0], str) else args[0].domain
            what = f"dns {look.__name__.upper()} {subject}"
            return [Finding(SKIP, what, f"could not look up: no resolver answered ({error})")]

    return guarded


@_guarded
async def spf(lookup: Lookup, domain: str) -> list[Finding]:
    """RFC 7208: exactly one record that begins with v=spf1."""
    what = f"dns SPF {domain}"
    records = [text for text in await lookup(domain, "TXT") if re.match(r"v=spf1( |$)", text, re.IGNORECASE)]
    if not records:
        return [Finding(WARN, what, "no SPF record: receivers can't tell that the relays may send for it")]
    if len(records) > 1:
        return [Finding(WARN, what, f"{len(records)} SPF records, which counts as a permanent error (RFC 7208 4.5)")]
    if re.search(r"\+all\b|\sall\b", records[0], re.IGNORECASE):
        return [Finding(WARN, what, f"lets everybody send: {records[0]}")]
    return [Finding(OK, what, records[0])]


@_guarded
async def dmarc(lookup: Lookup, domain: str) -> list[Finding]:
    """RFC 7489 6.6.3: a record at the domain or at its organisation's."""
    what = f"dns DMARC {domain}"
    name, records = await _dmarc_records(lookup, domain)
    where = "" if name == domain else f"from {name}: "
    if not records:
        return [Finding(WARN, what, "no DMARC record: the large mailbox providers ask bulk senders for one")]
    if len(records) > 1:
        return [Finding(WARN, what, f"{where}{len(records)} DMARC records, of which none counts (RFC 7489 6.6.3)")]
    if tag(records[0], "p").lower() not in _POLICIES:
        return [Finding(WARN, what, f"{where}has no p= of none, quarantine or reject: {records[0]}")]
    return [Finding(OK, what, f"{where}{records[0]}")]


async def dmarc_record(lookup: Lookup, domain: str) -> tuple[str, str]:
    """The record that counts for a domain, and at which one it stands; "" for none."""
    name, records = await _dmarc_records(lookup, domain)
    return name, records[0] if len(records) == 1 else ""


async def _dmarc_records(lookup: Lookup, domain: str) -> tuple[str, list[str]]:
    for name in dict.fromkeys((domain, organisation(domain))):
        texts = await lookup(f"_dmarc.{name}", "TXT")
        if records := [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]:
            return name, records
    return domain, []


def tag(record: str, name: str) -> str:
    """The value of a tag in a list of them (RFC 6376 3.2); "" for none."""
    found = re.search(rf"(?:^|;)\s*{name}\s*=\s*([^;]*)", record, re.IGNORECASE)
    return found[1].strip() if found else ""


def organisation(domain: str) -> str:
    """The organisation's domain by the Public Suffix List (RFC 7489 3.2): one label more than what anyone may buy."""
    name = domain.lower().rstrip(".")
    return _public_suffixes().privatesuffix(name) or name


@cache
def _public_suffixes() -> PublicSuffixList:
    """The list that the package carries: nothing is fetched. Read when it is first needed, for it is long."""
    return PublicSuffixList()


@_guarded
async def mx(lookup: Lookup, domain: str, what_for: str) -> list[Finding]:
    """RFC 5321 5.1: an MX, or else an address."""
    what = f"dns MX {domain}"
    records = await lookup(domain, "MX")
    if records == [""] or records == ["."]:
        return [Finding(WARN, what, f"says that it takes no mail (RFC 7505): {what_for} can't come back")]
    if records:
        return [Finding(OK, what, ", ".join(sorted(records)))]
    if await lookup(domain, "A") or await lookup(domain, "AAAA"):
        return [Finding(OK, what, "no MX, but an address, which counts as one")]
    return [Finding(WARN, what, f"no MX and no address: {what_for} can't come back")]


@_guarded
async def dkim(lookup: Lookup, key: config.Dkim) -> list[Finding]:
    """RFC 6376 3.6.2: the selector's record holds the public half of the configured key."""
    name = f"{key.selector}._domainkey.{key.domain}"
    what = f"dns DKIM {name}"
    published = [match[1] for text in await lookup(name, "TXT") if (match := re.search(r"\bp=([^;]*)", text))]
    if not published:
        return [Finding(WARN, what, f"no record. Publish a TXT: {record_of(key)}")]
    if any(re.sub(r"\s", "", one) == _public_half(key)[1] for one in published):
        return [Finding(OK, what, "is the public half of the configured key")]
    return [Finding(WARN, what, f"is another key: signatures will fail. It should be: {record_of(key)}")]


def record_of(key: config.Dkim) -> str:
    """The TXT record that belongs to a private key."""
    kind, public = _public_half(key)
    return f"v=DKIM1; k={kind}; p={public}"


def _public_half(key: config.Dkim) -> tuple[str, str]:
    private = signing_key(key.private_key.reveal())
    public = private.public_key()
    if isinstance(private, Ed25519PrivateKey):
        return "ed25519", base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "rsa", base64.b64encode(der).decode()
