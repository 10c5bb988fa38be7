"""Players by HTTP: the id in the URL, the answer's fields, trouble in words."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from certificates import Authority
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories.http import KEPT, HttpRecipientDirectory
from gatewayd.directories.remembered import TIRED_AFTER, Remembered, TookTooLong
from memory_network import Reactor

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


class Player:
    """A look-up under way over memory; `outcome` is its player or its exception once there is one."""

    def __init__(self, directory: HttpRecipientDirectory | Remembered, ext_user_id: str = "1") -> None:
        self.outcome: Any = None
        Deferred.fromCoroutine(directory.find("amazing", ext_user_id)).addBoth(self._ended)

    def _ended(self, result: Any) -> None:
        self.outcome = result.value if isinstance(result, Failure) else result


def over_memory(*addresses: str, url: str = "http://pam.internal/{ext_user_id}") -> tuple[Any, HttpRecipientDirectory]:
    """A reactor, and a directory whose other end is the test."""
    network = Reactor(*addresses)
    return network, HttpRecipientDirectory(network, url, timeout=2.0)


ANNA = b'{"email": "anna@players.example"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANNA), ANNA)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the host closed the connection before it answered"),
        (b"SSH-2.0-OpenSSH anna@players.example\r\n\r\n", "its answer is unreadable: it does not speak HTTP/1.1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "its answer is unreadable: its head is too long"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "its answer is unreadable: its head is too long"),
    ],
)
def test_an_http_directory_that_does_not_speak_it_is_said_in_words(said: bytes, words: str) -> None:
    """Hung up, or another protocol on that port: the classes of a library say nothing to an operator."""
    network, directory = over_memory()
    player = Player(directory)
    protocol, transport = network.connect()
    protocol.dataReceived(said)
    transport.closed()
    assert isinstance(player.outcome, TemporaryFailure)
    assert str(player.outcome) == f"the directory at pam.internal can't be asked: {words}"


def test_a_refused_connection_is_said_in_the_words_of_all_that_we_ask() -> None:
    """As a vendor's."""
    network, directory = over_memory()
    player = Player(directory)
    network.refuse()
    assert str(player.outcome) == "the directory at pam.internal can't be asked: host refused the connection"


@pytest.mark.parametrize("connects", [True, False])
def test_no_answer_in_time_is_a_time_out(connects: bool) -> None:
    """Such as is counted, and lets a directory rest: whether it takes connections or not."""
    network, directory = over_memory()
    player = Player(directory)
    if connects:
        network.connect()
    network.pump([0.1] * 25)
    assert isinstance(player.outcome, TookTooLong)
    assert str(player.outcome) == "the directory at pam.internal did not answer in time"


@pytest.mark.parametrize("connects", [True, False])
def test_who_gives_no_answer_in_time_is_let_rest(connects: bool) -> None:
    """Whichever of the two limits ends a look-up, it counts as what it is: after three of them nobody waits."""
    network, directory = over_memory()
    remembered = Remembered(network, "pam", directory, timeout=2.0, cache=0.0)
    for number in range(TIRED_AFTER):
        Player(remembered, str(number))
        if connects:
            network.connect()
        network.pump([0.1] * 25)
    Player(remembered, "who finds out")
    assert str(Player(remembered, "all others").outcome) == "the directory pam does not answer"


def test_of_two_addresses_one_that_says_nothing_is_tried_last() -> None:
    """One machine of a balanced name that hangs costs one look-up its time, and not each."""
    network, directory = over_memory("1.1.1.1", "1.1.1.2")
    player = Player(directory)
    network.connect()
    network.pump([0.1] * 25)
    assert isinstance(player.outcome, TookTooLong)
    player = Player(directory)
    assert network.tcpClients[-1][0] == "1.1.1.2"
    network.connect()[0].dataReceived(ANSWER)
    assert player.outcome == Recipient("anna@players.example")


def test_a_look_up_is_asked_again_where_its_kept_connection_was_just_being_closed() -> None:
    """It was no answer, and a GET does no harm twice."""
    network, directory = over_memory()
    Player(directory)
    protocol, transport = network.connect()
    protocol.dataReceived(ANSWER)
    player = Player(directory, "2")
    assert transport.value().count(b"GET /2 ") == 1
    transport.closed()
    protocol, transport = network.connect()
    assert transport.value().count(b"GET /2 ") == 1
    protocol.dataReceived(ANSWER)
    assert player.outcome == Recipient("anna@players.example")


def test_a_crowd_leaves_few_connections_behind() -> None:
    """Each that is kept costs the service one."""
    network, directory = over_memory()
    opened = []
    for number in range(KEPT + 4):
        Player(directory, str(number))
        opened.append(network.connect())
    for protocol, _ in opened:
        protocol.dataReceived(ANSWER)
    assert sum(not transport.disconnected for _, transport in opened) == KEPT


def test_a_look_up_ends_though_its_directory_is_closed() -> None:
    """A reload replaces it; who was asked for before is found, and no connection stays."""
    network, directory = over_memory()
    Player(directory)
    idle = network.connect()
    player = Player(directory)
    assert len(network.tcpClients) == 2
    busy = network.connect()
    idle[0].dataReceived(ANSWER)
    assert Deferred.fromCoroutine(directory.close()).called
    assert idle[1].disconnected
    assert not busy[1].disconnected
    busy[0].dataReceived(ANSWER)
    assert player.outcome == Recipient("anna@players.example")
    assert busy[1].disconnected


def test_a_header_of_the_operators_takes_the_place_of_ours() -> None:
    """Some services want their own kind of JSON, or know who asks by it."""
    network = Reactor()
    directory = HttpRecipientDirectory(
        network, "http://pam.internal/{ext_user_id}", lambda again=False: {"accept": "text/json", "User-Agent": "x"}
    )
    Player(directory)
    _, transport = network.connect()
    assert transport.value() == (
        b"GET /1 HTTP/1.1\r\nHost: pam.internal\r\nUser-Agent: x\r\n"
        b"Accept-Encoding: identity\r\naccept: text/json\r\n\r\n"
    )


@asynccontextmanager
async def over_http(
    service: Service, path: str = "players/{ext_user_id}", **options: Any
) -> AsyncIterator[HttpRecipientDirectory]:
    """A directory that reaches `service` on a socket; its secret was rotated since it was read."""

    def headers(again: bool = False) -> dict[str, str]:
        return {"Authorization": "rotated" if again else "secret"}

    port = await TCP4ServerEndpoint(reactor, 0, interface=LOOPBACK).listen(Site(service))
    url = f"http://{LOOPBACK}:{port.getHost().port}/{path}"
    directory = HttpRecipientDirectory(reactor, url, headers, **options)
    try:
        yield directory
    finally:
        await directory.close()
        await port.stopListening()


async def player_of(service: Service, ext_user_id: str = "1", **options: Any) -> Recipient | None:
    """The player as `service` tells of them."""
    async with over_http(service, **options) as directory:
        return await directory.find("amazing", ext_user_id)


@pytest_twisted.ensureDeferred
async def test_an_http_directory() -> None:
    """JSON by the columns' names; the secret goes along."""
    service = Service(body=b'{"email": "anna@players.example", "phone": 4712345678, "opted_out": true, "more": {}}')
    async with over_http(service) as directory:
        assert verifyObject(IRecipientDirectory, directory)
        found = await directory.find("amazing", "1001")
    assert found == Recipient("anna@players.example", "4712345678", opted_out=True)
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
    async with over_http(service, "{label}/{ext_user_id}?id={ext_user_id}") as directory:
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
    found = await player_of(Packed(b'{"email": "anna@players.example"}', b"gzip"))
    assert found == Recipient(email="anna@players.example")


@pytest.mark.parametrize(
    "service",
    [
        Packed(b" " * 60_000_000, b"gzip"),
        Packed(b" " * 60_000_000, b"gzip, gzip", 2),
        Packed(b"{", b"gzip", 0),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_packed_answer_takes_no_more_memory_than_another(service: Packed) -> None:
    """60 kB of it are 60 MB of blanks."""
    with peak_of_memory() as peak:
        with pytest.raises(TemporaryFailure, match="is not JSON"):
            await player_of(service)
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
    assert await player_of(service, ext_user_id) is None
    assert not service.asked
    assert await player_of(service, ext_user_id, path="?id={ext_user_id}") is not None
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
    assert await player_of(Service(status, body), not_found=(400,)) is None


@pytest_twisted.ensureDeferred
async def test_a_list_of_one_is_that_player() -> None:
    """As a search answers."""
    found = await player_of(Service(body=b'[{"email": "anna@players.example"}]'))
    assert found == Recipient("anna@players.example")


@pytest_twisted.ensureDeferred
async def test_a_name_that_was_cut_in_the_middle_of_a_sign_hides_no_player() -> None:
    """Half a surrogate pair is JSON by its grammar."""
    service = Service(body=rb'{"email": "anna@players.example", "nick": "Anna \ud83d"}')
    assert await player_of(service) == Recipient("anna@players.example")


@pytest_twisted.ensureDeferred
async def test_columns_may_stand_elsewhere_in_the_answer() -> None:
    """At a path, through lists too; what is not there is not there, and what is not named stays at the top."""
    body = (
        b'{"email": "top@x.example", "phone": "+447700900123", "excluded": true, '
        b'"data": {"id": 7, "contacts": [{"mail": "anna@players.example"}], "blocked": false}}'
    )
    fields = {"email": "data.contacts.0.mail", "id": "data.id", "excluded": "data.blocked", "im": "data.none.there"}
    found = await player_of(Service(body=body), fields=fields)
    assert found == Recipient("anna@players.example", "+447700900123", id="7")


@pytest.mark.parametrize("body", [b'{"error": "busy"}', b'{"data": {"email": "anna@players.example"}}', b'[{"a": 1}]'])
@pytest_twisted.ensureDeferred
async def test_what_has_no_columns_name_tells_of_no_player(body: bytes) -> None:
    """It is trouble: a player without any address would be rejected for good."""
    with pytest.raises(TemporaryFailure, match="none of the columns' names"):
        await player_of(Service(body=body))


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
    found = await player_of(Service(body=body), fields=fields)
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
    with capturedLogs() as events:
        async with over_http(Service(body=body), fields=fields) as directory:
            await directory.find("amazing", "1")
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
    assert await player_of(service) == Recipient("anna@players.example")
    assert [secret for _, secret in service.asked] == [b"secret", b"rotated"]
    service = Service(401)
    with pytest.raises(TemporaryFailure, match="answered with status 401: check authorization"):
        await player_of(service)
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
        await player_of(service)
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
    service = Service(body=b'{"email": "a@b.example", %b}' % members)
    with pytest.raises(TemporaryFailure, match=" twice"):
        await player_of(service, fields={"excluded": "consent.blocked"})


@pytest_twisted.ensureDeferred
async def test_what_an_answer_has_twice_elsewhere_is_no_outage() -> None:
    """Other tables may have the same names, and what is read of it keeps nobody from messages."""
    body = b'{"phone": "1", "opted_out": "no", "other": {"opted_out": true, "x": 1, "x": 2}, "im": "i", "im": "j"}'
    assert await player_of(Service(body=body)) == Recipient(phone="1", im="j")


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
    believed, failed = (
        {"ca_file": ours.ca_file},
        "can't be asked: TLS with the host failed: certificate verify failed: ",
    )
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
