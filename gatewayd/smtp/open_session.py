"""One open connection as its pool counts it: how many mails have it, and how many more it may carry.

Knows neither the other connections nor the relay.
"""

from dataclasses import dataclass

from gatewayd.smtp.client import RelaySession

MESSAGES = 100
"""Mails on one connection: then another one is opened."""

CHORES = 8
"""NOOP and RSET on one connection: Exim drops it at the eleventh command that brings no mail, others later."""


@dataclass(slots=True, eq=False)
class OpenSession:
    """An open connection: how many messages have it, and since when none had (seconds since the epoch)."""

    session: RelaySession
    lent: int = 0
    idle_since: float = 0.0

    @property
    def worn(self) -> bool:
        """It has carried as much as is good for one."""
        return self.session.started >= MESSAGES or self.session.chores >= CHORES

    @property
    def takes_another(self) -> bool:
        """Whether a second message may be pipelined behind the one that it carries."""
        return self.lent == 1 and self.session.pipelining and self.session.started < MESSAGES - 1
