"""TLS and AUTH with a relay on a real socket."""

from typing import Any

import pytest
import pytest_twisted

from certificates import Authority
from gatewayd.config import Relay, Secret
from gatewayd.core.errors import TemporaryFailure
from gatewayd.sandbox.relay import SimulatedRelay
from gatewayd.smtp.negotiation import RelayTrouble
from gatewayd.smtp.tls import ClientTls
from redis_server import until
from smtp_orders import R, World, failure, order, world
from smtp_world import label


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN LOGIN", "AUTH LOGIN"])
@pytest_twisted.ensureDeferred
async def test_starttls_and_log_in(mechanisms: str, tmp_path: Any) -> None:
    """Over a verified STARTTLS, with PLAIN or, where only that is offered, LOGIN."""
    authority = Authority(tmp_path)
    made = World()
    table = {"tls": "starttls", "ca_file": authority.ca_file, "username": "gw", "password": Secret("right")}
    relay = await made.add("main", table, tls=authority.server("127.0.0.1"), users={"gw": "right"})
    if "PLAIN" not in mechanisms:
        relay.mechanisms = "LOGIN"
    made.start()
    try:
        await made.send()
        assert relay.taken[0].tls
        assert relay.taken[0].user == "gw"
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest.mark.parametrize("name", ["relay.test", "127.0.0.1"])
@pytest_twisted.ensureDeferred
async def test_a_certificate_must_be_trusted_and_for_this_host(name: str, tmp_path: Any) -> None:
    """An untrusted issuer or another name: no mail, and the reason says which."""
    authority = Authority(tmp_path)
    made = World()
    ca_file = authority.ca_file if name != "127.0.0.1" else ""
    relay = await made.add("main", {"tls": "starttls", "ca_file": ca_file}, tls=authority.server(name))
    made.start()
    try:
        error = await failure(made.send())
        assert type(error) is TemporaryFailure
        assert ("not for this host" if ca_file else "TLS failed") in error.reason
        assert not relay.taken
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest_twisted.ensureDeferred
async def test_starttls_that_is_not_offered_stops_the_route() -> None:
    """tls = "starttls" means required."""
    async with world(table={"tls": "starttls"}) as w:
        assert "STARTTLS" in (await failure(w.send())).reason


@pytest_twisted.ensureDeferred
async def test_implicit_tls_with_a_client_certificate(tmp_path: Any) -> None:
    """Port 465 style; the relay asks for our certificate and gets it."""
    authority = Authority(tmp_path)
    relay = SimulatedRelay(R)
    port = await relay.listen(authority.endpoint(R, "127.0.0.1", client_certificates=True))
    certificate, key = authority.client("gw1")
    table = {"tls": "implicit", "ca_file": authority.ca_file, "certificate": certificate, "private_key": key}
    made = World()
    made.tables["main"] = Relay(host="127.0.0.1", port=port, **table)
    made.start()
    try:
        assert (await made.send()).route == "main"
        made.channel.reconfigure(
            {"main": Relay(host="127.0.0.1", port=port, tls="implicit", ca_file=authority.ca_file)},
            {"amazing": label()},
        )
        assert type(await failure(made.send(order(2)))) is TemporaryFailure
        assert relay.count == 1
    finally:
        await made.channel.stopService()
        await relay.stop()


@pytest_twisted.ensureDeferred
async def test_a_certificate_file_that_is_gone_is_trouble_not_a_crash(tmp_path: Any) -> None:
    """The route is down with a reason, also where the file is only read after STARTTLS; the channel works on."""
    authority = Authority(tmp_path)
    made = World()
    table = {"tls": "starttls", "ca_file": str(tmp_path / "none.pem")}
    relay = await made.add("main", table, tls=authority.server("127.0.0.1"))
    made.start()
    try:
        assert (
            "file can't be used: " + str(tmp_path / "none.pem") + ": No such file"
            in (await failure(made.send())).reason
        )
        await until(lambda: not made.channel.routes()["main"])
    finally:
        await made.channel.stopService()
        await relay.stop()


def test_a_file_that_is_gone_may_be_there_in_a_moment(tmp_path: Any) -> None:
    """A renewal writes one file after the other: mail must not wait five minutes for it, as for a refused log-in."""
    certificates = ClientTls(Relay(host="127.0.0.1", tls="implicit", ca_file=str(tmp_path / "ca.pem")))
    with pytest.raises(RelayTrouble) as trouble:
        certificates.options()
    assert not trouble.value.lasting
    Authority(tmp_path)
    assert certificates.options()
