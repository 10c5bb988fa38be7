"""The scheduler: instances, Redis, wire and clock, whose next step a seeded source of chance decides.

Everything happens in one thread and in simulated time, so that a seed plays the same story again. What goes wrong: a
connection to Redis is lost in either direction, a process is killed, or stopped and continued while another one of its
name or a peer goes on, hosts' clocks and Redis' differ and are set, Redis has no memory left, or comes back with an
older dataset, a label is paused, answers and receipts come late or never.
"""

import os
import random
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Email, Message, Sms
from model.checks import Kept
from model.instance import PREFIX, Instance
from model.redis_wire import Call, Server
from model.wire import News, Smartico, Wire

BEGIN = 1_790_000_000.0
DEADLINES = {Channel.SMS: 90.0, Channel.EMAIL: 120.0}
SETTLED_WITHIN = 900.0
"""Seconds after the last trouble in which everything must have ended."""

REPLY_TIMEOUT = 3.0

OLDER = float(os.environ.get("GATEWAYD_MODEL_OLDER") or 0.5)
"""How often Redis is backed up, to come back so: in two of three stories."""

BETWEEN = 0.1 * OLDER
"""Part of the marks right after which it is backed up, to come back so once that message is put back."""

BACKED_UP_FOR = 30.0
HEARD_OF = 5.0
ROUGH = 4.0
CALM = 6.0
"""Seconds for which what was backed up may come back, where each process's latest heartbeat is so young; after that
connections are lost still and calls wait, and then nothing happens. As long no process dies or is stopped: what it
alone remembers having written, and has not restated yet, nobody knows then. A process is dead after more than both."""


class World:
    """One story."""

    def __init__(self, server: Server, seed: int, *, skew: float = 40.0) -> None:
        self.server, self.seed, self.skew = server, seed, skew
        self.chance = random.Random(seed)
        self.shares_ids = seed % 3 == 0
        self.now = BEGIN
        self.quiet = False
        self.story: list[str] = []
        self.troubles: list[str] = []
        self.steps = 0
        self.instances: list[Instance] = []
        self.strays: list[Call] = []
        self.inbox: list[tuple[Instance, Callable[[], None]]] = []
        self.segments: dict[str, int] = {}
        self.numbers: dict[str, str] = {}  # where each SMS goes
        self.promised: list[str] = []
        self.receipts: Counter[str] = Counter()  # that were acknowledged, by message id
        self.redis_ahead = 0.0
        self.backed_up: tuple[float, Kept] | None = None
        self.judged = -1  # what Redis had changed in all when it was judged last
        self.between = ""  # the message that was marked right before the backup
        self.rough_until = self.calm_until = 0.0
        self.forgotten: set[str] = set()
        self.happened: Counter[str] = Counter()
        self.wire, self.smartico = Wire(self), Smartico(self)
        server.fill(False)
        server.ask("FLUSHALL")
        globalLogPublisher.addObserver(self._log)
        self._tell_time()
        for name in ("gw1", "gw2"):
            self._begin(name)

    # What the parts ask of it

    def say(self, what: str) -> None:
        """One line of the story."""
        self.story.append(f"{self.now - BEGIN:8.2f} {what}")

    def trouble(self, failure: Any) -> None:
        """A coroutine of ours ended as none should."""
        if not failure.check(CancelledError, StoreUnavailable):
            self.troubles.append(failure.getTraceback())

    def bring(self, instance: Instance, event: Callable[[], None]) -> None:
        """Let this happen at an instance, once it runs."""
        self.inbox.append((instance, event))

    def number_of(self, message: Message) -> str:
        """The keyed hash of the number that it goes to: every message's own, or the player's."""
        return f"hash-of-{message.ext_user_id if self.shares_ids else message.id}"

    def _log(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.troubles.append(f"{formatEvent(event)}\n{event['log_failure'].getTraceback()}")

    # The story

    def play(self, steps: int) -> None:
        """So many steps of trouble, then quiet until all has ended. AssertionError with the seed and the story."""
        try:
            for _ in range(steps):
                self.step()
            self._settle()
        except AssertionError as error:
            last = "\n".join(self.story[-400:])
            raise AssertionError(f"seed {self.seed}, step {self.steps}: {error}\n{last}") from error
        finally:
            globalLogPublisher.removeObserver(self._log)

    def step(self) -> None:
        """One thing happens."""
        self.steps += 1
        ways = [(weight, do) for weight, do in self._possible() if weight > 0]
        _, do = self.chance.choices(ways, [weight for weight, _ in ways])[0]
        do()
        assert not self.troubles, self.troubles[0]

    def _possible(self) -> list[tuple[float, Callable[[], None]]]:
        running = [one for one in self.instances if one.runs]
        asked = [one.link for one in self.instances if one.alive and one.link.outgoing]
        answered = [one.link for one in running if one.link.incoming]
        brought = [event for event in self.inbox if event[0].runs]
        ways: list[tuple[float, Callable[[], None]]] = [
            (30 * bool(asked), lambda: self._execute(self.chance.choice(asked))),
            (30 * bool(answered), lambda: self.chance.choice(answered).answer()),
            (20 * bool(brought), lambda: self._happen(self.chance.choice(brought))),
            (10 * bool(self.strays), self._execute_stray),
            (8 * bool(self.wire.slots), self._give_slot),
            (8 * bool(self.wire.written), lambda: self.wire.judge(self._pick(self.wire.written))),
            (8 * bool(self.smartico.tellings), lambda: self.smartico.judge(self._pick(self.smartico.tellings))),
            (3 * bool(self.wire.news and running), self._bring_news),
            (8, lambda: self._advance(self.chance.choice((0.01, 0.05, 0.2, 1.0)))),
        ]
        if self.quiet:
            return ways
        if self.now < self.rough_until:
            return [*ways, (0.4 * bool(running), lambda: self._cut(self.chance.choice(running)))]
        if self.now < self.calm_until:
            # Nobody's heartbeat waits while time goes on.
            return ways if not self._busy_links() else ways[:-1]
        paused = [one for one in self.instances if one.alive and one.paused]
        return [
            *ways,
            (2 * (len(running) > 0 and len(self.segments) < 40), self._post),
            (0.5, lambda: self._advance(self.chance.choice((3.0, 8.0, 20.0)))),
            (0.4 * bool(running), lambda: self._cut(self.chance.choice(running))),
            (0.15 * (len(running) > 1), lambda: self._kill(self.chance.choice(running))),
            (0.2 * (len(running) > 1), lambda: self._stop(self.chance.choice(running))),
            (0.5 * bool(paused), lambda: self._continue(self.chance.choice(paused))),
            (0.6 * (len(running) < 3), lambda: self._begin(self.chance.choice(("gw1", "gw2", "gw3")))),
            (0.1 * bool(running and self.skew), lambda: self._set_clock(self.chance.choice(running))),
            (0.1 * bool(running), self._pause_or_resume),
            (0.1 * bool(self.skew), self._set_redis_clock),
            (0.3 if self.server.is_full else 0.1, self._fill_or_free),
            (OLDER * bool(self.skew and self.backed_up is None and not paused), self._back_up),
            (0.2 * (self.backed_up is not None), self._restore),
        ]

    def _pick(self, things: list[Any]) -> Any:
        return things.pop(self.chance.randrange(len(things)))

    # Redis

    def _execute(self, link: Any) -> None:
        call = link.execute()
        if call.item:
            self.say(f"    {link.arguments.instance}: {call.what} {call.item[:150]} -> {str(call.reply)[:80]}")
        self._judge(call)
        self._lose_a_put_back(call)

    def _execute_stray(self) -> None:
        call = self.strays.pop(0)
        call.run()
        self.say(f"    of a lost connection: {call.what} {call.item[:150]} -> {str(call.reply)[:80]}")
        self._judge(call)

    def _judge(self, call: Call) -> None:
        if call.what in ("TIME", "beat", "GET", "LRANGE", "ZRANGE", "PING", "SCAN"):
            return
        changes = self.server.changes()
        # Of a call that changed nothing all has been judged.
        if changes != self.judged:
            self.judged = changes
            try:
                Kept.read(self.server, PREFIX).judge()
            except AssertionError as error:
                raise AssertionError(f"after {call.what}: {error}") from None

    def _lose_a_put_back(self, call: Call) -> None:
        """Redis comes back as it was between a message's mark and its put-back: only its process knows of that."""
        if self.quiet or self.now < self.calm_until or not self.skew:
            return
        message_id = call.item[2:38]
        if call.what == "mark_on_the_wire" and self.chance.random() < BETWEEN:
            if not any(one.alive and one.paused for one in self.instances):
                self._back_up()
                self.between = message_id
        elif call.what == "put_back_for_retry" and self.backed_up is not None and message_id == self.between:
            self.between = ""
            self.happened["put-back lost"] += 1
            self._restore()

    def _cut(self, instance: Instance) -> None:
        self.say(f"{instance.name} loses Redis")
        self.strays += instance.link.cut(self.chance)

    def _busy_links(self) -> bool:
        return any(one.link.outgoing or one.link.incoming for one in self.instances if one.alive)

    def _set_redis_clock(self) -> None:
        self.redis_ahead = self.chance.uniform(-5 * self.skew, 5 * self.skew)
        self.happened["clock"] += 1
        self.say(f"Redis' clock is set to {self.redis_ahead:+.1f} s")
        self._tell_time()

    def _fill_or_free(self) -> None:
        self.server.fill(not self.server.is_full)
        self.happened["full"] += self.server.is_full
        self.say(f"Redis has {'no memory' if self.server.is_full else 'memory again'}")

    def _back_up(self) -> None:
        for one in self.instances:
            # It ends; what it wrote a moment ago only it knows.
            if one.alive and one.usurped:
                self._kill(one)
        self.server.back_up()
        self.backed_up = (self.now, Kept.read(self.server, PREFIX))
        self.say("Redis is backed up")

    def _restore(self) -> None:
        """Redis dies, and another one answers with what it had some seconds, or a moment, ago."""
        at, then = self.backed_up or (0.0, None)
        if then is None or self.now - at > BACKED_UP_FOR:
            self.backed_up = None
            return
        if any(one.alive and one.clock.seconds() - one.link.beaten_at > HEARD_OF for one in self.instances):
            return
        self.backed_up = None
        self.say("Redis comes back with an older dataset")
        self.happened["older"] += 1
        now = Kept.read(self.server, PREFIX)
        self.server.restore()
        self._tell_time()
        for message_id in now.messages.keys() | then.messages.keys():
            if now.messages.get(message_id) != then.messages.get(message_id):
                self.forgotten.add(message_id)
                self.happened["forgotten"] += 1
        self.strays.clear()
        for instance in self.instances:
            if instance.alive:
                instance.link.cut(self.chance)
        self.rough_until = self.now + ROUGH
        self.calm_until = self.rough_until + CALM

    # Processes and clocks

    def _begin(self, name: str) -> None:
        if any(one.alive and not one.paused and one.name == name for one in self.instances):
            return
        self.backed_up = None
        ahead = self.chance.uniform(-self.skew, self.skew)
        self.say(f"{name} begins, its clock {ahead:+.1f} s")
        self.instances.append(Instance(self, name, self.now, ahead))

    def _kill(self, instance: Instance) -> None:
        self.say(f"{instance.name} is killed")
        self.backed_up = None
        instance.alive = False
        # What is in the socket may be done; the rest was never written.
        calls = list(instance.link.outgoing)
        self.strays += calls[: self.chance.randint(0, len(calls))]
        instance.link.outgoing.clear()
        instance.link.incoming.clear()
        self.wire.slots = [slot for slot in self.wire.slots if slot[0] is not instance]
        self.inbox = [event for event in self.inbox if event[0] is not instance]
        for news in self.wire.news:
            if news.by is instance:
                news.by = None

    def _stop(self, instance: Instance) -> None:
        self.say(f"{instance.name} is stopped")
        self.backed_up = None
        instance.paused = True

    def _continue(self, instance: Instance) -> None:
        self.say(f"{instance.name} goes on")
        instance.paused = False
        self._catch_up(instance)

    def _set_clock(self, instance: Instance) -> None:
        instance.ahead = self.chance.uniform(-self.skew, self.skew)
        self.say(f"{instance.name}'s clock is set to {instance.ahead:+.1f} s")
        self._catch_up(instance)

    def _advance(self, seconds: float) -> None:
        self.now += seconds
        self._tell_time()
        for instance in list(self.instances):
            if instance.runs:
                self._catch_up(instance)

    def _catch_up(self, instance: Instance) -> None:
        instance.catch_up(self.now)
        waiting = [*instance.link.outgoing, *instance.link.incoming]
        if any(instance.clock.seconds() - call.sent_at > REPLY_TIMEOUT for call in waiting):
            self._cut(instance)

    def _tell_time(self) -> None:
        self.server.tell_time(self.now + self.redis_ahead)

    # What happens at an instance

    def _happen(self, event: tuple[Instance, Callable[[], None]]) -> None:
        self.inbox.remove(event)
        event[1]()

    def _give_slot(self) -> None:
        instance, slot = self._pick(self.wire.slots)
        if not slot.called:
            self.bring(instance, lambda: None if slot.called else slot.callback(None))

    def _bring_news(self) -> None:
        waiting = [news for news in self.wire.news if news.by is None]
        running = [one for one in self.instances if one.runs]
        if not waiting:
            return
        news, instance = self.chance.choice(waiting), self.chance.choice(running)
        news.by = instance
        taking = Deferred.fromCoroutine(news.bring(instance))
        taking.addCallbacks(lambda _: self._taken(news), lambda failure: self._not_taken(news, failure))

    def _taken(self, news: News) -> None:
        if news in self.wire.news:
            self.wire.news.remove(news)
            self.receipts[news.message_id] += 1

    def _not_taken(self, news: News, failure: Any) -> None:
        news.by = None
        self.trouble(failure)

    def _post(self) -> None:
        chance = self.chance
        channel = chance.choice((Channel.SMS, Channel.SMS, Channel.EMAIL))
        number = len(self.segments)
        body = chance.choice(("Hello", "An offer"))
        content = Sms("Amazing", body) if channel is Channel.SMS else Email("a@b.co", "", "An offer", body, "")
        instance = chance.choice([one for one in self.instances if one.runs])
        made = instance.clock.seconds()
        message = Message(
            id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            uid=f"uid-{number}",
            label="amazing",
            ext_user_id=f"player-{number % 5}",
            content=content,
            accepted_at=made,
            deadline=made + DEADLINES[channel],
        )
        self.segments[message.id] = chance.choice((1, 1, 2, 3)) if channel is Channel.SMS else 1
        if channel is Channel.SMS:
            self.numbers[message.id] = self.number_of(message)
        self.say(f"{channel} {message.id[:8]} of {self.segments[message.id]} segments is posted to {instance.name}")
        Deferred.fromCoroutine(instance.accept(message)).addCallbacks(self._accepted, self.trouble)

    def _accepted(self, answer: tuple[Acceptance | None, str]) -> None:
        outcome, message_id = answer
        if outcome in (Acceptance.LEASED, Acceptance.STORED, Acceptance.SAME):
            self.promised.append(message_id)

    def _pause_or_resume(self) -> None:
        instance = self.chance.choice([one for one in self.instances if one.runs])
        channel, does_pause = self.chance.choice(tuple(Channel)), self.chance.random() < 0.4
        self.say(f"an operator {'pauses' if does_pause else 'resumes'} {channel}")
        ask = instance.store.pause if does_pause else instance.store.resume
        Deferred.fromCoroutine(ask("amazing", channel)).addErrback(self.trouble)

    # The end

    def _settle(self) -> None:
        self.say("quiet")
        self.quiet = True
        self.server.fill(False)
        for instance in self.instances:
            if instance.alive and instance.paused:
                self._continue(instance)
            if instance.alive:
                instance.ahead = 0.0
        if not any(one.runs and not one.usurped for one in self.instances):
            self._begin("gw4")
        self.server.ask("DEL", PREFIX + "paused")
        end = self.now + SETTLED_WITHIN
        while self.now < end:
            for _ in range(4000):
                if not self._busy():
                    break
                self.step()
            if self._over():
                break
            self._advance(1.0)
            assert not self.troubles, self.troubles[0]
        kept = Kept.read(self.server, PREFIX, lifetimes=True)
        owing = {self.numbers[one] for one in self.numbers if self.receipts[one] < self.segments[one]}
        # Of two messages to one number that bear one id, either's receipt may be taken for the other's.
        receipted = {one for one, number in self.numbers.items() if number not in owing}
        kept.judge_end(self.smartico.heard, self.forgotten, receipted)
        lost = [one for one in self.promised if one not in kept.messages and one not in self.forgotten]
        assert not lost, f"answered 0, and not kept: {lost}"

    def _busy(self) -> bool:
        alive = [one for one in self.instances if one.alive]
        links = any(one.link.outgoing or one.link.incoming for one in alive)
        inbox = any(event[0].runs for event in self.inbox)
        return bool(links or inbox or self.strays or self.wire.slots or self.wire.written or self.smartico.tellings)

    def _over(self) -> bool:
        kept = Kept.read(self.server, PREFIX)
        return not kept.waiting and not +kept.places and not self.wire.news
