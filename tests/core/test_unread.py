"""A peer that does not read: paused, gone on with, and given up, on a clock."""

from twisted.internet.task import Clock

from gatewayd.core.unread import UnreadGuard


class Transport:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """A push producer."""
        self.said.append(f"registered {streaming}")

    def unregisterProducer(self) -> None:
        """No more."""
        self.said.append("unregistered")

    def pauseProducing(self) -> None:
        """Read no more."""
        self.said.append("pause")

    def resumeProducing(self) -> None:
        """Read on."""
        self.said.append("resume")


def guard(clock: Clock) -> tuple[UnreadGuard, Transport]:
    """One that has begun."""
    transport = Transport()
    made = UnreadGuard(clock, transport, lambda: transport.said.append("given up"), 10.0)
    made.begin()
    return made, transport


def test_reading_stops_while_the_buffer_is_full() -> None:
    """Paused once, gone on with once, and nobody is given up."""
    clock = Clock()
    made, transport = guard(clock)
    made.pauseProducing()
    made.pauseProducing()
    assert made.full
    clock.advance(9)
    made.resumeProducing()
    made.resumeProducing()
    assert not made.full
    clock.advance(60)
    made.end()
    made.end()
    assert transport.said == ["registered True", "pause", "resume", "unregistered"]


def test_who_never_reads_is_given_up() -> None:
    """After ten seconds; no timer is left."""
    clock = Clock()
    made, transport = guard(clock)
    made.pauseProducing()
    clock.pump([0.5] * 20)
    assert transport.said[-1] == "given up"
    made.stopProducing()
    made.end()
    assert transport.said[-1] == "given up"
    assert clock.getDelayedCalls() == []


def test_a_process_that_was_away_gives_nobody_up_before_it_has_looked() -> None:
    """A pause of our own is not the peer's."""
    clock = Clock()
    made, transport = guard(clock)
    made.pauseProducing()
    clock.advance(60)
    assert transport.said[-1] == "pause"
    made.resumeProducing()
    assert transport.said[-1] == "resume"
    made.pauseProducing()
    clock.advance(60)
    clock.advance(0.2)
    assert transport.said[-1] == "given up"
    made.end()
