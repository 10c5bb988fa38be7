"""Which addresses are the internet's."""

import pytest

from gatewayd.core.public_addresses import is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:1.1.1.1", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::101:101", True),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("64:ff9b:1::101:101", False),
        ("::127.0.0.1", False),
        ("::1.1.1.1", False),
        ("localhost", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Private, loopback, link-local and shared addresses are not, however IPv6 dresses them up."""
    assert is_public(address) is public
