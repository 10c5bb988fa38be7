"""Callers that post as fast as they are answered, no more lives under way at a time than asked for."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

CALLERS = 32
TRY_AGAIN = b'"error_code":10'


class Flow:
    """What is posted: no more at a time than `most` whose life has not ended; 0 is all at once.

    `good` is what stands in the answer to a request that was taken. What is told to try again is posted again, as
    Smartico does: under callgrind the first messages of a daemon find it too slow.
    """

    def __init__(self, posts: list[bytes], most: int, good: bytes) -> None:
        self.posts = posts
        self.count = len(posts)
        self.most = most or len(posts)
        self.good = good
        self.under_way = 0
        self.resting: list[Caller] = []
        self.seconds: list[float] = []

    def ended(self) -> None:
        """A message's life is over."""
        self.under_way -= 1
        if self.resting:
            self.resting.pop().go_on()

    async def run(self, port: int) -> None:
        """Post all of it, by 32 connections. AssertionError where something was not taken."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        callers = [await connectProtocol(endpoint, Caller(self)) for _ in range(CALLERS)]
        for caller in callers:
            await caller.done
        taken = sum(caller.taken for caller in callers)
        assert taken == self.count, f"{self.count - taken} of {self.count} were not taken: {callers[0].last!r}"


class Caller(Protocol):
    """One connection: posts what is waiting, one after the other, and counts what is taken."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.taken = 0
        self.last = b""
        self.post = b""
        self.asked_at = 0.0
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin."""
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)  # type: ignore[attr-defined]
        self.go_on()

    def go_on(self) -> None:
        """Post the next one, now or when there is room; hang up when there is none."""
        assert self.transport is not None
        flow = self.flow
        if not flow.posts:
            self.transport.loseConnection()
            if flow.resting:
                # Nobody's end calls them: more rest than lives are under way.
                flow.resting.pop().go_on()
        elif flow.under_way >= flow.most:
            flow.resting.append(self)
        else:
            flow.under_way += 1
            self._post(flow.posts.pop())

    def _post(self, post: bytes) -> None:
        assert self.transport is not None
        self.post, self.last = post, b""
        self.asked_at = reactor.seconds()
        self.transport.write(post)

    def dataReceived(self, data: bytes) -> None:
        """An answer, in one piece or in several."""
        self.last += data
        if not _is_whole(self.last):
            return
        if TRY_AGAIN in self.last:
            reactor.callLater(0.5, self._post, self.post)
            return
        self.flow.seconds.append(reactor.seconds() - self.asked_at)
        self.taken += self.flow.good in self.last
        self.go_on()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """All is posted."""
        self.done.callback(None)


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0].strip()
    return not length or len(body) >= int(length)
