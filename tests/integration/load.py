"""Many messages at once, and what the simulators have of them."""

from collections import Counter
from collections.abc import Awaitable, Callable

from daemon import SECRET, Daemon, World
from twisted.internet.defer import CancelledError, Deferred, DeferredList

from gatewayd.sandbox.smartico import GatewayAnswer
from redis_server import later, until

TOLD = ["accepted", "delivered"]


class Load:
    """Messages posted by several callers at once, each again under its uid until it is taken, as Smartico would.

    `ids` is the id that each text or subject was answered with. `name` keeps the uids of one load from another's. With
    `daemon` that one is asked, else the world's.
    """

    def __init__(
        self,
        world: World,
        channel: str,
        count: int,
        callers: int = 8,
        name: str = "load",
        daemon: Daemon | None = None,
    ) -> None:
        self.world = world
        self._daemon = daemon
        self.channel = channel
        self.name = name
        self.ids: dict[str, str] = {}
        self.refused: list[GatewayAnswer] = []
        self._waiting = list(range(count, 0, -1))
        callers_done = [Deferred.fromCoroutine(self._call()) for _ in range(callers)]
        self.done = DeferredList(callers_done, fireOnOneErrback=True)

    async def _call(self) -> None:
        while self._waiting:
            number = self._waiting.pop()
            while not await self._post(number):
                await later(0.1)

    async def _post(self, number: int) -> bool:
        uid = f"{self.name}-{self.channel}-{number}"
        text, player = f"{self.channel} number {number}", f"p{number}"
        if self.name != "load":
            text = f"{text} of {self.name}"
        smartico, api = self.world.smartico, (self._daemon or self.world.daemon).api
        try:
            if self.channel == "sms":
                fields = {"ext_user_id": player, "body": text, "im_uid": uid}
                answer = await smartico.send_sms(api, "amazing", SECRET, **fields)
            else:
                fields = {"ext_user_id": player, "subject": text, "email_uid": uid}
                answer = await smartico.send_email(api, "amazing", SECRET, **fields)
        except CancelledError:
            raise
        except Exception:
            # Nobody listens, or the answer was lost.
            return False
        if answer.error_code:
            self.refused.append(answer)
            return False
        assert self.ids.setdefault(text, answer.ext_message_id) == answer.ext_message_id
        return True

    @property
    def left(self) -> int:
        """How many have not been posted yet."""
        return len(self._waiting)

    def statuses(self, text: str) -> list[str]:
        """What Smartico heard of it, each status the first time."""
        return list(dict.fromkeys(self.world.smartico.statuses(self.ids[text])))

    def is_told_or_held(self, text: str, held: set[str]) -> bool:
        """Whether both statuses came in order, and each once; of what was held when one looked, the rest may come yet.

        What was written, and waits in a socket that the SMSC has not read yet, looks held for a moment.
        """
        heard = self.statuses(text)
        return heard == TOLD or (text in held and heard == TOLD[: len(heard)])

    async def all_final(self, seconds: float = 60.0) -> None:
        """Return once Smartico heard a final status of each."""
        final = {"delivered", "failed", "rejected"}

        def over() -> bool:
            ended = {heard.ext_message_id for heard in self.world.smartico.heard if heard.status in final}
            return ended >= set(self.ids.values())

        await until(over, seconds)

    async def all_settled(self, taken: Callable[[], Awaitable[Counter[str]]], seconds: float = 90.0) -> set[str]:
        """Return once each that the SMSC has was told as delivered and each other one is held; those that are held.

        Held is where the kill came between the mark and the wire: only the deadline ends that, for which no test waits.
        A message bears its mark, too, while it is on its way to the wire. So one more is sent, and once that bears its
        own, what was marked before it has been written.
        """
        held: set[str] = set()

        async def over() -> bool:
            delivered = {heard.ext_message_id for heard in self.world.smartico.heard if heard.status == "delivered"}
            rest = {text: message_id for text, message_id in self.ids.items() if message_id not in delivered}
            there = await taken()
            for text, message_id in rest.items():
                trace = await self.world.daemon.messages(message_id)
                if text in there or trace is None or trace["state"] != "uncertain":
                    return False
            held.clear()
            held.update(rest)
            return True

        await until(over, seconds)
        one_more = await self.world.sms()
        assert one_more.error_code == 0

        async def is_marked() -> bool:
            trace = await self.world.daemon.messages(one_more.ext_message_id)
            return trace is not None and trace["state"] != "queued"

        await until(is_marked, seconds)
        await until(over, seconds)
        return held


def copies(world: World) -> Counter[str]:
    """How often the SMSC took each text."""
    return Counter(message.text for message in world.smsc.messages)


def mails(world: World) -> Counter[str]:
    """How often the relay took each subject."""
    return Counter(str(taken.headers["Subject"]) for taken in world.relay.taken)


async def copies_now(world: World) -> Counter[str]:
    """As `copies`, for one who waits."""
    return copies(world)
