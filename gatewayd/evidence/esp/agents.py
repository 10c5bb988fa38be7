"""Which user agents fetch pictures and follow links without a person.

One table, for our own pixel and for the providers' open events. What it does not list counts as a person's: an HTTP
library's own name proves no scanner, because mail programs are built on them too.
"""

from typing import Final

# Proxies that fetch when a person opens the mail: their presence is a person's open.
_ON_OPEN: Final = ("googleimageproxy", "yahoomailproxy")

# Apple Mail Privacy Protection fetches every picture at delivery, under this bare name.
_BARE: Final = frozenset({"mozilla/5.0", "mozilla/4.0"})

_MACHINES: Final = (
    # Gmail's own look at a new mail, before anybody opens it.
    "edge/12.246 mozilla/5.0",
    # Mail security scanners.
    "barracuda",
    "proofpoint",
    "mimecast",
    "messagelabs",
    "symantec",
    "cloudmark",
    "zscaler",
    "forcepoint",
    "fireeye",
    "trellix",
    "trendmicro",
    "trend micro",
    "sophos",
    "bitdefender",
    "fortinet",
    "fortiguard",
    "ironport",
    "cisco-scansafe",
    "safelinks",
    "spamassassin",
    "rspamd",
    "vade secure",
    "vadesecure",
    "hornetsecurity",
    "avanan",
    "urlscan",
    # Link previews, crawlers, and browsers with nobody in front.
    "bingpreview",
    "slack-imgproxy",
    "facebookexternalhit",
    "skypeuripreview",
    "whatsapp/",
    "googlebot",
    "bot/",
    "bot;",
    "crawler",
    "spider",
    "headlesschrome",
    "phantomjs",
)


def is_machine(agent: str) -> bool:
    """True where `agent` (a User-Agent header) is known to fetch without a person; an empty one is not known."""
    name = agent.strip().lower()
    if any(proxy in name for proxy in _ON_OPEN):
        return False
    return name in _BARE or any(machine in name for machine in _MACHINES)
