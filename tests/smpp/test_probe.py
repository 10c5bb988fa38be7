"""What a look at an SMSC tells its operator; over real loopback sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from certificates import Authority
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Bind, Command, Status
from gatewayd.smpp.probe import Learned, probe, smpp_probe
from smpp_world import PHONE, settings


@asynccontextmanager
async def simulator(**behaviour: Any) -> AsyncIterator[SmscSimulator]:
    """A running SMSC."""
    smsc = SmscSimulator(reactor, Behaviour(**behaviour))
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.stop()


async def learn(smsc: SmscSimulator, wait: float = 5.0, **changed: Any) -> Learned:
    """smpp_probe on it."""
    return await smpp_probe(reactor, settings(smsc.port, **changed), PHONE, sender="Amazing", wait=wait)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("bind", ["transceiver", "transmitter+receiver"])
async def test_probe_binds_asks_and_leaves(bind: str) -> None:
    """Every kind of bind is tried; nothing is submitted."""
    async with simulator() as smsc:
        found = await probe(reactor, settings(smsc.port, bind=bind))
        assert len(found) == len(bind.split("+"))
        assert all(each.ok and "'SANDBOX'" in each.text for each in found), found
        steps = [step.what for step in smsc.steps]
        assert steps.count("bound") == steps.count("enquire_link") == steps.count("unbind") == len(bind.split("+"))
        assert smsc.submits == []


@pytest_twisted.ensureDeferred
async def test_probe_says_why_not() -> None:
    """A wrong password, and nobody there: said in words, without the password."""
    async with simulator(bind_status=Status.RINVPASWD) as smsc:
        (found,) = await probe(reactor, settings(smsc.port, password="hunter22"))
        assert not found.ok
        assert "ESME_RINVPASWD: password is wrong" in found.text
        port = smsc.port
    (found,) = await probe(reactor, settings(port))
    assert not found.ok
    assert "refused" in found.text


@pytest_twisted.ensureDeferred
async def test_probe_takes_no_receipt_from_the_daemon() -> None:
    """What the SMSC brings meanwhile is put off, so that it comes again to whom it is for."""
    async with simulator(receipt_retry=60.0) as smsc:
        smsc.say(PHONE, "Amazing", "STOP")
        (found,) = await probe(reactor, settings(smsc.port))
        assert found.ok, found.text
        await smsc.until(lambda: smsc.receipts_refused == 1)
        assert smsc.receipts_acknowledged == 0


@pytest_twisted.ensureDeferred
async def test_probe_tells_held_binds_from_refused_ones() -> None:
    """A running daemon may hold every bind that the account has: that is no fault."""
    async with simulator(bind_status=Status.RALYBND) as smsc:
        (found,) = await probe(reactor, settings(smsc.port))
        assert (found.ok, found.held) == (False, True)
        assert "ESME_RALYBND" in found.text
    async with simulator(bind_status=Status.RBINDFAIL) as smsc:
        (found,) = await probe(reactor, settings(smsc.port))
        assert (found.ok, found.held) == (False, False)


@pytest_twisted.ensureDeferred
async def test_probe_says_what_tls_disliked(tmp_path: Path) -> None:
    """An authority that nobody knows: OpenSSL's words, not just a closed connection."""
    authority = Authority(tmp_path)
    smsc = SmscSimulator(reactor, Behaviour())
    await smsc.start(authority.endpoint(reactor, "127.0.0.1"))
    try:
        (found,) = await probe(reactor, settings(smsc.port, tls=True))
        assert "TLS failed: certificate verify failed" in found.text
        (found,) = await probe(reactor, settings(smsc.port, tls=True, ca_file=authority.ca_file))
        assert found.ok, found.text
        assert "TLS with a good certificate" in found.text
    finally:
        await smsc.stop()


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("behaviour", "line", "form"),
    [
        ({}, 'message_ids = "as-is"', "deliver_sm with text and TLVs"),
        (
            {"submit_ids": "hex", "receipt_ids": "decimal", "receipt_form": "text"},
            'message_ids = "decimal"',
            "deliver_sm with text",
        ),
        ({"receipt_ids": "hex", "receipt_form": "tlv"}, 'message_ids = "hex"', "deliver_sm with TLVs"),
        ({"receipt_by": "data_sm"}, 'message_ids = "as-is"', "data_sm with text and TLVs"),
        ({"receipt_before_answer": True, "intermediate": True}, 'message_ids = "as-is"', "deliver_sm"),
    ],
)
async def test_smpp_probe_learns_ids_and_forms(behaviour: dict[str, Any], line: str, form: str) -> None:
    """The lines to paste name the rule by which this SMSC's receipts meet its answers."""
    async with simulator(**behaviour) as smsc:
        learned = await learn(smsc)
        assert learned.ok, learned.story
        assert line in learned.lines
        assert 'long_messages = "udh"' in learned.lines
        assert any(each.startswith("window = ") for each in learned.lines)
        assert any(form in each for each in learned.story)
        assert [message.segments for message in smsc.messages] == [1, 2]


@pytest_twisted.ensureDeferred
async def test_smpp_probe_finds_the_way_of_long_messages() -> None:
    """An SMSC that refuses a UDH is asked for SAR; one that refuses validity is asked without."""

    def judge(submit: Any) -> int:
        if submit.validity_period:
            return Status.RINVEXPIRY
        return Status.RINVESMCLASS if submit.esm_class & 0x40 else 0

    async with simulator(judge=judge) as smsc:
        learned = await learn(smsc)
        assert learned.ok, learned.story
        assert 'long_messages = "sar"' in learned.lines
        assert 'validity = ""' in learned.lines


@pytest_twisted.ensureDeferred
async def test_smpp_probe_without_receipts() -> None:
    """No receipt within the wait is said, and no rule is invented."""
    async with simulator(receipt_word=lambda _: "") as smsc:
        learned = await learn(smsc, wait=0.3)
        assert learned.ok
        assert any("0 of 3 receipts" in line for line in learned.story)
        assert not any(line.startswith("message_ids") for line in learned.lines)


@pytest_twisted.ensureDeferred
async def test_smpp_probe_a_vendors_word_and_a_refused_sender() -> None:
    """An unknown word becomes a line to decide on; a refused sender ends the probe with a hint."""
    async with simulator(receipt_word=lambda _: "BLOCKED", receipt_form="text") as smsc:
        learned = await learn(smsc)
        assert any(line.startswith('receipt_states = {BLOCKED = "failed"}') for line in learned.lines)
    async with simulator(judge=lambda _: Status.RINVSRCADR) as smsc:
        learned = await learn(smsc)
        assert not learned.ok
        assert "they do not know this sender" in learned.story[-1]
        assert "447700900999" not in str(learned)


@pytest_twisted.ensureDeferred
async def test_both_probes_follow_bind_auto() -> None:
    """Where there is no transceiver, the pair is looked at, and named among the lines to paste."""

    def no_transceiver(bind: Bind) -> int:
        return Status.RINVCMDID if bind.kind == Command.BIND_TRANSCEIVER else 0

    async with simulator(judge_bind=no_transceiver) as smsc:
        found = await probe(reactor, settings(smsc.port, bind="auto"))
        assert [each.ok for each in found] == [True, True]
        (alone,) = await probe(reactor, settings(smsc.port))
        assert (alone.ok, alone.lacking) == (False, True)
        learned = await learn(smsc, bind="auto")
        assert learned.ok
        assert 'bind = "transmitter+receiver"' in learned.lines
        assert not (await learn(smsc)).ok
    async with simulator() as smsc:
        assert 'bind = "transmitter+receiver"' not in (await learn(smsc, bind="auto")).lines
