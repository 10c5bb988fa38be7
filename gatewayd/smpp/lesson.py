"""Two texts to a phone of the operator's own: how this SMSC speaks, as lines to paste (`gatewayctl smpp-probe`).

Owns a conversation of its own, one question at a time, beside session.py's rules: it must see what the session
smooths over. It keeps nothing, and shows a number only to its asker.
"""

import math
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from gatewayd import config
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.lesson import Learned
from gatewayd.smpp import address, text
from gatewayd.smpp.bind import WAYS, Mode
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import NO_SUCH_BIND, RECEIPTS
from gatewayd.smpp.codec.pdu import Disposition, Status, Tag
from gatewayd.smpp.fit import form_of
from gatewayd.smpp.probe import BindRefusal, bound, hint, leave
from gatewayd.smpp.receipts_taught import IdsGiven, Said, said, shown, taught
from gatewayd.smpp.submits import segments_of
from gatewayd.smpp.talk import PATIENCE, Talk, Trouble

WAIT = 60.0
"""Seconds for receipts."""

REST = 1.0
"""Seconds before a submit that was throttled is written again."""
RESTS = 5

SHORT = "gatewayd test: a short text"
LONG = "gatewayd test: a long text that takes three segments. " * 6
_METHODS: tuple[text.LongMessages, ...] = ("udh", "udh16", "sar", "payload")


class _Submitted(Struct, frozen=True):
    """One submit's answer; `status` None where none came."""

    status: int | None
    message_id: bytes
    seconds: float


async def smpp_probe(
    reactor: Any,
    smsc: config.Smsc,
    number: str,
    *,
    sender: str = "",
    wait: float = WAIT,
    patience: float = PATIENCE,
    rest: float = REST,
    tell: Callable[[str], None] = lambda line: None,
) -> Learned:
    """Send one short and one long text to `number`, watch for their receipts, and say what was learned.

    `wait` is for receipts, `patience` for the answer to a submit, `rest` after one that was throttled, in seconds.
    `tell` gets each line of the story as it happens. The real daemon should not be bound meanwhile where the SMSC
    brings receipts on any bind.
    """
    return await _Lesson(reactor, smsc, number, sender, wait, patience, rest, tell).run()


class _Lesson:
    def __init__(
        self,
        reactor: Any,
        smsc: config.Smsc,
        number: str,
        sender: str,
        wait: float,
        patience: float,
        rest: float,
        tell: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._smsc = smsc
        self._number = number
        self._sender = sender
        self._wait = wait
        self._patience = patience
        self._rest_for = rest
        self._tell = tell
        self._story: list[str] = []
        self._lines: list[str] = []
        self._validity: str = smsc.validity
        self._ids: list[bytes] = []
        self._long_ids: list[bytes] = []
        self._slowest = 0.0
        self._one_at_a_time = False
        self._waits_for_all = False
        self._nameless = 0  # submits that were taken, and whose answers were not waited for
        self._rested = False
        self._references = 0

    async def run(self) -> Learned:
        talks: list[Talk] = []
        try:
            await self._bind(talks)
            await self._short(talks[0])
            method = await self._long(talks[0])
            await self._receipts(talks)
            self._conclude(method)
            for talk in talks:
                self._say(await leave(talk, self._patience))
        except (Trouble, PermanentFailure) as trouble:
            self._say(f"the probe of {self._smsc.host}:{self._smsc.port} ends here: {trouble}")
            return Learned(False, tuple(self._story), tuple(self._lines))
        finally:
            for talk in talks:
                await talk.close()
        return Learned(True, tuple(self._story), tuple(self._lines))

    async def _bind(self, talks: list[Talk]) -> None:
        *others, last = WAYS[self._smsc.bind]
        for modes in others:
            try:
                await self._bind_as(modes, talks)
            except BindRefusal as refused:
                if refused.status not in NO_SUCH_BIND:
                    raise
                self._say(str(refused))
            else:
                return
        await self._bind_as(last, talks)
        if others:
            self._lines.append('bind = "transmitter+receiver"')

    async def _bind_as(self, modes: tuple[Mode, ...], talks: list[Talk]) -> None:
        for mode in modes:
            talk, answer = await bound(self._reactor, self._smsc, mode)
            talks.append(talk)
            version = answer.tlv_int(Tag.SC_INTERFACE_VERSION)
            self._say(f"bound as {mode}" + (f", interface version 0x{version:02x}" if version else ""))

    def _say(self, line: str) -> None:
        self._story.append(line)
        self._tell(line)

    async def _short(self, talk: Talk) -> None:
        (answer,) = await self._submit(talk, SHORT, self._smsc.long_messages)
        if answer.status in (Status.RINVEXPIRY, Status.RINVSCHED) and self._validity:
            self._say(f"validity_period: {smpp.status_name(answer.status)}; left out from here on")
            self._validity = ""
            self._lines.append('validity = ""')
            (answer,) = await self._submit(talk, SHORT, self._smsc.long_messages)
        if answer.status:
            raise Trouble(f"the short text was refused: {smpp.status_name(answer.status)}{hint(answer.status)}")
        self._ids.append(answer.message_id)
        named = f"id {shown(answer.message_id)}" if answer.message_id else "without an id"
        self._say(f"the short text was taken in {answer.seconds * 1000:.0f} ms, {named}")

    async def _long(self, talk: Talk) -> str:
        """Try the configured method first, then the others until one is taken."""
        first = self._smsc.long_messages
        for method in (first, *(each for each in _METHODS if each != first)):
            if self._waits_for_all and method != "payload":
                continue
            answers = await self._submit_at_once(talk, LONG, method)
            refused = [answer.status for answer in answers if answer.status]
            if not answers:
                self._waits_for_all = True
            elif not refused:
                self._long_ids = [answer.message_id for answer in answers]
                self._ids += self._long_ids
                how = "one after the other" if self._one_at_a_time else "all but the first at once"
                how = f", {how}" if len(answers) > 1 else ""
                self._say(f"the long text was taken by {method} in {len(answers)} PDU(s){how}")
                if len(answers) == 1 and not self._one_at_a_time:
                    await self._pair(talk)
                return method
            else:
                self._say(f"the long text was refused by {method}: {smpp.status_name(refused[0])}")
                if _is_throttled(refused[0]):
                    break
        if self._waits_for_all:
            self._say("it takes no long text by any way that gatewayd has: max_segments = 1 in the labels")
        return ""

    async def _pair(self, talk: Talk) -> None:
        """Two short texts written at once, where the long one was no more than one PDU."""
        answers = await self._answers(talk, [*self._pdus(SHORT, "udh"), *self._pdus(SHORT, "udh")])
        self._ids += [answer.message_id for answer in answers if answer.status == Status.ROK]
        if not self._only_the_first(answers):
            self._say("two short texts written at once were answered")

    async def _submit(self, talk: Talk, content: str, method: text.LongMessages) -> list[_Submitted]:
        """Segment after segment; an answer for each. Raises Trouble where one is not answered."""
        return [await self._one(talk, pdu) for pdu in self._pdus(content, method)]

    async def _one(self, talk: Talk, pdu: smpp.SubmitSm) -> _Submitted:
        """The answer to a submit with nothing else on its way; one that is throttled even so is written again."""
        for rest in range(RESTS + 1):
            (answer,) = await self._answers(talk, [pdu])
            if answer.status is None:
                raise Trouble(f"no answer to a submit in {self._patience:.0f} s")
            if rest == RESTS or not _is_throttled(answer.status):
                break
            await self._rest()
        return answer

    async def _rest(self) -> None:
        if not self._rested:
            self._say("throttled with nothing else on its way: they take fewer a second (ask for their rate); resting")
        self._rested = True
        await deferLater(self._reactor, self._rest_for)

    async def _submit_at_once(self, talk: Talk, content: str, method: text.LongMessages) -> list[_Submitted]:
        """One segment, and then all others at once, as a window allows; one by one where the SMSC needs that.

        No answers where it answers a segment only once all are there.
        """
        if self._one_at_a_time:
            return await self._submit(talk, content, method)
        first, *others = self._pdus(content, method)
        (head,) = await self._answers(talk, [first])
        if _is_throttled(head.status):
            await self._rest()
            return await self._submit(talk, content, method)
        if head.status or (head.status is not None and not others):
            return [head]
        rest = await self._answers(talk, others)
        if head.status is None and rest and all(answer.status == Status.ROK for answer in rest):
            self._say(
                f"the first of {1 + len(rest)} segments was answered only once all were there, if at all: gatewayd"
                " writes one after the other, and such a text would end uncertain"
            )
            self._nameless += 1
            self._ids += [answer.message_id for answer in rest]
            return []
        if head.status is None or rest[0].status is None:
            raise Trouble(f"no answer to a submit in {self._patience:.0f} s")
        if _is_throttled(rest[0].status):
            await self._rest()
            return await self._submit(talk, content, method)
        if not self._only_the_first(rest):
            return [head, *rest]
        self._ids += [head.message_id, rest[0].message_id]
        return await self._submit(talk, content, method)

    def _only_the_first(self, answers: list[_Submitted]) -> bool:
        """Whether it takes one submit at a time: it reads one PDU of a TCP segment, or throttles what comes behind."""
        first, *others = [answer.status for answer in answers]
        if first != Status.ROK or not others:
            return False
        if all(status is None for status in others):
            self._say(
                f"of {len(answers)} submits written at once only the first was answered: one at a time from here on"
            )
        elif all(map(_is_throttled, others)):
            self._say("a second submit before the first one's answer is throttled: one at a time now")
        else:
            return False
        self._one_at_a_time = True
        return True

    def _pdus(self, content: str, method: text.LongMessages) -> list[smpp.SubmitSm]:
        smsc, now = self._smsc, self._reactor.seconds()
        self._references += 1
        return segments_of(
            text.plan(content, replace(form_of(smsc), long_messages=method)),
            smsc,
            sender=self._sender,
            number=self._number,
            validity=address.validity(now + 3600, now, self._validity),
            registered_delivery=RECEIPTS["final"],
            reference=int(now) + self._references & 0xFFFF,
        )

    async def _answers(self, talk: Talk, pdus: list[smpp.SubmitSm]) -> list[_Submitted]:
        """Write all at once; what came of each within the time that one answer has."""
        now = self._reactor.seconds()
        asked = [Deferred.fromCoroutine(self._answer(talk, talk.put(pdu), now)) for pdu in pdus]
        return [await answer for answer in asked]

    async def _answer(self, talk: Talk, waiting: Deferred[smpp.Pdu], since: float) -> _Submitted:
        try:
            answer = await talk.answer(waiting, self._patience)
        except Trouble:
            if talk.lost:
                raise
            return _Submitted(None, b"", self._patience)
        seconds = self._reactor.seconds() - since
        self._slowest = max(self._slowest, seconds)
        return _Submitted(answer.status, getattr(answer, "message_id", b""), seconds)

    async def _receipts(self, talks: list[Talk]) -> None:
        """Wait until each submit has its final receipt, or time is over."""
        taken = IdsGiven(self._ids, self._long_ids, self._nameless)

        def came() -> list[Said]:
            return said([request for talk in talks for request in talk.requests], self._smsc.receipt_states, taken)

        self._say(f"waiting up to {self._wait:.0f} s for {taken.count} receipts")
        end = self._reactor.seconds() + self._wait
        while sum(one.is_final for one in came()) < taken.count:
            left = end - self._reactor.seconds()
            if left <= 0 or not await _any_came(self._reactor, talks, left):
                break
        learned = taught(came(), taken)
        for line in learned.story:
            self._say(line)
        self._lines += learned.lines

    def _conclude(self, method: str) -> None:
        if any(self._long_ids) and not all(self._long_ids):
            self._say("not each segment of the long text was given a message id")
        elif not all(self._ids):
            self._say("answers bear no message id: no receipt can be matched, and an SMS stays `accepted`")
            self._lines.append('receipts = "none"')
        elif len(set(self._ids)) == 1 < len(self._ids):
            self._say("all answers bear the same message id: receipts can be told apart by their number only")
        if method:
            self._lines.append(f'long_messages = "{method}"')
        if self._one_at_a_time:
            self._lines.append("window = 1")
            if self._slowest:
                self._say(f"one at a time and answers after {self._slowest * 1000:.0f} ms: more binds carry more")
        elif self._smsc.rate:
            need = max(1, math.ceil(self._smsc.rate * self._slowest * 1.5))
            window = max(need, self._smsc.window) if need <= 1000 else 1000
            self._say(f"answers took up to {self._slowest * 1000:.0f} ms: {need} in flight carry the configured rate")
            self._lines.append(f"window = {window}")


def _is_throttled(status: int | None) -> bool:
    return status is not None and smpp.disposition(status) is Disposition.THROTTLED


async def _any_came(reactor: Any, talks: list[Talk], limit: float) -> bool:
    """Whether another request came within `limit` seconds."""
    came: Deferred[bool] = Deferred()
    for talk in talks:
        talk.on_request = lambda: None if came.called else came.callback(True)
    came.addTimeout(limit, reactor, onTimeoutCancel=lambda *_: False)
    return await came
