"""The ports of the sandbox's daemon, before it listens."""

import socket

from gatewayd.sandbox.ports import Ports


def unused() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def taken(**wanted: int) -> Ports:
    """Ports that are held."""
    ports = Ports()
    ports.take(wanted)
    return ports


def test_two_sandboxes_that_start_at_once_have_different_ports() -> None:
    """The second passes over what the first has chosen; once that is released the next may have it."""
    usual = unused()
    first, second = taken(api=usual), taken(api=usual)
    assert first.numbers["api"] == usual
    assert second.numbers["api"] != usual
    first.release()
    third = taken(api=usual)
    assert third.numbers["api"] == usual
    second.release()
    third.release()


def test_a_port_that_somebody_has_is_passed_over() -> None:
    """Any free one instead."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        usual = int(somebody.getsockname()[1])
        ports = taken(admin=usual)
    assert ports.numbers["admin"] not in (usual, 0)
    ports.release()
