"""Timelines by values: when each status was born and heard, whatever evidence it came from."""

from gatewayd.core.model import Channel, Trace, TracedEvent, TracedReport
from gatewayd.core.status import Report, State
from gatewayd.core.timeline import in_words, reports_of, tried


def line(at: float, event: str, detail: str = "") -> TracedEvent:
    """One line of a timeline."""
    return TracedEvent(at, event, detail)


def test_an_sms_whose_receipt_came() -> None:
    """accepted is born with the submit's answer, delivered with the receipt."""
    timeline = [
        line(1, "taken"),
        line(2, "submitting", "world"),
        line(3, "sent", "world"),
        line(4, "told", "a"),
        line(5, "receipt", "segment 1 of 2: stat:DELIVRD"),
        line(6, "receipt", "segment 2 of 2: stat:DELIVRD"),
        line(7, "told", "d"),
    ]
    assert reports_of("ad", timeline) == (
        TracedReport(Report.ACCEPTED, 3, 4),
        TracedReport(Report.DELIVERED, 6, 7),
    )


def test_an_email_that_bounced_late() -> None:
    """Each status has its own event's time; what was not heard yet has none."""
    timeline = [
        line(1, "taken"),
        line(2, "sent"),
        line(3, "told", "a"),
        line(4, "delivered", "dsn"),
        line(9, "bounced"),
    ]
    assert reports_of("adf", timeline) == (
        TracedReport(Report.ACCEPTED, 2, 3),
        TracedReport(Report.DELIVERED, 4, 0),
        TracedReport(Report.FAILED, 9, 0),
    )


def test_an_open_implies_that_it_was_delivered_and_accepted() -> None:
    """All three are born with the open."""
    timeline = [line(1, "taken"), line(5, "opened", "open"), line(6, "told", "a")]
    assert [report.at for report in reports_of("ado", timeline)] == [5, 5, 5]


def test_a_replay_does_not_change_when_it_was_first_heard() -> None:
    """The caller lost it, but had it once."""
    timeline = [line(1, "taken"), line(2, "sent"), line(3, "told", "a"), line(8, "replayed", "a"), line(9, "told", "a")]
    assert reports_of("a", timeline) == (TracedReport(Report.ACCEPTED, 2, 3),)


def test_no_timeline() -> None:
    """An erased message has nothing to tell."""
    assert reports_of("", []) == ()


def test_letters_are_written_out() -> None:
    """People do not know the store's letters; words that only begin like letters stay as they are."""
    timeline = (
        line(1, "told", "a"),
        line(2, "given up", "d HTTP"),
        line(3, "replayed", "ad"),
        line(4, "sent", "a"),
    )
    trace = Trace("id", "uid", "amazing", Channel.SMS, "p", State.SENT, (), timeline)
    assert [event.detail for event in in_words(trace).timeline] == [
        "accepted", "delivered: HTTP", "accepted, delivered", "a",
    ]  # fmt: skip


def test_how_often_a_message_was_tried() -> None:
    """Each mark is a try, those of further segments are none; what put it back last is the reason, however it came."""
    assert tried([line(1, "taken")]) == (0, "")
    throttled = [
        line(1, "taken"),
        TracedEvent(2, "submitting", "world", 9, 5),
        TracedEvent(2, "again", "world answered ESME_RMSGQFUL", 9, 4),
        TracedEvent(3, "again", "world is busy"),
    ]
    assert tried(throttled) == (5, "world answered ESME_RMSGQFUL")
    long = [
        line(2, "submitting", "world"),
        line(3, "submitting", "world, segment 2 of 2"),
        line(4, "uncertain", "lost"),
    ]
    assert tried(long) == (1, "lost")
    assert tried(long[1:]) == (1, "lost")
