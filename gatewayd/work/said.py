"""Of which copies the audit log has it that they may have been sent: it says so once of each.

A message whose answer is lost is looked at whenever its way comes back, for as long as it is held. Bounded in number.
"""

SAID_AT_MOST = 20_000
"""Messages: about 2 MB. A lost connection leaves as many uncertain as its window holds, 100 at most as a rule."""


class SaidUncertain:
    """By message, how many copies of it are said. Where more than `most` are, the first said are forgotten first."""

    def __init__(self, most: int = SAID_AT_MOST) -> None:
        self._most = most
        # By the hash of the id, a third of what ids take: that two of so few share one of 64 bits does not happen.
        self._copies: dict[int, int] = {}

    def is_new(self, message_id: str, copies: int) -> bool:
        """Whether so many copies of it were not said yet; from now on they are."""
        key, said = hash(message_id), self._copies
        if said.get(key, -1) >= copies:
            return False
        said.pop(key, None)
        said[key] = copies
        if len(said) > self._most:
            del said[next(iter(said))]
        return True
