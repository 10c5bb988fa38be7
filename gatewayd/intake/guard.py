"""The guard against the campaign that was sent to everybody: a label takes so many messages in a time, and no more.

Counted in the store, by all processes together. Owns what is said while a label is over its rate, and for how long.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.config import Label
from gatewayd.core.errors import ErrorCode, Refused, StoreUnavailable
from gatewayd.core.model import Degraded

log = Logger()

CALM = 60.0
"""Seconds without a refusal after which a label is within its rate again."""

LOOK_FOR_LIFTED = 5.0
"""Seconds between two looks for guards that were lifted by way of another process: /readyz is to follow within 10."""

LOOK_AGAIN = 1.0
"""Seconds for which this process believes that an operator has, or has not, lifted a guard by way of another one."""

ReserveSoon = Callable[[str, float, float], Awaitable[tuple[bool, float]]]


class Lifted(Protocol):
    """Where it is kept that an operator lifted a label's guard."""

    async def lift(self, label: str, seconds: float) -> None:
        """For so long from now on; 0: it stands again. Raises StoreUnavailable."""

    async def lifted(self, label: str) -> float:
        """Seconds for which it is lifted still; 0 where it is not. Raises StoreUnavailable."""


class _Trip(Struct):
    """A label that is over its rate: since when, when a request was refused last, and how many were."""

    since: float
    last: float
    refused: int = 0


class IntakeGuard:
    """Asked for each message of a label that has an intake_rate. `reserve` is IStore.reserve_soon."""

    def __init__(self, clock: IReactorTime, reserve: ReserveSoon, lifting: Lifted, labels: Mapping[str, Label]) -> None:
        self._clock = clock
        self._reserve = reserve
        self._lifting = lifting
        self._labels = labels
        self._tripped: dict[str, _Trip] = {}
        self._believed: dict[str, tuple[float, bool]] = {}

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Go by these labels from now on."""
        self._labels = labels

    async def lift(self, name: str, seconds: float) -> bool:
        """Let more in for so long, with 0 no more; here at once, in other processes soon. Raises StoreUnavailable.

        False, and nothing done, where the label has no intake_rate.
        """
        label = self._labels.get(name)
        if label is None or label.intake_rate is None:
            return False
        await self._lifting.lift(name, seconds)
        self._believed.pop(name, None)
        if seconds > 0:
            # Nothing is refused from here on: what was said of it is over for whoever looks right after the order.
            self._tripped.pop(name, None)
        return True

    async def forget_lifted(self) -> None:
        """Say no more of labels whose guard was lifted by way of another process, without a request, too."""
        for name in tuple(self._tripped):
            try:
                lifted = await self._lifting.lifted(name)
            except StoreUnavailable:
                # A Redis that is away is said elsewhere; the next look asks again.
                return
            if lifted > 0:
                self._tripped.pop(name, None)

    async def check(self, name: str, label: Label) -> None:
        """Count one message. Raises Refused (try_again) where it is one too many, and StoreUnavailable."""
        rate = label.intake_rate
        if rate is None:
            return
        interval = rate.seconds / rate.count
        # The last of `count` at once is due this much later than the first; half a place more, for rounding.
        patience = rate.seconds - interval / 2
        taken, _ = await self._reserve(f"intake:{name}", interval, patience)
        if taken:
            return
        if await self._is_lifted(name):
            self._tripped.pop(name, None)
            return
        self._trip(name, str(rate))
        raise Refused(ErrorCode.TRY_AGAIN, f"more than {rate} for this label")

    async def _is_lifted(self, name: str) -> bool:
        now = self._clock.seconds()
        until, lifted = self._believed.get(name, (0.0, False))
        if now < until:
            return lifted
        left = await self._lifting.lifted(name)
        self._believed[name] = (now + min(left or LOOK_AGAIN, LOOK_AGAIN), left > 0)
        return left > 0

    def _trip(self, name: str, rate: str) -> None:
        now = self._clock.seconds()
        trip = self._tripped.get(name)
        if trip is None or now - trip.last > CALM:
            trip = self._tripped[name] = _Trip(now, now)
            log.warn(
                "{label} is asked for more than {rate} (intake_rate): refused with code 10 until it is less;"
                " gatewayctl guard {label} --lift 1h takes them",
                label=name,
                rate=rate,
            )
        trip.last = now
        trip.refused += 1

    def degraded(self) -> Iterator[Degraded]:
        """The labels whose messages are being refused for their number."""
        now = self._clock.seconds()
        for name, trip in list(self._tripped.items()):
            label = self._labels.get(name)
            if now - trip.last > CALM or label is None or label.intake_rate is None:
                del self._tripped[name]
                continue
            text = f"label {name}: more than {label.intake_rate} (intake_rate), {trip.refused} messages were refused"
            yield Degraded("guard", name, f"{text}; gatewayctl guard {name} --lift 1h takes them")
