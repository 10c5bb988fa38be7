"""The two families of trouble: what we refuse to a caller, and what a next hop does to us.

Owns the table of error codes that callers see. Knows nothing about protocols, storage or time.
"""

from enum import IntEnum


class ErrorCode(IntEnum):
    """``error_code`` in an answer to Smartico; the numbers are public and never change meaning."""

    TAKEN = 0
    USER_NOT_FOUND = 1
    NO_ADDRESS = 2
    INVALID_REQUEST = 3
    NOT_AUTHORISED = 4
    SUPPRESSED = 5
    SENDER_NOT_ALLOWED = 6
    CALLBACK_NOT_ALLOWED = 7
    TOO_LARGE = 8
    UID_CONFLICT = 9
    TRY_AGAIN = 10
    INTERNAL = 99


class Refused(Exception):
    """A request that we do not take on: nothing was stored, the caller gets `code` and `message`.

    `message` is read by the caller: it names a field and a rule, never an address, a secret or content.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name.lower()}: {self.message}"


class Failure(Exception):
    """What went wrong at the next hop. `reason` is kept in the timeline: no address, secret or content in it.

    `progress` holds the remote ids of the segments that the next hop had taken before it failed, in order:
    the next attempt goes on behind them.
    """

    def __init__(self, reason: str, *, progress: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.progress = progress


class TemporaryFailure(Failure):
    """Another attempt may succeed.

    `not_before` is the earliest time for it (seconds since the epoch), where the next hop or our own pacing
    knows one. With `counts` false the attempt does not make the back-off grow: throttling, pacing, a full pool.
    """

    def __init__(
        self,
        reason: str,
        *,
        not_before: float | None = None,
        counts: bool = True,
        progress: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, progress=progress)
        self.not_before = not_before
        self.counts = counts


class AnsweredInVain(TemporaryFailure):
    """It answered, and took nothing: it said "later", or, where `is_readable` is false, what is no answer at all."""

    def __init__(self, reason: str, *, not_before: float | None = None, is_readable: bool = True) -> None:
        super().__init__(reason, not_before=not_before)
        self.is_readable = is_readable


class PermanentFailure(Failure):
    """The next hop refused this message for good, or it may not be sent at all: the message ends `rejected`.

    `hard` says that the address itself is at fault (RFC 3463 5.1.x and kin): it may be suppressed.
    """

    def __init__(self, reason: str, *, hard: bool = False, progress: tuple[str, ...] = ()) -> None:
        super().__init__(reason, progress=progress)
        self.hard = hard


class Uncertain(Failure):
    """The message went to the wire on `route` and the answer was lost: it may have been taken."""

    def __init__(self, reason: str, *, route: str, progress: tuple[str, ...] = ()) -> None:
        super().__init__(reason, progress=progress)
        self.route = route


class Down(Exception):
    """Nothing can be given to this next hop now: another route may take it. The text says why."""


class NotWritten(Exception):
    """The next hop went away before anything was written: nothing is on the wire."""


class Unanswered(Exception):
    """It was written, and no answer came while it was waited for: what became of it is unknown."""


class LeaseLost(Exception):
    """Somebody else holds the message now (our lease ran out, or it was erased): stop, touch nothing."""


class StoreUnavailable(Exception):
    """The store did not answer in time; the outcome of what was asked is unknown."""


class StoreUntouched(StoreUnavailable):
    """The store could not be asked, or said no: nothing of what was asked is done."""


class NotReplicated(StoreUnavailable):
    """Fewer replicas have it than a promise takes. The text says how many have, and may be shown to callers."""


class ReplicasMissing(NotReplicated, StoreUntouched):
    """As NotReplicated, and known beforehand: nothing was asked."""
