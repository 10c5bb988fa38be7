"""The transition table: notes/email.md section 3.7 and CONTRACT.md (Statuses), by values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.status import FINAL, LETTERS, REPORTS, Event, Report, State
from transitions import move


@pytest.mark.parametrize(
    ("state", "told", "event", "after"),
    [
        (State.QUEUED, "", Event.SENT, (State.SENT, "a")),
        (State.QUEUED, "", Event.DELIVERED, (State.DELIVERED, "ad")),
        (State.UNCERTAIN, "", Event.DELIVERED, (State.DELIVERED, "ad")),
        (State.UNCERTAIN, "", Event.BOUNCED, (State.FAILED, "af")),
        (State.QUEUED, "", Event.OPENED, (State.DELIVERED, "ado")),
        (State.SENT, "a", Event.SENT, None),
        (State.SENT, "a", Event.DELIVERED, (State.DELIVERED, "d")),
        (State.SENT, "a", Event.REJECTED, (State.REJECTED, "r")),
        (State.SENT, "a", Event.UNSUBSCRIBED, (State.DELIVERED, "du")),
        (State.SENT, "a", Event.MACHINE_OPENED, None),
        (State.SENT, "a", Event.STOPPED, (State.SENT, "u")),
        (State.SENT, "au", Event.STOPPED, None),
        (State.SENT, "au", Event.DELIVERED, (State.DELIVERED, "d")),
        (State.SENT, "au", Event.FAILED, (State.FAILED, "f")),
        (State.UNCERTAIN, "", Event.STOPPED, (State.UNCERTAIN, "u")),
        (State.UNCERTAIN, "u", Event.SENT, (State.SENT, "a")),
        (State.DELIVERED, "ad", Event.STOPPED, (State.DELIVERED, "u")),
        (State.DELIVERED, "ad", Event.BOUNCED, (State.FAILED, "f")),
        (State.DELIVERED, "ad", Event.FAILED, None),
        (State.DELIVERED, "ad", Event.REJECTED, None),
        (State.DELIVERED, "ad", Event.MACHINE_OPENED, None),
        (State.DELIVERED, "ado", Event.BOUNCED, None),
        (State.DELIVERED, "adc", Event.OPENED, None),
        (State.DELIVERED, "adoc", Event.UNSUBSCRIBED, (State.DELIVERED, "u")),
        (State.FAILED, "af", Event.DELIVERED, None),
        (State.FAILED, "af", Event.OPENED, None),
        (State.FAILED, "af", Event.COMPLAINED, (State.FAILED, "c")),
        (State.REJECTED, "r", Event.FAILED, None),
        (State.REJECTED, "r", Event.UNSUBSCRIBED, (State.REJECTED, "u")),
    ],
)
def test_the_table(state: State, told: str, event: Event, after: tuple[State, str] | None) -> None:
    """Each fact moves a message as the notes say, and queues what was not told yet."""
    assert move(state, told, event) == after


@given(st.lists(st.sampled_from(list(Event)), max_size=12))
def test_promises_hold_for_any_order_of_facts(events: list[Event]) -> None:
    """Each report is queued once, `accepted` comes before `delivered`, and `rejected` never joins `failed`."""
    state, told = State.QUEUED, ""
    for event in events:
        after = move(state, told, event)
        if after:
            state, told = after[0], told + after[1]
    assert len(set(told)) == len(told)
    if "d" in told:
        assert told.index("a") < told.index("d")
    if "f" in told and "d" in told:
        assert told.index("d") < told.index("f")
    assert not ("f" in told and "r" in told)


def test_letters_name_each_report() -> None:
    """A letter for each of Smartico's seven words, and back."""
    assert {REPORTS[LETTERS[report]] for report in Report} == set(Report)
    assert len(FINAL) == 3
