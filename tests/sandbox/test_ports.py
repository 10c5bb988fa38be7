"""The ports of the sandbox's daemon, before it listens."""

import socket

from gatewayd.sandbox.ports import Ports


def unused() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_two_sandboxes_that_start_at_once_have_different_ports() -> None:
    """The second passes over what the first has chosen; once that is released the next may have it."""
    usual = unused()
    first, second = Ports({"api": usual}), Ports({"api": usual})
    assert first.numbers["api"] == usual
    assert second.numbers["api"] != usual
    first.release()
    third = Ports({"api": usual})
    assert third.numbers["api"] == usual
    second.release()
    third.release()


def test_a_port_that_somebody_has_is_passed_over() -> None:
    """Any free one instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = int(taken.getsockname()[1])
        ports = Ports({"admin": usual})
    assert ports.numbers["admin"] not in (usual, 0)
    ports.release()
