"""The ports of the sandbox's daemon: the usual ones, where nobody has them and no other sandbox is about to."""

import socket
from collections.abc import Mapping

from gatewayd.sandbox.story import SandboxFailed

USUAL = {"api": 8080, "public": 8081, "admin": 9090, "bounces": 2424}
"""So that the lines to paste look familiar."""


class Ports:
    """A port of 127.0.0.1 for each name, for nobody else until `release`.

    The daemon listens some seconds after its port was found free. In between a second sandbox looks, which would take
    the first one's daemon for its own: each port is held by a name, of this network and this process' life, too.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self.numbers: dict[str, int] = {}

    def take(self, wanted: Mapping[str, int] = USUAL) -> None:
        """One for each name. Raises SandboxFailed."""
        for name, port in wanted.items():
            self.numbers[name] = self._free(port)

    def release(self) -> None:
        """Whoever looks next may have them."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _free(self, wanted: int) -> int:
        why = "all are taken"
        for port in (wanted, *[0] * 9):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    why = error.strerror or why
                    continue
                number = int(probe.getsockname()[1])
            if self._hold(number):
                return number
        raise SandboxFailed(f"no port to be had on 127.0.0.1: {why}")

    def _hold(self, port: int) -> bool:
        held = socket.socket(socket.AF_UNIX)
        try:
            # In Linux' abstract namespace: no file, and gone with its socket.
            held.bind(f"\0gatewayd-sandbox-{port}")
        except OSError:
            held.close()
            return False
        self._held.append(held)
        return True
