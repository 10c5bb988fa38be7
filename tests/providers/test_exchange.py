"""TLS with a vendor on a real socket: whose certificate counts, and what is known where ours does not."""

import os
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.protocol import Factory, Protocol

from certificates import Authority
from gatewayd.config import Provider
from gatewayd.core.errors import Down, Unanswered
from gatewayd.providers.exchange import Exchange
from gatewayd.providers.health import Health
from gatewayd.providers.templates import Asked

HOST = "127.0.0.1"


class Answers(Protocol):
    """Takes whatever comes."""

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


class HangsUp(Protocol):
    """Reads the request, and closes."""

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        assert self.transport is not None
        self.transport.loseConnection()


class Vendor:
    """A vendor at HOST with TLS, and `exchange` with it; `marks` counts what was about to be written."""

    def __init__(self, **keys: str) -> None:
        self.marks = 0
        self._keys = keys

    async def listen(self, endpoint: Any, protocol: type[Protocol] = Answers) -> None:
        """Open its door, and make the exchange."""
        self._port = await endpoint.listen(Factory.forProtocol(protocol))
        url = f"https://{HOST}:{self._port.getHost().port}/"
        settings = Provider.model_validate({"url": url, "fields": {"to": "{to}", "text": "{text}"}} | self._keys)
        self.health = Health(0.0, lambda: 1.0)
        self.exchange = Exchange(reactor, "vendor", settings, self.health)

    async def ask(self) -> bytes:
        """The answer to one request."""
        return (await self.exchange.ask(Asked("POST", "/", (), b"x"), self._mark)).body

    async def close(self) -> None:
        """Close both sides."""
        await gatherResults(self.exchange.close())
        await self._port.stopListening()

    async def _mark(self) -> None:
        self.marks += 1


@pytest_twisted.ensureDeferred
async def test_who_wants_a_certificate_of_ours_and_gets_none_has_read_nothing(tmp_path: Path) -> None:
    """No message of which nobody knows what became: it may go by another way, or again."""
    authority = Authority(tmp_path)
    vendor = Vendor(ca_file=authority.ca_file)
    await vendor.listen(authority.endpoint(reactor, HOST, client_certificates=True))
    try:
        with pytest.raises(Down, match="certificate required"):
            await vendor.ask()
        assert vendor.marks == 1
        assert vendor.health.up(0.0)
        assert "certificate required" in vendor.health.trouble
    finally:
        await vendor.close()


@pytest_twisted.ensureDeferred
async def test_who_reads_a_request_and_hangs_up_may_have_taken_it(tmp_path: Path) -> None:
    """As without TLS."""
    authority = Authority(tmp_path)
    vendor = Vendor(ca_file=authority.ca_file)
    await vendor.listen(authority.endpoint(reactor, HOST), HangsUp)
    try:
        with pytest.raises(Unanswered):
            await vendor.ask()
    finally:
        await vendor.close()


@pytest_twisted.ensureDeferred
async def test_a_renewed_file_counts_at_the_next_connection(tmp_path: Path) -> None:
    """As with relays and SMSCs: an authority or a certificate is renewed under its name."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    current = tmp_path / "current.pem"
    current.write_text(Path(old.ca_file).read_text())
    os.utime(current, (1, 1))
    vendor = Vendor(ca_file=str(current))
    await vendor.listen(new.endpoint(reactor, HOST))
    try:
        with pytest.raises(Down, match="authority"):
            await vendor.ask()
        current.write_text(Path(new.ca_file).read_text())
        assert await vendor.ask() == b"{}"
    finally:
        await vendor.close()


@pytest_twisted.ensureDeferred
async def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    """It was there when the configuration was read."""
    authority = Authority(tmp_path)
    vendor = Vendor(ca_file=authority.ca_file)
    await vendor.listen(authority.endpoint(reactor, HOST))
    Path(authority.ca_file).unlink()
    try:
        with pytest.raises(Down, match=r"can't be used: .*ca\.pem: No such file or directory"):
            await vendor.ask()
    finally:
        await vendor.close()
