"""Players by HTTP: the id in the URL, the answer's fields, trouble in words."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from certificates import Authority
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories.http import HttpRecipientDirectory

LOOPBACK = "127.0.0.1"


@contextmanager
def peak_of_memory() -> Iterator[Callable[[], int]]:
    """How many bytes more than at the beginning were in use at once."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Service(Resource):
    """A player service: answers as it is told, and keeps what it was asked."""

    isLeaf = True

    def __init__(self, status: int = 200, body: bytes = b'{"email": "anna@players.example"}') -> None:
        super().__init__()
        self.status, self.body = status, body
        self.asked: list[tuple[bytes, bytes | None]] = []

    def render_GET(self, request: Request) -> bytes:
        """The answer."""
        self.asked.append((request.uri, request.getHeader(b"Authorization")))
        request.setResponseCode(self.status)
        if 300 <= self.status < 400:
            request.setHeader(b"Location", b"/elsewhere")
        return self.body


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (ConnectionDone(), "it hung up before it had answered"),
        (ConnectionLost(), "the connection was lost before it had answered"),
        (ResponseFailed([Failure(ConnectionDone())]), "it hung up before it had answered"),
        (CancelledError(), "it did not answer in time"),
        (ValueError("anna@players.example"), "its answer is not HTTP (ValueError)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_http_directory_that_does_not_speak_it_is_said_in_words(reason: Exception, words: str) -> None:
    """Hung up, reset, or another protocol on that port: the classes of a library say nothing to an operator."""

    class Client:
        async def get(self, url: object, **options: object) -> None:
            raise ResponseNeverReceived([Failure(reason)])

    directory = HttpRecipientDirectory(
        Clock(), "https://pam.internal/{ext_user_id}", lambda again=False: {}, client=Client()
    )
    with pytest.raises(TemporaryFailure) as caught:
        await directory.find("amazing", "1")
    assert str(caught.value) == f"the directory at pam.internal can't be asked: {words}"


def over_http(
    service: Service, url: str = "https://pam.internal/players/{ext_user_id}", **options: Any
) -> HttpRecipientDirectory:
    """A directory that reaches `service` over memory; its secret was rotated since it was read."""

    def headers(again: bool = False) -> dict[str, str]:
        return {"Authorization": "rotated" if again else "secret"}

    return HttpRecipientDirectory(Clock(), url, headers, client=StubTreq(service), **options)


@pytest_twisted.ensureDeferred
async def test_an_http_directory() -> None:
    """JSON by the columns' names; the secret goes along."""
    service = Service(body=b'{"email": "anna@players.example", "phone": 4712345678, "opted_out": true, "more": {}}')
    directory = over_http(service)
    assert verifyObject(IRecipientDirectory, directory)
    assert await directory.find("amazing", "1001") == Recipient("anna@players.example", "4712345678", opted_out=True)
    assert service.asked == [(b"/players/1001", b"secret")]


@pytest.mark.parametrize(
    ("ext_user_id", "path"),
    [
        ("a b", b"a%20b"),
        ("ü", b"%C3%BC"),
        ("?x=1#y", b"%3Fx%3D1%23y"),
        ("{label}", b"%7Blabel%7D"),
        ("a+b&c", b"a%2Bb%26c"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_ids_are_percent_encoded(ext_user_id: str, path: bytes) -> None:
    """No id can leave its place in the URL, in the path or in the query."""
    service = Service()
    directory = over_http(service, "https://pam.internal/{label}/{ext_user_id}?id={ext_user_id}")
    await directory.find("a/z", ext_user_id)
    assert service.asked[0][0] == b"/a%2Fz/" + path + b"?id=" + path


class Packed(Service):
    """A service that packs its answers `times` times."""

    def __init__(self, body: bytes, encoding: bytes, times: int = 1) -> None:
        for _ in range(times):
            body = gzip.compress(body)
        super().__init__(body=body)
        self._encoding = encoding

    def render_GET(self, request: Request) -> bytes:
        """The answer."""
        request.setHeader(b"Content-Encoding", self._encoding)
        return super().render_GET(request)


@pytest_twisted.ensureDeferred
async def test_a_packed_answer_is_read() -> None:
    """As some services give it to whoever can read it."""
    found = await over_http(Packed(b'{"email": "anna@players.example"}', b"gzip")).find("amazing", "1")
    assert found == Recipient(email="anna@players.example")


@pytest.mark.parametrize(
    ("service", "why"),
    [
        (Packed(b" " * 60_000_000, b"gzip"), "is too long"),
        (Packed(b" " * 60_000_000, b"gzip, gzip", 2), "is packed twice"),
        (Packed(b"{}", b"gzip", 0), "is not gzip"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_packed_answer_takes_no_more_memory_than_another(service: Packed, why: str) -> None:
    """60 kB of it are 60 MB of blanks."""
    with peak_of_memory() as peak:
        with pytest.raises(TemporaryFailure, match=why):
            await over_http(service).find("amazing", "1")
        assert peak() < 3_000_000


@pytest.mark.parametrize(
    "ext_user_id",
    [
        *(".", "..", "../admin", "a/b", "a\\b", "%2e%2e", "%2e%2e%2fadmin", "%252e%252e%252fadmin", "..%5cadmin", "/"),
        *("..;", "..;x=1", ".;x", "%2e%2e;x", "..%3bx", "\uff0e\uff0e", "\u2025", "a\uff0fb", "a\uff3cb"),
        *("%c0%ae%C0%AE", "a%c0%afb", "%e0%80%ae%e0%80%ae", "%25c0%25af"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_id_that_could_be_another_path_is_nobodys(ext_user_id: str) -> None:
    """It would be one to some server or proxy, however it is encoded; in a query it is but a text."""
    service = Service()
    assert await over_http(service).find("amazing", ext_user_id) is None
    assert not service.asked
    assert await over_http(service, "https://pam.internal/?id={ext_user_id}").find("amazing", ext_user_id) is not None
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>"),
        (410, b"gone"),
        (204, b""),
        (200, b""),
        (200, b" null\n"),
        (200, b"[]"),
        (200, b'[{"email": "a@b.example"}, {"email": "c@d.example"}]'),
        (400, b"no such player"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_answers_that_tell_of_no_player(status: int, body: bytes) -> None:
    """They are answers, and no outages; of several players nobody knows which is meant."""
    assert await over_http(Service(status, body), not_found=(400,)).find("amazing", "1") is None


@pytest_twisted.ensureDeferred
async def test_a_list_of_one_is_that_player() -> None:
    """As a search answers."""
    found = await over_http(Service(body=b'[{"email": "anna@players.example"}]')).find("amazing", "1")
    assert found == Recipient("anna@players.example")


@pytest_twisted.ensureDeferred
async def test_a_name_that_was_cut_in_the_middle_of_a_sign_hides_no_player() -> None:
    """Half a surrogate pair is JSON by its grammar."""
    service = Service(body=rb'{"email": "anna@players.example", "nick": "Anna \ud83d"}')
    assert await over_http(service).find("amazing", "1") == Recipient("anna@players.example")


@pytest_twisted.ensureDeferred
async def test_columns_may_stand_elsewhere_in_the_answer() -> None:
    """At a path, through lists too; what is not there is not there, and what is not named stays at the top."""
    body = (
        b'{"email": "top@x.example", "phone": "+447700900123", "excluded": true, '
        b'"data": {"id": 7, "contacts": [{"mail": "anna@players.example"}], "blocked": false}}'
    )
    fields = {"email": "data.contacts.0.mail", "id": "data.id", "excluded": "data.blocked", "im": "data.none.there"}
    found = await over_http(Service(body=body), fields=fields).find("amazing", "1")
    assert found == Recipient("anna@players.example", "+447700900123", id="7")


@pytest.mark.parametrize("body", [b'{"error": "busy"}', b'{"data": {"email": "anna@players.example"}}', b'[{"a": 1}]'])
@pytest_twisted.ensureDeferred
async def test_what_has_no_columns_name_tells_of_no_player(body: bytes) -> None:
    """It is trouble: a player without any address would be rejected for good."""
    with pytest.raises(TemporaryFailure, match="none of the columns' names"):
        await over_http(Service(body=body)).find("amazing", "1")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"id": "1"}', {}),
        (b'{"Email": null, "phone": null}', {}),
        (b"{}", {}),
        (b'{"data": null, "error": ""}', {"email": "data.contact.email"}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_player_may_have_no_address(body: bytes, fields: dict[str, str]) -> None:
    """Many services leave out what is null; the way to a column is there, or another column."""
    found = await over_http(Service(body=body), fields=fields).find("amazing", "1")
    assert found is not None
    assert not found.email
    assert not found.phone


@pytest.mark.parametrize(
    ("body", "fields", "said"),
    [
        (b'{"email": "a@b.example", "optedOut": true}', {}, "tells of optedOut"),
        (b'{"email": "a@b.example", "Self-Excluded": 1}', {}, "tells of Self-Excluded"),
        (b'{"email": "a@b.example"}', {"excluded": "status.excluded"}, "has nothing at status.excluded"),
        (b'{"email": "a@b.example", "optedOut": true}', {"opted_out": "optedOut"}, ""),
        (b'{"email": "a@b.example", "opted_out": true, "vip": 1}', {}, ""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_flag_that_is_not_read_is_said_once(body: bytes, fields: dict[str, str], said: str) -> None:
    """By another name, or where the file does not look, it keeps nobody from getting messages."""
    directory = over_http(Service(body=body), fields=fields)
    with capturedLogs() as events:
        for _ in range(2):
            await directory.find("amazing", "1")
    words = [formatEvent(event) for event in events if "directory at" in str(event.get("log_format"))]
    assert len(words) == bool(said)
    assert said in "".join(words)
    assert "a@b" not in "".join(words)


@pytest_twisted.ensureDeferred
async def test_a_rotated_secret_is_read_again_after_a_401() -> None:
    """Once for each look-up; where that does not help either, it is trouble, and says what to look at."""

    class Rotated(Service):
        def render_GET(self, request: Request) -> bytes:
            """Only the new secret will do."""
            self.status = 200 if request.getHeader(b"Authorization") == b"rotated" else 401
            return super().render_GET(request)

    service = Rotated()
    assert await over_http(service).find("amazing", "1") == Recipient("anna@players.example")
    assert [secret for _, secret in service.asked] == [b"secret", b"rotated"]
    service = Service(401)
    with pytest.raises(TemporaryFailure, match=r"pam\.internal answered with status 401: check authorization"):
        await over_http(service).find("amazing", "1")
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"7"),
        (200, b'["anna@players.example"]'),
        (200, b"\xff"),
        (200, b'{"x":' + b"[" * 5000),
        (200, b'{"email": "' + b"x" * 70_000 + b'"}'),
        (301, b'{"email": "a@b.example"}'),
        (302, b'{"email": "a@b.example"}'),
        (403, b"{}"),
        (500, b"{}"),
        (503, b"anna@players.example is locked"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_http_trouble_is_a_temporary_failure(status: int, body: bytes) -> None:
    """Redirects are not followed, bodies are bounded, and what the service said is not repeated."""
    service = Service(status, body)
    with pytest.raises(TemporaryFailure) as caught:
        await over_http(service).find("amazing", "1")
    assert "anna" not in str(caught.value)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "members",
    [
        b'"opted_out": true, "opted_out": false',
        b'"Opted_Out": true, "opted_out": false',
        b'"consent": {"blocked": true, "blocked": 0}',
        b'"consent": {"blocked": true}, "consent": {}',
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_flag_that_an_answer_has_twice_is_an_outage(members: bytes) -> None:
    """Whichever counts, the other may say that nobody may write to this player; so with what leads to a flag."""
    directory = over_http(
        Service(body=b'{"email": "a@b.example", %b}' % members), fields={"excluded": "consent.blocked"}
    )
    with pytest.raises(TemporaryFailure, match=" twice"):
        await directory.find("amazing", "1")


@pytest_twisted.ensureDeferred
async def test_what_an_answer_has_twice_elsewhere_is_no_outage() -> None:
    """Other tables may have the same names, and what is read of it keeps nobody from messages."""
    body = b'{"phone": "1", "opted_out": "no", "other": {"opted_out": true, "x": 1, "x": 2}, "im": "i", "im": "j"}'
    assert await over_http(Service(body=body)).find("amazing", "1") == Recipient(phone="1", im="j")


@pytest.mark.parametrize(
    "url", ["https://{ext_user_id}/", "https://pam/", "https://pam/{ext_user_id}{x}", "https://pam"]
)
def test_wrong_urls(url: str) -> None:
    """No place for the id, a place in the host, an unknown place."""
    with pytest.raises(ValueError, match="url"):
        HttpRecipientDirectory(Clock(), url)


@pytest_twisted.ensureDeferred
async def test_the_certificate_of_a_service_is_the_operators_to_name(tmp_path: Path) -> None:
    """By ca_file, and a certificate of ours where it wants one; what is wrong with its own is said in words."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    certificate, key = ours.client("gw")
    good, expired = ours.endpoint(reactor, LOOPBACK), ours.endpoint(reactor, LOOPBACK, days=(-9, -2))
    wants = ours.endpoint(reactor, LOOPBACK, client_certificates=True)
    believed, failed = {"ca_file": ours.ca_file}, "can't be asked: TLS failed: certificate verify failed: "
    for endpoint, files, why in (
        (good, believed, ""),
        (good, {"ca_file": theirs.ca_file}, f"{failed}of an authority that this host does not know: set ca_file"),
        (good, {}, f"{failed}of an authority that this host does not know: set ca_file"),
        (good, {"ca_file": str(tmp_path / "gone.pem")}, "gone.pem: No such file or directory"),
        (expired, believed, f"{failed}expired: they must renew it"),
        (wants, believed, "it wants a client's certificate: set certificate and private_key"),
        (wants, believed | {"certificate": certificate, "private_key": key}, ""),
    ):
        port = await endpoint.listen(Site(Service()))
        directory = HttpRecipientDirectory(
            reactor, f"https://{LOOPBACK}:{port.getHost().port}/{{ext_user_id}}", **files
        )
        try:
            assert await directory.find("amazing", "1") == Recipient("anna@players.example")
            said = ""
        except TemporaryFailure as failure:
            said = failure.reason
        finally:
            await directory.close()
            await port.stopListening()
        assert said.endswith(why), said
        assert bool(said) is bool(why)
