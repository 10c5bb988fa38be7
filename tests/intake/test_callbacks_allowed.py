"""Which callback URLs a label's requests may bring."""

import json

import pytest
import pytest_twisted

from gatewayd.core.callback_urls import why_refused
from gatewayd.core.model import Channel
from gatewayd.intake.request_json import read_request
from intake_requests import code, mail, stored
from intake_world import Intake, label

HOSTS = ("*.smartico.ai", "hooks.example", "127.0.0.1", "[::1]", "10.*")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.smartico.ai/cb", True),
        ("https://api.smartico.ai", True),
        ("https://api.smartico.ai:8443/cb?a=1&b=%20", True),
        ("HTTPS://API.SMARTICO.AI/cb", True),
        ("https://api.smartico.ai./cb", True),
        ("https://a.b.smartico.ai/cb", True),
        ("https://hooks.example/cb", True),
        ("https://127.0.0.1:9/cb", True),
        ("https://[::1]:9/cb", True),
        ("https://smartico.ai/cb", False),
        ("https://api.smartico.ai.evil.example/cb", False),
        ("https://evilsmartico.ai/cb", False),
        ("https://evil.example/.smartico.ai", False),
        ("https://evil.example?.smartico.ai", False),
        ("https://evil.example#.smartico.ai", False),
        ("https://evil.example\\.smartico.ai", False),
        ("https://user@api.smartico.ai/cb", False),
        ("https://api.smartico.ai@evil.example/cb", False),
        ("https://api.smartico.ai:pass@evil.example/", False),
        ("http://api.smartico.ai/cb", False),
        ("ftp://api.smartico.ai/cb", False),
        ("//api.smartico.ai/cb", False),
        ("api.smartico.ai", False),
        ("https://api.smartico.ai/a b", False),
        ("https://api.smartico.ai/\n", False),
        (" https://api.smartico.ai/", False),
        ("https://api.smartico.ai:0/", False),
        ("https://api.smartico.ai:65536/", False),
        ("https://api.smartico.ai/" + "x" * 5000, False),
        ("https://10.0.0.1/cb", False),
        ("https://[::ffff:127.0.0.1]/cb", False),
        ("https://api.smarticö.ai/cb", False),
        ("https://a-1.smartico.ai/cb", True),
        ("https://a..smartico.ai/cb", False),
        ("https://.smartico.ai/cb", False),
        ("https://-a.smartico.ai/cb", False),
        ("https://a-.smartico.ai/cb", False),
        ("https://a_b.smartico.ai/cb", False),
        (f"https://{'a' * 63}.smartico.ai/cb", True),
        (f"https://{'a' * 64}.smartico.ai/cb", False),
        (f"https://{'a.' * 122}smartico.ai/cb", False),
        ("https://", False),
    ],
)
def test_callback_urls(url: str, allowed: bool) -> None:
    """Only https to a listed host; private addresses only by their own name; no two readings of one URL."""
    assert (why_refused(url, HOSTS, plain_http=False) == "") is allowed


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"),
        *("[fec0::1]", "[::127.0.0.1]", "[::7f00:1]", "[64:ff9b:1::1]"),
        *("localhost", "a.localhost", "224.0.0.1", "100.64.0.1"),
    ],
)
def test_a_wildcard_opens_no_private_address(host: str) -> None:
    """With callback_hosts = ["*"] still nothing inside is called, however its address is written."""
    assert why_refused(f"https://{host}/", ("*",), plain_http=True)
    assert not why_refused("https://api.smartico.ai/", ("*",), plain_http=True)
    assert not why_refused("https://8.8.8.8/", ("*",), plain_http=True)


@pytest_twisted.ensureDeferred
async def test_callbacks_of_a_label() -> None:
    """callback_http opens http beside https; a missing URL needs the label's own; a bad one is code 7."""
    assert await code(Intake(), mail(callback_url="https://evil.example/")) == 7
    assert await code(Intake(), mail(callback_url="http://api.smartico.ai/")) == 7
    assert await code(Intake(), mail(callback_url="")) == 3
    open_label = label(callback_http=True, callback_url="http://api.smartico.ai/own")
    assert await code(Intake(amazing=open_label), mail(callback_url="http://api.smartico.ai/")) == 0
    intake = Intake(amazing=open_label)
    assert await code(intake, mail(callback_url="")) == 0
    assert stored(intake).callback_url == ""


@pytest.mark.parametrize(
    ("own", "answer"),
    [
        ("https://hooks.example/cb", 0),
        ("https://127.0.0.1/cb", 7),
        ("https://localhost/cb", 7),
        ("https://[::1]/cb", 7),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_labels_own_callback_url_lists_its_host_unless_that_is_private(own: str, answer: int) -> None:
    """A private one that is not listed is never called: a message with no status must not be taken."""
    assert await code(Intake(amazing=label(callback_url=own)), mail(callback_url="")) == answer
    listed = label(callback_url=own, callback_hosts=["127.0.0.1", "localhost", "[::1]"])
    assert await code(Intake(amazing=listed), mail(callback_url="")) == 0


def asked(url: str) -> str:
    """The callback URL of a request that was read from JSON."""
    return read_request(Channel.EMAIL, json.dumps({"callback_url": url}).encode()).callback_url


@pytest.mark.parametrize("listed", ["münchen.example", "*.MÜNCHEN.example", "xn--mnchen-3ya.example"])
@pytest.mark.parametrize("host", ["münchen.example", "XN--mnchen-3ya.example", "cb.mu\u0308nchen.example:8443"])
@pytest_twisted.ensureDeferred
async def test_a_host_in_unicode_and_in_a_labels_is_the_same_host(listed: str, host: str) -> None:
    """Whichever is in the list, and whichever the request has; what is stored is what can be looked up."""
    fits = listed.startswith("*") == host.startswith("cb.")
    intake = Intake(amazing=label(callback_hosts=[listed]))
    assert await code(intake, mail(callback_url=asked(f"https://{host}/cb?a=1"))) == (0 if fits else 7)
    if fits:
        assert stored(intake).callback_url.isascii()


@pytest.mark.parametrize(
    "host",
    [
        "münchen.example.evil.example",
        "m*ü.example",
        "ü＠xn--mnchen-3ya.example",
        "１２７.0.0.1",
        "ｌocalhost",
        "ü..example",
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_host_in_unicode_gets_in_nowhere_else(host: str) -> None:
    """What is no name, is another one or, mapped, an address inside: code 7 as in ASCII, also where all is listed."""
    listed = ["münchen.example"] if "evil" in host else ["*", "münchen.example"]
    assert await code(Intake(amazing=label(callback_hosts=listed)), mail(callback_url=asked(f"https://{host}/"))) == 7


@pytest_twisted.ensureDeferred
async def test_a_labels_own_callback_url_may_be_in_unicode() -> None:
    """It is what the configuration makes of it."""
    own = label(callback_url="https://münchen.example/cb")
    assert own.callback_url == "https://xn--mnchen-3ya.example/cb"
    assert await code(Intake(amazing=own), mail(callback_url="")) == 0
