"""A real Kannel (Debian's package: bearerbox and smsbox) on loopback, with an SMSC on the npm package behind it.

kannel = Kannel(directory)      # kannel.url is smsbox' sendsms
kannel.report()                 # what the SMSC behind it took
"""

import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from npm_carrier import NpmCarrier
from outside_ports import free_port, until

from conftest import need

USER, PASSWORD = "gw", "kannel-canary-secret"

_CONF = """\
group = core
admin-port = {admin}
admin-password = x
admin-allow-ip = "127.0.0.1"
smsbox-port = {box}
box-allow-ip = "127.0.0.1"
log-file = "{directory}/bearerbox.log"
log-level = 1
dlr-storage = internal
sms-resend-freq = 1

group = smsc
smsc = smpp
smsc-id = npm
host = 127.0.0.1
port = {smsc}
transceiver-mode = yes
smsc-username = gw
smsc-password = secret
system-type = ""
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-file = "{directory}/smsbox.log"
log-level = 1
http-request-retry = 300
http-queue-delay = 1

group = sendsms-user
username = {user}
password = {password}
max-messages = 10
concatenation = true
user-allow-ip = "127.0.0.1"
"""


class KannelPanickedError(Exception):
    """Kannel found a fault of its own and ended."""


class Kannel:
    """One of each box. `smsc` is the npm SMSC's behaviour."""

    def __init__(self, directory: Path, **smsc: Any) -> None:
        self._boxes = [need("bearerbox"), need("smsbox")]
        self._carrier = NpmCarrier(**smsc)
        directory.mkdir()
        self.sendsms, self._box = free_port(), free_port()
        text = _CONF.format(
            admin=free_port(),
            box=self._box,
            smsc=self._carrier.port,
            sendsms=self.sendsms,
            directory=directory,
            user=USER,
            password=PASSWORD,
        )
        self._conf = directory / "kannel.conf"
        self._conf.write_text(text)
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where SMS are taken."""
        return f"http://127.0.0.1:{self.sendsms}/cgi-bin/sendsms"

    def start(self) -> None:
        """Run both boxes until SMS are taken."""
        for box, port in zip(self._boxes, (self._box, self.sendsms), strict=True):
            quiet = subprocess.DEVNULL
            self._processes.append(subprocess.Popen([box, str(self._conf)], stdout=quiet, stderr=quiet))
            # An smsbox that finds no bearerbox ends.
            until(lambda port=port: _listens(port), 30, f"{box} listens")
        until(lambda: self.report()["binds"], 30, "Kannel is bound to its SMSC")

    def report(self, **behaviour: Any) -> dict[str, Any]:
        """What the SMSC took, after it took on `behaviour`."""
        return self._carrier.report(**behaviour)

    def check_alive(self) -> None:
        """Raises KannelPanickedError: 1.4.5 now and then does that to itself where its connections are reset."""
        if "PANIC" in (self._conf.parent / "smsbox.log").read_text(errors="replace"):
            raise KannelPanickedError

    def stop(self) -> None:
        """End all three."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._carrier.stop()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
