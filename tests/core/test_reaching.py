"""Why a connection did not come about, in words for whoever is called at night."""

from errno import EACCES, EADDRNOTAVAIL, EHOSTUNREACH, EMFILE, ENOENT, EPERM

import pytest
from twisted.internet import error as network
from twisted.internet.address import IPv4Address

from gatewayd.core.reaching import known, plain


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (network.ConnectionRefusedError(), "does it run, and listen on this port?"),
        (network.ConnectError(ENOENT, "No such file or directory"), "there is no such socket: does it run?"),
        (network.ConnectError(EACCES, "Permission denied"), "is our user in its group?"),
        (network.getConnectError((EHOSTUNREACH, "No route to host")), "no route"),
        (network.getConnectError((EADDRNOTAVAIL, "Cannot assign requested address")), "IPv6"),
        (network.getConnectError((EPERM, "Operation not permitted")), "firewall"),
        (network.ConnectingCancelledError(IPv4Address("TCP", "10.0.0.1", 6379)), "no answer in time"),
        (network.ConnectBindError(EMFILE, "Too many open files"), "LimitNOFILE"),
        (OSError(EMFILE, "Too many open files"), "LimitNOFILE"),
    ],
)
def test_a_known_trouble_says_what_to_look_at(error: Exception, words: str) -> None:
    """Of a port and of a Unix socket."""
    assert words in known(error)


def test_of_others_the_kind_is_said() -> None:
    """Their own text may name a host."""
    error = network.UnknownHostError("db.internal")
    assert (known(error), plain(error)) == ("", "UnknownHostError")
    assert known(OSError(ENOENT, "No such file or directory", "/etc/gatewayd/ca.pem")) == ""
