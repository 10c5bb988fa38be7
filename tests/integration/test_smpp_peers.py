"""The SMPP channel against SMSCs that are not ours: npm `smpp` and PyPI `smpp34`, over real sockets."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from smpp_counts import backlog
from smpp_peers import bound, npm_smsc, smpp34_smsc
from twisted.internet.defer import DeferredList

from certificates import Authority
from conftest import SMPP_MESSAGES
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.status import Event
from redis_server import until
from smpp_world import World, order, settings

LONG = "Zażółć gęślą jaźń 👍 " * 20
GSM_LONG = "It costs 5 € [net] " * 20


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("long_messages", ["udh", "udh16", "sar", "payload"])
async def test_npm_reads_our_texts(long_messages: str) -> None:
    """GSM with extension, UCS-2 with surrogate pairs, short and long: another codec puts the same text together."""
    peer = await npm_smsc()
    texts = ["Hello", "5 € {x} [y] ~ ^ | \\", "Стоп 👍", GSM_LONG, LONG, "", "x" * 160, "x" * 161]
    async with bound(peer, long_messages=long_messages) as world:
        handed = [await world.send(order(n, text)) for n, text in enumerate(texts)]
        report = await peer.ask()
        assert [message["text"] for message in report["messages"]] == texts
        assert {message["source"] for message in report["messages"]} == {"Amazing"}
        assert {message["destination"] for message in report["messages"]} == {"447700900999"}
        assert {message["ton"] for message in report["messages"]} == {5}
        assert {message["registered"] for message in report["messages"]} == {1}
        ids = [remote_id for each in handed for remote_id in each.remote_ids]
        assert ids == report["ids"]
        await until(lambda: len(world.evidence.receipts) == len(ids))
        assert {receipt.remote_ids[0] for receipt in world.evidence.receipts} == set(ids)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("behaviour", "changed"),
    [
        ({"form": "text"}, {}),
        ({"form": "tlv"}, {}),
        ({"form": "capitals"}, {}),
        ({"form": "payload"}, {}),
        ({"by": "data_sm"}, {}),
        ({"ids": "hex", "receipt_ids": "decimal"}, {}),
        ({"ids": "hex", "receipt_ids": "decimal"}, {"message_ids": "decimal"}),
        ({"receipt_ids": "hex"}, {"message_ids": "hex"}),
        ({"ids": "zeros"}, {}),
        ({"before": True}, {}),
        ({"copies": 2}, {}),
        ({"fragment": 1}, {}),
        ({"fragment": 7, "by": "data_sm"}, {"bind": "transmitter+receiver"}),
        ({}, {"binds": 3, "bind": "transmitter+receiver"}),
    ],
)
async def test_npm_receipts_in_every_form(behaviour: dict[str, Any], changed: dict[str, Any]) -> None:
    """Each segment's receipt is found by its stored id, whatever its form, and acknowledged."""
    peer = await npm_smsc(**behaviour)
    async with bound(peer, **changed) as world:
        handed = await world.send(order(body=GSM_LONG))
        assert len(handed.remote_ids) == 3
        copies = behaviour.get("copies", 1)
        await until(lambda: len(world.evidence.receipts) == 3 * copies)
        for remote_id in handed.remote_ids:
            assert sum(remote_id in receipt.remote_ids for receipt in world.evidence.receipts) == copies
        assert {receipt.event for receipt in world.evidence.receipts} == {Event.DELIVERED}
        while (await peer.ask())["acknowledged"] < 3 * copies:
            pass


@pytest_twisted.ensureDeferred
async def test_npm_brings_a_receipt_again_that_could_not_be_stored() -> None:
    """BRING_AGAIN while the store is down; after that each receipt is taken once."""
    peer = await npm_smsc()
    async with bound(peer) as world:
        world.evidence.down = True
        await world.send(order())
        while (await peer.ask())["refused"] < 3:
            pass
        world.evidence.down = False
        await until(lambda: len(world.evidence.receipts) == 1)
        while (report := await peer.ask())["acknowledged"] < 1:
            pass
        assert report["acknowledged"] == 1


@pytest_twisted.ensureDeferred
async def test_npm_wrong_password() -> None:
    """Another codec's refusal of our bind stops the fast tries and names the account."""
    peer = await npm_smsc(system_id="gw", password="other")
    world = World({"world": settings(peer.port)})
    world.channel.startService()
    try:
        await until(lambda: "system_id, password" in world.channel.states()["world"].reason)
        assert not world.channel.routes()["world"]
    finally:
        await world.channel.stopService()
        await peer.stop()


@pytest_twisted.ensureDeferred
async def test_npm_enquire_link_and_unbind() -> None:
    """An idle link asks, and leaves with unbind."""
    peer = await npm_smsc()
    async with bound(peer, enquire_link="100ms") as world:
        while (await peer.ask())["enquired"] < 3:
            pass
        await world.channel.stopService()
        report = await peer.ask()
        assert (report["binds"], report["unbinds"]) == (1, 1)


@pytest_twisted.ensureDeferred
async def test_npm_refusals() -> None:
    """A status from another codec means what it says: permanent stays permanent, a full queue is temporary."""
    peer = await npm_smsc(status=0x0B)
    async with bound(peer) as world:
        for status, kind in ((0x0B, PermanentFailure), (0x14, TemporaryFailure), (0x08, TemporaryFailure)):
            await peer.ask(status=status)
            ((ok, failure),) = await DeferredList([world.send(order())], consumeErrors=True)
            assert not ok
            assert isinstance(failure.value, kind)


@pytest_twisted.ensureDeferred
async def test_npm_resets_at_random() -> None:
    """Under random resets each message is taken or told as uncertain, none is sent twice, no receipt is lost.

    3,000 of them, in CI 20,000; GATEWAYD_SMPP_MESSAGES says otherwise.
    """
    count = SMPP_MESSAGES
    peer = await npm_smsc(reset=count / 8, reset_takes=True)
    async with bound(peer, rate="", binds=2, window=20) as world:
        why: Counter[str] = Counter()
        handed = await backlog(world, count, why)
        uncertain = sum(count for reason, count in why.items() if reason.startswith("Uncertain"))
        assert handed + uncertain == count
        report = await peer.ask()
        assert report["resets"] > 0
        assert uncertain <= report["resets"] * 40
        numbers = Counter(message["destination"] for message in report["messages"])
        assert max(numbers.values()) == 1, "something was sent twice"
        assert handed <= len(numbers) <= count
        assert report["most"] <= 20
        await until(
            lambda: len({receipt.number_hash for receipt in world.evidence.receipts}) == len(numbers), seconds=30
        )


@pytest_twisted.ensureDeferred
async def test_npm_over_tls(tmp_path: Path) -> None:
    """A good certificate of the configured authority is taken; another authority's, or another name's, is not."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    good, wrong_name = ours.files("localhost"), ours.files("smsc.example.net")
    certificate, private_key = ours.client("gateway")
    for (cert, key), trusted, works in (
        (good, ours, True),
        (good, theirs, False),
        (wrong_name, ours, False),
    ):
        peer = await npm_smsc(key=key, cert=cert)
        smsc = settings(peer.port, tls=True, ca_file=trusted.ca_file, host="localhost")
        world = World({"world": smsc})
        world.channel.startService()
        try:
            if works:
                await until(world.all_bound)
                assert (await world.send(order(body=LONG))).route == "world"
                await until(lambda: len(world.evidence.receipts) > 0)  # noqa: B023
            else:
                await until(lambda: bool(world.channel.states()["world"].reason))  # noqa: B023
                assert (await peer.ask())["binds"] == 0
        finally:
            await world.channel.stopService()
            await peer.stop()
    peer = await npm_smsc(key=good[1], cert=good[0], ca=ours.ca_file)
    own = {"certificate": certificate, "private_key": private_key}
    async with bound(peer, tls=True, ca_file=ours.ca_file, host="localhost", **own) as world:
        assert (await world.send(order())).route == "world"


@pytest_twisted.ensureDeferred
async def test_npm_with_a_pinned_certificate(tmp_path: Path) -> None:
    """A certificate for another name by an unknown authority is good where it is pinned; where not, the link says whose
    fingerprint it saw."""
    certificate, key = Authority(tmp_path).files("smsc.example.net")
    peer = await npm_smsc(key=key, cert=certificate)
    pin = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).fingerprint(hashes.SHA256()).hex()
    world = World({"world": settings(peer.port, tls=True, certificate_pins=["0" * 64])})
    world.channel.startService()
    try:
        await until(lambda: pin in world.channel.states()["world"].reason)
        assert (await peer.ask())["binds"] == 0
        world.channel.reconfigure(
            {"world": settings(peer.port, tls=True, certificate_pins=[pin.upper()])}, world.labels
        )
        await until(world.all_bound)
        assert (await world.send(order())).route == "world"
    finally:
        await world.channel.stopService()
        await peer.stop()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("form", "text", "octets", "coding"),
    [
        ({"default_alphabet": "gsm-packed"}, "hellohello", "e8329bfd4697d9ec37", 0),
        ({"default_alphabet": "ascii", "data_codings": {"default": 1}}, "[hi]", b"[hi]".hex(), 1),
        ({"default_alphabet": "latin1", "data_codings": {"default": 3}}, "déjà", "déjà".encode("latin-1").hex(), 3),
        ({"data_codings": {"default": 0x10, "ucs2": 0x18}}, "flash", b"flash".hex(), 0x10),
        ({"data_codings": {"default": 0x10, "ucs2": 0x18}}, "да", "да".encode("utf-16-be").hex(), 0x18),
        ({"surrogates": "strip"}, "да 👍", "да ".encode("utf-16-be").hex(), 8),
        ({"receipts": "intermediate"}, "hi", b"hi".hex(), 0),
    ],
)
async def test_smpp34_takes_texts_in_every_form(form: dict[str, Any], text: str, octets: str, coding: int) -> None:
    """Octets and data_coding as the account says, read by a third codec; the receipt comes all the same."""
    peer = await smpp34_smsc()
    async with bound(peer, **form) as world:
        handed = await world.send(order(1, text))
        (message,) = (await peer.ask())["messages"]
        assert (message["octets"], message["dcs"]) == (octets, coding)
        assert message["registered"] == (0x11 if "receipts" in form else 1)
        await until(lambda: len(world.evidence.receipts) == 1)
        assert handed.remote_ids[0] in world.evidence.receipts[0].remote_ids


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("form", ["text", "tlv", "both"])
async def test_smpp34_takes_texts_and_receipts_come(form: str) -> None:
    """A third codec reads addresses, coding and segments as we meant them, and its receipts are matched."""
    peer = await smpp34_smsc(form=form)
    async with bound(peer) as world:
        short = await world.send(order(1, "Hello €"))
        long = await world.send(order(2, LONG))
        report = await peer.ask()
        first, *segments = report["messages"]
        assert bytes.fromhex(first["octets"]) == b"Hello \x1be"
        assert (first["source"], first["ton"], first["destination"]) == ("Amazing", 5, "447700900999")
        assert (first["dcs"], first["registered"]) == (0, 1)
        assert {segment["esm_class"] for segment in segments} == {0x40}
        octets = [bytes.fromhex(segment["octets"]) for segment in segments]
        assert [each[:3] + each[4:6] for each in octets] == [
            bytes([5, 0, 3, len(octets), number]) for number in range(1, len(octets) + 1)
        ]
        assert b"".join(each[6:] for each in octets).decode("utf-16-be") == LONG
        ids = {*short.remote_ids, *long.remote_ids}
        await until(lambda: len(world.evidence.receipts) == len(ids))
        assert {receipt.remote_ids[0] for receipt in world.evidence.receipts} == ids
        while (await peer.ask())["acknowledged"] < len(ids):
            pass


@pytest_twisted.ensureDeferred
async def test_smpp34_in_a_flow() -> None:
    """A thousand messages over two binds: each taken once, each receipt once, however long either side stands still."""
    peer = await smpp34_smsc()
    async with bound(peer, binds=2, rate="") as world:
        why: Counter[str] = Counter()
        # More than both windows hold.
        handed = await backlog(world, 1000, why, at_once=100)
        assert handed + sum(count for reason, count in why.items() if reason.startswith("Uncertain")) == 1000
        report = await peer.ask()
        numbers = Counter(message["destination"] for message in report["messages"])
        assert max(numbers.values()) == 1
        assert handed <= len(numbers)
        await until(lambda: len({receipt.remote_ids for receipt in world.evidence.receipts}) == len(numbers))
        report = await peer.ask()
        assert len(world.evidence.receipts) <= len(numbers) + report["again"]
        assert report["binds"] == 2


@pytest_twisted.ensureDeferred
async def test_smpp34_refuses() -> None:
    """A refusal by a third codec, with or without a body."""
    peer = await smpp34_smsc(status=0x0B)
    async with bound(peer) as world:
        ((ok, failure),) = await DeferredList([world.send(order())], consumeErrors=True)
        assert not ok
        assert isinstance(failure.value, PermanentFailure)
