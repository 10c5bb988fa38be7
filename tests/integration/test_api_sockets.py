"""The api listener on real sockets: framing, vanishing callers, refusals before the body, shared ports, drains."""

import ipaddress
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import treq
from treq.client import HTTPClient
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent, HTTPConnectionPool

from certificates import Authority
from conftest import impossible
from fakes import FakeStore
from gatewayd.core.interfaces import Acceptance
from gatewayd.http.ports import Listener, listen
from intake_world import EMAIL, SECRET, Intake, label


class Caller(Protocol):
    """A raw connection that keeps what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.closed: Deferred[None] = Deferred()
        self._waiting: list[tuple[bytes, int, Deferred[bytes]]] = []

    def dataReceived(self, data: bytes) -> None:
        """Keep it, and wake who waits for it."""
        self.heard += data
        for item in list(self._waiting):
            words, count, waiting = item
            if self.heard.count(words) >= count:
                self._waiting.remove(item)
                waiting.callback(self.heard)

    def connectionLost(self, reason: Any = None) -> None:
        """The other side closed."""
        self.closed.callback(None)
        for _, _, waiting in self._waiting:
            waiting.errback(ConnectionError(f"closed after {self.heard!r}"))

    def send(self, data: bytes) -> None:
        """Write at once."""
        assert self.transport is not None
        self.transport.write(data)

    async def hears(self, words: bytes, count: int = 1) -> bytes:
        """All that was heard, once `words` were in it so often."""
        if self.heard.count(words) < count:
            waiting: Deferred[bytes] = Deferred()
            self._waiting.append((words, count, waiting))
            await waiting
        return self.heard


class GatedStore(FakeStore):
    """A store that answers once its gate opens."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.gate: Deferred[None] = Deferred()
        self.asked: Deferred[None] = Deferred()

    async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
        """As the fake's."""
        if not self.asked.called:
            self.asked.callback(None)
        if not self.gate.called:
            waiting: Deferred[None] = Deferred()
            self.gate.addCallback(waiting.callback)
            await waiting
        return await super().accept(*args, **more)


LOOPBACK = "tcp:0:interface=127.0.0.1"


class Gateway:
    """An api on real ports."""

    def __init__(self, listens: tuple[str, ...] = (LOOPBACK,), store: Any = FakeStore, **more: Any) -> None:
        self.intake = Intake(store, **more)
        self.site = self.intake.api.site(reactor)
        self.listener = Listener(reactor, listens, self.site, drain_limit=5)
        self.listener.startService()

    @property
    def port(self) -> int:
        """Of the first listener."""
        return int(self.listener.ports[0].getHost().port)  # type: ignore[attr-defined]

    async def call(self, endpoint: str = "") -> Caller:
        """A new connection."""
        text = endpoint or f"tcp:127.0.0.1:{self.port}"
        return await connectProtocol(clientFromString(reactor, text), Caller())


@pytest_twisted.async_yield_fixture
async def gateway() -> AsyncIterator[Gateway]:
    """An api whose label is open to loopback."""
    found = Gateway()
    yield found
    await found.listener.stopService()


def post(fields: Any = EMAIL, *headers: str, path: str = "/amazing/email", length: bool = True) -> bytes:
    """A whole request."""
    body = json.dumps(fields).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: gw", f"Authorization: {SECRET}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest_twisted.ensureDeferred
async def test_pipelined_requests(gateway: Gateway) -> None:
    """Ten in one write are answered in order, over one connection."""
    caller = await gateway.call()
    caller.send(b"".join(post(EMAIL | {"email_uid": str(n)}) for n in range(10)))
    await caller.hears(b'"}', 10)
    ids = re.findall(rb'"ext_message_id":"([0-9a-f-]{36})"', caller.heard)
    order = [gateway.intake.store.db.rows[message_id.decode()].uid for message_id in ids]
    assert order == [str(n) for n in range(10)]


@pytest_twisted.ensureDeferred
async def test_a_request_byte_by_byte_and_in_chunks(gateway: Gateway) -> None:
    """However it is cut."""
    caller = await gateway.call()
    body = json.dumps(EMAIL).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[n : n + 7] for n in range(0, len(body), 7)))
    whole = post({}, "Transfer-Encoding: chunked", length=False)[:-2] + chunks + b"0\r\n\r\n"
    for n in range(len(whole)):
        caller.send(whole[n : n + 1])
    assert b'"error_code":0' in await caller.hears(b'"}')


@pytest_twisted.ensureDeferred
async def test_expect_continue(gateway: Gateway) -> None:
    """100 first, the answer once the body came."""
    caller = await gateway.call()
    request = post(EMAIL, "Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    caller.send(head + b"\r\n\r\n")
    assert await caller.hears(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    caller.send(body)
    assert b'"error_code":0' in await caller.hears(b'"}')


@pytest_twisted.ensureDeferred
async def test_a_stranger_is_forbidden_before_the_body() -> None:
    """403 as JSON comes back on the head alone."""
    gateway = Gateway(amazing=label(allow_from=["203.0.113.0/24"]))
    try:
        caller = await gateway.call()
        caller.send(post(EMAIL, "Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        answer = await caller.hears(b"}")
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b'{"error_code":4,"error_message":"not authorised"}' in answer
        assert b"100 Continue" not in answer
        assert caller.transport is not None
        caller.transport.loseConnection()
    finally:
        await gateway.listener.stopService()


@pytest.mark.parametrize("chunked", [False, True])
@pytest_twisted.ensureDeferred
async def test_a_caller_who_sends_too_much_still_hears_why(gateway: Gateway, chunked: bool) -> None:
    """Error 8 with status 200 reaches even a caller who writes the whole of 8 MB before it reads."""
    size = 8_000_000
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    request = post({}, framing, length=False)[:-2]
    request += b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size) if chunked else b"x" * size

    def write_all_then_read() -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as caller:
            caller.sendall(request)
            heard = b""
            while data := caller.recv(4096):
                heard += data
            return heard

    answer = await deferToThread(write_all_then_read)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"error_code":8' in answer


@pytest_twisted.ensureDeferred
async def test_a_caller_who_hangs_up_is_stored_all_the_same() -> None:
    """Acceptance does not depend on anybody waiting for it: the message is stored, leased and offered."""
    gateway = Gateway(store=GatedStore)
    intake_store = gateway.intake.store
    gateway.intake.trays[next(iter(gateway.intake.trays))].places = 1
    try:
        caller = await gateway.call()
        caller.send(post())
        await intake_store.asked
        assert caller.transport is not None
        caller.transport.abortConnection()  # type: ignore[attr-defined]
        await caller.closed
        await _until(lambda: not gateway.site.crowd.connections)
        intake_store.gate.callback(None)
        assert len(intake_store.db.rows) == 1
        assert len(next(iter(gateway.intake.trays.values())).offered) == 1
    finally:
        await gateway.listener.stopService()


@pytest_twisted.ensureDeferred
async def test_who_has_said_all_still_hears_the_answers() -> None:
    """A caller that closes its writing half after two requests gets both answers, and then the end."""
    gateway = Gateway(store=GatedStore)
    store = gateway.intake.store

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as caller:
            caller.sendall(post() + post(EMAIL | {"email_uid": "2"}))
            caller.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: caller.recv(4096), b""))

    try:
        asking = deferToThread(ask)
        await store.asked
        store.gate.callback(None)
        assert (await asking).count(b'"error_code":0') == 2
        await _until(lambda: not gateway.site.crowd.connections)
    finally:
        await gateway.listener.stopService()


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [("X: " + "x" * 40_000, 200, 3), ("Content-Length: x", 200, 3), ("Content-Length: 9999999", 200, 8)],
)
@pytest_twisted.ensureDeferred
async def test_who_is_refused_on_the_head_hears_it_and_the_end_at_once(header: str, status: int, code: int) -> None:
    """Even one who reads until we close: nobody waits for a body that does not come."""
    gateway = Gateway()

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as caller:
            caller.sendall(f"POST /amazing/email HTTP/1.1\r\nHost: gw\r\n{header}\r\n\r\n".encode())
            return b"".join(iter(lambda: caller.recv(4096), b""))

    try:
        answer = await deferToThread(ask)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b'{"error_code":%d,' % code in answer
        await _until(lambda: not gateway.site.crowd.connections)
    finally:
        await gateway.listener.stopService()


@pytest_twisted.ensureDeferred
async def test_a_drain_lets_the_last_answer_leave() -> None:
    """Ports close first; who is being served is answered, with Connection: close; idle callers are let go."""
    gateway = Gateway(store=GatedStore)
    store = gateway.intake.store
    idle, busy = await gateway.call(), await gateway.call()
    idle.send(post(EMAIL | {"email_uid": ""}, path="/amazing/email"))
    await idle.hears(b"}")
    busy.send(post())
    await store.asked
    port = gateway.port
    stopped = gateway.listener.stopService()
    await idle.closed
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert not stopped.called
    store.gate.callback(None)
    await busy.closed
    assert b'"error_code":0' in busy.heard
    assert b"Connection: close\r\n" in busy.heard
    await stopped


@pytest_twisted.ensureDeferred
async def test_over_tls(tmp_path: Path) -> None:
    """A listener of its own certificate: small and large, kept and refused, and a caller who reads until we close."""
    authority = Authority(tmp_path)
    gateway = Gateway()
    port: Any = await authority.endpoint(reactor, "127.0.0.1").listen(gateway.site)
    trusting = ssl.create_default_context(cafile=authority.ca_file)
    # As curl and nearly every other client does.
    trusting.set_alpn_protocols(["h2", "http/1.1"])

    def ask(data: bytes, ends: bytes) -> bytes:
        plain = socket.create_connection(("127.0.0.1", port.getHost().port), timeout=20)
        with trusting.wrap_socket(plain, server_hostname="127.0.0.1") as caller:
            assert caller.selected_alpn_protocol() == "http/1.1"
            caller.sendall(data)
            heard = b""
            while not heard.endswith(ends) and (more := caller.recv(65536)):
                heard += more
            return heard

    try:
        large = EMAIL | {"body": "x" * 15_000}
        asked = post() + post(large | {"email_uid": "2"}) + b"GET /x HTTP/1.1\r\nHost: gw\r\n\r\n"
        answers = await deferToThread(ask, asked, b"not found\n")
        assert answers.count(b'{"error_code":0,') == 2
        refused = await deferToThread(ask, post(large).replace(SECRET.encode(), b"wrong"), b'not authorised"}')
        assert b"Connection: close" in refused
    finally:
        await port.stopListening()
        await gateway.listener.stopService()


@pytest_twisted.ensureDeferred
async def test_treq_over_a_kept_connection(gateway: Gateway) -> None:
    """A real client, several requests, one connection."""
    pool = HTTPConnectionPool(reactor)
    client = HTTPClient(Agent(reactor, pool=pool))
    for n in range(5):
        response = await client.post(
            f"http://127.0.0.1:{gateway.port}/amazing/email",
            data=json.dumps(EMAIL | {"email_uid": str(n)}).encode(),
            headers={"Authorization": SECRET},
            reactor=reactor,
        )
        assert (await treq.json_content(response))["error_code"] == 0
    assert len(gateway.site.crowd.connections) == 1
    await pool.closeCachedConnections()


@pytest_twisted.ensureDeferred
async def test_ipv6_and_mapped_callers() -> None:
    """A dual-stack port: ::1 counts as itself, an IPv4 caller as its IPv4 address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        impossible("IPv6 on loopback")
    gateway = Gateway((r"tcp:0:interface=\:\:",), amazing=label(allow_from=["127.0.0.1/32"]))
    try:
        for host, status in (("127.0.0.1", b"200"), (r"\:\:1", b"403")):
            caller = await gateway.call(f"tcp:host={host}:port={gateway.port}")
            caller.send(post())
            assert (await caller.hears(b"}")).startswith(b"HTTP/1.1 " + status)
            assert caller.transport is not None
            caller.transport.loseConnection()
    finally:
        await gateway.listener.stopService()


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_counts_as_loopback(tmp_path: Path) -> None:
    """Behind nginx on this machine: its X-Forwarded-For is believed where 127.0.0.1 is a trusted proxy."""
    path = tmp_path / "api.sock"
    trusted = (ipaddress.ip_network("127.0.0.1/32"),)
    gateway = Gateway((f"unix:{path}",), trusted_proxies=trusted, amazing=label(allow_from=["203.0.113.0/24"]))
    try:
        for forwarded, status in (("203.0.113.9", b"200"), ("198.51.100.9", b"403")):
            caller = await gateway.call(f"unix:{path}")
            caller.send(post(EMAIL, f"X-Forwarded-For: {forwarded}"))
            assert (await caller.hears(b"}")).startswith(b"HTTP/1.1 " + status)
            assert caller.transport is not None
            caller.transport.loseConnection()
    finally:
        await gateway.listener.stopService()


@pytest.mark.parametrize("interface", ["127.0.0.1", r"\:\:1"])
@pytest_twisted.ensureDeferred
async def test_a_port_is_shared_where_it_may_be(interface: str) -> None:
    """SO_REUSEPORT on IPv4 and IPv6: a second listener opens the same port, and not without it."""
    host = interface.replace("\\", "")
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        impossible("IPv6 on loopback")
    site = Intake().api.site(reactor)
    first = await listen(reactor, f"tcp:0:interface={interface}", site, reuse_port=True)
    port = first.getHost().port  # type: ignore[attr-defined]
    second = await listen(reactor, f"tcp:{port}:interface={interface}", site, reuse_port=True)
    with pytest.raises(CannotListenError):
        await listen(reactor, f"tcp:{port}:interface={interface}", site)
    for found in (first, second):
        await found.stopListening()


def test_a_port_that_is_taken_stops_the_start() -> None:
    """The service's start raises, so that twistd ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListenError):
        Gateway((f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1",))


async def _until(true: Any) -> None:
    while not true():
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.001, turn.callback, None)  # type: ignore[attr-defined]
        await turn
