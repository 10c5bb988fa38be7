"""The private Postfix itself: it starts, delivers, survives a kill -9, and leaves nothing behind."""

import pytest_twisted
from postfix import Postfix
from twisted.internet import reactor

from redis_server import until


@pytest_twisted.ensureDeferred
async def test_it_delivers_before_and_after_a_kill() -> None:
    """A mail taken by the instance reaches the player's Maildir, also after kill -9 and a start on the same queue."""
    relay = Postfix(reactor)

    def holds(subject: bytes) -> bool:
        # Not a count: a mail that was delivered and not yet taken off the queue at the kill is delivered again.
        return any(b"Subject: " + subject in mail for mail in relay.mailbox())

    await relay.start()
    try:
        await relay.send("a@b.test", "player@player.test", body=b"Subject: before\r\n\r\nhello\r\n")
        await until(lambda: holds(b"before"), log=relay.log)
        relay.kill()
        await relay.start()
        await relay.send("a@b.test", "player@player.test", body=b"Subject: after\r\n\r\nhello\r\n")
        await until(lambda: holds(b"after"), log=relay.log)
    finally:
        await relay.stop()
    assert not relay.directory.exists()
