"""The SMPP channel and its probe before neighbours as they come: Perl's Net::SMPP and PyPI's smppy, real sockets."""

import pytest
import pytest_twisted
from smpp_peers import bound, net_smpp_smsc, smppy_smsc
from twisted.internet import reactor

from gatewayd.core.status import Event
from gatewayd.smpp.lesson import smpp_probe
from gatewayd.smpp.probe import probe
from redis_server import until
from smpp_world import PHONE, order, settings


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("form", ["text", "tlv", "both"])
async def test_net_smpp_takes_texts_and_its_receipts_are_read(form: str) -> None:
    """Short and long, GSM and UCS-2, with a service_type: each answer's id is met by its receipt."""
    peer = await net_smpp_smsc(form=form)
    async with bound(peer, service_type="CMT") as world:
        texts = ["Hello €", "Стоп", "x" * 400]
        handed = [await world.send(order(n, text)) for n, text in enumerate(texts)]
        await until(lambda: len(world.evidence.receipts) == 5)
        report = await peer.ask()
        assert [remote_id for each in handed for remote_id in each.remote_ids] == report["ids"]
        assert {receipt.remote_ids[0] for receipt in world.evidence.receipts} == set(report["ids"])
        assert {receipt.event for receipt in world.evidence.receipts} == {Event.DELIVERED}
        assert report["service_types"] == ["CMT"] * 5
        assert report["messages"][0]["octets"] == b"Hello \x1be".hex()
        assert report["messages"][1]["octets"] == "Стоп".encode("utf-16-be").hex()

        async def all_acknowledged() -> bool:
            return bool((await peer.ask())["acknowledged"] == 5)

        await until(all_acknowledged)


@pytest_twisted.ensureDeferred
async def test_net_smpp_brings_a_stop_from_a_national_number() -> None:
    """TON 2, with and without the trunk's zero: the player is named by the country of the SMSC."""
    peer = await net_smpp_smsc(stop_from=["07700900021", "7700900021", "447700900021"])
    async with bound(peer, default_region="GB") as world:
        await until(lambda: len(world.evidence.inbound) == 3)
        for text in world.evidence.inbound:
            assert text.text == "STOP"
            assert "#447700900021" in (text.number_hash, *text.earlier_hashes)


@pytest_twisted.ensureDeferred
async def test_net_smpp_is_looked_at_and_learned() -> None:
    """`check` says that it is fine; smpp-probe finds the rule of its ids."""
    peer = await net_smpp_smsc(ids="hex", receipt_ids="decimal")
    try:
        (found,) = await probe(reactor, settings(peer.port))
        assert found.ok, found.text
        learned = await smpp_probe(reactor, settings(peer.port), PHONE, sender="Amazing", wait=10.0)
        assert learned.ok, learned.story
        assert 'message_ids = "decimal"' in learned.lines
        assert (await peer.ask())["unbound"] == 2
    finally:
        await peer.stop()


@pytest_twisted.ensureDeferred
async def test_what_the_probe_learns_of_smppy_lets_it_be_used() -> None:
    """It answers one submit of a segment and gives no ids: with the lines to paste, every SMS is taken once."""
    peer = await smppy_smsc()
    learned = await smpp_probe(reactor, settings(peer.port), PHONE, sender="Amazing", wait=0.5, patience=2.0)
    assert learned.ok, learned.story
    assert "window = 1" in learned.lines
    assert 'receipts = "none"' in learned.lines
    before = len((await peer.ask())["messages"])
    async with bound(peer, window=1, receipts="none") as world:
        sending = [world.send(order(n, f"text {n}")) for n in range(20)]
        for each in sending:
            assert (await each).route == "world"
        await until(lambda: len(world.answers) == 20)
        taken = (await peer.ask())["messages"][before:]
        assert sorted(taken) == sorted(f"text {n}" for n in range(20))
