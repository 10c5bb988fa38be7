"""SMS as a way out: which SMSC, which segments, and what an answer means for the message.

Owns the routes' health, failover, and the way back of receipts and texts. It tries once: it never retries a message,
and imports no store, no track and no other channel. Waiting and pacing are account.py's, the wire is link.py's.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd import config
from gatewayd.core.errors import PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.core.interfaces import BeforeWire, EvidenceSink, IChannel
from gatewayd.core.model import Handed, Inbound, Order, Receipt, WayState
from gatewayd.core.pace import Reserve
from gatewayd.smpp import address, dial, incoming, receipt
from gatewayd.smpp.account import Account, Down, OnAnswer, SmscState
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import MEANINGS
from gatewayd.smpp.codec.pdu import Disposition, Status
from gatewayd.smpp.link import Link, NotWritten, Token, Unanswered
from gatewayd.smpp.session import SubmitAnswered
from gatewayd.smpp.submits import submits_of

LIMITED_TRIES = 5
"""Attempts after which a status that may mean anything counts as a refusal."""

OnSegment = Callable[[str, str, tuple[str, ...]], Awaitable[None]]
"""`on_segment(message_id, smsc, remote_ids)`: these segments of an SMS were taken, and the next is not written yet."""


async def _untold(message_id: str, smsc: str, remote_ids: tuple[str, ...]) -> None:
    """For who keeps no count of segments."""


def _uncounted(smsc: str, status: int, seconds: float) -> None:
    """For who counts no answers."""


class _Elsewhere(Exception):
    """This SMSC does not take the message for reasons of its own; nothing of it is there."""


@implementer(IChannel)
class SmppChannel(Service):
    """All SMSCs; of `labels` it takes the rules for their texts.

    `number_hashes` name a number so that it can be recognised and not read, today's name first; `reserve` is
    IStore.reserve. The SMSC is told that we took a receipt or a text once `evidence` has made it durable.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        smscs: Mapping[str, config.Smsc],
        labels: Mapping[str, config.Label],
        *,
        number_hashes: Callable[[str], Sequence[str]],
        reserve: Reserve,
        evidence: EvidenceSink,
        jitter: Callable[[], float],
        on_segment: OnSegment = _untold,
        on_answer: Callable[[str, str, float], None] | None = None,
        endpoint_of: Callable[[Any, config.Smsc], IStreamClientEndpoint] = dial.endpoint_of,
    ) -> None:
        self._reactor = reactor
        self._number_hashes = number_hashes
        self._reserve = reserve
        self._evidence = evidence
        self._jitter = jitter
        self._labels = labels
        self._on_segment = on_segment
        self._on_answer = _named(on_answer) if on_answer else _uncounted
        self._endpoint_of = endpoint_of
        self._leaving: set[Deferred[None]] = set()
        self._accounts = {name: self._account(name, smsc) for name, smsc in smscs.items()}

    # IChannel -------------------------------------------------------------------------------------------------

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """As IChannel.send: one SMS with all its segments, over one SMSC."""
        ids, routes = order.progress, order.routes
        if ids and order.begun_on:
            if order.begun_on in routes and order.begun_on in self._accounts:
                # Its first segments are there: a receipt for the whole comes from one SMSC or from none.
                routes = (order.begun_on,)
            else:
                ids = ()
        reason = "no SMSC is routed to"
        for name in routes:
            account = self._accounts.get(name)
            if account is None or not account.up:
                reason = self._why_down(name)
                continue
            try:
                return await self._send_by(account, order, ids, before_wire)
            except _Elsewhere as elsewhere:
                reason = str(elsewhere)
        raise TemporaryFailure(reason, progress=ids)

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel."""
        if any(name in self._accounts and self._accounts[name].up for name in routes):
            return ""
        return "; ".join(map(self._why_down, routes))

    def _why_down(self, name: str) -> str:
        account = self._accounts.get(name)
        return account.why_down() if account is not None else f"{name} is configured no more"

    def routes(self) -> Mapping[str, bool]:
        """Each SMSC, and whether some bind of it takes submits."""
        return {name: account.up for name, account in self._accounts.items()}

    def heard_since(self, route: str) -> float:
        """See IChannel: receipts come over our binds."""
        account = self._accounts.get(route)
        return account.heard_since if account is not None else 0.0

    # Operating ------------------------------------------------------------------------------------------------

    def states(self) -> Mapping[str, WayState]:
        """How each SMSC stands, for people."""
        return {name: account.way() for name, account in self._accounts.items()}

    def binds(self) -> tuple[SmscState, ...]:
        """Each SMSC with each of its binds."""
        return tuple(account.state() for account in self._accounts.values())

    def reconfigure(self, smscs: Mapping[str, config.Smsc], labels: Mapping[str, config.Label]) -> None:
        """New configuration: what stays as it was keeps its connections, what changed is bound anew."""
        self._labels = labels
        before, self._accounts = self._accounts, {}
        for name, smsc in smscs.items():
            account = before.get(name)
            if account is not None and account.takes_over(smsc):
                del before[name]
                account.reconfigure(smsc)
            else:
                account = self._account(name, smsc)
                if self.running:
                    account.start()
            self._accounts[name] = account
        for account in before.values():
            self._let_go(account)

    def startService(self) -> None:
        """Begin to keep every bind."""
        Service.startService(self)
        for account in self._accounts.values():
            account.start()

    def stopService(self) -> Deferred[None]:
        """Drain the windows (up to 20 s), unbind, close."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        stopping = [Deferred.fromCoroutine(account.stop()) for account in self._accounts.values()]
        await gatherResults([*stopping, *self._leaving])

    def _let_go(self, account: Account) -> None:
        leaving = Deferred.fromCoroutine(account.stop())
        self._leaving.add(leaving)

        def gone(result: Failure | None) -> None:
            self._leaving.discard(leaving)
            if isinstance(result, Failure):
                self.log.failure("{smsc} did not stop well", result, smsc=account.name)

        leaving.addBoth(gone)

    def _account(self, name: str, smsc: config.Smsc) -> Account:
        return Account(
            self._reactor,
            name,
            smsc,
            dial=lambda smsc: self._endpoint_of(self._reactor, smsc),
            reserve=self._reserve,
            take=self._take,
            on_late=self._late,
            on_answer=self._on_answer,
            jitter=self._jitter,
        )

    # Out ------------------------------------------------------------------------------------------------------

    async def _send_by(self, account: Account, order: Order, ids: tuple[str, ...], before_wire: BeforeWire) -> Handed:
        name, message = account.name, order.message
        with_validity = account.takes_validity
        submits = self._submits(account, order)
        # More segments taken than there are now: long_messages was changed meanwhile, and the text begins anew.
        taken = list(ids) if len(ids) < len(submits) else []
        link: Link | None = None

        async def mark() -> None:
            await before_wire(name)

        for index in range(len(taken), len(submits)):
            progress = tuple(taken)
            token = Token(message.id, progress, last=index == len(submits) - 1)
            try:
                if link is not None:
                    # Before this segment may have to wait: a crash must not leave uncertain what was answered.
                    await self._on_segment(message.id, name, progress)
                link, answer = await account.submit(submits[index], token, mark, link)
            except Down as down:
                if taken:
                    raise TemporaryFailure(str(down), progress=progress) from None
                raise _Elsewhere(str(down)) from None
            except NotWritten:
                raise TemporaryFailure(f"{name} went down", progress=progress) from None
            except Unanswered as lost:
                raise Uncertain(f"{name}: {lost}", route=name, progress=progress) from None
            except StoreUnavailable:
                if not taken:
                    raise
                raise TemporaryFailure("Redis did not answer", counts=False, progress=progress) from None
            except TemporaryFailure as failure:
                failure.progress = progress
                raise
            if answer.status:
                self._refused(account, link, token, answer.status, order, progress, with_validity)
            taken.append(self._remote_id(account, answer, token))
        # An SMSC that names all segments alike says of all of them what it says of that name.
        return Handed(name, tuple(dict.fromkeys(taken)), f"{len(taken)} segment(s)")

    def _remote_id(self, account: Account, answer: SubmitAnswered, token: Token) -> str:
        """The id as it is stored; an SMSC that gives none will name none, but the segment must count."""
        account.ids.answered(answer.message_id)
        remote_id = receipt.stored(answer.message_id, account.smsc.message_ids)
        return remote_id or f"{token.message_id}/{len(token.taken)}"

    def _refused(
        self,
        account: Account,
        link: Link,
        token: Token,
        status: int,
        order: Order,
        progress: tuple[str, ...],
        with_validity: bool,
    ) -> None:
        """Raise what a status other than OK means."""
        name = account.name
        reason = f"{name} answered {smpp.status_name(status)}"
        if status in (Status.RINVEXPIRY, Status.RINVSCHED) and with_validity and account.smsc.validity:
            account.takes_validity = False
            self.log.warn("{smsc} takes no validity_period: it is left out from now on", smsc=name)
            raise TemporaryFailure(reason, counts=False, progress=progress)
        meaning = account.smsc.submit_statuses.get(status)
        match MEANINGS[meaning] if meaning else smpp.disposition(status):
            case Disposition.THROTTLED:
                until = account.throttled(token)
                raise TemporaryFailure(reason, not_before=until, counts=False, progress=progress)
            case Disposition.PERMANENT:
                raise PermanentFailure(reason, hard=status == Status.RINVDSTADR, progress=progress)
            case Disposition.RETRY | Disposition.SESSION | Disposition.CONFIGURATION as fault:
                if fault is not Disposition.RETRY:
                    self.log.error("{reason}", reason=reason)
                if fault is Disposition.SESSION:
                    link.rebind(reason)
                if progress:
                    raise TemporaryFailure(reason, progress=progress)
                raise _Elsewhere(reason)
            case other:
                if other is Disposition.OUR_FAULT:
                    self.log.error("{reason} to a submit of ours", reason=reason, message_id=order.message.id)
                if order.attempt >= LIMITED_TRIES:
                    raise PermanentFailure(f"{reason} {LIMITED_TRIES} times", progress=progress)
                raise TemporaryFailure(reason, progress=progress)

    def _submits(self, account: Account, order: Order) -> list[bytes]:
        label = self._labels.get(order.message.label)
        if label is None:
            raise PermanentFailure("the label is not configured any more")
        with_validity, now = account.takes_validity, self._reactor.seconds()
        return submits_of(
            order, account.smsc, account.form, transliterate=label.transliterate, with_validity=with_validity, now=now
        )

    # In -------------------------------------------------------------------------------------------------------

    async def _take(self, name: str, request: smpp.DeliverSm | smpp.DataSm) -> int:
        """Make a receipt or a text durable. Anything but OK, and the SMSC brings it again."""
        account = self._accounts.get(name)
        if account is None:
            return Status.RX_T_APPN
        smsc = account.smsc
        try:
            said = receipt.read(request, smsc.receipt_states)
            if said is None:
                # A long text comes in parts, each by itself, and they aren't joined: a stop word fits into one part,
                # so that no joined text would be one. Parts that wait for others would need a store, for nothing.
                number, *earlier = self._names(request.source_addr) or ("",)
                await self._evidence.record_inbound(
                    Inbound(name, number, incoming.text_of(request, smsc.default_alphabet), tuple(earlier))
                )
            elif said.ids:
                ids = account.ids.lookups(said, smsc.message_ids)
                # Some SMSCs turn a receipt's addresses round, others leave them as the submit had them.
                number, *earlier = self._names(request.source_addr, request.destination_addr) or ("",)
                await self._evidence.record_receipt(
                    Receipt(name, ids, said.event, said.detail, number, earlier_hashes=tuple(earlier))
                )
            else:
                self.log.warn("{smsc}: a receipt names no submit", smsc=name, detail=said.detail)
        except CancelledError:
            raise
        except StoreUnavailable:
            return Status.RX_T_APPN
        except Exception:
            self.log.failure("{smsc}: a receipt or text could not be taken", smsc=name)
            return Status.RX_T_APPN
        return Status.ROK

    def _names(self, *addresses: bytes) -> list[str]:
        """The hashes of the numbers among `addresses`."""
        numbers = filter(None, map(address.digits, addresses))
        return [name for number in numbers for name in self._number_hashes(number)]

    def _late(self, name: str, token: Token, answer: SubmitAnswered) -> None:
        account = self._accounts.get(name)
        self.log.info(
            "{smsc} answered a submit late",
            smsc=name,
            message_id=token.message_id,
            status=smpp.status_name(answer.status),
        )
        if account is None:
            return
        # Segments go one after the other: an answer to the last one completes the message, and any other answer,
        # good or bad, says that nothing is there beyond it.
        ids = token.taken if answer.status else (*token.taken, self._remote_id(account, answer, token))
        if token.last and not answer.status:
            self._told(self._evidence.record_late_answer(token.message_id, name, ids))
        else:
            reason = f"{name} answered late: {smpp.status_name(answer.status)}"
            self._told(self._evidence.resume_from(token.message_id, name, token.written_at, ids, reason))

    def _told(self, telling: Awaitable[None]) -> None:
        Deferred.fromCoroutine(_awaited(telling)).addErrback(self._not_told)

    def _not_told(self, failure: Failure) -> None:
        self.log.failure("a late answer could not be used", failure)


def _named(on_answer: Callable[[str, str, float], None]) -> OnAnswer:
    """Statuses by name; of those without one, only the vendors' range tells them apart, so that an SMSC can't fill us
    with names."""

    def named(smsc: str, status: int, seconds: float) -> None:
        on_answer(smsc, _ANSWER_NAMES.get(status, "other"), seconds)

    return named


_ANSWER_NAMES = {status: smpp.status_name(status) for status in (*Status, *range(0x400, 0x500))}


async def _awaited(told: Awaitable[None]) -> None:
    await told
