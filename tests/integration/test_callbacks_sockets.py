"""callbacks.py and report.py against the sandbox's Smartico on real sockets."""

import datetime
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from gatewayd.callbacks import MOST, Callbacks
from gatewayd.config import Label, Secret
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.model import Channel, ReportJob
from gatewayd.core.status import Report
from gatewayd.sandbox.smartico import (
    BROKEN,
    DROPPED,
    HANGING,
    NOT_FOUND,
    OK,
    PRINTED_OK,
    CallbackAnswer,
    Smartico,
    first_times,
)
from gatewayd.work.report import Reporter
from redis_server import later

ID = "a540f662-45b3-11ee-be56-0242ac120002"


@pytest_twisted.async_yield_fixture
async def smartico() -> AsyncIterator[Smartico]:
    """A Smartico that answers 0."""
    simulator = Smartico(reactor)
    yield simulator
    await simulator.close()


@asynccontextmanager
async def patient(seconds: float) -> AsyncIterator[Callbacks]:
    """Callbacks that give up after so long, for what a busy machine may take a while for."""
    service = Callbacks(reactor, lambda: 0.5, timeout=seconds)
    service.startService()
    yield service
    await service.stopService()


@pytest_twisted.async_yield_fixture
async def callbacks() -> AsyncIterator[Callbacks]:
    """Callbacks that give up after a second."""
    service = Callbacks(reactor, lambda: 0.5, timeout=1.0)
    service.startService()
    yield service
    await service.stopService()


def certificate(directory: Path, name: str) -> DefaultOpenSSLContextFactory:
    """A self-signed certificate for `name` and its key; the certificate also as ca.pem in `directory`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternative: x509.GeneralName = x509.DNSName(name)
    if name[0].isdigit():
        alternative = x509.IPAddress(ipaddress.ip_address(name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (directory / "ca.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)
    return DefaultOpenSSLContextFactory(str(directory / "key.pem"), str(directory / "ca.pem"), SSL.TLS_SERVER_METHOD)


async def failure_of(callbacks: Callbacks, url: str, **options: Any) -> TemporaryFailure:
    """What a GET fails with."""
    with pytest.raises(TemporaryFailure) as caught:
        await callbacks.get(url, **({"allow_private": True} | options))
    return caught.value


@pytest_twisted.ensureDeferred
async def test_a_thousand_callbacks_over_few_connections(smartico: Smartico) -> None:
    """Many callbacks to one host share at most MOST connections, and each is heard once."""
    url = await smartico.listen()

    async def one(number: int) -> Any:
        while True:
            try:
                return await callbacks.get(f"{url}?ext_message_id={number}&status=x", allow_private=True)
            except TemporaryFailure as failure:
                # Who has waited in line for half a second comes again, as the outbox would.
                if failure.reason != "callback host is busy":
                    raise
                await later(0.1)

    async with patient(60) as callbacks:
        gets = [Deferred.fromCoroutine(one(number)) for number in range(900)]
        results = await DeferredList(gets, fireOnOneErrback=True)
    assert {result for _, result in results} == {(200, PRINTED_OK)}
    assert sorted(int(heard.ext_message_id) for heard in smartico.heard) == list(range(900))
    assert smartico.connections <= MOST


@pytest_twisted.ensureDeferred
async def test_a_reporter_tells_a_status(smartico: Smartico, callbacks: Callbacks) -> None:
    """From a job to what Smartico hears, and again after "was not found"."""
    url = await smartico.listen()
    smartico.answers = first_times(1, NOT_FOUND)
    label = Label.model_construct(api_key=Secret("k1"), callback_url=url + "?brand=7", callback_hosts=("127.0.0.1",))
    reporter = Reporter(reactor, callbacks, {"amazing": label})
    job = ReportJob(ID, "amazing", Channel.SMS, Report.ACCEPTED, "", queued_at=reactor.seconds())
    with pytest.raises(TemporaryFailure, match="error_code 1: email was not found"):
        await reporter.tell(job)
    await reporter.tell(job)
    first, second = smartico.heard
    assert first.query == second.query
    assert dict(first.query) == {
        "brand": "7",
        "type": "sms",
        "ext_message_id": ID,
        "status": "accepted",
        "api_key": "k1",
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HANGING, "no answer to the callback in 1 s"),
        (CallbackAnswer(delay=30), "no answer to the callback in 1 s"),
        (DROPPED, "the connection to the callback host was lost before it answered"),
        (CallbackAnswer(body=b"x" * 70_000), "the callback's answer is unreadable: it is too large"),
        (CallbackAnswer(status=503, headers=(("Retry-After", "5"),)), "callback answered HTTP 503"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_how_a_bad_host_fails(
    smartico: Smartico, callbacks: Callbacks, answer: CallbackAnswer, reason: str
) -> None:
    """A host that is slow, cuts off or floods fails each try for a stated reason, and the next try is heard again."""
    url = await smartico.listen()
    smartico.answers = first_times(1, answer)
    assert (await failure_of(callbacks, url)).reason == reason
    assert await callbacks.get(url, allow_private=True) == (200, PRINTED_OK)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (CallbackAnswer(status=503, headers=(("Retry-After", "5"),)), "HTTP 503 (5 times in a row); statuses wait"),
        (CallbackAnswer(status=429), "HTTP 429 (5 times in a row); statuses wait"),
        (CallbackAnswer(body=b"x" * 70_000), "too large (5 times in a row); is callback_url of amazing right?"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_host_that_puts_all_statuses_off_is_not_up(
    smartico: Smartico, callbacks: Callbacks, answer: CallbackAnswer, words: str
) -> None:
    """Nor is one whose answers are none: it was shown as up, and nobody was told, for the 48 hours of its statuses."""
    url = await smartico.listen()
    smartico.answers = lambda heard: answer
    label = Label.model_construct(api_key=Secret("k1"), callback_url=url, callback_hosts=("127.0.0.1",))
    reporter = Reporter(reactor, callbacks, {"amazing": label})
    job = ReportJob(ID, "amazing", Channel.SMS, Report.ACCEPTED, "", queued_at=0.0)
    for _ in range(5):
        assert list(reporter.degraded()) == []
        with pytest.raises(TemporaryFailure):
            await reporter.tell(job)
    (said,) = reporter.degraded()
    assert words in said.text
    smartico.answers = lambda heard: OK
    await reporter.tell(job)
    assert list(reporter.degraded()) == []


@pytest_twisted.ensureDeferred
async def test_redirects_and_errors_are_answers(smartico: Smartico, callbacks: Callbacks) -> None:
    """A redirect is not followed; an HTTP error is an answer like another."""
    url = await smartico.listen()
    smartico.answers = lambda heard: CallbackAnswer(status=302, headers=(("Location", url + "/other"),), body=b"")
    assert await callbacks.get(url, allow_private=True) == (302, b"")
    smartico.answers = lambda heard: BROKEN
    assert (await callbacks.get(url, allow_private=True))[0] == 500
    assert {heard.path for heard in smartico.heard} == {"/callback"}


@pytest_twisted.ensureDeferred
async def test_a_restarted_host_is_found_again(smartico: Smartico, callbacks: Callbacks) -> None:
    """Connections that the host closed are not used again; while it is away, each try is refused."""
    url = await smartico.listen()
    await callbacks.get(url, allow_private=True)
    port = smartico.port
    await smartico.close()
    failure = await failure_of(callbacks, url)
    if not failure.counts:  # we were faster than the news that the kept connection is closed
        failure = await failure_of(callbacks, url)
    assert failure.reason == "callback host refused the connection"
    await smartico.listen(port)
    assert (await callbacks.get(url, allow_private=True))[0] == 200


@pytest_twisted.ensureDeferred
async def test_hanging_hosts_leave_the_others_alone(smartico: Smartico) -> None:
    """While one host holds all its places, another hears its callbacks: all of them before the first one gives up."""
    url = await smartico.listen()
    bad = Smartico(reactor, lambda heard: HANGING)
    bad_url = await bad.listen()
    async with patient(4) as callbacks:
        hanging = [Deferred.fromCoroutine(callbacks.get(bad_url, allow_private=True)) for _ in range(4 * MOST)]
        ended = DeferredList(hanging, consumeErrors=True)
        await bad.until(lambda heard: len(heard) == MOST)
        for _ in range(50):
            await callbacks.get(url, allow_private=True)
        assert not ended.called
        failures = [failure.value for _, failure in await ended]
        assert {failure.reason for failure in failures} <= {
            "no answer to the callback in 4 s",
            "callback host is busy",
            "callback host is down",
        }
        assert len(bad.heard) <= 2 * MOST
    await bad.close()


@pytest_twisted.ensureDeferred
async def test_loopback_is_refused_unless_it_is_listed(smartico: Smartico, callbacks: Callbacks) -> None:
    """Without leave, neither a loopback address nor a name that stands for one hears anything."""
    url = await smartico.listen()
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1"):
        failure = await failure_of(callbacks, url.replace("127.0.0.1", host), allow_private=False)
        assert failure.reason == "the callback host is at a private address"
    assert smartico.heard == []
    assert smartico.connections == 0


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_not_there(callbacks: Callbacks) -> None:
    """A host that cannot be found is a temporary trouble."""
    assert (await failure_of(callbacks, "http://no-such-host.invalid/")).reason == "callback host not found"


@pytest_twisted.ensureDeferred
async def test_certificates_count(
    smartico: Smartico, callbacks: Callbacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown issuer is refused, SSL_CERT_FILE makes it known, and another name's certificate is refused still."""
    mine = certificate(tmp_path, "127.0.0.1")
    url = await smartico.listen(tls=mine)
    failure = await failure_of(callbacks, url)
    why = "self-signed, and not known to this host"
    assert failure.reason == f"TLS with the callback host failed: certificate verify failed: {why}"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    trusting = Callbacks(reactor, lambda: 0.5, timeout=5.0)
    try:
        for _ in range(3):
            assert (await trusting.get(url, allow_private=True))[0] == 200
        assert smartico.connections == 2
        other = url.replace("127.0.0.1", "localhost")
        assert "certificate" in (await failure_of(trusting, other)).reason
    finally:
        await trusting.stopService()
    assert len(smartico.heard) == 3


@pytest_twisted.ensureDeferred
async def test_the_simulator_posts_as_smartico_does(smartico: Smartico) -> None:
    """What `send_email` says arrives as JSON with its secret; the answer is read."""
    heard: list[tuple[str, dict[str, Any]]] = []

    class Gateway(Resource):
        """Takes everything."""

        isLeaf = True

        def render_POST(self, request: Any) -> bytes:
            """Takes one message."""
            heard.append((request.getHeader("authorization"), json.load(request.content)))
            return b'{"error_code": 0, "ext_message_id": "7"}'

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Site(Gateway()))
    said = await smartico.send_email(f"http://127.0.0.1:{port.getHost().port}", "amazing", "hush", text_body=None)
    await smartico.close()
    await port.stopListening()
    assert (said.http_status, said.error_code, said.ext_message_id) == (200, 0, "7")
    [(secret, fields)] = heard
    assert secret == "hush"
    assert "text_body" not in fields
    assert OK.status == 200
