"""An SMSC on a real socket: what the sandbox sends its SMS to, and what the tests make misbehave.

Owns its own idea of a message centre: answers, receipts that it repeats until they are taken; one ESME's connection is
smsc_session.py's. It shares the codec with gatewayd and nothing else, and knows no gatewayd message, store or label.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory

from gatewayd.sandbox import sms
from gatewayd.sandbox.smsc_behaviour import DELIVRD, FAILURES_ONLY, ID_FORMS, RECEIPT_IDS, Behaviour, receipt_for
from gatewayd.sandbox.smsc_session import SmscSession
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status

__all__ = ["Behaviour", "SmscSimulator", "SmscStep", "TakenSms"]


class SmscStep(Struct, frozen=True):
    """One thing that happened here, for the demo's screen and for tests."""

    at: float
    what: str
    detail: str = ""


class TakenSms(Struct, frozen=True):
    """A whole message, put together from its segments and decoded."""

    at: float
    source: str
    destination: str
    text: str
    segments: int
    ids: tuple[str, ...]


class SmscSimulator:
    """The SMSC. `behaviour` may be changed at any time; `submits`, `taken` and `messages` are kept in order."""

    def __init__(
        self, reactor: Any, behaviour: Behaviour | None = None, on_step: Callable[[SmscStep], None] | None = None
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.sessions: list[SmscSession] = []
        self.submits: list[smpp.SubmitSm] = []
        self.submitted_at: list[float] = []
        self.taken: list[tuple[str, smpp.SubmitSm]] = []
        self.messages: list[TakenSms] = []
        self.steps: deque[SmscStep] = deque(maxlen=2000)
        self.binds = 0
        self.throttled = 0
        self.receipts_acknowledged = 0
        self.receipts_refused = 0
        self.port = 0
        self._reactor = reactor
        self._on_step = on_step
        self._listening: Any = None
        self._parts: dict[tuple[str, str, int], dict[int, tuple[str, str]]] = {}
        self._waiting: deque[smpp.DeliverSm | smpp.DataSm] = deque()
        self._conditions: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._timers: set[Any] = set()
        self._tokens = self.behaviour.bucket
        self._refilled_at = 0.0
        self._next_id = self.behaviour.ids_from
        self._stopped = False

    async def start(self, endpoint: IStreamServerEndpoint | str = "tcp:0:interface=127.0.0.1") -> int:
        """Listen; the port is also `self.port` (0 where the endpoint has none)."""
        listener: Any = serverFromString(self._reactor, endpoint) if isinstance(endpoint, str) else endpoint
        factory = _SmscFactory(self)
        self._stopped = False
        self._listening = await listener.listen(factory)
        self.port = getattr(self._listening.getHost(), "port", 0)
        return self.port

    async def stop(self) -> None:
        """Close the port and every session; receipts that were not taken are kept for a later `start`."""
        self._stopped = True
        for timer in list(self._timers):
            timer.cancel()
        self._timers.clear()
        if self._listening is not None:
            await self._listening.stopListening()
            self._listening = None
        while self.sessions:
            session = self.sessions[0]
            session.abort()
            await session.gone

    def until(self, condition: Callable[[], bool], limit: float = 60.0) -> Deferred[None]:
        """Fires once `condition()` is true after some step here; errs with TimeoutError after `limit` seconds."""
        waiting: Deferred[None] = Deferred()
        self._conditions.append((condition, waiting))
        waiting.addTimeout(limit, self._reactor)
        self._check()
        return waiting

    def say(self, source: str, destination: str, text: str) -> None:
        """A player's own text to us (mobile originated)."""
        data_coding, octets = sms.encode(text)
        self._deliver(
            smpp.DeliverSm(
                0,
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=source.lstrip("+").encode(),
                dest_addr_ton=1,
                dest_addr_npi=1,
                destination_addr=destination.lstrip("+").encode(),
                data_coding=data_coding,
                short_message=octets,
            )
        )

    def reset(self) -> None:
        """Cut every connection now, without a word."""
        for session in list(self.sessions):
            session.abort()

    # What sessions tell ---------------------------------------------------------------------------------------

    def step(self, what: str, detail: str = "") -> None:
        """Note one thing that happened, and wake whoever waits for it."""
        step = SmscStep(self._reactor.seconds(), what, detail)
        self.steps.append(step)
        if self._on_step is not None:
            self._on_step(step)
        if self._conditions:
            self._check()

    def bind(self, session: SmscSession, request: smpp.Bind) -> int:
        """The status of a bind."""
        behaviour = self.behaviour
        if behaviour.bind_status:
            return behaviour.bind_status
        if behaviour.judge_bind is not None and (status := behaviour.judge_bind(request)):
            return status
        if behaviour.system_id and request.system_id != behaviour.system_id.encode():
            return Status.RINVSYSID
        if behaviour.password and request.password != behaviour.password.encode():
            return Status.RINVPASWD
        self.binds += 1
        return Status.ROK

    def submit(self, session: SmscSession, request: smpp.SubmitSm) -> None:
        """Take or refuse one submit, as `behaviour` says."""
        behaviour = self.behaviour
        self.submits.append(request)
        self.submitted_at.append(self._reactor.seconds())
        count = len(self.submits)
        if self._has_lost_its_wits(session, count):
            return
        reset = bool(behaviour.reset_every) and count % behaviour.reset_every == 0
        if reset and not behaviour.reset_takes:
            self.step("reset")
            session.abort()
            return
        status = self._status(request)
        remote_id = self._accept(request) if not status else ""
        if reset:
            self._receipt(session, request, remote_id, behaviour.receipt_delay)
            self.step("reset")
            session.abort()
            return
        if behaviour.receipt_before_answer and not status:
            self._receipt(session, request, remote_id, 0.0)
        if not behaviour.submit_mute:
            answer = smpp.SubmitSmResp(request.sequence, status, remote_id.encode())
            if behaviour.answer_delay:
                self.later(behaviour.answer_delay, session.send, answer)
            else:
                session.send(answer)
        if not behaviour.receipt_before_answer and not status:
            self._receipt(session, request, remote_id, behaviour.receipt_delay)
        self.step("submit refused" if status else "submit taken", smpp.status_name(status) if status else remote_id)
        if behaviour.unbind_after and count == behaviour.unbind_after:
            session.send(smpp.Unbind(session.next_sequence()))

    def _has_lost_its_wits(self, session: SmscSession, count: int) -> bool:
        """From the submit on of which `behaviour` says so it answers nothing, or what is no SMPP."""
        behaviour = self.behaviour
        if behaviour.mute_after and count > behaviour.mute_after:
            session.mute = True
            self.step("mute")
            return True
        if behaviour.garbage_after and count == behaviour.garbage_after:
            session.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.step("garbage")
            return True
        return False

    def acknowledged(self, request: smpp.DeliverSm | smpp.DataSm, status: int) -> None:
        """Our receipt was answered: anything but OK is tried again, as message centres do."""
        if status:
            self.receipts_refused += 1
            self.later(self.behaviour.receipt_retry, self._deliver, request)
        else:
            self.receipts_acknowledged += 1
        self.step("receipt refused" if status else "receipt taken", smpp.status_name(status) if status else "")

    def flush(self) -> None:
        """Send what waits to whoever can take it."""
        for _ in range(len(self._waiting)):
            self._deliver(self._waiting.popleft())

    def lost(self, session: SmscSession) -> None:
        """A session is gone; what it had not acknowledged waits for the next one."""
        self.sessions.remove(session)
        self._waiting.extend(session.unanswered.values())
        session.unanswered.clear()
        self.step("session lost")
        if self.sessions:
            self.flush()

    def later(self, delay: float, call: Callable[..., None], *args: Any) -> None:
        """`reactor.callLater` that `stop` cancels."""
        if self._stopped:
            return

        def run() -> None:
            self._timers.discard(timer)
            call(*args)

        timer = self._reactor.callLater(delay, run)
        self._timers.add(timer)

    # How it decides -------------------------------------------------------------------------------------------

    def _status(self, request: smpp.SubmitSm) -> int:
        behaviour = self.behaviour
        if behaviour.rate:
            now = self._reactor.seconds()
            self._tokens = min(behaviour.bucket, self._tokens + (now - self._refilled_at) * behaviour.rate)
            self._refilled_at = now
            if self._tokens < 1.0:
                self.throttled += 1
                return behaviour.throttle_status
            self._tokens -= 1.0
        return behaviour.judge(request) if behaviour.judge is not None else Status.ROK

    def _accept(self, request: smpp.SubmitSm) -> str:
        self._next_id += 1
        remote_id = ID_FORMS[self.behaviour.submit_ids](self._next_id)
        self.taken.append((remote_id, request))
        part = sms.part_of(request)
        key = (request.source_addr.decode("latin-1"), request.destination_addr.decode("latin-1"), part.reference)
        parts = self._parts.setdefault(key, {})
        parts[part.number] = (part.text, remote_id)
        if len(parts) >= part.total:
            del self._parts[key]
            ordered = [parts[number] for number in sorted(parts)]
            text = "".join(text for text, _ in ordered)
            ids = tuple(remote for _, remote in ordered)
            message = TakenSms(self._reactor.seconds(), key[0], key[1], text, part.total, ids)
            self.messages.append(message)
            self.step("message", f"{part.total} segment(s)")
        return remote_id

    def _receipt(self, session: SmscSession, request: smpp.SubmitSm, remote_id: str, delay: float) -> None:
        behaviour = self.behaviour
        if not request.registered_delivery & 0x03 or not remote_id:
            return
        word = DELIVRD if behaviour.receipt_word is None else behaviour.receipt_word(request)
        if not word or (word == DELIVRD and request.registered_delivery & 0x03 == FAILURES_ONLY):
            return
        told_id = RECEIPT_IDS[behaviour.receipt_ids](remote_id)
        words = [*(["ENROUTE"] if behaviour.intermediate else []), *([word] * behaviour.receipt_copies)]
        for each in words:
            receipt = receipt_for(behaviour, request, told_id, each, self._reactor.seconds())
            avoid = session if behaviour.receipt_on_other_bind else None
            if delay:
                self.later(delay, self._deliver, receipt, avoid)
            else:
                self._deliver(receipt, avoid)

    def _deliver(self, request: smpp.DeliverSm | smpp.DataSm, avoid: SmscSession | None = None) -> None:
        able = [session for session in self.sessions if session.receives]
        session = next((each for each in able if each is not avoid), able[0] if able else None)
        if session is None:
            self._waiting.append(request)
        else:
            session.deliver(request)

    def _check(self) -> None:
        for pair in list(self._conditions):
            condition, waiting = pair
            if waiting.called:
                self._conditions.remove(pair)
            elif condition():
                self._conditions.remove(pair)
                waiting.callback(None)


class _SmscFactory(Factory):
    noisy = False

    def __init__(self, smsc: SmscSimulator) -> None:
        self._smsc = smsc

    def buildProtocol(self, addr: object) -> SmscSession:
        return SmscSession(self._smsc)
