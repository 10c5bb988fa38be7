"""SMS as a way out: all SMSCs, which of them gets a message, and what a reload changes.

Owns the accounts. It tries once: it never retries a message, and imports no store, no track and no other channel.
Sending over one SMSC is sending.py's, what SMSCs bring is arrivals.py's, waiting is account.py's, the wire link.py's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from gatewayd import config
from gatewayd.core.failover import Setback, first_that_takes, narrowed
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.interfaces import BeforeWire, EvidenceSink, IChannel, ISharedRoutes
from gatewayd.core.kept_ways import KeptWays, OnAnswer, count_nothing
from gatewayd.core.model import Handed, Order
from gatewayd.core.pace import Reserve
from gatewayd.smpp import dial
from gatewayd.smpp.account import LIVE_KEYS, Account
from gatewayd.smpp.arrivals import HELD, Arrivals, NumberHashes
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import BRING_AGAIN, Status
from gatewayd.smpp.events import RequestCame, SubmitAnswered
from gatewayd.smpp.sending import OnSegment, Sender
from gatewayd.smpp.token import Token

_ANSWER_NAMES = {status: smpp.status_name(status) for status in (*Status, *range(0x400, 0x500))}
"""Of statuses without a name only the vendors' range is told apart, so that an SMSC can't fill us with names."""


async def _keep_no_count(message_id: str, lease: str, smsc: str, remote_ids: tuple[str, ...]) -> None:
    """For who keeps no count of segments."""


@implementer(IChannel, ISharedRoutes)
class SmppChannel(KeptWays[Account]):
    """All SMSCs; of `labels` it takes the rules for their texts.

    `reserve` is IStore.reserve. The SMSC is told that we took a receipt or a text once `evidence` has made it durable;
    for `held` seconds it waits for that.
    """

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
        on_answer: OnAnswer = count_nothing,
        endpoint_of: Callable[[Any, config.Smsc], IStreamClientEndpoint] = dial.endpoint_of,
        held: float = HELD,
    ) -> None:
        self._reactor = reactor
        self._reserve = reserve
        self._jitter = jitter
        self._on_answer = on_answer
        self._endpoint_of = endpoint_of
        self._sender = Sender(reactor, labels, on_segment)
        self._arrivals = Arrivals(reactor, number_hashes, evidence, held)
        super().__init__(smscs, LIVE_KEYS, self._account)

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """As IChannel.send: one SMS with all its segments, over one SMSC."""
        order = narrowed(order, self._ways)

        return await first_that_takes(
            order.routes,
            lambda route: self.attempt(route, order, before_wire),
            none="no SMSC is routed to",
            progress=order.progress,
        )

    async def attempt(self, route: str, order: Order, before_wire: BeforeWire) -> Handed | Setback:
        """See ISharedRoutes. The order's progress is this SMSC's."""
        account = self._ways.get(route)
        if account is None or not account.up:
            return Setback(self._why_down(route))
        return await self._sender.send(account, order, order.progress, before_wire)

    def reconfigure(self, smscs: Mapping[str, config.Smsc], labels: Mapping[str, config.Label]) -> None:
        """New configuration: what stays as it was keeps its connections, what changed is bound anew."""
        self._sender.labels = labels
        self._replace(smscs)

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
        if account.name not in self._ways:
            return BRING_AGAIN
        return await self._arrivals.record(account, came, node)

    def answered_late(self, account: Account, token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered."""
        self._arrivals.record_late_answer(account, token, answer)

    def answered(self, account: Account, answer: SubmitAnswered) -> None:
        """A submit was answered."""
        self._on_answer(account.name, _ANSWER_NAMES.get(answer.status, "other"), answer.seconds)
