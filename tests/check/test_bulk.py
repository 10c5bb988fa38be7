"""What the large mailbox providers ask of bulk senders, by a DNS server on loopback and by values."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.names import dns

from dns_server import Table, serving
from gatewayd.check.bulk import aligned, alignment, bimi, unsubscribing, way_back
from gatewayd.check.dns import Resolver
from gatewayd.check.finding import OK, SKIP, WARN
from gatewayd.config import Config, parse
from labels import LABEL

LOOPBACK = "127.0.0.1"
DKIM = "amazing.co"


@pytest.fixture
def served() -> Iterator[Any]:
    """A resolver that asks a DNS server on loopback, and its table."""
    table: Table = {}
    with serving(table) as resolver:
        yield table, resolver


def text(*words: bytes) -> Any:
    """A TXT record."""
    return dns.Record_TXT(*words)


@pytest_twisted.ensureDeferred
async def test_a_way_back_that_leads_home_and_ones_that_do_not(served: Any) -> None:
    """helo's address has a PTR, whose host has that address; else Gmail refuses, and the line says so."""
    table, lookup = served
    (found,) = await way_back(lookup, "main", "mail.amazing.co")
    assert (found.word, "helo has no address" in found.found) == (WARN, True)
    table["mail.amazing.co", dns.A] = dns.Record_A("192.0.2.25")
    (found,) = await way_back(lookup, "main", "mail.amazing.co")
    assert (found.word, "has no PTR" in found.found) == (WARN, True)
    table["25.2.0.192.in-addr.arpa", dns.PTR] = dns.Record_PTR("other.amazing.co")
    (found,) = await way_back(lookup, "main", "mail.amazing.co")
    assert (found.word, "does not lead back" in found.found) == (WARN, True)
    table["25.2.0.192.in-addr.arpa", dns.PTR] = dns.Record_PTR("mail.amazing.co")
    (found,) = await way_back(lookup, "main", "mail.amazing.co")
    assert (found.word, "192.0.2.25 is mail.amazing.co, and back" in found.found) == (OK, True)


def label(key: str, public: str = "", **changes: Any) -> Config:
    """A configuration of one label that signs as `key`, "" for not at all; `public` is its base_url, if any."""
    own = LABEL | {"email_senders": ["*@amazing.co"], "relays": ["main"]} | changes
    if key:
        own["dkim"] = {"domain": key, "selector": "s", "private_key": ED25519}
    return parse(
        {
            "gatewayd": {"secret_key": "k" * 32, "instance": "gw1"},
            "redis": {"endpoint": "unix:/run/redis.sock"},
            "bounces": {"domain": "bounces.amazing.co"},
            "labels": {"amazing": own},
            "directories": {"players": {"type": "sql", "driver": "sqlite3", "query": "SELECT 1"}},
            "relays": {"main": {"host": LOOPBACK}},
        }
        | ({"public": {"base_url": public}} if public else {}),
        {},
    )


ED25519 = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    ("record", "key", "returning", "word", "said"),
    [
        (b"v=DMARC1; p=none", "amazing.co", "", OK, "DMARC passes by either"),
        (b"v=DMARC1; p=none", "news.amazing.co", "", OK, "DMARC passes by either"),
        (b"v=DMARC1; p=none; adkim=s", "news.amazing.co", "", WARN, "aligned by return path"),
        (b"v=DMARC1; p=none; aspf=s", "amazing.co", "", OK, "aligned by DKIM"),
        (b"v=DMARC1; p=none", "", "", WARN, "aligned by return path bounces.amazing.co alone"),
        (b"v=DMARC1; p=none", "", "mail.esp.example", WARN, "DMARC fails, and bulk mail is refused"),
        (b"v=DMARC1; p=none", "esp.example", "mail.esp.example", WARN, "unless the relay signs as amazing.co"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_alignment(served: Any, record: bytes, key: str, returning: str, word: str, said: str) -> None:
    """The return path or a DKIM key must be of From's domain; strict means the very same."""
    table, lookup = served
    table["_dmarc.amazing.co", dns.TXT] = text(record)
    changes = {"bounce_domain": returning} if returning else {}
    (found,) = await alignment(lookup, label(key, **changes), "amazing", "amazing.co")
    assert (found.word, said in found.found) == (word, True), found


@pytest_twisted.ensureDeferred
async def test_bimi(served: Any) -> None:
    """None is no fault; one that is there has the form, an https SVG, and a policy that lets it count."""
    table, lookup = served
    assert await bimi(lookup, "amazing.co") == []
    at = "default._bimi.amazing.co"
    for record, policy, word in (
        (b"v=bimi1; l=https://amazing.co/logo.svg", b"reject", WARN),
        (b"v=BIMI1; l=http://amazing.co/logo.svg", b"reject", WARN),
        (b"v=BIMI1; l=https://amazing.co/logo.png", b"reject", WARN),
        (b"v=BIMI1; l=https://amazing.co/logo.svg", b"none", WARN),
        (b"v=BIMI1; l=https://amazing.co/logo.svg; a=https://amazing.co/x.txt", b"reject", WARN),
        (b"v=BIMI1; l=https://amazing.co/logo.svg; a=https://amazing.co/vmc.pem", b"quarantine", OK),
    ):
        table[at, dns.TXT] = text(record)
        table["_dmarc.amazing.co", dns.TXT] = text(b"v=DMARC1; p=" + policy)
        (found,) = await bimi(lookup, "amazing.co")
        assert found.word == word, (record, found)


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (b"p=reject; sp=none", WARN),
        (b"p=none; sp=reject", OK),
        (b"p=reject", OK),
        (b"P=Reject", OK),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bimi_of_a_domain_below_that_of_the_dmarc_record(served: Any, policy: bytes, word: str) -> None:
    """There counts what the record asks for domains below its own (RFC 7489 6.3), in any case."""
    table, lookup = served
    table["default._bimi.news.amazing.co", dns.TXT] = text(b"v=BIMI1; l=https://amazing.co/logo.svg")
    table["_dmarc.amazing.co", dns.TXT] = text(b"v=DMARC1; " + policy)
    (found,) = await bimi(lookup, "news.amazing.co")
    assert found.word == word, found


@pytest_twisted.ensureDeferred
async def test_without_a_resolver_nothing_is_claimed() -> None:
    """No answer is no fault of the domain's."""
    lookup = Resolver(reactor, servers=[(LOOPBACK, 9)])

    looks = (
        alignment(lookup, label("amazing.co"), "amazing", "amazing.co"),
        bimi(lookup, "amazing.co"),
        way_back(lookup, "main", "mail.amazing.co"),
    )
    # Each waits for the resolver's 5 s: all at the same time.
    found = await gatherResults([ensureDeferred(look) for look in looks], consumeErrors=True)
    assert [one.word for some in found for one in some] == [SKIP, SKIP]


@pytest.mark.parametrize(
    ("base_url", "relays", "warned"),
    [
        ("http://go.amazing.co", ["main"], True),
        ("https://go.amazing.co", ["main"], False),
        ("http://go.amazing.co", [], False),
    ],
)
def test_one_click_unsubscribe_needs_https(base_url: str, relays: list[str], warned: bool) -> None:
    """Without it there is no List-Unsubscribe-Post, and no one-click: said where mail leaves."""
    found = unsubscribing(label("", public=base_url, one_click_unsubscribe=True, relays=relays))
    assert [(one.word, one.what) for one in found] == ([(WARN, "label amazing")] if warned else [])
    assert all("List-Unsubscribe-Post" in one.found for one in found)


def test_one_click_unsubscribe_is_part_of_the_rule() -> None:
    """A label that sends mail without it is named."""
    assert [one.what for one in unsubscribing(label(""))] == ["label amazing"]


def test_domains_of_one_organisation_are_aligned() -> None:
    """Unless the record wants the very same one."""
    assert aligned("news.amazing.co.uk", "bounce.amazing.co.uk", strict=False)
    assert not aligned("amazing.co.uk", "evil.co.uk", strict=False)
    assert not aligned("news.amazing.co", "amazing.co", strict=True)
