"""Whether an SMSC, though bound, refuses all that it is given, for reasons of its own: what `degraded` says of it.

Owns the count. What a status speaks of, codec/codes.py says; failover goes by each single answer, and not by this.
"""

from gatewayd.smpp.codec.codes import Disposition, status_name

ENOUGH = 3
"""Different messages in a row that were refused so: one alone may be a matter of that one."""

_OF_THE_MESSAGE = frozenset({Disposition.TAKEN, Disposition.PERMANENT})
"""What shows that the SMSC works: it took a message, or read one and said what is wrong with it."""


class OwnReasons:
    """The answers of one SMSC since it last took a message, or refused one for what it is."""

    def __init__(self) -> None:
        self._message_ids: set[str] = set()
        self._status = 0

    def answered(self, message_id: str, status: int, meaning: Disposition) -> None:
        """A submit of this message was answered. "Slow down" says neither."""
        if meaning in _OF_THE_MESSAGE:
            self.forget()
        elif meaning is not Disposition.THROTTLED:
            self._status = status
            if len(self._message_ids) < ENOUGH:
                self._message_ids.add(message_id)

    def forget(self) -> None:
        """It works, or its configuration was changed."""
        self._message_ids.clear()

    def words(self) -> str:
        """For people: that it refuses everything, and with what; empty where it does not."""
        if len(self._message_ids) < ENOUGH:
            return ""
        return f"it refuses every submit, the latest with {status_name(self._status)}"
