"""What becomes of a message: persisted states, Smartico's seven words, and the one transition table.

Pure. The store's scripts get `TRANSITIONS` as an argument and know no state by name.
"""

from enum import StrEnum


class State(StrEnum):
    """Persisted states. `uncertain` is also the mark that a message bears while its bytes are on the wire."""

    QUEUED = "queued"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"


FINAL = frozenset({State.DELIVERED, State.FAILED, State.REJECTED})
WAITING = frozenset({State.QUEUED, State.UNCERTAIN})


class Report(StrEnum):
    """Smartico's seven words (SMARTICO.md 4)."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    COMPLAINED = "complained"
    OPENED = "opened"
    UNSUBSCRIBED = "unsubscribed"


LETTERS: dict[Report, str] = {
    Report.ACCEPTED: "a",
    Report.DELIVERED: "d",
    Report.FAILED: "f",
    Report.REJECTED: "r",
    Report.COMPLAINED: "c",
    Report.OPENED: "o",
    Report.UNSUBSCRIBED: "u",
}
"""How the store writes a set or an order of reports: a letter each."""

REPORTS: dict[str, Report] = {letter: report for report, letter in LETTERS.items()}


class Event(StrEnum):
    """What evidence may say.

    `bounced` is a failure that may come after delivery (notes: late bounce); `stopped` is a player's STOP by SMS: it
    unsubscribes, and is no receipt.
    """

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    BOUNCED = "bounced"
    REJECTED = "rejected"
    OPENED = "opened"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    STOPPED = "stopped"
    MACHINE_OPENED = "machine-opened"


# Rows: what the store holds now. Columns: the event. A cell is the new state and the letters of the reports to queue,
# in order; a report that was queued before is never queued again. A missing cell is "ignore", None "the same state".
#
# A row's name is the state, followed by "+o" once the player opened it and "+c" once they complained or unsubscribed:
# after a person's open a bounce is a forwarder's, and after a complaint only the other such fact is news. A machine's
# open moves nothing: an email is delivered by a DSN, an ESP's event, or what a person did with it.
_TABLE: dict[str, dict[Event, tuple[State | None, str]]] = {
    "queued": {
        Event.SENT: (State.SENT, "a"),
        Event.DELIVERED: (State.DELIVERED, "ad"),
        Event.FAILED: (State.FAILED, "af"),
        Event.BOUNCED: (State.FAILED, "af"),
        Event.REJECTED: (State.REJECTED, "r"),
        Event.OPENED: (State.DELIVERED, "ado"),
        Event.COMPLAINED: (State.DELIVERED, "adc"),
        Event.UNSUBSCRIBED: (State.DELIVERED, "adu"),
        Event.STOPPED: (None, "u"),
    },
    "sent": {
        Event.DELIVERED: (State.DELIVERED, "ad"),
        Event.FAILED: (State.FAILED, "af"),
        Event.BOUNCED: (State.FAILED, "af"),
        Event.REJECTED: (State.REJECTED, "ar"),
        Event.OPENED: (State.DELIVERED, "ado"),
        Event.COMPLAINED: (State.DELIVERED, "adc"),
        Event.UNSUBSCRIBED: (State.DELIVERED, "adu"),
        Event.STOPPED: (None, "u"),
    },
    "delivered": {
        Event.BOUNCED: (State.FAILED, "f"),
        Event.OPENED: (State.DELIVERED, "o"),
        Event.COMPLAINED: (State.DELIVERED, "c"),
        Event.UNSUBSCRIBED: (State.DELIVERED, "u"),
        Event.STOPPED: (None, "u"),
    },
    "delivered+o": {
        Event.COMPLAINED: (State.DELIVERED, "c"),
        Event.UNSUBSCRIBED: (State.DELIVERED, "u"),
        Event.STOPPED: (None, "u"),
    },
    "delivered+c": {
        Event.COMPLAINED: (State.DELIVERED, "c"),
        Event.UNSUBSCRIBED: (State.DELIVERED, "u"),
        Event.STOPPED: (None, "u"),
    },
    "failed": {
        Event.COMPLAINED: (State.FAILED, "c"),
        Event.UNSUBSCRIBED: (State.FAILED, "u"),
        Event.STOPPED: (None, "u"),
    },
    "rejected": {
        Event.COMPLAINED: (State.REJECTED, "c"),
        Event.UNSUBSCRIBED: (State.REJECTED, "u"),
        Event.STOPPED: (None, "u"),
    },
}
_SAME_ROW = {
    "uncertain": "queued",
    "queued+c": "queued",
    "uncertain+c": "queued",
    "sent+c": "sent",
    "delivered+oc": "delivered+c",
    "failed+o": "failed",
    "failed+c": "failed",
    "failed+oc": "failed",
    "rejected+c": "rejected",
}


def transitions(event: Event) -> dict[str, tuple[str, str]]:
    """One column of the table for the store's scripts: row name to (new state, letters)."""
    rows = {row: cells[event] for row, cells in _TABLE.items() if event in cells}
    rows |= {row: rows[like] for row, like in _SAME_ROW.items() if like in rows}
    return {row: (str(new or row.partition("+")[0]), letters) for row, (new, letters) in rows.items()}


TRANSITIONS: dict[Event, dict[str, tuple[str, str]]] = {event: transitions(event) for event in Event}
