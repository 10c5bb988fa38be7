"""What smpp-probe learns of an SMSC, as lines to paste; over real loopback sockets."""

import itertools
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from gatewayd.core.lesson import Learned
from gatewayd.sandbox.sms import part_of
from gatewayd.sandbox.smsc import SmscSimulator
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status, Tag
from gatewayd.smpp.lesson import smpp_probe
from smpp_world import PHONE, settings, simulator


async def learn(
    smsc: SmscSimulator, wait: float = 5.0, patience: float = 10.0, rest: float = 0.01, **changed: Any
) -> Learned:
    """smpp_probe on it."""
    table = settings(smsc.port, **changed)
    return await smpp_probe(reactor, table, PHONE, sender="Amazing", wait=wait, patience=patience, rest=rest)


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
        assert [message.segments for message in smsc.messages] == [1, 3]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("ids", [{}, {"submit_ids": "hex", "receipt_ids": "decimal", "receipt_form": "text"}])
async def test_smpp_probe_counts_a_receipt_that_comes_again_once(ids: dict[str, Any]) -> None:
    """Counted each time, they seemed to be there before some segment had its own: as if one were for the whole."""
    async with simulator(receipt_copies=3, **ids) as smsc:
        learned = await learn(smsc)
        assert "4 of 4 receipts came" in learned.story
        assert 'long_receipts = "one"' not in learned.lines


class Nacking(Protocol):
    """Nacks each submit without a number; and takes it after all, where `takes`."""

    takes = True

    def connectionMade(self) -> None:
        """Twisted: connected."""
        self.framer = smpp.Framer()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        for octets in self.framer.feed(data):
            match pdu := smpp.decode(octets):
                case smpp.Bind():
                    self.say(smpp.BindResp(pdu.sequence, 0, pdu.kind))
                case smpp.SubmitSm():
                    self.say(smpp.GenericNack(0, Status.ROPTPARNOTALLWD))
                    if self.takes:
                        self.say(smpp.SubmitSmResp(pdu.sequence, 0, b"%d" % pdu.sequence))
                case smpp.Unbind():
                    self.say(smpp.UnbindResp(pdu.sequence))

    def say(self, pdu: smpp.Pdu) -> None:
        """Write it."""
        self.transport.write(smpp.encode(pdu))  # type: ignore[union-attr]


class NackingForGood(Nacking):
    """Takes none."""

    takes = False


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("guest", "said"),
    [
        (Nacking, "the long text was taken by udh in 3 PDU(s), all but the first at once"),
        (NackingForGood, "the short text was refused: ESME_ROPTPARNOTALLWD"),
    ],
)
async def test_smpp_probe_believes_a_nack_of_nothing_where_no_answer_comes(guest: type[Protocol], said: str) -> None:
    """As the daemon does: it may mean something else, or be a remark on what is taken."""
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(guest))
    table = settings(port.getHost().port)
    learned = await smpp_probe(reactor, table, PHONE, sender="Amazing", wait=0.1, patience=0.3)
    assert said in "\n".join(learned.story)
    await port.stopListening()


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
        assert any("0 of 4 receipts" in line for line in learned.story)
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
@pytest.mark.parametrize("method", ["udh", "payload"])
async def test_smpp_probe_finds_an_smsc_that_reads_one_pdu_of_a_segment(method: str) -> None:
    """Of submits written at once it answers the first alone: `window = 1`, and the long text goes one by one."""
    async with simulator(one_pdu_a_segment=True) as smsc:
        learned = await learn(smsc, patience=0.5, long_messages=method)
        assert learned.ok, learned.story
        assert "window = 1" in learned.lines
        assert f'long_messages = "{method}"' in learned.lines
        assert any("only the first was answered" in line for line in learned.story)
        assert len([line for line in learned.lines if line.startswith("window")]) == 1


@pytest_twisted.ensureDeferred
async def test_smpp_probe_finds_an_smsc_that_throttles_a_second_submit() -> None:
    """The second before the first one's answer is refused with RTHROTTLED: one at a time, too."""
    at_once = [0]

    def judge(submit: Any) -> int:
        at_once[0] += 1
        reactor.callLater(0, at_once.__setitem__, 0, 0)  # type: ignore[attr-defined]
        return Status.RTHROTTLED if at_once[0] > 1 else 0

    async with simulator(judge=judge) as smsc:
        learned = await learn(smsc)
        assert learned.ok, learned.story
        assert "window = 1" in learned.lines
        assert 'long_messages = "udh"' in learned.lines


@pytest_twisted.ensureDeferred
async def test_smpp_probe_rests_where_a_single_submit_is_throttled() -> None:
    """A rate below ours is no refusal of the way in which long texts are written: after a rest it is learned."""
    submits = itertools.count()
    async with simulator(judge=lambda _: Status.RTHROTTLED if next(submits) in (0, 2, 3, 5) else 0) as smsc:
        learned = await learn(smsc)
        assert learned.ok, learned.story
        assert 'long_messages = "udh"' in learned.lines
        assert len([line for line in learned.story if "ask for their rate" in line]) == 1
        assert [message.segments for message in smsc.messages] == [1, 3]
    async with simulator(judge=lambda _: Status.RTHROTTLED) as smsc:
        learned = await learn(smsc)
        assert not learned.ok
        assert "rate or window is too high for them" in learned.story[-1]


@pytest_twisted.ensureDeferred
async def test_smpp_probe_says_what_receipts_say_that_say_no_end() -> None:
    """They come, and an SMS stays `accepted`: that receipts are switched off would be the wrong place to look."""
    async with simulator(receipt_word=lambda _: "ACCEPTD", receipt_form="text") as smsc:
        learned = await learn(smsc, wait=0.5)
        assert learned.ok
        assert any("others came, which say ACCEPTD" in line for line in learned.story)


@pytest_twisted.ensureDeferred
async def test_smpp_probe_finds_an_smsc_without_message_ids() -> None:
    """No receipt can ever be matched: none is to be asked for, and no rule is invented."""
    async with simulator(submit_ids="none") as smsc:
        learned = await learn(smsc, wait=0.5)
        assert learned.ok, learned.story
        assert 'receipts = "none"' in learned.lines
        assert not any(line.startswith("message_ids") for line in learned.lines)
        assert any("no message id" in line for line in learned.story)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("told_of", [1, 2, 3])
async def test_smpp_probe_finds_an_smsc_that_gives_one_receipt_for_a_long_text(told_of: int) -> None:
    """Of its three segments one is receipted: a line says so. Where each is, or none, there is no such line."""

    def word(submit: Any) -> str:
        part = part_of(submit)
        return "DELIVRD" if part.total == 1 or part.number == told_of else ""

    async with simulator(receipt_word=word) as smsc:
        learned = await learn(smsc, wait=0.5)
        assert 'long_receipts = "one"' in learned.lines
        assert any("of the long text's 3 segments only 1 got a receipt" in line for line in learned.story)
    for behaviour in ({}, {"receipt_word": lambda _: ""}, {"submit_ids": "none"}):
        async with simulator(**behaviour) as smsc:  # type: ignore[arg-type]
            learned = await learn(smsc, wait=0.3)
            assert not any(line.startswith("long_receipts") for line in learned.lines)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(("takes_payload", "line"), [(True, 'long_messages = "payload"'), (False, "")])
async def test_smpp_probe_finds_an_smsc_that_answers_a_long_text_once_it_is_whole(
    takes_payload: bool, line: str
) -> None:
    """Segments are written one after the other: its first stays unanswered, and the message uncertain."""
    held: list[smpp.SubmitSmResp] = []

    def judge(submit: smpp.SubmitSm) -> int:
        refused = Status.ROPTPARNOTALLWD if submit.tlv(Tag.MESSAGE_PAYLOAD) and not takes_payload else Status.ROK
        # The simulator's next id, which its receipt names.
        held.append(
            smpp.SubmitSmResp(submit.sequence, refused, b"%d" % (smsc.behaviour.ids_from + len(smsc.taken) + 1))
        )
        if len(held) == part_of(submit).total:
            (session,) = smsc.sessions
            for answer in held:
                session.send(answer)
            held.clear()
        return refused

    async with simulator(judge=judge, submit_mute=True) as smsc:
        learned = await learn(smsc, wait=5.0, patience=0.5)
        assert learned.ok, learned.story
        assert 'message_ids = "as-is"' in learned.lines
        assert [each for each in learned.lines if each.startswith("long_messages")] == [line] * bool(line)
        assert any("only once all were there" in each for each in learned.story)
        assert any("max_segments = 1" in each for each in learned.story) is not takes_payload
