"""Where an origin is connected to."""

import pytest

from gatewayd.http_client.origin import host_of
from gatewayd.http_client.requests import host_header


@pytest.mark.parametrize(
    ("netloc", "host", "header"),
    [
        ("straße.example:8443", "xn--strae-oqa.example", "xn--strae-oqa.example:8443"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("Host.example:1", "host.example", "Host.example:1"),
        ("[2001:db8::1]:1", "2001:db8::1", "[2001:db8::1]:1"),
    ],
)
def test_a_name_is_looked_up_as_the_configuration_reads_it(netloc: str, host: str, header: str) -> None:
    """By IDNA 2008: what was allowed as one host is not asked of another."""
    assert host_of(netloc)[0] == host
    assert host_header(netloc) == header


@pytest.mark.parametrize("netloc", ["", ":80", "ü..example", "a:99999", "ü\u2024example:x"])
def test_what_is_no_host_is_a_value_error(netloc: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(ValueError):
        host_of(netloc)
