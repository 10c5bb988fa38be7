"""What every directory is wrapped in: a time-out that frees the caller, a memory, one look-up of a player at a time.

Knows no kind of directory. The memory is in this process only, and a fresh look-up passes it by.
"""

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.memory import Memory
from gatewayd.core.model import Recipient

log = Logger()

REMEMBERED = 10_000
TIRED_AFTER = 3
"""Time-outs in a row after which a directory is asked one question at a time until it answers again."""


class TookTooLong(TemporaryFailure):
    """The database ended the look-up of this player for the time that it took: a time-out that comes early."""


_Key = tuple[str, str]
_Asker = Deferred[Recipient | None]


class _Entry(Struct, frozen=True, gc=False):
    recipient: Recipient | None
    at: float


class _LookUp:
    """One that is under way, until the directory's own `find` has ended. `kept_in` are all that know of it."""

    def __init__(self, askers: list[_Asker], answers_before: int, kept_in: dict[_Key, "_LookUp"]) -> None:
        self.kept_in = [kept_in]
        self.askers = askers
        self.behind: list[_Asker] = []
        """Those who asked afresh after it began: it may have missed what they are to see."""
        self.answers_before = answers_before
        """Of the directory, when it began."""
        self.is_late = False
        """Its time is over: nobody waits for it."""


@implementer(IRecipientDirectory)
class Remembered:
    """`directory` with a limit of `timeout` seconds, each answer (an unknown id too) kept for `cache` seconds.

    No player is looked up twice at a time. Who asks for one whose look-up hangs fails at once until the directory is
    back from it, since each further one would hold what the first holds.

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
        self._kept: Memory[_Key, _Entry] = Memory(size, cache)
        self._under_way: dict[_Key, _LookUp] = {}
        self._answers = 0
        self._timeouts = 0
        self._probe_at = 0.0
        self._said_consent = False
        self._successor: Remembered | None = None
        self.trouble = ""
        """Why the latest look-up failed; "" where it did not."""
        self.in_doubt = False
        """Whether the latest look-up was not answered, though others were while it waited."""
        self.answered_at = 0.0
        """When it last answered."""

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """As the directory's, from memory unless `fresh`. Raises TemporaryFailure after the time-out.

        A fresh one waits for a look-up of this player that is under way, up to a time-out more.
        """
        key = (label, ext_user_id)
        if not fresh:
            entry = self._kept.get(key)
            if entry is not None and self._clock.seconds() < entry.at + self._cache:
                return entry.recipient
        asker: _Asker = Deferred()
        look_up = self._under_way.get(key)
        if look_up is None:
            self._check_rested()
            self._begin(key, [asker], fresh=fresh)
        elif look_up.is_late:
            raise TemporaryFailure(f"the directory {self._name} has not ended an earlier look-up of this player yet")
        else:
            (look_up.behind if fresh else look_up.askers).append(asker)
        return await asker

    def succeed(self, other: "Remembered") -> None:
        """This one is asked from now on in the place of `other`, the same of the same database.

        Who hangs there would hang here, too, and hold as much again: it waits for the end of what it holds.
        """
        other._successor = self
        for key, look_up in other._under_way.items():
            if look_up.is_late:
                self._know_late(key, look_up)

    def _know_late(self, key: _Key, look_up: _LookUp) -> None:
        if key not in self._under_way:
            self._under_way[key] = look_up
            look_up.kept_in.append(self._under_way)
            if self._successor is not None:
                self._successor._know_late(key, look_up)

    async def close(self) -> None:
        """Close the directory, and forget."""
        self._kept.forget_all()
        await self.directory.close()

    def _begin(self, key: _Key, askers: list[_Asker], *, fresh: bool) -> None:
        look_up = self._under_way[key] = _LookUp(askers, self._answers, self._under_way)

        def landed(result: Recipient | Failure | None) -> None:
            for under_way in look_up.kept_in:
                del under_way[key]
            if look_up.is_late:
                # What was true when it was asked may be long ago.
                return
            timer.cancel()
            behind = [asker for asker in look_up.behind if not asker.called]
            if isinstance(result, Failure):
                if isinstance(result.value, TookTooLong):
                    self._took_too_long(look_up, result.value)
                elif not result.check(CancelledError):
                    self._say_ill(result.value)
                askers.extend(behind)
            else:
                self._answered(key, result)
                if behind:
                    self._begin(key, behind, fresh=True)
            _tell(askers, result)

        def too_late() -> None:
            # First the askers: whatever the directory does when it is cancelled, they are free.
            look_up.is_late = True
            if self._successor is not None:
                self._successor._know_late(key, look_up)
            failure = TookTooLong(f"the directory {self._name} did not answer in time")
            self._took_too_long(look_up, failure)
            _tell(askers + look_up.behind, Failure(failure))
            looking.cancel()

        looking = Deferred.fromCoroutine(self.directory.find(*key, fresh=fresh))
        timer = self._clock.callLater(self.timeout, too_late)
        looking.addBoth(landed)

    def _took_too_long(self, look_up: _LookUp, failure: TookTooLong) -> None:
        if look_up.answers_before == self._answers:
            self._timeouts += 1
            self._say_ill(failure)
        else:
            # It hangs for this player, or has only just gone down: the next look-up tells.
            self.in_doubt = True

    def _answered(self, key: _Key, recipient: Recipient | None) -> None:
        self._answers += 1
        self._timeouts = 0
        self.in_doubt = False
        self.answered_at = self._clock.seconds()
        self._say_well()
        if recipient is not None and recipient.consent_is_unreadable:
            self._say_consent_is_unreadable()
        self._keep(key, recipient)

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
            raise TemporaryFailure(f"the directory {self._name} does not answer", not_before=self._probe_at)
        self._probe_at = now + max(self.timeout, 1.0)

    def _keep(self, key: _Key, recipient: Recipient | None) -> None:
        if self._cache > 0:
            self._kept.put(key, _Entry(recipient, self._clock.seconds()))


def _tell(askers: list[_Asker], result: Recipient | Failure | None) -> None:
    while askers:
        asker = askers.pop()
        if not asker.called:
            asker.callback(result)
