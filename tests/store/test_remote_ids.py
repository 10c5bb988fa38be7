"""Ids that SMSCs gave: of several forms, given twice, or beside a number that is written otherwise."""

import pytest
import pytest_twisted
from msgspec.structs import replace

from gatewayd.core.model import Channel, Email, Handed, Im, Message, Receipt
from gatewayd.core.remote_names import sealed
from gatewayd.core.status import Event, Report, State
from gatewayd.store.link import RedisLink
from store_world import World, alone, world

__all__ = ["alone", "world"]


async def uncertain(world: World) -> tuple[Message, float]:
    """A message whose submit was never answered, lying in the queue, and the time of the submit."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    written = world.clock.seconds()
    world.clock.advance(60)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True, route="world")
    return message, written


async def _looked_up(link: RedisLink) -> int:
    """How many fields of hashes Redis was asked for."""
    said = (await link.command("INFO", "commandstats")).decode()
    calls = [line for line in said.splitlines() if line.startswith(("cmdstat_hget:", "cmdstat_hmget:"))]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in calls)


@pytest_twisted.ensureDeferred
async def test_the_number_tells_ids_of_several_forms_apart(world: World) -> None:
    """The message to the receipt's number is meant, whichever form of the id it has."""
    await world.sent("16")
    receipt = Receipt("world", ("16", "10"), Event.DELIVERED, number_hash="another")
    assert (await world.one.record_receipt(receipt, park=False))[0] == "unknown"
    meant = await world.leased()
    await world.one.mark(meant, "world", "another")
    await world.one.settle_sent(meant.id, Channel.SMS, Handed("world", ("10",)))
    assert await world.one.record_receipt(receipt, park=False) == ("moved", meant.id)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("first", ["hash", "another"])
async def test_an_id_that_two_nodes_gave_is_told_apart_by_the_number(world: World, first: str) -> None:
    """Each message gets the receipt of its own number, in either order; one without a number is the later one's."""
    messages = {"hash": await world.sent("5001")}
    for number in ("another", "a third one's"):
        world.clock.advance(1)
        messages[number] = await world.leased()
        await world.one.mark(messages[number], "world", number)
        await world.one.settle_sent(messages[number].id, Channel.SMS, Handed("world", ("5001",)))
    for number in (first, *({"hash", "another"} - {first})):
        receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="its earlier name", earlier_hashes=(number,))
        assert await world.two.record_receipt(receipt, park=True) == ("moved", messages[number].id)
        assert await world.one.record_receipt(receipt, park=True) == ("ignored", messages[number].id)
    assert await world.state(messages["a third one's"]) is State.SENT
    receipt = Receipt("world", ("5001",), Event.FAILED)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", messages["a third one's"].id)


@pytest_twisted.ensureDeferred
async def test_an_id_that_two_nodes_gave_for_one_number(world: World) -> None:
    """Each message gets a receipt of its own, the older one first; one brought again, or that settles nothing, none."""
    messages = []
    for _ in range(2):
        world.clock.advance(1)
        messages.append(await world.sent("5001"))
    for message, wording in zip(messages, ("a", "b"), strict=True):
        on_its_way = Receipt("world", ("5001",), None, "stat:ENROUTE", "hash", wording="on its way")
        assert (await world.one.record_receipt(on_its_way, park=True))[0] == "ignored"
        final = replace(on_its_way, event=Event.DELIVERED, detail="stat:DELIVRD", wording=wording)
        assert await world.two.record_receipt(final, park=True) == ("moved", message.id)
        assert await world.one.record_receipt(final, park=True) == ("ignored", message.id)
        assert [await world.state(one) for one in messages].count(State.DELIVERED) == messages.index(message) + 1
    for message, wording in zip(messages, ("a", "b"), strict=True):
        again = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        assert await world.one.record_receipt(again, park=True) == ("ignored", message.id)
    assert (await world.told()).count(Report.DELIVERED) == 2


@pytest_twisted.ensureDeferred
async def test_ids_that_two_nodes_gave_for_one_number_to_long_messages(world: World) -> None:
    """Segment by segment; a receipt that is brought again completes no other message."""
    messages = [await world.sent("5001", "5002") for _ in range(2)]
    outcomes = []
    for wording, remote in (("a1", "5001"), ("a1", "5001"), ("b1", "5001"), ("a2", "5002"), ("a2", "5002")):
        receipt = Receipt("world", (remote,), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        outcomes.append(await world.one.record_receipt(receipt, park=True))
    first, second = (message.id for message in messages)
    assert outcomes == [
        ("ignored", first),
        ("ignored", first),
        ("ignored", second),
        ("moved", first),
        ("ignored", first),
    ]
    last = Receipt("world", ("5002",), Event.FAILED, "stat:UNDELIV", "hash", wording="b2")
    assert await world.one.record_receipt(last, park=True) == ("moved", second)
    assert [await world.state(message) for message in messages] == [State.DELIVERED, State.FAILED]


async def _delivered(world: World, wording: str) -> Message:
    """A message of the id 5001 that arrived, by a receipt of this wording."""
    message = await world.sent("5001")
    receipt = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    return message


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("before", [1, 2])
async def test_a_receipt_of_an_id_whose_messages_ended_waits_for_one_on_the_wire(world: World, before: int) -> None:
    """It came before its message's answer, which says that this one, too, bears the id."""
    for number in range(before):
        await _delivered(world, f"of {number}")
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    receipt = Receipt("world", ("5001",), Event.FAILED, "stat:UNDELIV", "hash", wording="its own")
    assert await world.two.record_receipt(receipt, park=True) == ("parked", "")
    world.clock.advance(2)
    [waiting] = (await world.two.parked_receipts(10))[0]
    assert await world.two.record_receipt(waiting, park=False, by_number=True) == ("unknown", "")
    [waiting] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("5001",)))).parked
    assert await world.one.record_receipt(waiting, park=True) == ("moved", message.id)
    assert await world.state(message) is State.FAILED
    for again in (receipt, waiting):
        assert await world.one.record_receipt(again, park=True) == ("ignored", message.id)


@pytest_twisted.ensureDeferred
async def test_a_segment_of_which_a_receipt_spoke_leaves_the_next_one_to_what_is_on_the_wire(world: World) -> None:
    """The message itself has not ended, but that part of it has."""
    long = await world.sent("5001", "5002")
    first = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording="first")
    assert await world.one.record_receipt(first, park=True) == ("ignored", long.id)
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    assert await world.one.record_receipt(replace(first, wording="second"), park=True) == ("parked", "")
    [waiting] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("5001",)))).parked
    assert await world.one.record_receipt(waiting, park=True) == ("moved", message.id)


@pytest_twisted.ensureDeferred
async def test_a_receipt_that_waited_for_the_wrong_answer_is_for_no_later_message(world: World) -> None:
    """What was on the wire has an id of its own, so the receipt was one more of the message that ended."""
    ended = await _delivered(world, "a")
    other = await world.leased()
    await world.one.mark(other, "world", "hash")
    once_more = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording="b")
    assert await world.one.record_receipt(once_more, park=True) == ("parked", "")
    assert not (await world.one.settle_sent(other.id, Channel.SMS, Handed("world", ("5002",)))).parked
    world.clock.advance(2)
    [waiting] = (await world.one.parked_receipts(10))[0]
    assert await world.one.record_receipt(waiting, park=False, by_number=True) == ("ignored", ended.id)
    later = await world.leased()
    await world.one.mark(later, "world", "hash")
    # Something else waits, so that what waits is looked at.
    await world.one.record_receipt(Receipt("world", ("9",), Event.DELIVERED, number_hash="?"), park=True)
    assert not (await world.one.settle_sent(later.id, Channel.SMS, Handed("world", ("5001",)))).parked
    assert await world.state(other) is await world.state(later) is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_receipt_that_came_twice_before_the_answer_is_one(world: World) -> None:
    """The second is known to be the first brought again, though no other message bore the id."""
    message, other = await world.leased(), await world.leased()
    for one in (message, other):
        await world.one.mark(one, "world", "hash")
    receipt = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording="a")
    for _ in range(2):
        assert await world.one.record_receipt(receipt, park=True) == ("parked", "")
        world.clock.advance(1)
    twice = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("5001",)))).parked
    replies = [await world.one.record_receipt(one, park=True) for one in (*twice, receipt)]
    assert replies == [("moved", message.id), ("ignored", message.id), ("ignored", message.id)]
    assert not (await world.one.settle_sent(other.id, Channel.SMS, Handed("world", ("5001",)))).parked


@pytest_twisted.ensureDeferred
async def test_a_receipt_whose_message_another_one_went_to_waits_for_that_ones(world: World) -> None:
    """A part's receipt came before its answer, and the next one under that id was faster to find the part."""
    long, short = await world.leased(), await world.leased()
    await world.one.mark(long, "world", "hash", segments=2)
    own, other, rest = [
        Receipt("world", (remote,), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        for remote, wording in (("5001", "own"), ("5001", "other"), ("5002", "rest"))
    ]
    assert await world.one.record_receipt(own, park=True) == ("parked", "")
    world.clock.advance(0.5)
    await world.one.mark(short, "world", "hash")
    await world.one.record_segments(long.id, "world", ["5001"])
    await world.one.mark(long, "world", "hash", segments=2)
    assert await world.one.record_receipt(other, park=True) == ("ignored", long.id)
    [waiting] = (await world.one.settle_sent(long.id, Channel.SMS, Handed("world", ("5001", "5002")))).parked
    assert await world.one.record_receipt(waiting, park=True) == ("parked", "")
    [waiting] = (await world.one.settle_sent(short.id, Channel.SMS, Handed("world", ("5001",)))).parked
    assert await world.one.record_receipt(waiting, park=True) == ("moved", short.id)
    assert await world.one.record_receipt(rest, park=True) == ("moved", long.id)


@pytest_twisted.ensureDeferred
async def test_receipts_that_waited_are_given_in_the_order_in_which_they_came(world: World) -> None:
    """Also where the first of them waited for the wrong answer meanwhile."""
    messages = [await world.leased() for _ in range(3)]
    for message in messages:
        await world.one.mark(message, "world", "hash")
    for wording in "abc":
        receipt = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        assert await world.one.record_receipt(receipt, park=True) == ("parked", "")
        world.clock.advance(0.1)
    orders = []
    for message in messages:
        waiting = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("5001",)))).parked
        orders.append([one.wording for one in waiting])
        replies = [await world.one.record_receipt(one, park=True) for one in waiting[::-1]]
        assert replies == [("moved", message.id), *[("parked", "")] * (len(waiting) - 1)]
    assert orders == [["a", "b", "c"], ["a", "b"], ["a"]]


@pytest_twisted.ensureDeferred
async def test_a_message_that_ended_keeps_the_wording_that_it_ended_by(world: World) -> None:
    """Whatever is said of it afterwards: the first receipt is known yet when it is brought again."""
    messages = [await world.sent("5001") for _ in range(2)]
    receipts = [Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=one) for one in "abc"]
    for receipt in receipts:
        await world.one.record_receipt(receipt, park=True)
    await world.one.mark(await world.leased(), "world", "hash")
    replies = [await world.one.record_receipt(receipt, park=True) for receipt in receipts]
    assert replies == [("ignored", messages[0].id), ("ignored", messages[1].id), ("parked", "")]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("who", ["nobody", "to another number", "elsewhere", "unanswered"])
async def test_a_further_receipt_of_a_message_that_ended_waits_for_nobody_else(world: World, who: str) -> None:
    """Nothing is on the wire that it may be about."""
    receipt = Receipt("world", ("5001",), Event.FAILED, "stat:UNDELIV", "hash", wording="b")
    ended = await _delivered(world, "a")
    if who != "nobody":
        other = await world.leased()
        await world.one.mark(
            other, "elsewhere" if who == "elsewhere" else "world", "x" if who == "to another number" else "hash"
        )
    if who == "unanswered":
        await world.one.settle_again(other, other.deadline, "no answer", uncertain=True, route="world")
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", ended.id)
    world.clock.advance(60)
    assert await world.one.parked_receipts(10) == ([], [])


@pytest_twisted.ensureDeferred
async def test_a_receipt_that_is_known_to_be_brought_again_waits_for_nobody(world: World) -> None:
    """Of two that bear an id each has said by which receipt it ended."""
    messages = [await world.sent("5001") for _ in range(2)]
    receipts = [Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=one) for one in "ab"]
    for receipt, message in zip(receipts, messages, strict=True):
        assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    await world.one.mark(await world.leased(), "world", "hash")
    for receipt, message in zip(receipts, messages, strict=True):
        assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)


@pytest_twisted.ensureDeferred
async def test_a_receipt_of_which_nobody_knows_whether_it_is_brought_again(world: World) -> None:
    """One that was parked before receipts had a wording is about the latest message, however often it is looked up."""
    messages = [await world.sent("5001") for _ in range(2)]
    receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="hash")
    for outcome in ("moved", "ignored"):
        assert await world.one.record_receipt(receipt, park=True) == (outcome, messages[1].id)
    assert await world.state(messages[0]) is State.SENT


@pytest_twisted.ensureDeferred
async def test_an_id_that_all_messages_bear(alone: tuple[World, RedisLink, str]) -> None:
    """An SMSC that gives one id to all does not make Redis look through all of a day's messages."""
    world, link, _ = alone
    messages = [await world.sent("0") for _ in range(40)]
    before = await _looked_up(link)
    receipt = Receipt("world", ("0",), Event.DELIVERED, number_hash="hash", wording="a")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", messages[-17].id)
    assert await _looked_up(link) - before < 80


@pytest_twisted.ensureDeferred
async def test_an_id_that_two_nodes_gave_meets_a_receipt_that_came_first(world: World) -> None:
    """The receipt of the one whose answer is awaited still waits for it, and does not go to the other."""
    await world.sent("5001")
    waiting = await world.leased()
    await world.one.mark(waiting, "world", "another")
    receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="another")
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"
    [parked] = (await world.one.settle_sent(waiting.id, Channel.SMS, Handed("world", ("5001",)))).parked
    assert await world.one.record_receipt(parked, park=True) == ("moved", waiting.id)


@pytest_twisted.ensureDeferred
async def test_of_several_numbers_the_one_that_was_written_to_last_is_meant(world: World) -> None:
    """A number without a country code may be several: whatever their order, the latest message counts."""
    messages = []
    for number in ("first", "second"):
        world.clock.advance(1)
        message = await world.leased()
        await world.one.mark(message, "world", number)
        messages.append(message.id)
    assert await world.one.latest_to(["first", "second"]) == messages[1]
    assert await world.one.latest_to(["second", "first", "unknown"]) == messages[1]
    assert await world.one.latest_to(["unknown", "first"]) == messages[0]
    assert await world.one.latest_to(["unknown"]) is None


@pytest_twisted.ensureDeferred
async def test_an_instant_message_is_found_by_its_address_too(world: World) -> None:
    """Players answer it as they do an SMS; an email's address leads nowhere."""
    for content, channel in ((Im("Amazing", "Hello"), Channel.IM), (Email("a@amazing.co", "s"), Channel.EMAIL)):
        message = await world.leased(content=content)
        assert message.channel is channel
        await world.one.mark(message, "world", f"hash of {channel}")
        found = await world.one.latest_to([f"hash of {channel}"])
        assert found == (message.id if channel is Channel.IM else None)


@pytest_twisted.ensureDeferred
async def test_an_id_counts_where_the_number_is_written_otherwise(world: World) -> None:
    """A lone form of an id is enough, of several the first after the wait; a less likely one is a stranger's id."""
    first = await world.sent("id1")
    receipt = Receipt("world", ("id1",), Event.DELIVERED, number_hash="0044")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", first.id)
    second = await world.sent("id2")
    receipt = Receipt("world", ("id2", "2id"), Event.DELIVERED, number_hash="0044")
    assert (await world.one.record_receipt(receipt, park=False))[0] == "unknown"
    assert await world.one.record_receipt(receipt, park=False, by_number=True) == ("moved", second.id)
    await world.sent("id3")
    receipt = Receipt("world", ("3id", "id3"), Event.DELIVERED, number_hash="0044")
    assert (await world.one.record_receipt(receipt, park=False, by_number=True))[0] == "unknown"
    again = Receipt("world", ("id1",), Event.FAILED, number_hash="a new message's")
    assert (await world.one.record_receipt(again, park=False))[0] == "unknown"


@pytest_twisted.ensureDeferred
async def test_an_id_that_the_smsc_gave_twice_is_no_excuse_for_another_players_receipt(world: World) -> None:
    """A receipt from a number that we wrote to says nothing of a message to another one."""
    await world.sent("again")
    second = await world.leased()
    await world.one.mark(second, "world", "another")
    await world.one.settle_sent(second.id, Channel.SMS, Handed("world", ("other",)))
    receipt = Receipt("world", ("again",), Event.FAILED, number_hash="another")
    for by_number in (False, True):
        assert (await world.one.record_receipt(receipt, park=False, by_number=by_number))[0] == "unknown"
    assert await world.state(second) is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_receipt_finds_a_message_from_before_a_key_rotation(world: World) -> None:
    """By its id and by its number: the message bears the number's name under the key of its day."""
    by_id = await world.sent("rotated")
    names = {"number_hash": "new", "earlier_hashes": ("hash",)}
    receipt = Receipt("world", ("rotated",), Event.DELIVERED, **names)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", by_id.id)
    by_number, _ = await uncertain(world)
    receipt = Receipt("world", ("lost",), Event.DELIVERED, **names)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", by_number.id)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("park", [True, False])
async def test_a_receipt_without_an_id_is_unknown(world: World, park: bool) -> None:
    """It could be neither named nor found again, whatever is uncertain to its number."""
    await uncertain(world)
    receipt = Receipt("world", (), Event.DELIVERED, number_hash="hash")
    assert await world.one.record_receipt(receipt, park=park) == ("unknown", "")


def _sealed(ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sealed("world", one) for one in ids)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("is_answer", [True, False])
async def test_the_hash_that_stands_for_an_id_names_the_same(world: World, is_answer: bool) -> None:
    """Whether only the answers or only the receipts showed that it holds the number."""
    ids = ("447700900021", "44770090002a", "44770090002b")
    in_answers, in_receipts = (_sealed(ids), ids) if is_answer else (ids, _sealed(ids))
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=3)
    await world.one.record_segments(message.id, "world", in_answers[:1])
    await world.one.mark(message, "world", "hash", segments=3)
    await world.one.settle_again(message, 0, "throttled", progress=in_answers[:2])
    [again] = await world.one.lease_messages(Channel.SMS, 10)
    assert again.progress == in_answers[:2]
    await world.one.mark(message, "world", "hash", segments=3)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", in_answers))
    for one in in_receipts:
        found = await world.one.record_receipt(Receipt("world", (one,), Event.DELIVERED), park=True)
        assert found[1] == message.id
    assert await world.state(message) is State.DELIVERED


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("is_answer", [True, False])
async def test_a_receipt_waits_for_the_answer_that_names_its_hash(world: World, is_answer: bool) -> None:
    """Or for the id itself, where the receipt has the hash."""
    of_answer, of_receipt = (_sealed(("5001",)), ("5001",)) if is_answer else (("5001",), _sealed(("5001",)))
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    receipt = Receipt("world", of_receipt, Event.DELIVERED, number_hash="hash")
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"
    [waiting] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", of_answer))).parked
    assert await world.one.record_receipt(waiting, park=True) == ("moved", message.id)


@pytest_twisted.ensureDeferred
async def test_a_receipt_that_waited_is_looked_at_again_where_its_answers_reply_was_lost(world: World) -> None:
    """However long it has waited: else it would be looked at no more, and was nobody's after an hour."""
    message = await world.leased()
    receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="its own")
    await world.one.record_receipt(receipt, park=True)
    for wait in (2, 10, 30, 30, 300):
        world.clock.advance(wait)
        await world.one.parked_receipts(10)
    await world.one.mark(message, "world", "its own")
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("5001",)))
    [waiting], [] = await world.one.parked_receipts(10)
    assert await world.one.record_receipt(waiting, park=False, by_number=True) == ("moved", message.id)
