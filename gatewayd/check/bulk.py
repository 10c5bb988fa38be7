"""What Gmail and Yahoo (2024) and Microsoft (2025) ask of bulk senders, as far as the DNS and our file say it.

DMARC alignment of each From domain with the return path (SPF) and with the DKIM key, the way back from our address to
our name, and a BIMI record's form. Nothing here fails the check; each line says what the rule wants.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address

from gatewayd import config
from gatewayd.check.dns import (
    CannotLookUp,
    Lookup,
    Question,
    asked_of,
    dmarc_record,
    organisation,
    sender_domains,
    tag,
)
from gatewayd.check.finding import OK, SKIP, WARN, Finding


def questions(config_: config.Config) -> Iterator[Question]:
    """Each thing to find out; all can be asked at once."""
    for name, label in config_.labels.items():
        for domain in sender_domains(label):
            yield asked_of(alignment, config_, name, domain)
            yield asked_of(bimi, domain)
    for name, relay in config_.relays.items():
        if relay.helo and not relay.provider:
            yield asked_of(way_back, name, relay.helo)


def unsubscribing(config_: config.Config) -> list[Finding]:
    """One-click unsubscribe (RFC 8058), which the rule wants in marketing mail."""
    found = []
    for name, label in config_.labels.items():
        if not label.one_click_unsubscribe:
            text = "one_click_unsubscribe is off: Gmail and Yahoo want it in marketing mail"
        elif config_.public and not config_.public.base_url.startswith("https://"):
            text = (
                "one_click_unsubscribe, and base_url in [public] is not https: no List-Unsubscribe-Post is written"
                " (RFC 8058 3.1), which Gmail and Yahoo want in marketing mail"
            )
        else:
            continue
        if label.relays:
            found.append(Finding(WARN, f"label {name}", text))
    return found


async def alignment(lookup: Lookup, config_: config.Config, name: str, domain: str) -> list[Finding]:
    """RFC 7489 3.1: the return path or a DKIM key is of From's own domain, or DMARC fails whatever SPF says."""
    what = f"dns alignment {domain} ({name})"
    label = config_.labels[name]
    try:
        _, record = await dmarc_record(lookup, domain)
    except CannotLookUp as error:
        return [Finding(SKIP, what, f"could not look up: no resolver answered ({error})")]
    bounces = label.bounce_domain or (config_.bounces.domain if config_.bounces else domain)
    by_spf = aligned(domain, bounces, strict=tag(record, "aspf").lower() == "s")
    keys = [key.domain for key in label.dkim_keys]
    by_dkim = any(aligned(domain, key, strict=tag(record, "adkim").lower() == "s") for key in keys)
    signs = f"DKIM d={', '.join(keys)}" if keys else "no DKIM key of ours (its relay may sign)"
    if by_spf and by_dkim:
        return [
            Finding(OK, what, f"return path {bounces} and {signs} are both of From's domain: DMARC passes by either")
        ]
    if by_spf or by_dkim:
        # A forwarder breaks SPF: without an aligned signature forwarded mail fails.
        other = f"{signs} is not" if by_spf else f"return path {bounces} is not"
        good = f"return path {bounces}" if by_spf else signs
        word = OK if by_dkim else WARN
        return [
            Finding(word, what, f"aligned by {good} alone ({other}); the rule wants one, forwarded mail needs DKIM")
        ]
    or_key = f"{signs} is" if keys else "a DKIM key of ours (there is none) is"
    wanted = f"neither return path {bounces} nor {or_key} of From's domain: DMARC fails, and bulk mail is refused"
    return [
        Finding(WARN, what, f"{wanted}, unless the relay signs as {organisation(domain)} (Gmail, Yahoo, Microsoft)")
    ]


async def bimi(lookup: Lookup, domain: str) -> list[Finding]:
    """A BIMI record, where there is one: its form, and the DMARC policy that it needs. None is no fault."""
    what = f"dns BIMI {domain}"
    try:
        records = [text for text in await lookup(f"default._bimi.{domain}", "TXT") if "bimi1" in text.lower()]
        at, dmarc = await dmarc_record(lookup, domain) if records else (domain, "")
    except CannotLookUp:
        return []
    if not records:
        return []
    text = records[0]
    if not re.match(r"v=BIMI1\s*;", text):
        return [Finding(WARN, what, f"must begin with v=BIMI1; : {text}")]
    logo, proof = tag(text, "l"), tag(text, "a")
    if not re.fullmatch(r"https://\S+\.svgz?", logo, re.IGNORECASE):
        return [Finding(WARN, what, f"l= must be the https address of an SVG Tiny PS file: {text}")]
    if proof and not re.fullmatch(r"https://\S+\.pem", proof, re.IGNORECASE):
        return [Finding(WARN, what, f"a= must be the https address of a PEM certificate: {text}")]
    policy = ((tag(dmarc, "sp") if at != domain else "") or tag(dmarc, "p")).lower()
    if policy not in ("quarantine", "reject"):
        return [Finding(WARN, what, f"needs a DMARC policy of quarantine or reject; it is p={policy or 'none'}")]
    note = "" if proof else "; without a= (a certificate) Gmail shows no logo"
    return [Finding(OK, what, f"{text}{note}")]


async def way_back(lookup: Lookup, relay: str, helo: str) -> list[Finding]:
    """The rule wants an address whose PTR names a host, and that host's address to be the same one."""
    what = f"dns PTR {helo} (relay {relay})"
    try:
        addresses = [*await lookup(helo, "A"), *await lookup(helo, "AAAA")]
        if not addresses:
            return [Finding(WARN, what, "helo has no address: Gmail and Yahoo want a name that leads to the sender's")]
        found = []
        for address in addresses:
            names = [name.rstrip(".").lower() for name in await lookup(ip_address(address).reverse_pointer, "PTR")]
            forward = [back for name in names for kind in ("A", "AAAA") for back in await lookup(name, kind)]
            if not names:
                text = f"{address} has no PTR: Gmail and Yahoo refuse mail from it"
                found.append(Finding(WARN, what, text))
            elif address not in forward:
                text = f"the PTR of {address} is {names[0]}, which does not lead back to it: Gmail refuses mail"
                found.append(Finding(WARN, what, text))
            else:
                found.append(
                    Finding(OK, what, f"{address} is {names[0]}, and back; right if the mail leaves from there")
                )
        return found
    except CannotLookUp as error:
        return [Finding(SKIP, what, f"could not look up: no resolver answered ({error})")]


def aligned(domain: str, other: str, *, strict: bool) -> bool:
    """Whether two domains are the same, or, unless `strict`, of one organisation (RFC 7489 3.1)."""
    one, two = domain.lower().rstrip("."), other.lower().rstrip(".")
    return one == two if strict else organisation(one) == organisation(two)
