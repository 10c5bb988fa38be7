"""The session's rules by values: bytes and times in, events and bytes out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FUZZ_EXAMPLES
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status, decode, encode
from gatewayd.smpp.events import (
    BindRefused,
    Bound,
    Closed,
    Event,
    Noticed,
    PeerUnbinds,
    RequestCame,
    SubmitAnswered,
    SubmitUnanswered,
)
from gatewayd.smpp.session import LAST_SEQUENCE, Phase, SmppSession, Timers

SUBMIT = encode(smpp.SubmitSm(0, destination_addr=b"4477", short_message=b"x"))
TIMERS = Timers(bind=15, response=60, enquire=30, enquire_response=10, unbind=5, partial=10, farewell=5)


def told(session: SmppSession) -> list[smpp.Pdu]:
    """What the session has to write, decoded."""
    return [decode(octets) for octets in smpp.Framer().feed(session.outgoing())]


def bound(window: int = 10, now: float = 0.0, **more: bool) -> SmppSession:
    """A session that is bound, with nothing left to write."""
    session = SmppSession(window, TIMERS, now, **more)
    session.bind(smpp.Bind(0, system_id=b"gw", password=b"pw"), now)
    (request,) = told(session)
    assert isinstance(request, smpp.Bind)
    events = session.received(encode(smpp.BindResp(request.sequence, 0, request.kind, b"SMSC")), now)
    assert events == [Bound(b"SMSC", 0)]
    return session


def test_bind_goes_from_open_over_binding_to_bound() -> None:
    """A session is open, binding, then bound; only then may anything be submitted."""
    session = SmppSession(10, TIMERS, 0.0)
    assert (session.phase, session.free) == (Phase.OPEN, 0)
    session.bind(smpp.Bind(0, system_id=b"gw"), 0.0)
    assert (session.phase, session.free) == (Phase.BINDING, 0)
    session.received(encode(smpp.BindResp(1, 0)), 0.0)
    assert (session.phase, session.free) == (Phase.BOUND, 10)


def test_a_refused_bind_closes() -> None:
    """A bind_resp with a status, or a generic_nack of the bind or of nothing, ends the session with that status."""
    for answer in (
        smpp.BindResp(1, Status.RINVPASWD),
        smpp.GenericNack(1, Status.RINVPASWD),
        smpp.GenericNack(0, Status.RINVPASWD),
    ):
        session = SmppSession(10, TIMERS, 0.0)
        session.bind(smpp.Bind(0), 0.0)
        first, last = session.received(encode(answer), 0.0)
        assert first == BindRefused(Status.RINVPASWD)
        assert isinstance(last, Closed)
        assert session.when() is None


def test_a_bind_that_is_not_answered_closes() -> None:
    """The bind's time is a moment: nothing before it, the end at it."""
    session = SmppSession(10, TIMERS, 100.0)
    session.bind(smpp.Bind(0), 100.0)
    assert session.when() == 115.0
    assert session.tick(114.9) == []
    assert session.tick(115.0) == [Closed("bind was not answered")]


def test_a_nack_of_nothing_answers_a_good_bye() -> None:
    """No other answer is due then."""
    session = bound()
    session.unbind(0.0)
    (event,) = session.received(encode(smpp.GenericNack(0, Status.RINVCMDID)), 0.0)
    assert event == Closed("unbind was answered by generic_nack", clean=True)


def test_answers_come_in_any_order() -> None:
    """Each answer finds its submit by sequence number, and frees its place in the window."""
    session = bound(window=3)
    for token in "abc":
        session.submit(SUBMIT, token, 1.0)
    assert session.free == 0
    sequences = [pdu.sequence for pdu in told(session)]
    assert len(set(sequences)) == 3
    events = session.received(encode(smpp.SubmitSmResp(sequences[2], 0, b"id-c")), 1.5)
    assert events == [SubmitAnswered("c", 0, b"id-c", False, 0.5)]
    assert session.free == 1
    events = session.received(encode(smpp.SubmitSmResp(sequences[0], Status.RTHROTTLED)), 2.0)
    assert events == [SubmitAnswered("a", Status.RTHROTTLED, b"", False, 1.0)]


def test_a_second_or_unknown_answer_changes_nothing() -> None:
    """A duplicate and an unsolicited response are noticed and tolerated."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    answer = encode(smpp.SubmitSmResp(2, 0, b"id"))
    assert isinstance(session.received(answer, 0.0)[0], SubmitAnswered)
    for octets in (answer, encode(smpp.SubmitSmResp(77, 0, b"id")), encode(smpp.SubmitSmResp(0xFFFFFFF0, 0))):
        (event,) = session.received(octets, 0.0)
        assert isinstance(event, Noticed)
    assert session.phase is Phase.BOUND


def test_generic_nack_answers_the_submit_it_names() -> None:
    """A generic_nack with a submit's sequence number is its answer."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    (event,) = session.received(encode(smpp.GenericNack(2, Status.RTHROTTLED)), 0.0)
    assert event == SubmitAnswered("a", Status.RTHROTTLED)
    session.submit(SUBMIT, "b", 0.0)
    (event,) = session.received(encode(smpp.GenericNack(3, 0)), 0.0)
    assert isinstance(event, SubmitAnswered)
    assert event.status != 0


NACK = encode(smpp.GenericNack(0, Status.RINVCMDLEN))
DOUBT = "; ESME_RINVCMDLEN came by a generic_nack that names no submit and may mean this one"


def ends_of(session: SmppSession, until: float) -> list[Event]:
    """What becomes of the submits by `until`, of a peer that is heard and answers none of them."""
    session.received(encode(smpp.EnquireLinkResp(9)), until - 1)
    events = session.tick(until)
    session.received(encode(smpp.EnquireLinkResp(9)), until)
    return events


def test_a_nack_of_nothing_answers_the_only_submit_that_waits_once_its_time_is_over() -> None:
    """Who finds a PDU too long reads no sequence number of it; what else it may be its own answer would show."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    assert [type(event) for event in session.received(NACK, 1.0)] == [Noticed]
    assert ends_of(session, 60.0) == [SubmitAnswered("a", Status.RINVCMDLEN, b"", False, 1.0)]
    assert session.phase is Phase.BOUND


def test_a_nack_of_nothing_takes_no_answer_away() -> None:
    """An SMSC that nacks what it took, or something else of ours, is heard; its next nack shows nothing."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.received(NACK, 1.0)
    assert session.received(encode(smpp.SubmitSmResp(2, 0, b"a")), 2.0) == [SubmitAnswered("a", 0, b"a", False, 2.0)]
    session.submit(SUBMIT, "b", 3.0)
    session.received(NACK, 4.0)
    assert ends_of(session, 63.0) == [SubmitUnanswered("b", f"submit_sm was not answered in time{DOUBT}")]


def test_of_several_submits_those_are_nacked_that_get_no_other_answer() -> None:
    """As many nacks of nothing as submits without an answer are theirs, in their order."""
    session = bound()
    for token in "abc":
        session.submit(SUBMIT, token, 2.0)
    session.received(NACK, 3.0)
    session.submit(SUBMIT, "d", 4.0)
    session.received(encode(smpp.GenericNack(0, Status.RINVCMDID)), 5.0)
    session.received(encode(smpp.SubmitSmResp(4, 0, b"c")) + encode(smpp.SubmitSmResp(2, 0, b"a")), 6.0)
    assert ends_of(session, 62.0) == [SubmitAnswered("b", Status.RINVCMDLEN, b"", False, 1.0)]
    assert ends_of(session, 64.0) == [SubmitAnswered("d", Status.RINVCMDID, b"", False, 1.0)]


def test_of_more_submits_without_answer_than_nacks_none_is_known_to_be_nacked() -> None:
    """One of them may have been taken."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.submit(SUBMIT, "b", 0.0)
    session.received(NACK, 1.0)
    reason = f"submit_sm was not answered in time{DOUBT}"
    assert ends_of(session, 60.0) == [SubmitUnanswered("a", reason), SubmitUnanswered("b", reason)]


def test_a_nack_that_came_before_a_submit_does_not_mean_it() -> None:
    """What it meant has its answer, so that it meant something else of ours."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.received(NACK, 1.0)
    session.submit(SUBMIT, "b", 2.0)
    session.submit(SUBMIT, "c", 2.0)
    session.received(NACK, 3.0)
    session.received(encode(smpp.SubmitSmResp(2, 0, b"a")), 4.0)
    assert {type(event) for event in ends_of(session, 62.0)} == {SubmitUnanswered}


def test_a_nack_of_nothing_may_mean_an_enquire_link_or_a_submit_that_was_given_up() -> None:
    """What may be meant besides keeps a submit unanswered: it may have been taken."""
    session = bound()
    session.tick(30.0)
    session.submit(SUBMIT, "a", 30.0)
    assert session.received(NACK, 31.0) == []
    assert ends_of(session, 90.0) == [SubmitUnanswered("a", "submit_sm was not answered in time")]
    session.submit(SUBMIT, "b", 91.0)
    session.received(NACK, 92.0)
    assert [type(event) for event in ends_of(session, 151.0)] == [SubmitUnanswered]
    session.submit(SUBMIT, "c", 230.0)
    session.received(NACK, 231.0)
    assert ends_of(session, 290.0) == [SubmitAnswered("c", Status.RINVCMDLEN, b"", False, 1.0)]


def test_a_nack_soon_after_our_first_answer_of_a_kind_may_mean_that() -> None:
    """A receipt's answer, that to enquire_link or to an unknown PDU; one that was taken long ago is taken always."""
    for request in (smpp.DeliverSm(3), smpp.DataSm(3), smpp.EnquireLink(3), smpp.Raw(3, 0, 0x00010200)):
        for nacked_at, outcome in ((9.9, SubmitUnanswered), (10.1, SubmitAnswered)):
            session = bound()
            for event in session.received(encode(request), 0.0):
                if isinstance(event, RequestCame):
                    session.answer(event.pdu, 0, 0.0)
            session.submit(SUBMIT, "a", 5.0)
            session.received(NACK, nacked_at)
            assert [type(event) for event in ends_of(session, 65.0)] == [outcome]


def test_who_nacks_what_is_no_submit_is_not_believed_of_one() -> None:
    """A nack of nothing while nothing waits, or with a number that is nobody's, is of something else; so are others."""
    for sequence in (0, 77):
        session = bound()
        session.received(encode(smpp.GenericNack(sequence, Status.RINVCMDID)), 0.0)
        session.submit(SUBMIT, "a", 1.0)
        session.received(NACK, 2.0)
        assert [type(event) for event in ends_of(session, 61.0)] == [SubmitUnanswered]


def test_a_nack_by_number_may_mean_our_answer_to_the_peers_request_of_that_number() -> None:
    """Both sides count from 1: a submit whose number is that of a receipt keeps waiting for an answer of its own."""
    for nack, at_once in (
        (Status.RINVCMDID, []),
        (Status.RTHROTTLED, [SubmitAnswered("a", Status.RTHROTTLED)]),
        (Status.RINVDSTADR, [SubmitAnswered("a", Status.RINVDSTADR)]),
    ):
        session = bound()
        (came,) = session.received(encode(smpp.DeliverSm(2)), 0.0)
        assert isinstance(came, RequestCame)
        session.answer(came.pdu, 0, 0.0)
        session.submit(SUBMIT, "a", 50.0)
        events = session.received(encode(smpp.GenericNack(2, nack)), 50.0)
        assert [event for event in events if not isinstance(event, Noticed)] == at_once
    session = bound()
    session.received(encode(smpp.EnquireLink(2)), 0.0)
    session.submit(SUBMIT, "a", 50.0)
    session.received(encode(smpp.GenericNack(2, Status.RINVCMDID)), 51.0)
    assert ends_of(session, 110.0) == [SubmitAnswered("a", Status.RINVCMDID, b"", False, 1.0)]


def test_a_nack_of_nothing_is_believed_at_the_peers_good_bye_but_of_none_that_breaks_off() -> None:
    """jSMPP's servers nack what is too long, unbind, and close: what else they took they have answered by then."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.submit(SUBMIT, "b", 0.0)
    session.received(NACK + encode(smpp.Unbind(1)), 1.0)
    session.received(encode(smpp.SubmitSmResp(2, 0, b"a")), 1.5)
    assert session.connection_lost("gone") == [
        SubmitAnswered("b", Status.RINVCMDLEN, b"", False, 1.0),
        Closed("gone", clean=True),
    ]
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.received(NACK, 1.0)
    assert session.connection_lost("gone") == [SubmitUnanswered("a", f"gone{DOUBT}"), Closed("gone")]


def test_a_submit_without_answer_is_unknown_and_a_late_answer_still_counts() -> None:
    """After the response time the outcome is unknown; its answer, when it comes, is told as late, once."""
    session = bound(window=2)
    session.submit(SUBMIT, "a", 0.0)
    session.tick(39.0)
    session.received(encode(smpp.EnquireLinkResp(9)), 40.0)
    assert session.when() == 60.0
    assert session.tick(60.0) == [SubmitUnanswered("a", "submit_sm was not answered in time")]
    assert session.free == 2
    assert session.received(encode(smpp.SubmitSmResp(2, 0, b"id")), 61.0) == [SubmitAnswered("a", 0, b"id", True, 61.0)]
    (event,) = session.received(encode(smpp.SubmitSmResp(2, 0, b"id")), 61.0)
    assert isinstance(event, Noticed)


def test_a_peer_that_leaves_a_window_of_submits_unanswered_is_left() -> None:
    """It may answer enquire_link for ever: a window in a row without an answer ends the session."""
    session = bound(window=5)
    for token in range(5):
        session.submit(SUBMIT, token, 0.0)
    session.received(encode(smpp.EnquireLinkResp(9)), 55.0)
    events = session.tick(60.0)
    assert [type(event) for event in events] == [SubmitUnanswered] * 5 + [Closed]


def test_enquire_link_after_silence_and_its_answer() -> None:
    """Silence makes us ask; any PDU counts as an answer; none within the time ends the session."""
    session = bound()
    assert session.when() == 30.0
    assert session.tick(30.0) == []
    (ask,) = told(session)
    assert isinstance(ask, smpp.EnquireLink)
    assert session.when() == 40.0
    session.received(encode(smpp.EnquireLinkResp(ask.sequence)), 35.0)
    assert session.when() == 60.0
    session.tick(60.0)
    assert session.tick(75.0) == [Closed("enquire_link was not answered")]


def test_who_is_heard_all_the_time_is_asked_as_well() -> None:
    """An SMSC that asks us, or brings receipts, may still leave who asks it nothing; a submit is a question, too."""
    session = bound()
    for moment in range(5, 35, 5):
        session.received(encode(smpp.EnquireLink(moment)), float(moment))
        session.tick(float(moment))
    assert [type(pdu) for pdu in told(session)].count(smpp.EnquireLink) == 1
    session.submit(SUBMIT, "A", 40.0)
    session.received(encode(smpp.SubmitSmResp(3)), 41.0)
    assert session.when() == 70.0


def test_who_is_heard_now_and_then_need_not_answer_what_is_asked_meanwhile() -> None:
    """Some SMSCs ask and answer no enquire_link: only as long a silence as ever ends the session."""
    session = bound()
    for moment in range(1, 301):
        assert session.tick(float(moment)) == []
        if moment % 25 == 0:
            session.received(encode(smpp.EnquireLink(moment)), float(moment))
    assert len([pdu for pdu in told(session) if isinstance(pdu, smpp.EnquireLink)]) >= 5
    session.tick(330.0)
    assert session.when() == 340.0
    assert session.tick(340.0) == [Closed("enquire_link was not answered")]


def test_the_peers_enquire_link_is_answered_in_every_state() -> None:
    """Open, binding, bound and unbinding: enquire_link always gets its answer."""
    session = SmppSession(10, TIMERS, 0.0)
    ask = encode(smpp.EnquireLink(7))
    session.received(ask, 0.0)
    assert told(session) == [smpp.EnquireLinkResp(7)]
    session.bind(smpp.Bind(0), 0.0)
    session.outgoing()
    session.received(ask, 0.0)
    assert told(session) == [smpp.EnquireLinkResp(7)]
    session.received(encode(smpp.BindResp(1, 0)) + ask, 0.0)
    assert told(session) == [smpp.EnquireLinkResp(7)]
    session.unbind(1.0)
    session.outgoing()
    session.received(ask, 1.0)
    assert told(session) == [smpp.EnquireLinkResp(7)]


def test_receipts_wait_for_their_answer() -> None:
    """deliver_sm and data_sm become events; the response is written when it is given, with its status."""
    session = bound()
    for form, resp in ((smpp.DeliverSm, smpp.DeliverSmResp), (smpp.DataSm, smpp.DataSmResp)):
        (event,) = session.received(encode(form(0x90000001, source_addr=b"44")), 0.0)
        assert isinstance(event, RequestCame)
        assert told(session) == []
        session.answer(event.pdu, Status.RX_T_APPN, 0.0)
        assert told(session) == [resp(0x90000001, Status.RX_T_APPN)]


def test_a_receipt_before_the_bind_is_sent_back() -> None:
    """What comes before we are bound is answered with RINVBNDSTS: nobody takes it."""
    session = SmppSession(10, TIMERS, 0.0)
    assert session.received(encode(smpp.DeliverSm(3)), 0.0) == []
    assert told(session) == [smpp.DeliverSmResp(3, Status.RINVBNDSTS)]


def test_a_receipt_that_overtakes_the_answer_to_the_bind_is_taken() -> None:
    """What waited for us at the SMSC comes as soon as it knows us: it is no news that it may be, and is handed over."""
    session = SmppSession(10, TIMERS, 0.0)
    session.bind(smpp.Bind(0), 0.0)
    told(session)
    came, bound_now = session.received(encode(smpp.DeliverSm(3)) + encode(smpp.BindResp(1, 0)), 0.0)
    assert isinstance(came, RequestCame)
    assert isinstance(bound_now, Bound)
    session.answer(came.pdu, Status.ROK, 0.0)
    assert told(session) == [smpp.DeliverSmResp(3)]


def test_an_unreadable_request_is_answered_and_the_session_stays() -> None:
    """A submit_sm cut inside a field gets a generic_nack with an error status; other PDUs go on."""
    session = bound()
    broken = encode(smpp.Raw(5, 0, smpp.Command.SUBMIT_SM, b"\0\1"))
    events = session.received(broken + encode(smpp.EnquireLink(6)), 0.0)
    assert all(isinstance(event, Noticed) for event in events)
    answer, other = told(session)
    assert isinstance(answer, smpp.GenericNack)
    assert (answer.sequence, other) == (5, smpp.EnquireLinkResp(6))
    assert answer.status != 0
    assert session.phase is Phase.BOUND


def test_a_receipt_whose_lengths_lie_is_handed_over_as_far_as_it_goes() -> None:
    """Refused, it would come for ever: whoever records it is told what is wrong, and answers it."""
    session = bound()
    broken = encode(smpp.Raw(5, 0, smpp.Command.DELIVER_SM, b"\0\1"))
    (came,) = session.received(broken, 0.0)
    assert isinstance(came, RequestCame)
    assert came.flaw
    session.answer(came.pdu, Status.ROK, 0.0)
    assert told(session) == [smpp.DeliverSmResp(5)]


def test_unknown_commands_are_nacked_and_unknown_responses_ignored() -> None:
    """A request that we have no form for gets generic_nack 0x03 with its number; a response gets nothing."""
    session = bound()
    session.received(encode(smpp.Raw(5, 0, 0x00010200, b"?")), 0.0)
    assert told(session) == [smpp.GenericNack(5, Status.RINVCMDID)]
    session.received(encode(smpp.Raw(6, 0, 0x80010200, b"?")), 0.0)
    session.received(encode(smpp.SubmitSm(7)), 0.0)
    assert told(session) == [smpp.GenericNack(7, Status.RINVCMDID)]
    session.received(encode(smpp.AlertNotification(8)), 0.0)
    assert told(session) == []


def test_garbage_is_nacked_and_ends_the_session() -> None:
    """Out of step is out for good: generic_nack 0x02, every submit unanswered, closed."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    events = session.received(b"HTTP/1.1 400 Bad Request\r\n", 0.0)
    assert [type(event) for event in events] == [SubmitUnanswered, Closed]
    assert told(session) == [smpp.GenericNack(0, Status.RINVCMDLEN)]
    assert session.received(encode(smpp.EnquireLink(1)), 0.0) == []


def test_what_was_whole_before_garbage_counts() -> None:
    """An answer in the same read as garbage is not lost."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    events = session.received(encode(smpp.SubmitSmResp(2, 0, b"id")) + b"\0\0\0\0garbage", 0.0)
    assert events[0] == SubmitAnswered("a", 0, b"id")
    assert isinstance(events[-1], Closed)


def test_half_a_pdu_ends_the_session_in_time() -> None:
    """The rest of a PDU has ten seconds to come."""
    session = bound()
    octets = encode(smpp.DeliverSm(3, source_addr=b"44"))
    session.received(octets[:20], 5.0)
    assert session.when() == 15.0
    session.received(octets[20:], 14.0)
    assert session.when() == 30.0
    session.received(octets[:5], 15.0)
    assert session.tick(25.0) == [Closed("half a PDU came, and its rest did not")]


def test_unbind_and_its_answer() -> None:
    """Our unbind ends with its answer, or after its time; both are clean."""
    session = bound()
    session.unbind(0.0)
    (request,) = told(session)
    assert session.free == 0
    assert session.received(encode(smpp.UnbindResp(request.sequence)), 1.0) == [Closed("unbound", True)]
    session = bound()
    session.unbind(0.0)
    assert session.when() == 5.0
    assert session.tick(5.0) == [Closed("unbind was not answered", True)]


def test_our_unbind_may_wait_for_open_answers_first() -> None:
    """Of a session that is not in order, what was taken before is answered still; a peer that answers it all at once,
    or nothing more, waits for nothing."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.submit(SUBMIT, "b", 0.0)
    session.outgoing()
    session.unbind(1.0, at_once=False)
    assert (session.free, told(session)) == (0, [])
    session.received(encode(smpp.SubmitSmResp(3, 0, b"b")) + NACK, 2.0)
    assert told(session) == []
    assert session.received(encode(smpp.SubmitSmResp(2, 0, b"a")), 3.0) == [SubmitAnswered("a", 0, b"a", False, 3.0)]
    assert told(session) == [smpp.Unbind(4)]
    assert session.when() == 8.0
    assert session.received(encode(smpp.UnbindResp(4)), 4.0) == [Closed("unbound", clean=True)]

    session = bound()
    session.unbind(1.0, at_once=False)
    assert told(session) == [smpp.Unbind(2)]

    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    session.unbind(1.0, at_once=False)
    assert session.when() == 6.0
    assert session.tick(6.0) == []
    assert told(session) == [smpp.Unbind(3)]
    assert [type(event) for event in session.tick(11.0)] == [SubmitUnanswered, Closed]

    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    session.unbind(1.0, at_once=False)
    session.received(encode(smpp.Unbind(9)), 2.0)
    assert told(session) == []
    session.received(encode(smpp.SubmitSmResp(2, 0, b"a")), 3.0)
    assert told(session) == [smpp.UnbindResp(9)]
    assert session.closed


def test_the_peers_unbind_waits_briefly_for_open_answers() -> None:
    """Nothing more is submitted, answers still count, then unbind_resp; a deadline ends the wait."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    assert session.received(encode(smpp.Unbind(9)), 1.0) == [PeerUnbinds()]
    assert session.free == 0
    assert told(session) == []
    events = session.received(encode(smpp.SubmitSmResp(2, 0, b"id")), 2.0)
    assert [type(event) for event in events] == [SubmitAnswered, Closed]
    assert told(session) == [smpp.UnbindResp(9)]

    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    session.received(encode(smpp.Unbind(9)), 1.0)
    events = session.tick(6.0)
    assert [type(event) for event in events] == [SubmitUnanswered, Closed]
    assert told(session) == [smpp.UnbindResp(9)]


def test_a_peer_that_unbinds_again_and_again_is_left_when_its_first_one_would_have_been() -> None:
    """Put off each time, a bind that takes nothing more would stand until the last submit's time is over."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.outgoing()
    assert session.received(encode(smpp.Unbind(9)), 1.0) == [PeerUnbinds()]
    for moment in range(2, 6):
        assert session.received(encode(smpp.Unbind(8 + moment)), float(moment)) == []
    assert session.when() == 6.0
    events = session.tick(6.0)
    assert [type(event) for event in events] == [SubmitUnanswered, Closed]
    assert told(session) == [smpp.UnbindResp(13)]


def test_the_peers_unbind_waits_for_our_answers_too() -> None:
    """A receipt that is being stored when the peer unbinds gets its answer before unbind_resp."""
    session = bound()
    receipts = encode(smpp.DeliverSm(7)) + encode(smpp.DataSm(8))
    first, second, unbinds = session.received(receipts + encode(smpp.Unbind(9)), 1.0)
    assert unbinds == PeerUnbinds()
    assert told(session) == []
    assert isinstance(first, RequestCame)
    assert session.answer(first.pdu, 0, 0.0) == []
    assert isinstance(second, RequestCame)
    assert session.answer(second.pdu, 0, 0.0) == [Closed("the peer unbound", True)]
    assert told(session) == [smpp.DeliverSmResp(7), smpp.DataSmResp(8), smpp.UnbindResp(9)]


def test_a_lost_connection_leaves_every_submit_unanswered() -> None:
    """Each submit on the wire is told once, and the end once."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.submit(SUBMIT, "b", 0.0)
    events = session.connection_lost("reset")
    assert events == [SubmitUnanswered("a", "reset"), SubmitUnanswered("b", "reset"), Closed("reset", False)]
    assert session.connection_lost("reset") == []


def test_a_receiver_submits_nothing() -> None:
    """A receiver's window is always empty."""
    assert bound(can_submit=False).free == 0


def test_sequence_numbers_wrap_and_skip_what_is_open() -> None:
    """After 0x7FFFFFFF comes 1, but never a number that still waits for its answer."""
    session = bound(window=5)
    assert session.submit(SUBMIT, "old", 0.0) == 2
    session._sequence = LAST_SEQUENCE - 1
    assert session.submit(SUBMIT, "a", 0.0) == LAST_SEQUENCE
    assert session.submit(SUBMIT, "b", 0.0) == 1
    assert session.submit(SUBMIT, "c", 0.0) == 3


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_however_the_stream_is_cut_the_events_are_the_same(cuts: list[int]) -> None:
    """Fragments of any size give the events of the whole."""
    stream = b"".join(
        encode(pdu)
        for pdu in (
            smpp.SubmitSmResp(2, 0, b"id-a"),
            smpp.EnquireLink(4),
            smpp.DeliverSm(5, source_addr=b"447700900999", short_message=b"id:1 stat:DELIVRD"),
            smpp.Raw(6, 0, 0x00010200, b"vendor"),
            smpp.SubmitSmResp(3, Status.RSYSERR),
        )
    )
    whole, parts = bound(), bound()
    for session in (whole, parts):
        session.submit(SUBMIT, "a", 0.0)
        session.submit(SUBMIT, "b", 0.0)
        session.outgoing()
    expected = whole.received(stream, 1.0)
    events: list[Event] = []
    at, turn = 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        events += parts.received(stream[at : at + size], 1.0)
        at, turn = at + size, turn + 1
    assert events == expected
    assert parts.outgoing() == whole.outgoing()


def test_the_peers_own_sequence_numbers_may_be_any() -> None:
    """Over 0x7FFFFFFF, or 0, where SMPP allows neither: its requests are answered under the very number."""
    session = bound()
    for number in (0, 0x80000000, 0xFFFFFFFF):
        session.received(encode(smpp.EnquireLink(number)), 1.0)
        assert session.outgoing() == encode(smpp.EnquireLinkResp(number))
        (event,) = session.received(encode(smpp.DeliverSm(number, short_message=b"hello")), 1.0)
        assert isinstance(event, RequestCame)
        session.answer(event.pdu, 0, 0.0)
        assert session.outgoing() == encode(smpp.DeliverSmResp(number))


STEPS = st.one_of(
    st.just(("submit",)),
    st.tuples(st.just("answer"), st.integers(0, 20), st.sampled_from([0, Status.RSYSERR])),
    st.tuples(st.just("nack"), st.sampled_from([0, 0, 0, 2, 3, 77])),
    st.tuples(st.just("ask"), st.sampled_from([smpp.DeliverSm(3), smpp.EnquireLink(2), smpp.Raw(5, 0, 0x00010200)])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 3.0, 11.0, 29.0, 61.0])),
    st.just(("unbind",)),
)


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_each_submit_ends_once_and_as_its_answer_says(steps: list[tuple[Any, ...]]) -> None:
    """Whatever comes in whatever order: one end for each, a late answer only behind none; an answer's word counts."""
    session, now = bound(), 0.0
    sequences: dict[int, int] = {}
    ends: dict[int, list[Event]] = {}
    answers: dict[int, int] = {}

    def hear(events: list[Event]) -> None:
        for event in events:
            if isinstance(event, SubmitAnswered | SubmitUnanswered):
                assert isinstance(event.token, int)
                ends[event.token].append(event)
            elif isinstance(event, RequestCame):
                hear(session.answer(event.pdu, 0, now))

    for step, *what in steps:
        match step:
            case "submit" if session.free:
                token = len(sequences)
                ends[token] = []
                sequences[token] = session.submit(SUBMIT, token, now)
            case "answer" if sequences:
                token = what[0] % len(sequences)
                if not ends[token] and not session.closed:
                    answers[token] = what[1]
                hear(session.received(encode(smpp.SubmitSmResp(sequences[token], what[1])), now))
            case "nack":
                hear(session.received(encode(smpp.GenericNack(what[0], Status.RINVCMDLEN)), now))
            case "ask":
                hear(session.received(encode(what[0]), now))
            case "unbind":
                hear(session.received(encode(smpp.Unbind(9)), now))
            case "wait":
                now += what[0]
                hear(session.received(encode(smpp.EnquireLinkResp(9)), now) + session.tick(now))
    hear(session.connection_lost("end"))
    for token, told_of in ends.items():
        first, *later = told_of
        assert len(later) <= 1
        assert not later or (isinstance(first, SubmitUnanswered) and isinstance(later[0], SubmitAnswered))
        if token in answers:
            assert isinstance(first, SubmitAnswered)
            assert first.status == answers[token]


@settings(max_examples=FUZZ_EXAMPLES, deadline=None)
@given(st.binary(max_size=200), st.floats(0, 1000))
def test_no_octets_break_the_session(octets: bytes, now: float) -> None:
    """Whatever comes, the session answers, or closes, and never raises."""
    session = bound()
    session.submit(SUBMIT, "a", 0.0)
    session.received(octets, now)
    session.tick(now + 100)
    session.connection_lost("end")
    assert session.phase is Phase.CLOSED
    assert session.when() is None
