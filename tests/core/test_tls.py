"""Client-side TLS contexts from files, proven by handshakes on real sockets."""

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography.x509 import DNSName, GeneralName, IPAddress, RFC822Name, UniformResourceIdentifier
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ClientEndpoint, TCP4ServerEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from certificates import Authority
from gatewayd.core.tls import RenewedOptions, UnusableFile, client_options, fault, usable
from gatewayd.http_client import origin

HOST = "127.0.0.1"
NAMES_NONE = "the certificate is not for this host: its subjectAltName names none"


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        assert self.transport is not None
        self.transport.write(data)


class Asks(Protocol):
    """Says hello; `heard` fires with the echo, or fails with what ended the connection."""

    transport: Any

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Twisted: connected."""
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        self.heard.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: gone."""
        if not self.heard.called:
            self.heard.errback(reason)
        self.gone.callback(None)


async def talked(authority: Authority, options: Any, *, name: str = HOST, client_certificates: bool = False) -> bool:
    """Whether a server called `name` and a client with `options` can talk."""
    server = authority.endpoint(reactor, name, client_certificates=client_certificates)
    port = await server.listen(Factory.forProtocol(Echo))
    asks = Asks()
    try:
        plain = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
        await wrapClientTLS(options, plain).connect(Factory.forProtocol(lambda: asks))
        try:
            return await asks.heard == b"hello"
        except Exception:
            return False
    finally:
        asks.transport.abortConnection()
        await asks.gone
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_the_authority_of_ca_file_counts_and_no_other(tmp_path: Path) -> None:
    """A server is believed whose certificate it signed, for the host's own name; nobody else is."""
    ours, theirs = authorities(tmp_path)
    assert await talked(ours, client_options(HOST, ca_file=ours.ca_file))
    assert not await talked(ours, client_options(HOST, ca_file=ours.ca_file), name="other.test")
    assert not await talked(theirs, client_options(HOST, ca_file=ours.ca_file))
    assert not await talked(ours, client_options(HOST))


@pytest_twisted.ensureDeferred
async def test_ca_file_may_hold_several_authorities(tmp_path: Path) -> None:
    """While an authority is being changed for another, both count."""
    ours, theirs = authorities(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(Path(ours.ca_file).read_text() + Path(theirs.ca_file).read_text())
    for authority in (ours, theirs):
        assert await talked(authority, client_options(HOST, ca_file=str(both)))


@pytest_twisted.ensureDeferred
async def test_a_pinned_certificate_counts_whoever_signed_it_for_whom(tmp_path: Path) -> None:
    """With pins that one is believed, for another's name and by an unknown authority too, and no other is."""
    ours, _ = authorities(tmp_path)
    server = ours.endpoint(reactor, "other.test")
    port = await server.listen(Factory.forProtocol(Echo))
    try:
        place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
        assert await hears(place, client_options(HOST, pins=["0" * 64, ours.fingerprint])) == "hello"
        refused = await hears(place, client_options(HOST, pins=["0" * 64]))
        assert "none of certificate_pins" in refused
        assert ours.fingerprint in refused
    finally:
        await port.stopListening()


async def hears(place: TCP4ClientEndpoint, options: Any) -> str:
    """The echo at `place`, or in words what TLS disliked."""
    asks = Asks()
    await wrapClientTLS(options, place).connect(Factory.forProtocol(lambda: asks))
    try:
        return (await asks.heard).decode()
    except Exception as error:
        return fault(error)
    finally:
        asks.transport.abortConnection()
        await asks.gone


class SpeaksFirst(Protocol):
    """A server without TLS, which greets."""

    def connectionMade(self) -> None:
        """Twisted: connected."""
        assert self.transport is not None
        self.transport.write(b"220 mail.example ESMTP\r\n")


@pytest_twisted.ensureDeferred
async def test_what_tls_disliked_says_what_to_do(tmp_path: Path) -> None:
    """Where OpenSSL's own words leave an operator alone: an unknown authority, no TLS there, our certificate wanted."""
    ours, theirs = authorities(tmp_path)
    server = ours.endpoint(reactor, HOST)
    asking = ours.endpoint(reactor, HOST, client_certificates=True)
    plain = TCP4ServerEndpoint(reactor, 0, interface=HOST)
    for endpoint, factory, authority, words in (
        (server, Echo, theirs, "of an authority that this host does not know: set ca_file"),
        (plain, SpeaksFirst, ours, "the other side speaks no TLS on this port"),
        (asking, Echo, ours, "it wants a client's certificate: set certificate and private_key"),
    ):
        port = await endpoint.listen(Factory.forProtocol(factory))
        try:
            place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
            assert (await hears(place, client_options(HOST, ca_file=authority.ca_file))).endswith(f": {words}")
        finally:
            await port.stopListening()


@pytest.mark.parametrize("error", [SSL.SysCallError(104, "ECONNRESET"), SSL.ZeroReturnError(), SSL.Error([()])])
def test_what_openssl_gives_no_words_for_is_said_too(error: SSL.Error) -> None:
    """A failed call to the system has a number where the others have their faults."""
    assert fault(error) == "TLS failed: no reason given"
    assert origin.reason(error, "host") == "TLS with the host failed: no reason given"


@pytest_twisted.ensureDeferred
async def test_each_fault_of_a_certificate_has_its_own_words(tmp_path: Path) -> None:
    """Who set ca_file must not be told to set it where the certificate's dates or name are wrong."""
    ours, theirs = authorities(tmp_path)
    before = "TLS failed: certificate verify failed: "
    for days, name, authority, words in (
        ((-9, -2), HOST, ours, f"{before}expired: they must renew it"),
        ((2, 9), HOST, ours, f"{before}not valid yet: is a clock off, there or here?"),
        ((-1, 2), "other.test", ours, "the certificate is not for this host"),
        ((-1, 2), HOST, theirs, f"{before}of an authority that this host does not know: set ca_file"),
        ((-1, 2), HOST, ours, "hello"),
    ):
        port = await ours.endpoint(reactor, name, days=days).listen(Factory.forProtocol(Echo))
        try:
            place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
            heard = await hears(place, client_options(HOST, ca_file=authority.ca_file))
            assert heard == words
        finally:
            await port.stopListening()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), NAMES_NONE),
        ((DNSName(HOST),), NAMES_NONE),
        ((RFC822Name("gw@players.example"),), NAMES_NONE),
        ((UniformResourceIdentifier("urn:uuid:7d8f:1"),), NAMES_NONE),
        ((DNSName("*"),), NAMES_NONE),
        ((DNSName("other.test"), DNSName(HOST)), "the certificate is not for this host"),
        ((DNSName(HOST), UniformResourceIdentifier("urn:uuid:7d8f:1"), IPAddress(IPv4Address(HOST))), "hello"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_certificate_for_no_host_is_not_for_ours(
    tmp_path: Path, names: tuple[GeneralName, ...], words: str
) -> None:
    """Twisted 26.10 logged that it could not compare the names, and went on as if they were right."""
    ours = Authority(tmp_path)
    with capturedLogs() as lines:
        server = SSL4ServerEndpoint(reactor, 0, ours.naming(*names), interface=HOST)
        port = await server.listen(Factory.forProtocol(Echo))
        try:
            place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
            assert await hears(place, client_options(HOST, ca_file=ours.ca_file)) == words
        finally:
            await port.stopListening()
    assert not [line for line in lines if line["log_level"] >= LogLevel.warn]


@pytest_twisted.ensureDeferred
async def test_a_self_signed_certificate_is_called_so(tmp_path: Path) -> None:
    """A server whose certificate is its own authority, and that the client does not know."""
    ours, theirs = authorities(tmp_path)
    port = await ours.itself(reactor).listen(Factory.forProtocol(Echo))
    try:
        place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
        heard = await hears(place, client_options(HOST, ca_file=theirs.ca_file))
    finally:
        await port.stopListening()
    assert heard == "TLS failed: certificate verify failed: self-signed, and not known to this host: set ca_file"


@pytest_twisted.ensureDeferred
async def test_in_tls_1_2_a_certificate_that_is_wanted_has_no_alert_of_its_own(tmp_path: Path) -> None:
    """An older server ends the handshake, and two things may be meant."""
    ours = Authority(tmp_path)
    context = ours.server(HOST, client_certificates=True)
    context.getContext().set_options(SSL.OP_NO_TLSv1_3)
    port = await SSL4ServerEndpoint(reactor, 0, context, interface=HOST).listen(Factory.forProtocol(Echo))
    try:
        place = TCP4ClientEndpoint(reactor, HOST, port.getHost().port)
        heard = await hears(place, client_options(HOST, ca_file=ours.ca_file))
    finally:
        await port.stopListening()
    assert heard.endswith("alert handshake failure: it wants a client's certificate, or shares no cipher with us")


@pytest_twisted.ensureDeferred
async def test_our_certificate_is_shown(tmp_path: Path) -> None:
    """Where the server asks for one: from two files, or with its key in one file; without, there is no talk."""
    ours, theirs = authorities(tmp_path)
    certificate, key = ours.client("gw")
    one = tmp_path / "one.pem"
    one.write_text(Path(certificate).read_text() + Path(key).read_text())
    for own in ({"certificate": certificate, "private_key": key}, {"certificate": str(one)}):
        options = client_options(HOST, ca_file=ours.ca_file, **own)
        assert await talked(ours, options, client_certificates=True)
    assert not await talked(ours, client_options(HOST, ca_file=ours.ca_file), client_certificates=True)
    certificate, key = theirs.client("stranger")
    stranger = client_options(HOST, ca_file=ours.ca_file, certificate=certificate, private_key=key)
    assert not await talked(ours, stranger, client_certificates=True)


def test_files_that_can_not_be_used(tmp_path: Path) -> None:
    """OSError for a file that is not there, ValueError for one that holds something else or another's key."""
    ours, _ = authorities(tmp_path)
    (certificate, key), (_, other) = ours.client("one"), ours.client("two")
    with pytest.raises(ValueError, match="private_key does not belong to certificate"):
        client_options(HOST, certificate=certificate, private_key=other)
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        client_options(HOST, ca_file=key)
    with pytest.raises(ValueError, match="no unencrypted private key"):
        client_options(HOST, certificate=certificate)
    for files in ({"ca_file": "/none"}, {"certificate": "/none"}, {"certificate": certificate, "private_key": "/none"}):
        with pytest.raises(OSError, match="No such file"):
            client_options(HOST, **files)


def test_a_renewal_that_is_half_done_says_which_half(tmp_path: Path) -> None:
    """The new certificate with the old key, until the key is there, too."""
    ours = Authority(tmp_path)
    (certificate, key), (renewed, its_key) = ours.client("gw"), ours.client("renewed")
    options = RenewedOptions(HOST, certificate=certificate, private_key=key)
    assert usable(options) is usable(options)
    Path(certificate).write_bytes(Path(renewed).read_bytes())
    with pytest.raises(UnusableFile, match="can't be used: private_key does not belong to certificate"):
        usable(options)
    Path(key).unlink()
    with pytest.raises(UnusableFile, match=f"can't be used: {key}: No such file or directory"):
        usable(options)
    Path(key).write_bytes(Path(its_key).read_bytes())
    assert usable(options)


def authorities(directory: Path) -> tuple[Authority, Authority]:
    """Two that know nothing of each other."""
    for name in ("ours", "theirs"):
        (directory / name).mkdir()
    return Authority(directory / "ours"), Authority(directory / "theirs")


@pytest.mark.parametrize("words", ["tlsv1 alert protocol version", "unsupported protocol"])
def test_a_peer_of_older_versions_only_is_called_so(words: str) -> None:
    """Whichever side finds out first: else whoever reads it looks for a fault in what they configured."""
    said = fault(SSL.Error([("SSL routines", "", words)]))
    assert said == f"TLS failed: {words}: it takes neither TLS 1.2 nor 1.3, and older ones are not spoken here"
