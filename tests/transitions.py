"""What the scripts do with the table of core/status.py, in Python: for the fake store, and to test the table."""

from gatewayd.core.status import TRANSITIONS, Event, State


def move(state: State, queued_reports: str, event: Event) -> tuple[State, str] | None:
    """Where `event` takes a message, and the letters of the reports to queue; None where it changes nothing."""
    facts = ("o" if "o" in queued_reports else "") + ("c" if "c" in queued_reports or "u" in queued_reports else "")
    cell = TRANSITIONS[event].get(f"{state}+{facts}" if facts else str(state))
    if cell is None:
        return None
    new, letters = State(cell[0]), cell[1]
    fresh = "".join(letter for letter in letters if letter not in queued_reports)
    return None if new is state and not fresh else (new, fresh)
