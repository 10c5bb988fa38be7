"""One SMS over one SMSC: its segments in order, and what each answer means for the message.

It tries once, and knows neither the other SMSCs nor how a bind is found.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd import config
from gatewayd.core.errors import (
    Down,
    NotWritten,
    PermanentFailure,
    StoreUnavailable,
    TemporaryFailure,
    Unanswered,
    Uncertain,
)
from gatewayd.core.failover import Setback, summed_up
from gatewayd.core.interfaces import BeforeWire
from gatewayd.core.model import Handed, Order
from gatewayd.smpp.account import Account
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Disposition, Status
from gatewayd.smpp.submits import submits_of
from gatewayd.smpp.token import Token
from gatewayd.smpp.window import Window

LIMITED_TRIES = 5
"""Attempts after which a status that may mean anything counts as this SMSC's refusal: another one may take it still."""

OnSegment = Callable[[str, str, str, tuple[str, ...]], Awaitable[None]]
"""`on_segment(message_id, lease, smsc, remote_ids)`: these segments were taken, and the next is not written yet."""


class Sender:
    """Sends by the texts' rules of `labels`, which a reload replaces."""

    log = Logger()

    def __init__(self, clock: IReactorTime, labels: Mapping[str, config.Label], on_segment: OnSegment) -> None:
        self.labels = labels
        self._clock = clock
        self._on_segment = on_segment

    async def send(
        self, account: Account, order: Order, segments_taken: tuple[str, ...], before_wire: BeforeWire
    ) -> Handed | Setback:
        """Submit what the SMSC has not taken yet, one segment after the other, all over one bind while that lives.

        A Setback where nothing of the message is there. Raises TemporaryFailure, PermanentFailure and Uncertain with
        the segments that were taken as progress, and what `before_wire` raises.
        """
        name, message = account.name, order.message
        with_validity = account.takes_validity
        submits = self._submits(account, order)
        # More segments taken than there are now: long_messages was changed meanwhile, and the text begins anew.
        taken = list(segments_taken) if len(segments_taken) < len(submits) else []
        window: Window | None = None

        async def mark() -> None:
            token.mark = await before_wire(name)

        for index in range(len(taken), len(submits)):
            progress = tuple(taken)
            last = index == len(submits) - 1
            token = Token(message.id, progress, last=last, number=order.address, label=message.label)
            try:
                if window is not None:
                    # Before this segment may have to wait: a crash must not leave uncertain what was answered.
                    await self._on_segment(message.id, order.lease, name, progress)
                window, answer = await account.submit(submits[index], token, mark, window)
            except Down as down:
                if not taken:
                    return Setback(str(down))
                raise TemporaryFailure(str(down), progress=progress) from None
            except NotWritten:
                raise TemporaryFailure(f"{name} went down", progress=progress) from None
            except Unanswered as lost:
                raise Uncertain(f"{name}: {lost}", route=name, progress=progress) from None
            except StoreUnavailable as error:
                if not taken:
                    raise
                raise TemporaryFailure(str(error) or "Redis did not answer", counts=False, progress=progress) from None
            except TemporaryFailure as failure:
                failure.progress = progress
                raise
            if answer.status:
                setback = self._refused(account, window, token, answer.status, order, with_validity)
                if not taken:
                    return setback
                raise summed_up([setback], setback.reason, progress)
            taken.append(account.remote_id(token, answer))
        return Handed(name, account.names_of(message.id, taken), _in_words(len(taken)))

    def _refused(
        self, account: Account, window: Window, token: Token, status: int, order: Order, with_validity: bool
    ) -> Setback:
        """What a status other than OK means: raised where it is the message's or a pause, else the SMSC's own setback.

        The tables are codes.py's, and the operator's over them.
        """
        progress = token.segments_taken
        reason = f"{account.name} answered {smpp.status_name(status)}"
        if status in (Status.RINVEXPIRY, Status.RINVSCHED) and with_validity and account.settings.validity:
            account.takes_validity = False
            self.log.warn("{smsc} takes no validity_period: it is left out from now on", smsc=account.name)
            raise TemporaryFailure(reason, counts=False, progress=progress)
        match account.meaning(status):
            case Disposition.THROTTLED:
                until = account.throttled(token, status)
                if until is None:
                    raise TemporaryFailure(f"{reason} again, and takes others", progress=progress)
                raise TemporaryFailure(reason, not_before=until, counts=False, progress=progress)
            case Disposition.PERMANENT:
                raise PermanentFailure(reason, hard=status == Status.RINVDSTADR, progress=progress)
            case Disposition.CONFIGURATION:
                self.log.error("{reason}: look at smscs.{smsc}, or ask its carrier", reason=reason, smsc=account.name)
            case Disposition.SESSION:
                self.log.error("{reason}: unbinding, to bind again", reason=reason)
                account.rebind(window, reason)
            case Disposition.OUR_FAULT:
                # "I know no submit_sm" says nothing of the message, however often it is said.
                self.log.error("{reason} to a submit of {message_id}", reason=reason, message_id=order.message.id)
            case Disposition.LIMITED if order.attempt >= LIMITED_TRIES:
                return Setback(f"{reason} {LIMITED_TRIES} times", final=True)
        return Setback(reason)

    def _submits(self, account: Account, order: Order) -> list[bytes]:
        label = self.labels.get(order.message.label)
        if label is None:
            raise TemporaryFailure("the label is in the configuration no more", counts=False)
        return submits_of(
            order,
            account.settings,
            account.form,
            transliterate=label.transliterate,
            with_validity=account.takes_validity,
            now=self._clock.seconds(),
        )


@cache
def _in_words(segments: int) -> str:
    """At most 255, and one text for all messages: it is remembered with each."""
    return f"{segments} segment(s)"
