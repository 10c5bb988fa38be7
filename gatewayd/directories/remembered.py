"""What every directory is wrapped in: a time-out that frees the caller, a short memory, one look-up for many askers.

Knows no kind of directory. The memory is in this process only, and a fresh look-up passes it by.
"""

from itertools import islice
from typing import NoReturn

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient

log = Logger()

REMEMBERED = 10_000
TIRED_AFTER = 3
"""Time-outs in a row after which a directory is asked one question at a time until it answers again."""

_Key = tuple[str, str]


class _Entry(Struct, frozen=True, gc=False):
    recipient: Recipient | None
    until: float
    asked: int


@implementer(IRecipientDirectory)
class Remembered:
    """`directory` with a limit of `timeout` seconds, each answer (an unknown id too) kept for `cache` seconds.

    A directory that keeps timing out is let rest: look-ups fail at once but for one probe in each `timeout`, so that
    a black hole doesn't hold up everything that waits for it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        directory: IRecipientDirectory,
        *,
        timeout: float,
        cache: float,
        size: int = REMEMBERED,
    ) -> None:
        self._clock = clock
        self._name = name
        self.directory = directory
        self.timeout = timeout
        self._cache = cache
        self._size = size
        self._kept: dict[_Key, _Entry] = {}
        self._flights: dict[_Key, list[Deferred[Recipient | None]]] = {}
        self._asked = 0
        self._timeouts = 0
        self._probe_at = 0.0
        self._said_consent = False
        self.trouble = ""
        """Why the latest look-up failed; "" where it did not."""
        self.answered_at = 0.0
        """When it last answered."""

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """As the directory's, from memory unless `fresh`. Raises TemporaryFailure after the time-out."""
        key = (label, ext_user_id)
        if not fresh:
            entry = self._kept.get(key)
            if entry is not None and entry.until > self._clock.seconds():
                return entry.recipient
            flight = self._flights.get(key)
            if flight is not None:
                joined: Deferred[Recipient | None] = Deferred()
                flight.append(joined)
                return await joined
        return await self._ask(key, fresh=fresh)

    async def close(self) -> None:
        """Close the directory, and forget."""
        self._kept.clear()
        await self.directory.close()

    def _ask(self, key: _Key, *, fresh: bool) -> "Deferred[Recipient | None]":
        self._check_rested()
        self._asked += 1
        asked = self._asked
        first: Deferred[Recipient | None] = Deferred()
        waiting = [first]
        if not fresh:
            self._flights[key] = waiting

        def landed(result: Recipient | Failure | None) -> None:
            if timer.active():
                timer.cancel()
            if self._flights.get(key) is waiting:
                del self._flights[key]
            if not isinstance(result, Failure):
                self._timeouts = 0
                self.answered_at = self._clock.seconds()
                self._say_well()
                if result is not None and result.consent_is_unreadable:
                    self._say_consent_is_unreadable()
                self._keep(key, result, asked)
            elif not result.check(CancelledError):
                self._say_ill(result.value)
            tell(result)

        def tell(result: Recipient | Failure | None) -> None:
            while waiting:
                asker = waiting.pop()
                if not asker.called:
                    asker.callback(result)

        def too_late() -> None:
            # First the askers: whatever the directory does when it is cancelled, they are free.
            self._timeouts += 1
            if self._flights.get(key) is waiting:
                del self._flights[key]
            failure = TemporaryFailure(f"the directory {self._name} did not answer in time")
            self._say_ill(failure)
            tell(Failure(failure))
            looking.cancel()

        looking = Deferred.fromCoroutine(self.directory.find(*key, fresh=fresh))
        timer = self._clock.callLater(self.timeout, too_late)
        looking.addBoth(landed)
        return first

    def _say_ill(self, failure: BaseException | None) -> None:
        """Once in each trouble; what is no TemporaryFailure is a bug, and its asker logs it."""
        well = not self.trouble
        self.trouble = failure.reason if isinstance(failure, TemporaryFailure) else type(failure).__name__
        if well:
            log.warn("directory {directory} is in trouble: {reason}", directory=self._name, reason=self.trouble)

    def _say_well(self) -> None:
        if self.trouble:
            self.trouble = ""
            log.info("directory {directory} answers again", directory=self._name)

    def _say_consent_is_unreadable(self) -> None:
        """Once: it is the column's form, and the same for every player."""
        if not self._said_consent:
            self._said_consent = True
            log.warn(
                "directory {directory}: a consented_at can't be read, and lifts no stop; manual 6.1 says what can",
                directory=self._name,
            )

    def _check_rested(self) -> None:
        if self._timeouts < TIRED_AFTER:
            return
        now = self._clock.seconds()
        if now < self._probe_at:
            self._refuse(self._probe_at)
        self._probe_at = now + max(self.timeout, 1.0)

    def _refuse(self, until: float) -> NoReturn:
        raise TemporaryFailure(f"the directory {self._name} does not answer", not_before=until)

    def _keep(self, key: _Key, recipient: Recipient | None, asked: int) -> None:
        known = self._kept.pop(key, None)
        if known is not None and known.asked > asked:
            # A slow look-up must not bring back what a later one has found changed.
            self._kept[key] = known
            return
        if self._cache > 0:
            now = self._clock.seconds()
            # The oldest stand in front. No more than two go at a time, so that no look-up pays for a crowd of others.
            for first in list(islice(self._kept, 2)):
                if len(self._kept) >= self._size or self._kept[first].until <= now:
                    del self._kept[first]
            self._kept[key] = _Entry(recipient, now + self._cache, asked)
