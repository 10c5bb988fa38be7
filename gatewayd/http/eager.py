"""A write that does not wait for the reactor's next turn.

Twisted keeps what is written, asks the kernel to say when there is room, and writes a turn later: two system calls and
a turn more than the one that is needed, for a socket that has room nearly always.
"""

from typing import Any

from twisted.internet.tcp import Connection


def write_now(transport: Any, data: bytes) -> None:
    """`transport.write`, but that what the kernel takes at once is with it when this returns.

    For one who writes once and then waits; who writes often in one turn is better served by Twisted's own buffer. What
    is not a plain socket (TLS, a test's memory), or has something to write already, is written as ever.
    """
    if (
        isinstance(transport, Connection)
        and not (transport.TLS or transport.dataBuffer or transport._tempDataBuffer)
        and transport.connected
        and not transport.disconnecting
    ):
        written = transport.writeSomeData(data)
        # Where the connection is lost, that is an exception, and the reactor finds the same in its turn.
        if isinstance(written, int):
            data = data[written:]
    if data:
        transport.write(data)
