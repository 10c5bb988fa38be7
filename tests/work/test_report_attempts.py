"""Statuses for Smartico: told in order, again, and given up."""

import re

from at_once import run
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.model import Receipt
from gatewayd.core.status import Event, Report
from work_bench import ID, Telling


def test_reports_are_told_in_order() -> None:
    """`accepted` is heard before `delivered` is told, each once."""
    telling = Telling()
    run(telling.bench.store.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True))
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 5)
    assert telling.told == [Report.ACCEPTED, Report.DELIVERED]


def test_what_was_told_is_told_again_only_where_a_person_asks_for_it() -> None:
    """Redis forgot that it was heard, and then a person wants a status told once more that Redis knows as heard."""
    telling = Telling()
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 5)
    database = telling.bench.store.db
    row = database.rows[ID]
    row.timeline = [event for event in row.timeline if event.event != "told"]
    row.pending, database.queues["reports"][ID] = "a", 0.0
    telling.bench.clock.pump([1.0] * 5)
    assert (telling.told, row.pending) == ([Report.ACCEPTED], "")
    row.pending, database.queues["reports"][ID] = "a", 0.0
    telling.bench.clock.pump([1.0] * 5)
    assert (telling.told, row.pending) == ([Report.ACCEPTED] * 2, "")


def test_an_unheard_report_is_told_again_and_again() -> None:
    """A failed callback is repeated with back-off and then heard once."""
    telling = Telling()
    telling.failure = TemporaryFailure("HTTP 500")
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 100)
    tries = telling.bench.store.db.rows[ID].report_tries
    assert 5 < tries < 40
    telling.failure = None
    telling.bench.clock.pump([1.0] * 600)
    assert telling.told == [Report.ACCEPTED]


def test_a_report_is_given_up_after_48_hours() -> None:
    """What was not heard in 48 hours becomes a dead letter, with the last reason."""
    telling = Telling()
    telling.failure = TemporaryFailure("HTTP 500")
    telling.outbox.startService()
    telling.bench.clock.pump([60.0] * (48 * 60 + 120))
    [letter] = run(telling.bench.store.dead_letters(10))
    assert (letter.status, letter.message_id) == (Report.ACCEPTED, ID)
    assert re.fullmatch(r"2 d after it was queued, after \d\d+ tries: HTTP 500", letter.reason)
    assert f"after {letter.tries} tries" in letter.reason
    assert letter.waited is not None
    assert 48 * 3600 <= letter.waited < 49 * 3600
    assert ("amazing", Report.ACCEPTED, "dead") in telling.meter.reports


def test_a_report_that_is_refused_for_good_is_a_dead_letter() -> None:
    """A permanent refusal gives a report up at once; later statuses go on."""
    telling = Telling()
    telling.failure = PermanentFailure("email was not found")
    telling.outbox.startService()
    telling.failure = None
    run(telling.bench.store.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True))
    telling.bench.clock.pump([1.0] * 3)
    assert telling.told == [Report.DELIVERED]
    [letter] = run(telling.bench.store.dead_letters(10))
    assert letter.reason == "0 s after it was queued, after 1 try: email was not found"
    assert (letter.waited, letter.tries) == (0.0, 1)
