"""The name of one submit on the wire, and the names of what was taken."""

from collections.abc import Iterable

from twisted.internet.defer import Deferred

from gatewayd.smpp.events import SubmitAnswered


class Token:
    """Names one submit on the wire; `answer` fires with a SubmitAnswered or errs with Unanswered.

    `segments_taken` are the remote ids of the message's segments before this one; `last` says that none comes after
    it. `label` is the message's; `number` is whom it is for: the id that the SMSC gives it may hold that. `mark` is the
    stamp of the mark under which it is written, and `written_at` in seconds since the epoch; both 0 until then.
    """

    __slots__ = ("answer", "label", "last", "mark", "message_id", "number", "segments_taken", "written_at")

    def __init__(
        self,
        message_id: str,
        segments_taken: tuple[str, ...] = (),
        *,
        last: bool = True,
        number: str = "",
        label: str = "",
    ) -> None:
        self.message_id = message_id
        self.label = label
        self.segments_taken = segments_taken
        self.last = last
        self.number = number
        self.answer: Deferred[SubmitAnswered] = Deferred()
        self.mark = 0
        self.written_at = 0.0


def names_of(remote_ids: Iterable[str]) -> tuple[str, ...]:
    """Under which ids receipts of a message come whose segments were all taken as these: each once.

    An SMSC that names all segments alike says of all of them what it says of that name.
    """
    return tuple(dict.fromkeys(remote_ids))
