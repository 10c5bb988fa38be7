"""SMS as a way out: all SMSCs, which of them gets a message, and what a reload changes.

Owns the accounts. It tries once: it never retries a message, and imports no store, no track and no other channel.
Sending over one SMSC is sending.py's, what SMSCs bring is arrivals.py's, waiting is account.py's, the wire link.py's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd import config
from gatewayd.core.failover import Setback, first_that_takes, narrowed
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.interfaces import BeforeWire, EvidenceSink, IChannel, ISharedRoutes
from gatewayd.core.model import Handed, Order, WayState
from gatewayd.core.pace import Reserve
from gatewayd.core.replace import replace_changed
from gatewayd.smpp import dial
from gatewayd.smpp.account import LIVE_KEYS, Account
from gatewayd.smpp.arrivals import Arrivals, NumberHashes
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status
from gatewayd.smpp.events import RequestCame, SubmitAnswered
from gatewayd.smpp.sending import OnSegment, Sender
from gatewayd.smpp.token import Token

OnAnswer = Callable[[str, str, float], None]
"""`on_answer(smsc, status, seconds)`: one submit was answered; statuses by name."""

_ANSWER_NAMES = {status: smpp.status_name(status) for status in (*Status, *range(0x400, 0x500))}
"""Of statuses without a name only the vendors' range is told apart, so that an SMSC can't fill us with names."""


async def _keep_no_count(message_id: str, lease: str, smsc: str, remote_ids: tuple[str, ...]) -> None:
    """For who keeps no count of segments."""


def _count_nothing(smsc: str, status: str, seconds: float) -> None:
    """For who counts no answers."""


@implementer(IChannel, ISharedRoutes)
class SmppChannel(Service):
    """All SMSCs; of `labels` it takes the rules for their texts.

    `reserve` is IStore.reserve. The SMSC is told that we took a receipt or a text once `evidence` has made it durable.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        smscs: Mapping[str, config.Smsc],
        labels: Mapping[str, config.Label],
        *,
        number_hashes: NumberHashes,
        reserve: Reserve,
        evidence: EvidenceSink,
        jitter: Callable[[], float],
        on_segment: OnSegment = _keep_no_count,
        on_answer: OnAnswer = _count_nothing,
        endpoint_of: Callable[[Any, config.Smsc], IStreamClientEndpoint] = dial.endpoint_of,
    ) -> None:
        self._reactor = reactor
        self._reserve = reserve
        self._jitter = jitter
        self._on_answer = on_answer
        self._endpoint_of = endpoint_of
        self._sender = Sender(reactor, labels, on_segment)
        self._arrivals = Arrivals(number_hashes, evidence)
        self._leaving: set[Deferred[None]] = set()
        self._accounts = {name: self._account(name, smsc) for name, smsc in smscs.items()}

    # IChannel -------------------------------------------------------------------------------------------------

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """As IChannel.send: one SMS with all its segments, over one SMSC."""
        order = narrowed(order, self._accounts)

        async def attempt(route: str) -> Handed | Setback:
            return await self.attempt(route, order, before_wire)

        return await first_that_takes(order.routes, attempt, none="no SMSC is routed to", progress=order.progress)

    async def attempt(self, route: str, order: Order, before_wire: BeforeWire) -> Handed | Setback:
        """See ISharedRoutes. The order's progress is this SMSC's."""
        account = self._accounts.get(route)
        if account is None or not account.up:
            return Setback(self._why_down(route))
        return await self._sender.send(account, order, order.progress, before_wire)

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel."""
        if any(name in self._accounts and self._accounts[name].up for name in routes):
            return ""
        return "; ".join(map(self._why_down, routes))

    def knows(self, route: str) -> bool:
        """See ISharedRoutes."""
        return route in self._accounts

    def _why_down(self, route: str) -> str:
        """For a message's timeline."""
        account = self._accounts.get(route)
        return account.why_down() if account is not None else f"{route} is configured no more"

    def routes(self) -> Mapping[str, bool]:
        """Each SMSC, and whether some bind of it takes submits."""
        return {name: account.up for name, account in self._accounts.items()}

    def heard_since(self, route: str) -> float:
        """See IChannel: receipts come over our binds."""
        account = self._accounts.get(route)
        return account.heard_since if account is not None else 0.0

    def tells_later(self, route: str) -> bool:
        """See IChannel: where receipts of what went well are asked for."""
        account = self._accounts.get(route)
        return account is not None and account.settings.receipts in ("final", "intermediate")

    # Operating ------------------------------------------------------------------------------------------------

    def states(self) -> Mapping[str, WayState]:
        """See IChannel."""
        return {name: account.state() for name, account in self._accounts.items()}

    def reconfigure(self, smscs: Mapping[str, config.Smsc], labels: Mapping[str, config.Label]) -> None:
        """New configuration: what stays as it was keeps its connections, what changed is bound anew."""
        self._sender.labels = labels
        self._accounts, gone = replace_changed(self._accounts, smscs, LIVE_KEYS, self._started_account)
        for account in gone:
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
        for account in self._accounts.values():
            self._let_go(account)
        # However one of them ends: what the others have on the wire is waited for.
        await DeferredList(list(self._leaving))

    def _let_go(self, account: Account) -> None:
        leaving = Deferred.fromCoroutine(account.stop())
        self._leaving.add(leaving)

        def gone(result: Failure | None) -> None:
            self._leaving.discard(leaving)
            if isinstance(result, Failure):
                self.log.failure("{smsc} did not stop well", result, smsc=account.name)

        leaving.addBoth(gone)

    def _started_account(self, name: str, smsc: config.Smsc) -> Account:
        account = self._account(name, smsc)
        if self.running:
            account.start()
        return account

    def _account(self, name: str, smsc: config.Smsc) -> Account:
        addresses = HostAddresses()
        return Account(
            self._reactor,
            name,
            smsc,
            addresses=addresses,
            dial=lambda smsc: self._endpoint_of(addresses.network(self._reactor), smsc),
            reserve=self._reserve,
            owner=self,
            jitter=self._jitter,
        )

    # What accounts tell ---------------------------------------------------------------------------------------

    async def record_request(self, account: Account, came: RequestCame, node: str) -> int:
        """A receipt or a text came. Of an SMSC that the configuration has no more it is for another process."""
        if account.name not in self._accounts:
            return Status.RX_T_APPN
        return await self._arrivals.record(account, came, node)

    def answered_late(self, account: Account, token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered."""
        self._arrivals.record_late_answer(account, token, answer)

    def answered(self, account: Account, answer: SubmitAnswered) -> None:
        """A submit was answered."""
        self._on_answer(account.name, _ANSWER_NAMES.get(answer.status, "other"), answer.seconds)
