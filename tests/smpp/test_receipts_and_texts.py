"""Receipts and texts: each form is read, and acknowledged once it is durable."""

import pytest
import pytest_twisted

from gatewayd.core.status import Event
from gatewayd.sandbox.smsc import Behaviour
from redis_server import until
from smpp_world import order, running


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("behaviour", "changed"),
    [
        ({"receipt_form": "text"}, {}),
        ({"receipt_form": "tlv"}, {}),
        ({"receipt_form": "capitals"}, {}),
        ({"receipt_form": "payload"}, {}),
        ({"receipt_by": "data_sm"}, {}),
        ({"receipt_by": "data_sm", "receipt_form": "tlv"}, {}),
        ({"submit_ids": "hex", "receipt_ids": "decimal"}, {}),
        ({"submit_ids": "hex", "receipt_ids": "decimal"}, {"message_ids": "decimal"}),
        ({"receipt_ids": "hex"}, {"message_ids": "hex"}),
        ({"submit_ids": "zeros"}, {}),
        ({"submit_ids": "text"}, {"message_ids": "as-is"}),
        ({"receipt_before_answer": True}, {}),
        ({"receipt_on_other_bind": True}, {"binds": 2}),
        ({"fragment": 1}, {}),
        ({}, {"bind": "transmitter+receiver"}),
    ],
)
async def test_receipts_in_every_form_name_the_submit(behaviour: dict[str, object], changed: dict[str, object]) -> None:
    """Text, TLVs, capitals, data_sm, other id forms, early, on another bind, in crumbs: the stored id is met."""
    async with running(Behaviour(**behaviour), **changed) as (world, smsc):  # type: ignore[arg-type]
        handed = await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 1)
        assert handed.remote_ids[0] in world.evidence.receipts[0].remote_ids
        assert world.evidence.receipts[0].event is Event.DELIVERED
        await smsc.until(lambda: smsc.receipts_acknowledged == 1)


@pytest_twisted.ensureDeferred
async def test_receipts_twice_and_on_the_way() -> None:
    """ENROUTE settles nothing, and two final receipts are two facts: matching them is the store's work."""
    async with running(Behaviour(intermediate=True, receipt_copies=2)) as (world, _):
        await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 3)
        assert [receipt.event for receipt in world.evidence.receipts] == [None, Event.DELIVERED, Event.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_is_not_acknowledged_before_it_is_durable() -> None:
    """While the store is down the SMSC is told so, and brings receipt and text again until they are taken."""
    async with running(Behaviour(receipt_retry=0.05)) as (world, smsc):
        world.evidence.down = True
        await world.send(order())
        smsc.say("+447700900999", "12345", "STOP")
        await smsc.until(lambda: smsc.receipts_refused >= 4)
        assert smsc.receipts_acknowledged == 0
        assert not world.evidence.receipts
        world.evidence.down = False
        await smsc.until(lambda: smsc.receipts_acknowledged == 2)
        assert len(world.evidence.receipts) == len(world.evidence.inbound) == 1


@pytest_twisted.ensureDeferred
async def test_a_players_text_comes_in_with_the_number_as_a_hash() -> None:
    """GSM and UCS-2 texts are decoded; the number is only seen by the hash."""
    async with running() as (world, smsc):
        smsc.say("+447700900999", "12345", "STOP €")
        smsc.say("+447700900998", "12345", "Стоп")
        await until(lambda: len(world.evidence.inbound) == 2)
        assert [(text.number_hash, text.text) for text in world.evidence.inbound] == [
            ("#447700900999", "STOP €"),
            ("#447700900998", "Стоп"),
        ]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("source", "destination", "numbers"),
    [
        ("447700900999", "Amazing", ["447700900999"]),
        ("Amazing", "447700900999", ["447700900999"]),
        ("12345", "447700900999", ["12345", "447700900999"]),
        ("00447700900999", "12345", ["447700900999", "12345"]),
        ("4477009*****", "", []),
        ("", "", []),
    ],
)
async def test_a_receipts_number_may_stand_at_either_end(source: str, destination: str, numbers: list[str]) -> None:
    """SMSCs turn the addresses round, leave them as they were, write them otherwise, or leave them out."""
    async with running() as (world, smsc):
        smsc.say(source, destination, "id:17 sub:001 dlvrd:001 stat:DELIVRD err:000")
        await until(lambda: len(world.evidence.receipts) == 1)
        names = tuple(name for number in numbers for name in (f"#{number}", f"once #{number}"))
        assert world.evidence.receipts[0].number_hashes == names


@pytest_twisted.ensureDeferred
async def test_vendor_words_mean_what_the_operator_says() -> None:
    """receipt_states gives a meaning to a word that no table knows."""
    behaviour = Behaviour(receipt_form="text", receipt_word=lambda _: "BLOCKED")
    async with running(behaviour, receipt_states={"BLOCKED": "rejected"}) as (world, _):
        await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 1)
        assert world.evidence.receipts[0].event is Event.REJECTED
