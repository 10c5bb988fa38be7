"""Asks the admin listener of a daemon on this machine, over TCP or a Unix socket.

Owns finding it by the configuration and the plain blocking HTTP to it; needs no reactor, because gatewayctl asks one
thing after the other. Of the configuration only `[admin] listen` and the instance's name are read: whoever looks
after gatewayd need not be able to read its secrets.
"""

import http.client
import json
import re
import socket
import ssl
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gatewayd.config import small_file
from gatewayd.config.endpoint_words import port_of_server, words
from gatewayd.core.model import Json
from gatewayd.operators.orders import OPERATOR

TIMEOUT = 30.0  # seconds
_DEFAULT_LISTEN = "tcp:9090:interface=127.0.0.1"
_STRANGER = "what answers at {where} is not gatewayd's admin listener: does another program have that port? (ss -ltnp)"
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class NoDaemon(Exception):
    """Nobody answers, or the configuration does not say where; the text tells an operator what to do."""


class Stranger(NoDaemon):
    """Another program has the port: gatewayd cannot be there."""


class Unhappy(Exception):
    """The daemon answered with an error; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _OwnCertificate(http.client.HTTPSConnection):
    """TLS to a listener of this machine that shows the first certificate in `file`, whatever name it is for."""

    def __init__(self, host: str, port: int, file: str) -> None:
        self._believed = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(host, port, timeout=TIMEOUT, context=self._believed)
        self._file = file

    def connect(self) -> None:
        """Raises OSError, also where the file can't be read."""
        first, end, _ = Path(self._file).read_text("ascii", "replace").partition(_END_OF_CERTIFICATE)
        self._believed.check_hostname = False
        # Else it would have to be its own authority's.
        self._believed.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._believed.load_verify_locations(cadata=first[first.find(_CERTIFICATE) :] + end)
        super().connect()


_CERTIFICATE, _END_OF_CERTIFICATE = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class AdminClient:
    """Speaks to one listener; `connect` makes a connection, `where` names it for people."""

    def __init__(self, connect: Callable[[], http.client.HTTPConnection], where: str) -> None:
        self._connect = connect
        self._where = where
        self.operator = ""  # who asks; "": nobody knows

    def get(self, path: str) -> Json:
        """The JSON at `path`. Raises NoDaemon or Unhappy."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Json) -> Json:
        """The JSON that a verb answers. Raises NoDaemon or Unhappy."""
        # In an old locale Python keeps what it has no letters for as it came; mostly that is UTF-8.
        raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise Unhappy(400, "what was given is not UTF-8: no label and no id is so") from None
        return self.post_text(path, text)

    def post_text(self, path: str, body: str) -> Json:
        """As `post`, of what is JSON already."""
        return self._ask("POST", path, body)

    def trace(self, name: str) -> Json:
        """The timeline of one message, by our id or the caller's uid."""
        return self.get("/messages/" + quote(name, safe="", errors="surrogateescape"))

    def record(self, name: str) -> Json:
        """The same message's record in the store, by field names."""
        return self.get("/verbs/record?id=" + quote(name, safe="", errors="surrogateescape"))

    def answers(self) -> bool:
        """Whether somebody listens there."""
        connection = self._connect()
        try:
            connection.connect()
        except (OSError, ValueError):
            return False
        finally:
            connection.close()
        return True

    def _ask(self, method: str, path: str, body: str | None) -> Json:
        connection = self._connect()
        # By a listener's own host name nobody is let in: strangers could claim it.
        headers = {"Host": "localhost", "Accept": "application/json"}
        headers |= {OPERATOR: self.operator} if self.operator else {}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, None if body is None else body.encode(), headers)
            response = connection.getresponse()
            raw = response.read()
        except TimeoutError:
            raise NoDaemon(f"gatewayd at {self._where} did not answer within {TIMEOUT:g} s") from None
        except ssl.SSLCertVerificationError as error:
            why = f"is not the one that its file has ({error.verify_message}): a renewed one counts after a reload"
            raise NoDaemon(f"gatewayd's certificate at {self._where} {why}") from None
        except PermissionError:
            whose = "it is for root and the group gatewayd"
            raise NoDaemon(f"gatewayd may not be asked at {self._where} by this user: {whose}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # ValueError: of what can be no host's name.
            reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
            raise NoDaemon(
                f"gatewayd does not answer at {self._where}: {reason}. Is it running? (systemctl status gatewayd)"
            ) from None
        finally:
            connection.close()
        return _read(response.status, raw, self._where)


def _read(status: int, raw: bytes, where: str) -> Json:
    try:
        value: Any = json.loads(raw)
    except ValueError:
        raise Stranger(_STRANGER.format(where=where)) from None
    if not isinstance(value, dict):
        raise Stranger(_STRANGER.format(where=where))
    if status != 200:
        raise Unhappy(status, str(value.get("error", f"HTTP status {status}")))
    return value


def open_client(config: Path, instance: str = "", operator: str = "") -> AdminClient:
    """A client of the first listener in `config` that answers, else of the first; for `operator`. Raises NoDaemon."""
    clients = [_client(text) for text in _listens(config, instance)]
    known = [client for client in clients if client is not None]
    for client in known:
        client.operator = operator
    if not known:
        raise NoDaemon(f"{config}: admin.listen names no tcp: or unix: endpoint that gatewayctl could ask")
    if len(known) > 1:
        return next((client for client in known if client.answers()), known[0])
    return known[0]


def _listens(config: Path, instance: str) -> list[str]:
    try:
        raw = tomllib.loads(small_file.text(config, waits=True))
    except OSError as error:
        raise NoDaemon(f"cannot read {config}: {error.strerror} (gatewayctl --config FILE VERB)") from None
    except (ValueError, RecursionError) as error:
        raise NoDaemon(f"{config}: not TOML: {error}") from None
    admin, own = raw.get("admin", {}), raw.get("gatewayd", {})
    listens = admin.get("listen", [_DEFAULT_LISTEN]) if isinstance(admin, dict) else []
    name = instance or (own.get("instance") if isinstance(own, dict) else "") or socket.gethostname()
    if not isinstance(listens, list):
        raise NoDaemon(f"{config}: admin.listen: must be a list")
    return [str(text).replace("{instance}", str(name)) for text in listens]


def _client(listen: str) -> AdminClient | None:
    """The way to what listens on a Twisted server endpoint string; None for kinds that name no address."""
    said = words(listen)
    first = next(iter(said.plain), "")
    if said.kind == "unix":
        path = said.named.get("address", first)
        return AdminClient(lambda: _UnixConnection(path), path) if path else None
    number = port_of_server(listen)
    # Behind haproxy: a connection begins with the proxy's own line.
    if listen.startswith("haproxy:") or not re.fullmatch("[0-9]{1,5}", number):
        return None
    port = int(number)
    interface = said.named.get("interface", "")
    host = "::1" if said.kind == "tcp6" and not interface else _ANY.get(interface, interface)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if said.kind == "ssl":
        file = said.named.get("certKey") or said.named.get("privateKey", "")
        return AdminClient(lambda: _OwnCertificate(host, port, file), where)
    return AdminClient(lambda: http.client.HTTPConnection(host, port, timeout=TIMEOUT), where)
