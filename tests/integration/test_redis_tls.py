"""Redis over TLS, as [redis] endpoint = "tls:..." configures it, against a real redis-server."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from postfix import free_port
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs

from certificates import Authority
from conftest import missing
from gatewayd.check.redis import look
from gatewayd.config import Config, parse
from gatewayd.core.errors import StoreUnavailable
from gatewayd.store.access import known_keys, redis_link
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, until

HOST = "127.0.0.1"


def knows_tls(program: str) -> bool:
    """Told to listen with TLS and without a certificate, only a server that was built with it says that this fails."""
    words = ("--port", "0", "--tls-port", str(free_port()))
    ended = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    return "Failed to configure TLS" in ended.stdout + ended.stderr


class TlsRedis:
    """A server that speaks TLS only, and asks for a certificate of `authority`."""

    def __init__(self, directory: Path) -> None:
        for name in ("ours", "theirs"):
            (directory / name).mkdir()
        self.authority, self.stranger = Authority(directory / "ours"), Authority(directory / "theirs")
        self.server = RedisServer()
        self.port = free_port()

    async def start(self) -> None:
        """Run."""
        if not knows_tls(self.server.program):
            missing("a redis-server with TLS", "apt-get install redis-server")
        certificate, key = self.authority.files(HOST)
        words = ("--tls-port", str(self.port), "--bind", HOST, "--tls-cert-file", certificate, "--tls-key-file", key)
        await self.server.start(*words, "--tls-ca-cert-file", self.authority.ca_file)

    def config(self, **files: Any) -> Config:
        """The configuration that reaches it."""
        redis = {"endpoint": f"tls:{HOST}:{self.port}"} | files
        return parse({"gatewayd": {"secret_key": "k" * 32}, "redis": redis}, {})

    def files(self, authority: Authority) -> dict[str, str]:
        """The keys of [redis] with a client certificate that `authority` signed."""
        certificate, key = authority.client("gw1")
        return {"ca_file": self.authority.ca_file, "certificate": certificate, "private_key": key}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """One for all tests here."""
    one = TlsRedis(tmp_path_factory.mktemp("tls"))
    pytest_twisted.blockon(Deferred.fromCoroutine(one.start()))
    yield one
    one.server.remove()


@asynccontextmanager
async def link(config: Config) -> AsyncIterator[RedisLink]:
    """The daemon's own link."""
    clock: Any = reactor
    one = redis_link(clock, config.redis, "gw1", 60.0, "boot", lambda: 0.5)
    one.startService()
    try:
        yield one
    finally:
        await one.stopService()


@pytest_twisted.ensureDeferred
async def test_commands_go_over_a_verified_connection(redis: TlsRedis) -> None:
    """With the authority and our own certificate of the table; `gatewayctl check` finds it well."""
    config = redis.config(**redis.files(redis.authority))
    async with link(config) as one:
        await one.command("SET", "tls", "yes")
        assert await one.command("GET", "tls") == b"yes"
    assert (await look(reactor, config.redis, known_keys(config)))[0].word == "ok"


@pytest_twisted.ensureDeferred
async def test_without_what_the_server_asks_for_nothing_is_kept(redis: TlsRedis) -> None:
    """No certificate, another authority's, or a server that we can't verify: the store is down, and says which."""

    async def refused(files: dict[str, str], why: str) -> None:
        async with link(redis.config(**files)) as one:
            with pytest.raises(StoreUnavailable, match=why):
                await one.command("PING")

    own = redis.files(redis.authority)
    unknown = "of an authority that this host does not know: set ca_file"
    ways = (
        ({"ca_file": redis.authority.ca_file}, "it wants a client's certificate: set certificate and private_key"),
        (redis.files(redis.stranger), "alert unknown ca: it refuses our certificate"),
        (own | {"ca_file": redis.stranger.ca_file}, unknown),
        ({}, unknown),
    )
    await gatherResults([Deferred.fromCoroutine(refused(files, why)) for files, why in ways])


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "form", ["tls:host={host}:port={port}", "tls:{host}:{port}:timeout=2", "tcp:port={port}:host={host}"]
)
async def test_the_words_of_an_endpoint_may_have_names(redis: TlsRedis, form: str) -> None:
    """As everywhere in Twisted's endpoint strings; the certificate is looked for under the host alone."""
    endpoint = form.format(host=HOST, port=redis.port)
    async with link(redis.config(**redis.files(redis.authority), endpoint=endpoint, tls=True)) as one:
        assert await one.command("PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_each_reason_is_logged_once_while_redis_is_away(redis: TlsRedis) -> None:
    """Also the one that comes after a connection was lost: its certificate ran out, and it was started again."""
    with capturedLogs() as lines:
        async with link(redis.config(**redis.files(redis.authority))) as one:
            await until(lambda: one.up)
            redis.server.kill()
            await until(lambda: "cannot be reached" in one.trouble)
            await redis.start()
            await until(lambda: one.up)
    said = [str(line["reason"]) for line in lines if "cannot be reached" in str(line.get("log_format"))]
    assert said[0] == "refused: does it run, and listen on this port?"
    assert len(said) == len(set(said))


@pytest_twisted.ensureDeferred
async def test_a_renewed_file_counts_at_the_next_connection(redis: TlsRedis, tmp_path: Path) -> None:
    """As with relays, SMSCs and providers: what ran out is renewed under its name, and nobody restarts the daemon."""
    current = tmp_path / "ca.pem"
    current.write_text(Path(redis.stranger.ca_file).read_text())
    os.utime(current, (1, 1))
    async with link(redis.config(**redis.files(redis.authority) | {"ca_file": str(current)})) as one:
        await until(lambda: "cannot be reached" in one.trouble)
        current.write_text(Path(redis.authority.ca_file).read_text())
        await until(lambda: one.up)
        assert await one.command("PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_sentinels_and_master_are_verified(redis: TlsRedis) -> None:
    """`tls = true`: both by the same authority and our certificate; a Sentinel of strangers is not believed."""
    certificate, key = redis.authority.files(HOST)
    port = free_port()
    words = [f"tls-port {port}", "port 0", f"bind {HOST}", f"dir {redis.server.directory}", "tls-replication yes"]
    words += [f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {redis.authority.ca_file}"]
    file = redis.server.directory / "sentinel.conf"
    file.write_text("\n".join([*words, f"sentinel monitor gateway {HOST} {redis.port} 1"]) + "\n")
    sentinel = subprocess.Popen([redis.server.program, str(file), "--sentinel"], stdout=subprocess.DEVNULL)
    keys = {"endpoint": "", "sentinels": [f"{HOST}:{port}"], "master": "gateway", "tls": True}
    try:
        async with link(redis.config(**keys, **redis.files(redis.authority))) as one:
            await until(lambda: one.up)
            await one.command("SET", "tls", "by Sentinel")
            assert await one.command("GET", "tls") == b"by Sentinel"
        async with link(redis.config(**keys, ca_file=redis.stranger.ca_file)) as one:
            with pytest.raises(StoreUnavailable, match=f"{HOST}:{port}: TLS failed: .*: set ca_file"):
                await one.command("PING")
    finally:
        sentinel.kill()
        sentinel.wait()
