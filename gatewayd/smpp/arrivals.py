"""What SMSCs bring: receipts, texts from players, and answers that come late; each becomes evidence.

It knows no store and no message: what the evidence is for is the sink's.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink
from gatewayd.core.model import Inbound, Receipt
from gatewayd.smpp import address, incoming, receipt
from gatewayd.smpp.account import Account
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status
from gatewayd.smpp.events import SubmitAnswered
from gatewayd.smpp.token import Token

NumberHashes = Callable[[str], Sequence[str]]
"""Name a number so that it can be recognised and not read, today's name first."""


class Arrivals:
    """Hands what came to `evidence`, with numbers as `number_hashes` names them."""

    log = Logger()

    def __init__(self, number_hashes: NumberHashes, evidence: EvidenceSink) -> None:
        self._number_hashes = number_hashes
        self._evidence = evidence

    async def record(self, account: Account, request: smpp.DeliverSm | smpp.DataSm) -> int:
        """Make a receipt or a text durable. Anything but OK, and the SMSC brings it again."""
        try:
            said = receipt.read(request, account.settings.receipt_states)
            if said is None:
                await self._record_text(account, request)
            elif said.ids:
                await self._record_receipt(account, request, said)
            else:
                self.log.warn("{smsc}: a receipt names no submit", smsc=account.name, detail=said.detail)
        except CancelledError:
            raise
        except StoreUnavailable:
            return Status.RX_T_APPN
        except Exception:
            self.log.failure("{smsc}: a receipt or text could not be recorded", smsc=account.name)
            return Status.RX_T_APPN
        return Status.ROK

    async def _record_text(self, account: Account, request: smpp.DeliverSm | smpp.DataSm) -> None:
        # A long text comes in parts, each by itself, and they aren't joined: a stop word fits into one part, so that
        # no joined text would be one. Parts that wait for others would need a store, for nothing.
        number, *earlier = self._hashes(request.source_addr) or ("",)
        text = incoming.text_of(request, account.settings.default_alphabet)
        await self._evidence.record_inbound(Inbound(account.name, number, text, tuple(earlier)))

    async def _record_receipt(
        self, account: Account, request: smpp.DeliverSm | smpp.DataSm, said: receipt.ReceiptText
    ) -> None:
        ids = account.ids.lookups(said, account.settings.message_ids)
        # Some SMSCs turn a receipt's addresses round, others leave them as the submit had them.
        number, *earlier = self._hashes(request.source_addr, request.destination_addr) or ("",)
        await self._evidence.record_receipt(
            Receipt(account.name, ids, said.event, said.detail, number, earlier_hashes=tuple(earlier))
        )

    def record_late_answer(self, account: Account, token: Token, answer: SubmitAnswered) -> None:
        """A submit whose message was declared uncertain was answered after all: what the SMSC has of it is known."""
        name, status = account.name, smpp.status_name(answer.status)
        self.log.info("{smsc} answered a submit late", smsc=name, message_id=token.message_id, status=status)
        # Segments go one after the other: an answer to the last one completes the message, and any other answer,
        # good or bad, says that nothing is there beyond it.
        ids = token.segments_taken
        if not answer.status:
            ids = (*ids, account.remote_id(token, answer))
        if token.last and not answer.status:
            self._record_soon(self._evidence.record_late_answer(token.message_id, name, ids))
        else:
            reason = f"{name} answered late: {status}"
            self._record_soon(self._evidence.resume_from(token.message_id, name, token.written_at, ids, reason))

    def _hashes(self, *addresses: bytes) -> list[str]:
        """The hashes of the numbers among `addresses`."""
        numbers = filter(None, map(address.digits, addresses))
        return [name for number in numbers for name in self._number_hashes(number)]

    def _record_soon(self, recording: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(recording).addErrback(self._not_recorded)

    def _not_recorded(self, failure: Failure) -> None:
        self.log.failure("a late answer could not be recorded", failure)
