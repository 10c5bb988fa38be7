"""Kannel's side of the bench: bearerbox and smsbox of Debian's package, with its spool, on the same simulated SMSC.

A GET for each SMS, two callbacks for each (taken by the SMSC, delivered), and a message that is stored before it is
answered: the same promises as gatewayd's, but for fsync.
"""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from callers import Flow
from figures import Figures, Meter
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from redis_server import until

PROGRAMS = ("/usr/sbin/bearerbox", "/usr/sbin/smsbox")
GOOD = b"0: Accepted for delivery"
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"error_code":0}'

_BEARERBOX = """
group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {smsbox}
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"
store-type = spool
store-location = {directory}/spool
dlr-storage = internal
log-file = {directory}/bearerbox.log
log-level = 2

group = smsc
smsc = smpp
smsc-id = world
host = 127.0.0.1
port = {smsc}
smsc-username = gw
smsc-password = smppsec
system-type = ""
interface-version = 34
transceiver-mode = true
max-pending-submits = 100
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}
sendsms-interface = 127.0.0.1
log-file = {directory}/smsbox.log
log-level = 2

group = sendsms-user
username = bench
password = bench
concatenation = true
max-messages = 10

group = sms-service
keyword = default
text = ""
max-messages = 0
"""


def is_there() -> bool:
    """Whether this machine has Kannel."""
    return all(Path(program).exists() for program in PROGRAMS)


class _Heard(Protocol):
    """One connection on which Kannel tells: each request is answered at once and counted."""

    def __init__(self, sink: "Sink") -> None:
        self._sink = sink
        self._buffer = b""

    def dataReceived(self, data: bytes) -> None:
        """GETs without a body."""
        *heads, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        assert self.transport is not None
        self.transport.write(_ANSWER * len(heads))
        for head in heads:
            self._sink.hear(head)


class Sink:
    """Whom Kannel tells. `on_delivered` is called for each SMS that arrived."""

    def __init__(self) -> None:
        self.heard = 0
        self.on_delivered: Callable[[], None] = lambda: None

    def hear(self, head: bytes) -> None:
        """One callback: status=8 (the SMSC took it) or status=1 (delivered)."""
        self.heard += 1
        if b"status=1 " in head:
            self.on_delivered()


class Kannel:
    """A running bearerbox and smsbox."""

    def __init__(self, directory: Path, prefix: tuple[str, ...]) -> None:
        self.directory = directory
        self.prefix = prefix
        self.sink = Sink()
        self.port = free_port()
        self._boxes: list[subprocess.Popen[bytes]] = []
        self._serial = 0
        self.callbacks = 0

    @property
    def pids(self) -> dict[str, int]:
        """The processes that count."""
        return dict(zip(("bearerbox", "smsbox"), (box.pid for box in self._boxes), strict=True))

    async def start(self, smsc: int) -> None:
        """Run both boxes, and return once both answer."""
        (self.directory / "spool").mkdir()
        smsbox, admin = free_port(), free_port()
        config = self.directory / "kannel.conf"
        config.write_text(
            _BEARERBOX.format(admin=admin, smsbox=smsbox, directory=self.directory, smsc=smsc, send=self.port)
        )
        for program, port in zip(PROGRAMS, (smsbox, self.port), strict=True):
            words = [*(word.replace("%BOX%", Path(program).name) for word in self.prefix), program, str(config)]
            log = (self.directory / f"{Path(program).name}.out").open("wb")
            self._boxes.append(subprocess.Popen(words, stdout=log, stderr=log, cwd=self.directory))

            async def answers(port: int = port) -> bool:
                try:
                    there = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Protocol())
                except Exception:
                    return False
                there.transport.loseConnection()
                return True

            await until(answers, 120)

    def stop(self) -> None:
        """End both, the one that talks to the other first."""
        for box in reversed(self._boxes):
            box.terminate()
        for box in reversed(self._boxes):
            try:
                box.wait(60)
            except subprocess.TimeoutExpired:
                box.kill()

    def posts(self, count: int) -> list[bytes]:
        """A round of SMS: the same text and the same numbers as gatewayd's."""
        self._serial += 1
        answer_to = quote(f"http://127.0.0.1:{self.callbacks}/callback?id={self._serial}&status=%d", safe="")
        return [
            (
                f"GET /cgi-bin/sendsms?username=bench&password=bench&from=Amazing&to=%2B4477009{n:05d}"
                f"&text=Get%20the%20offer%20{n}&dlr-mask=9&dlr-url={answer_to} HTTP/1.1\r\n"
                "Host: 127.0.0.1\r\n\r\n"
            ).encode()
            for n in range(count)
        ]

    async def round(self, count: int, figures: Figures, in_flight: int) -> None:
        """Post a round, and wait until both callbacks of each came."""
        self.sink.heard = 0
        flow = Flow(self.posts(count), in_flight, GOOD)
        self.sink.on_delivered = flow.ended
        meter = Meter(self.pids)
        await flow.run(self.port)
        await until(lambda: self.sink.heard >= 2 * count, 300)
        meter.end(figures, count)


@asynccontextmanager
async def kannel(prefix: tuple[str, ...] = ()) -> Any:
    """A Kannel that is bound to a simulated SMSC of its own."""
    directory = Path(mkdtemp(prefix="kannel-"))
    smsc = SmscSimulator(reactor, Behaviour(receipt_delay=0.05))
    boxes = Kannel(directory, prefix)
    sink = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await sink.listen(Factory.forProtocol(lambda: _Heard(boxes.sink)))
    boxes.callbacks = port.getHost().port
    try:
        await boxes.start(await smsc.start())
        await until(lambda: smsc.binds > 0, 60)
        yield boxes
    finally:
        boxes.stop()
        await smsc.stop()
        await port.stopListening()
        shutil.rmtree(directory, ignore_errors=True)
