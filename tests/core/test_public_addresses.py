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
        *(
            (text, False)
            for text in ("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "3fff::1", "5f00::1", "4000::1", "1::1")
        ),
        *((text, False) for text in ("100:0:0:1::1", "2001:20::1", "2001:1::1", "192.88.99.1", "168.63.129.16")),
        *((text, False) for text in ("2a00:1450::5efe:a00:1", "2a00:1450::200:5efe:127.0.0.1")),
        *(
            (text, False)
            for text in ("2001:0:4136:e378:8000:63bf:80ff:fffe", "192.0.0.8", "198.18.0.1", "fd00:ec2::254")
        ),
        *((text, True) for text in ("2a00:1450::5efe:808:808", "2001:200::1", "2001:4860:4860::8888", "2c00::1")),
        ("localhost", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Private, loopback, link-local and shared addresses are not, however IPv6 dresses them up."""
    assert is_public(address) is public
