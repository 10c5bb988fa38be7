"""A real Jasmin (PyPI) on its RabbitMQ and Redis, all on loopback, with an SMSC on the npm package behind it.

jasmin = Jasmin(directory)      # jasmin.port takes binds of USER with PASSWORD
jasmin.carrier.report()         # what the SMSC behind it took
"""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from npm_carrier import NpmCarrier
from outside_ports import free_port, until
from outside_redis import server_program

from conftest import missing, need

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "gateway", "jasmin01"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's server itself: the command in /usr/sbin would become the user rabbitmq, and write to its directories."""

_RABBITMQ = """\
listeners.tcp.1 = 127.0.0.1:{port}
disk_free_limit.absolute = 1MB
log.file.level = warning
"""

_JASMIN = """\
[smpp-server]
bind = 127.0.0.1
port = {smpp}
[smpp-server-pb]
bind = 127.0.0.1
port = {smpp_pb}
[client-management]
bind = 127.0.0.1
port = {clients}
store_path = {directory}
[router]
bind = 127.0.0.1
port = {router}
store_path = {directory}
[http-api]
bind = 127.0.0.1
port = {http}
[jcli]
bind = 127.0.0.1
port = {jcli}
authentication = False
[redis-client]
host = 127.0.0.1
port = {redis}
[amqp-broker]
host = 127.0.0.1
port = {rabbitmq}
spec = {spec}
connection_failure_retry_delay = 1
[dlr]
dlr_lookup_retry_delay = 1
"""

# As in the manual, 5.7. The carrier answers in hexadecimal and its receipts are decimal: that is dlr_msgid 1.
_SETTINGS = """\
smppccm -a
cid carrier
host 127.0.0.1
port {carrier}
username gw
password secret
bind transceiver
submit_throughput 0
con_fail_delay 1
con_loss_delay 1
dlr_msgid 1
ok
smppccm -1 carrier
group -a
gid carriers
ok
user -a
username {user}
password {password}
uid gateway
gid carriers
mt_messaging_cred quota smpps_throughput 50
ok
mtrouter -a
type defaultroute
connector smppc(carrier)
rate 0.0
ok
morouter -a
type defaultroute
connector smpps(gateway)
ok
"""


class Jasmin:
    """All of them, in `directory`; `carrier` is the behaviour of the SMSC behind it."""

    def __init__(self, directory: Path, **carrier: Any) -> None:
        environment = os.environ.get("GATEWAYD_JASMIN", "")
        remedy = "python3 -m venv D; D/bin/pip install --no-deps -r tests/integration/jasmin.txt; GATEWAYD_JASMIN=D"
        self._python = Path(environment) / "bin" / "python"
        if not environment or not self._python.exists():
            missing("Jasmin", remedy)
        if not RABBITMQ.exists():
            missing("RabbitMQ", "apt-get install rabbitmq-server")
        self.directory = directory
        self.port, self._jcli, self._redis, self._rabbitmq = (free_port() for _ in range(4))
        self._processes: list[subprocess.Popen[bytes]] = []
        directory.mkdir()
        self.carrier = NpmCarrier(ids="hex", receipt_ids="decimal", **carrier)
        try:
            self._start_rabbitmq()
            self._start_jasmin()
        except BaseException:
            self.stop()
            raise

    def _spawn(self, name: str, *command: str, **environment: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=os.environ | environment,
                    cwd=self.directory,
                    start_new_session=True,
                )
            )

    def _start_rabbitmq(self) -> None:
        """RabbitMQ, with an Erlang name service of its own: it would start one for the whole machine, which stays."""
        place, names = self.directory, free_port()
        configuration, plugins = place / "rabbitmq.conf", place / "plugins"
        configuration.write_text(_RABBITMQ.format(port=self._rabbitmq))
        plugins.write_text("[].")
        # Without a limit it would make room for as many files as the machine allows, in some containers a billion.
        limit = {"ERL_MAX_PORTS": "10000"}
        erlang = limit | {"ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": str(place)}
        self._spawn("epmd", need("epmd"), **erlang)
        until(lambda: _listens(names), 30, "epmd listens")
        self._spawn(
            "rabbitmq",
            str(RABBITMQ),
            RABBITMQ_NODENAME="jasmin@localhost",
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=str(place / "mnesia"),
            RABBITMQ_LOG_BASE=str(place / "rabbitmq"),
            RABBITMQ_PID_FILE=str(place / "rabbitmq.pid"),
            RABBITMQ_CONFIG_FILE=str(configuration),
            RABBITMQ_CONF_ENV_FILE=str(place / "none"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(plugins),
            **erlang,
        )

    def _start_jasmin(self) -> None:
        """Redis and Jasmin, told over jcli what it is to do, until it is bound to its carrier."""
        place = self.directory
        redis = ("--bind", "127.0.0.1", "--port", str(self._redis), "--save", "", "--dir", str(place))
        self._spawn("redis", server_program(), *redis)
        logs = place / "var" / "log" / "jasmin"
        logs.mkdir(parents=True)
        for port in (self._redis, self._rabbitmq):
            until(lambda port=port: self._alive() and _listens(port), 60, f"{self._said()} listens")
        finding = "import txamqp, pathlib; print(pathlib.Path(txamqp.__file__).parent)"
        found = subprocess.run([self._python, "-Pc", finding], capture_output=True, text=True, check=True)
        configuration = place / "jasmin.cfg"
        configuration.write_text(
            _JASMIN.format(
                smpp=self.port,
                jcli=self._jcli,
                redis=self._redis,
                rabbitmq=self._rabbitmq,
                directory=place,
                spec=f"{found.stdout.strip()}/specs/standard/amqp0-9-1.stripped.xml",
                **{name: free_port() for name in ("smpp_pb", "clients", "router", "http")},
            )
        )
        self._spawn(
            "jasmin",
            str(self._python),
            "-P",
            str(HERE / "jasmin_start.py"),
            "--config",
            str(configuration),
            "--enable-dlr-lookup",
            "--enable-dlr-thrower",
            ROOT_PATH=str(place),
        )
        until(lambda: self._alive() and _listens(self._jcli), 60, "jcli listens")
        told = self.tell(_SETTINGS.format(carrier=self.carrier.port, user=USER, password=PASSWORD))
        assert told.count("Successfully") == 6, told
        until(lambda: self.carrier.report()["binds"] and _listens(self.port), 30, "Jasmin is bound to its carrier")

    def tell(self, lines: str) -> str:
        """What jcli says to each line."""
        said = b""
        with socket.create_connection(("127.0.0.1", self._jcli), 30) as connection:
            for line in lines.splitlines():
                connection.sendall(line.encode() + b"\r\n")
                said += _until_prompt(connection)
        return said.decode(errors="replace")

    def _alive(self) -> bool:
        ended = [str(process.args) for process in self._processes if process.poll() is not None]
        assert not ended, (ended, self._said())
        return True

    def _said(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-1500:] for path in self.directory.glob("*.log"))

    def stop(self) -> None:
        """End all of them, and whatever they started."""
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.carrier.stop()


def _until_prompt(connection: socket.socket) -> bytes:
    """What comes until the next prompt: `jcli : ` or, amid a new thing, `> `."""
    said = b""
    while not said.endswith((b"jcli : ", b"> ")):
        more = connection.recv(4096)
        assert more, said
        said += more
    return said


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
