"""A look at one SMSC: `probe` binds and leaves; `smpp_probe` sends two texts and learns how this SMSC speaks.

Owns a conversation of its own, one question at a time, beside session.py's rules: it must see what the session
smooths over. It keeps nothing, and shows a number only to its asker.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from gatewayd import config
from gatewayd.core.errors import PermanentFailure
from gatewayd.smpp import address, dial, receipt, text
from gatewayd.smpp.bind import COMMANDS, WAYS, Mode, bind_request
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import NO_SUCH_BIND, RECEIPTS
from gatewayd.smpp.codec.pdu import Disposition, Status, Tag
from gatewayd.smpp.fit import form_of
from gatewayd.smpp.submits import segments_of
from gatewayd.smpp.talk import PATIENCE, Talk, Trouble

WAIT = 60.0
"""Seconds for receipts."""

SHORT = "gatewayd test: a short text"
LONG = "gatewayd test: a long text that takes two segments. " * 4
_METHODS: tuple[text.LongMessages, ...] = ("udh", "udh16", "sar", "payload")
_RULES: tuple[receipt.IdRule, ...] = ("as-is", "decimal", "hex")

EndpointOf = Callable[[Any, config.Smsc], IStreamClientEndpoint]


class Probed(Struct, frozen=True):
    """What `probe` found of one bind: `text` is one line for the operator.

    `held` says that the SMSC has no bind left for this account, which a running daemon is reason enough for;
    `lacking`, that it may have no bind of this kind at all.
    """

    ok: bool
    text: str
    held: bool = False
    lacking: bool = False


class Learned(Struct, frozen=True):
    """What `smpp_probe` found: `story` line by line, and `lines` to paste under [smscs.NAME]."""

    ok: bool
    story: tuple[str, ...]
    lines: tuple[str, ...] = ()


class _Submitted(Struct, frozen=True):
    status: int
    message_id: bytes
    took: float


async def probe(reactor: Any, smsc: config.Smsc, *, endpoint_of: EndpointOf = dial.endpoint_of) -> list[Probed]:
    """Bind, enquire_link, unbind (SMPP 3.4 4.1, 4.11, 4.2), for each kind of bind that the daemon would have.

    Sends no message, and takes none: a receipt that comes meanwhile is the daemon's.
    """
    found: list[Probed] = []
    for modes in WAYS[smsc.bind]:
        found = [await _probe(reactor, smsc, mode, endpoint_of) for mode in modes]
        if not found[0].lacking:
            break
    return found


async def _probe(reactor: Any, smsc: config.Smsc, mode: Mode, endpoint_of: EndpointOf) -> Probed:
    bind = COMMANDS[mode].name.lower()
    try:
        talk, answer = await _bound(reactor, smsc, mode, endpoint_of, takes=False)
    except Refused as refused:
        held, lacking = refused.status == Status.RALYBND, refused.status in NO_SUCH_BIND
        return Probed(False, f"{bind}: {refused}", held=held, lacking=lacking)
    except Trouble as trouble:
        return Probed(False, f"{bind}: {trouble}")
    try:
        began = reactor.seconds()
        alive = await talk.ask(smpp.EnquireLink(0))
        took = (reactor.seconds() - began) * 1000
        if alive.status:
            return Probed(False, f"{bind} taken, but enquire_link gets {smpp.status_name(alive.status)}")
        left = await _left(talk)
    except Trouble as trouble:
        return Probed(False, f"{bind} taken, then {trouble}")
    finally:
        await talk.close()
    peer = answer.system_id.decode("latin-1", "replace")[:16]
    secure = "TLS with a good certificate, " if smsc.tls else ""
    return Probed(True, f"{bind} taken by {peer!r}, {secure}enquire_link in {took:.0f} ms, {left}")


async def _left(talk: Talk) -> str:
    try:
        await talk.ask(smpp.Unbind(0))
    except Trouble:
        # Some just close; the bind is over either way.
        return "unbind not answered"
    return "unbind"


async def smpp_probe(
    reactor: Any,
    smsc: config.Smsc,
    number: str,
    *,
    sender: str = "",
    wait: float = WAIT,
    tell: Callable[[str], None] = lambda line: None,
    endpoint_of: EndpointOf = dial.endpoint_of,
) -> Learned:
    """Send one short and one long text to `number`, watch for their receipts, and say what was learned.

    `tell` gets each line of the story as it happens. The real daemon should not be bound meanwhile where the SMSC
    brings receipts on any bind.
    """
    return await _Probe(reactor, smsc, number, sender, wait, tell, endpoint_of).run()


class _Probe:
    def __init__(
        self,
        reactor: Any,
        smsc: config.Smsc,
        number: str,
        sender: str,
        wait: float,
        tell: Callable[[str], None],
        endpoint_of: EndpointOf,
    ) -> None:
        self._reactor = reactor
        self._smsc = smsc
        self._number = number
        self._sender = sender
        self._wait = wait
        self._tell = tell
        self._endpoint_of = endpoint_of
        self._story: list[str] = []
        self._lines: list[str] = []
        self._validity: str = smsc.validity
        self._ids: list[bytes] = []
        self._slowest = 0.0

    async def run(self) -> Learned:
        talks: list[Talk] = []
        try:
            await self._bind(talks)
            await self._short(talks[0])
            method = await self._long(talks[0])
            await self._receipts(talks)
            self._conclude(method)
            for talk in talks:
                await talk.ask(smpp.Unbind(0))
        except (Trouble, PermanentFailure) as trouble:
            self._say(str(trouble))
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
            except Refused as refused:
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
            talk, answer = await _bound(self._reactor, self._smsc, mode, self._endpoint_of)
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
            raise Trouble(f"the short text was refused: {smpp.status_name(answer.status)}{_hint(answer.status)}")
        self._ids.append(answer.message_id)
        self._say(f"the short text was taken in {answer.took * 1000:.0f} ms, id {_shown(answer.message_id)}")

    async def _long(self, talk: Talk) -> str:
        """Try the configured method first, then the others until one is taken."""
        first = self._smsc.long_messages
        for method in (first, *(each for each in _METHODS if each != first)):
            answers = await self._submit(talk, LONG, method)
            refused = [answer.status for answer in answers if answer.status]
            if not refused:
                self._ids += [answer.message_id for answer in answers]
                self._say(f"the long text was taken by {method} in {len(answers)} PDU(s) written at once")
                return method
            self._say(f"the long text was refused by {method}: {smpp.status_name(refused[0])}")
            if smpp.disposition(refused[0]) is Disposition.THROTTLED:
                break
        return ""

    async def _submit(self, talk: Talk, content: str, method: text.LongMessages) -> list[_Submitted]:
        """All segments at once, as a window allows; an answer for each."""
        smsc = self._smsc
        plan = text.plan(content, replace(form_of(smsc), long_messages=method))
        now = self._reactor.seconds()
        pdus = segments_of(
            plan,
            smsc,
            sender=self._sender,
            number=self._number,
            validity=address.validity(now + 3600, now, self._validity),
            registered_delivery=RECEIPTS["final"],
            reference=int(now),
        )
        asked = [talk.put(pdu) for pdu in pdus]
        answers = []
        for waiting in asked:
            answer = await talk.answer(waiting)
            took = self._reactor.seconds() - now
            self._slowest = max(self._slowest, took)
            answers.append(_Submitted(answer.status, getattr(answer, "message_id", b""), took))
        return answers

    async def _receipts(self, talks: list[Talk]) -> None:
        """Wait until each submit has its final receipt, or time is over."""
        self._say(f"waiting up to {self._wait:.0f} s for {len(self._ids)} receipts")
        end = self._reactor.seconds() + self._wait
        while len(self._finals(talks)) < len(self._ids):
            left = end - self._reactor.seconds()
            if left <= 0 or not await _any_came(self._reactor, talks, left):
                break
        finals = self._finals(talks)
        self._say(f"{len(finals)} of {len(self._ids)} receipts came")
        if not finals:
            self._say("without receipts an SMS stays `accepted`: is the number reachable, are receipts switched on?")
            return
        forms = sorted({_form(request) for request, _ in finals})
        self._say(f"receipts come as {', '.join(forms)}, first state {finals[0][1].state or 'not named'}")
        unknown = sorted({said.state for _, said in finals if said.state and said.state not in receipt.EVENTS})
        if unknown:
            words = ", ".join(f'{word} = "failed"' for word in unknown)
            self._lines.append(f"receipt_states = {{{words}}}  # decide what each means")
        self._compare([said for _, said in finals])

    def _compare(self, receipts: list[receipt.ReceiptText]) -> None:
        """By which rule do the ids of receipts meet those of answers?"""
        for rule in _RULES:
            stored = {receipt.stored(remote_id, rule) for remote_id in self._ids}
            if all(stored.intersection(receipt.lookups(said, rule)) for said in receipts):
                example = receipts[0].ids[0]
                self._say(f"ids: answer {_shown(self._ids[0])}, receipt {_shown(example.encode())}: {rule}")
                self._lines.append(f'message_ids = "{rule}"')
                return
        self._say("ids: receipts name other ids than answers do, by no rule that gatewayd knows")

    def _conclude(self, method: str) -> None:
        if method:
            self._lines.append(f'long_messages = "{method}"')
        if self._smsc.rate:
            need = max(1, math.ceil(self._smsc.rate * self._slowest * 1.5))
            window = max(need, self._smsc.window) if need <= 1000 else 1000
            self._say(f"answers took up to {self._slowest * 1000:.0f} ms: {need} in flight carry the configured rate")
            self._lines.append(f"window = {window}")

    def _finals(self, talks: list[Talk]) -> list[tuple[smpp.DeliverSm | smpp.DataSm, receipt.ReceiptText]]:
        finals = []
        for talk in talks:
            for request in talk.requests:
                said = receipt.read(request, self._smsc.receipt_states)
                if said is not None and not said.intermediate and said.state not in ("ENROUTE", "ACCEPTD", "SCHEDULED"):
                    finals.append((request, said))
        return finals


async def _any_came(reactor: Any, talks: list[Talk], limit: float) -> bool:
    """Whether another request came within `limit` seconds."""
    came: Deferred[bool] = Deferred()
    for talk in talks:
        talk.on_request = lambda: None if came.called else came.callback(True)
    came.addTimeout(limit, reactor, onTimeoutCancel=lambda *_: False)
    return await came


class Refused(Trouble):
    """The bind was answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"bind refused: {smpp.status_name(status)}{_hint(status)}")
        self.status = status


async def _bound(
    reactor: Any, smsc: config.Smsc, mode: Mode, endpoint_of: EndpointOf, *, takes: bool = True
) -> tuple[Talk, smpp.BindResp]:
    try:
        endpoint = endpoint_of(reactor, smsc)
        connecting = endpoint.connect(Factory.forProtocol(lambda: Talk(reactor, takes=takes)))
        connecting.addTimeout(PATIENCE, reactor)
        talk = await connecting
    except CancelledError:
        raise
    except Exception as error:
        raise Trouble(f"no connection: {type(error).__name__}: {error}") from None
    assert isinstance(talk, Talk)
    try:
        answer = await talk.ask(bind_request(smsc, mode))
        if answer.status:
            raise Refused(answer.status)
        if not isinstance(answer, smpp.BindResp):
            raise Trouble("bind was answered by something else")
    except BaseException:
        await talk.close()
        raise
    return talk, answer


def _form(request: smpp.DeliverSm | smpp.DataSm) -> str:
    command: Literal["deliver_sm", "data_sm"] = "deliver_sm" if isinstance(request, smpp.DeliverSm) else "data_sm"
    parts = []
    if request.user_data:
        parts.append("text")
    if request.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None:
        parts.append("TLVs")
    return f"{command} with {' and '.join(parts) or 'nothing'}"


_HINTS: dict[int, str] = {
    Status.RINVPASWD: ": password is wrong",
    Status.RINVSYSID: ": system_id is wrong",
    Status.RINVSYSTYP: ": system_type is wrong",
    Status.RBINDFAIL: ": wrong credentials, a wrong kind of bind, or our address is not on their list",
    Status.RALYBND: ": no bind is left for this account; does the daemon hold them?",
    Status.RINVSRCADR: ": they do not know this sender",
    Status.RINVSRCTON: ": try another source_ton_npi",
    Status.RINVSRCNPI: ": try another source_ton_npi",
    Status.RINVDSTADR: ": they do not take this number",
    Status.RINVDSTTON: ": try another dest_ton_npi",
    Status.RINVDSTNPI: ": try another dest_ton_npi",
    Status.RTHROTTLED: ": rate or window is too high for them",
}


def _hint(status: int) -> str:
    return _HINTS.get(status, "")


def _shown(message_id: bytes) -> str:
    return repr(message_id.decode("latin-1")[:70])
