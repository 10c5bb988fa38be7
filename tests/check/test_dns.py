"""What the DNS says of the domains that mail is sent under, in whatever shape the records are."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.names import dns

from at_once import run
from dns_server import serving
from gatewayd.check import OK, WARN, Finding
from gatewayd.check.dns import dkim, dmarc, mx, organisation, record_of, spf
from gatewayd.config import Dkim, Secret


def zone(**records: list[str]) -> Callable[[str, str], Awaitable[list[str]]]:
    """A lookup: keys are `TYPE name` with underscores doubled for dots being impossible in keywords."""

    async def lookup(name: str, kind: str) -> list[str]:
        return records.get(f"{kind} {name}", [])

    return lookup


def result(look: Awaitable[list[Finding]]) -> Finding:
    """The one finding of a look that does not wait."""
    (finding,) = run(look)
    return cast(Finding, finding)


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["v=spf1 ip4:192.0.2.1 -all", "google-site-verification=x"], OK),
        ([], WARN),
        (["v=spf10 -all"], WARN),
        (["v=spf1 -all", "v=spf1 mx -all"], WARN),
        (["v=spf1 +all"], WARN),
        (["v=SPF1 +ALL"], WARN),
    ],
)
def test_spf(texts: list[str], word: str) -> None:
    """Exactly one record, and not one that lets everybody send."""
    assert result(spf(zone(**{"TXT a.example": texts}), "a.example")).word == word


def test_dmarc_counts_from_the_organisations_domain() -> None:
    """A record there covers its sub-domains; one in between covers nothing below it (RFC 7489 6.6.3)."""
    lookup = zone(**{"TXT _dmarc.a.example": ["v=DMARC1; p=reject"], "TXT _dmarc.in.b.example": ["v=DMARC1; p=none"]})
    assert result(dmarc(lookup, "news.a.example")).found == "from a.example: v=DMARC1; p=reject"
    assert result(dmarc(lookup, "b.example")).word == WARN
    assert result(dmarc(lookup, "news.in.b.example")).word == WARN


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (["v=DMARC1; p=none; rua=mailto:x@a.example", "another text"], OK),
        (["v=DMARC1;p=Quarantine"], OK),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], WARN),
        (["v=DMARC1"], WARN),
        (["v=DMARC1; rua=mailto:x@a.example"], WARN),
        (["v=DMARC1; p=nothing"], WARN),
    ],
)
def test_dmarc_is_one_record_with_a_policy(texts: list[str], word: str) -> None:
    """Of several none counts (RFC 7489 6.6.3), and one that asks for nothing is not what bulk senders must have."""
    assert result(dmarc(zone(**{"TXT _dmarc.a.example": texts}), "a.example")).word == word


@pytest.mark.parametrize(
    ("records", "word"),
    [
        ({"MX a.example": ["mx.a.example"]}, OK),
        ({"A a.example": ["an address"]}, OK),
        ({"MX a.example": [""]}, WARN),
        ({}, WARN),
    ],
)
def test_mx(records: dict[str, list[str]], word: str) -> None:
    """An MX, or an address in its place; a null MX says that nothing can come back."""
    assert result(mx(zone(**records), "a.example", "bounces")).word == word


@pytest.mark.parametrize("private", [ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 1024)])
def test_dkim_record_is_the_keys_own(private: Any) -> None:
    """The published key must be the public half; where it is not, the right record is printed to be pasted."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    key = Dkim(domain="a.example", selector="s1", private_key=Secret(pem))
    name = "TXT s1._domainkey.a.example"
    assert result(dkim(zone(**{name: [record_of(key)]}), key)).word == OK
    for texts in ([], ["v=DKIM1; p=AAAA"]):
        finding = result(dkim(zone(**{name: texts}), key))
        assert finding.word == WARN
        assert record_of(key) in finding.found


@pytest_twisted.ensureDeferred
async def test_a_real_resolver_is_asked() -> None:
    """Over UDP; a record, no record, no such name, and nobody there are told apart."""
    table = {
        ("a.example", dns.TXT): dns.Record_TXT(b"v=spf1 ", b"-all"),
        ("a.example", dns.MX): dns.Record_MX(10, "mx.a.example"),
    }
    with serving(table) as ask:
        assert await ask("a.example", "TXT") == ["v=spf1 -all"]
        assert await ask("a.example", "MX") == ["mx.a.example"]
        assert await ask("a.example", "A") == []
        assert await ask("b.example", "TXT") == []


def test_whose_a_domain_is() -> None:
    """One label more than what anyone may buy, by the Public Suffix List."""
    assert organisation("news.amazing.co") == "amazing.co"
    assert organisation("news.amazing.co.uk") == "amazing.co.uk"
    assert organisation("amazing.com.mt") == "amazing.com.mt"
    assert organisation("mail.news.amazing.gob.ar") == "amazing.gob.ar"
    assert organisation("news.shop.amazing.nom.br") == "shop.amazing.nom.br"
    assert organisation("a.city.kawasaki.jp") == "city.kawasaki.jp"
    assert organisation("News.Amazing.CO.UK.") == "amazing.co.uk"
    assert organisation("one.github.io") == "one.github.io"
    assert organisation("mail.amazing.xn--p1ai") == "amazing.xn--p1ai"
    assert organisation("relay.lan.internal-tld-of-nobody") == "lan.internal-tld-of-nobody"
    assert organisation("co.uk") == "co.uk"
