"""What was found of a relay: what its latest EHLO answer offers, and whether it loses commands that come together.

Knows only what the relay's pool tells it. Whether the relay is up is health.py's.
"""

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.smtp.commands import Offer

ONE_BY_ONE = 86400.0
"""Seconds for which a relay that loses pipelined commands gets one at a time."""


class RelayTraits:
    """Of the relay `name`."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, name: str) -> None:
        self._clock = clock
        self._name = name
        self._offer: Offer | None = None
        self._one_by_one_until = 0.0

    @property
    def size_limit(self) -> int:
        """The largest message that the relay takes, in octets; 0 for no limit known."""
        return self._offer.size if self._offer else 0

    def knows(self, keyword: str) -> bool | None:
        """Whether the relay offers `keyword`; None before the first answer."""
        return keyword in self._offer if self._offer else None

    @property
    def gets_one_by_one(self) -> bool:
        """Whether no command may follow another that is not answered."""
        return self._clock.seconds() < self._one_by_one_until

    def offers(self, offer: Offer) -> None:
        """Another EHLO was answered."""
        self._offer = offer

    def loses_commands(self) -> None:
        """It offered PIPELINING, and left what came together unanswered."""
        self._one_by_one_until = self._clock.seconds() + ONE_BY_ONE
        self._log.warn(
            "relay {relay} offers PIPELINING and loses commands that come together: it gets them one by one",
            relay=self._name,
        )
