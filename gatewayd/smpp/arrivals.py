"""What SMSCs bring: receipts, texts from players, and answers that come late; each becomes evidence.

It knows no store and no message: what the evidence is for is the sink's.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from zlib import crc32

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core import number_readings
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink
from gatewayd.core.model import Inbound, Receipt
from gatewayd.core.persist import persist_for
from gatewayd.core.remote_names import sealed
from gatewayd.smpp import incoming, receipt
from gatewayd.smpp.account import Account
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import BRING_AGAIN, Status
from gatewayd.smpp.events import RequestCame, SubmitAnswered
from gatewayd.smpp.receipt_troubles import named
from gatewayd.smpp.remote_ids import holds_number
from gatewayd.smpp.token import Token

NumberHashes = Callable[[str], Sequence[str]]
"""Hash a number by every key, so that it can be recognised and not read; by the present key first."""


HELD = 6.0
"""Seconds for which new tries begin to store what came, while the SMSC waits for its answer.

There are SMSCs that bring nothing again, whatever they are answered, and Redis is back after a restart or a failover
before long. The last try may take 3 s, and SMSCs wait for 10 s and more.
"""


class Arrivals:
    """Hands what came to `evidence`, with numbers as `number_hashes` hashes them; for `held` seconds, if it is away."""

    log = Logger()

    def __init__(self, clock: Any, number_hashes: NumberHashes, evidence: EvidenceSink, held: float = HELD) -> None:
        self._clock = clock
        self._held = held
        self._number_hashes = number_hashes
        self._evidence = evidence

    async def record(self, account: Account, came: RequestCame, node: str) -> int:
        """Make a receipt or a text that `node` brought durable; the status to answer it with.

        Where it can't be, within some seconds, BRING_AGAIN. What can't be read is said, counted and acknowledged: the
        next time it would be no better.
        """
        try:
            fact = self._read(account, came, node)
        except MemoryError:
            # Next time there is some.
            self.log.failure("no memory for a receipt or text of {smsc}: it was told to come again", smsc=account.name)
            return BRING_AGAIN
        except Exception:
            self.log.failure("a bug: a receipt or text of {smsc} could not be read, and is lost", smsc=account.name)
            account.unreadable += 1
            return Status.ROK
        try:
            if isinstance(fact, Inbound):
                await persist_for(self._held, self._clock, self._evidence.record_inbound, fact)
            elif fact is not None:
                await persist_for(self._held, self._clock, self._evidence.record_receipt, fact)
        except CancelledError:
            raise
        except StoreUnavailable:
            return BRING_AGAIN
        except Exception:
            self.log.failure(
                "a bug: a receipt or text of {smsc} could not be recorded; it was told to bring it again",
                smsc=account.name,
            )
            return BRING_AGAIN
        return Status.ROK

    def _read(self, account: Account, came: RequestCame, node: str) -> Receipt | Inbound | None:
        """A receipt or a text, or neither, which is said: a receipt that names no submit."""
        request, settings = came.pdu, account.settings
        if came.flaw:
            self._say_unreadable(account, f"{came.flaw}; it is read as far as it goes")
        said = receipt.read(request, settings.receipt_states, notifies=settings.receipts == "intermediate")
        if said is not None and not said.ids and not said.detail:
            self._say_unreadable(account, "a receipt names no submit, no state either")
            # It may be a text that is marked as a receipt, and STOP.
            said = None
        numbers = self._numbers(request, settings.default_region, repeated=said is not None)
        number, *others = self._hashes(numbers) or ("",)
        if said is None:
            # A long text comes in parts, and they aren't joined: a stop word fits into one part, so that no joined text
            # would be one. Parts that wait for others would need a store, for nothing.
            text = incoming.text_of(request, settings.default_alphabet)
            return Inbound(account.name, number, text, tuple(others))
        ids = account.ids.lookups(said.ids, settings.message_ids)
        if not ids:
            self._say_unreadable(account, f"a receipt names no submit, {said.detail}")
            return None
        account.receipt_troubles.came(said)
        if not said.is_known:
            self._say_unreadable(account, f"a receipt names {named(said)}")
        # Where it doesn't say whom it is about, any id may be their number.
        if not numbers or any(holds_number(one, numbers) for one in said.ids):
            ids = tuple(sealed(account.name, one) for one in ids)
        wording = _wording(request.user_data, said.detail, node)
        return Receipt(
            account.name, ids, said.event, said.detail, number, earlier_hashes=tuple(others), wording=wording
        )

    def _say_unreadable(self, account: Account, why: str) -> None:
        account.unreadable += 1
        self.log.warn("{smsc} brought what can't be read in whole: {why}", smsc=account.name, why=why)

    def record_late_answer(self, account: Account, token: Token, answer: SubmitAnswered) -> None:
        """A submit whose message was declared uncertain was answered after all: what the SMSC has of it is known."""
        name, status = account.name, smpp.status_name(answer.status)
        self.log.info(
            "{smsc} answered a submit of {message_id} late: {status}",
            smsc=name,
            message_id=token.message_id,
            status=status,
            # One that answered nothing for a while answers thousands.
            log_limited=True,
        )
        # Segments go one after the other: an answer to the last one completes the message, and any other answer,
        # good or bad, says that nothing is there beyond it.
        ids = token.segments_taken
        if not answer.status:
            ids = (*ids, account.remote_id(token, answer))
        if token.last and not answer.status:
            self._record_soon(
                self._evidence.record_late_answer(token.message_id, name, account.names_of(token.message_id, ids))
            )
        else:
            reason = f"{name} answered late: {status}"
            self._record_soon(self._evidence.resume_from(token.message_id, name, token.mark, ids, reason))

    def _numbers(self, request: smpp.DeliverSm | smpp.DataSm, region: str, *, repeated: bool) -> tuple[str, ...]:
        """The player's number in every reading: whose text it is, or whom the submit was for."""
        if not repeated:
            return number_readings.readings(request.source_addr, region)
        # Some SMSCs turn a receipt's addresses round, others leave them as the submit had them.
        source, target = request.source_addr, request.destination_addr
        return (*number_readings.repeated(source, region), *number_readings.repeated(target, region))

    def _hashes(self, numbers: Sequence[str]) -> list[str]:
        """The hashes of these numbers, that of the first one by the present key first."""
        return list(dict.fromkeys(hashed for number in numbers for hashed in self._number_hashes(number)))

    def _record_soon(self, recording: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(recording).addErrback(self._not_recorded)

    def _not_recorded(self, failure: Failure) -> None:
        self.log.failure("a bug: a late answer of an SMSC could not be recorded, its message stays uncertain", failure)


def _wording(text: bytes, detail: str, node: str) -> str:
    """The same for a receipt that is brought again: to the letter, its dates and all, by the same node.

    Nodes that count alike may give two messages to one player one id, within one minute and for one text.
    """
    return f"{crc32(text, crc32(f'{node} {detail}'.encode())):x}"
