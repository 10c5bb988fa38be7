"""The listener for returned mail on a real port and socket, and what it hands on."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet import defer, reactor
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint

from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Evidence
from returned_mail import KEYS

DOMAIN = "bounces.test"


class Listener:
    """The listener on a port of loopback; what it hands on, and what it drops, can be waited for."""

    def __init__(self) -> None:
        self._facts: defer.DeferredQueue[Evidence] = defer.DeferredQueue()
        self._ignored: defer.DeferredQueue[str] = defer.DeferredQueue()
        self.troubles = 0
        self.port = 0

    async def record(self, evidence: Evidence) -> None:
        """Store it, or not, while `troubles` last."""
        if self.troubles:
            self.troubles -= 1
            raise StoreUnavailable
        self._facts.put(evidence)

    def evidence(self, source: str, event: str, result: str) -> None:
        """The meter's side: what was no evidence."""
        assert result == "ignored"
        self._ignored.put(event)

    async def fact(self) -> Evidence:
        """The next evidence."""
        return await self._facts.get().addTimeout(60, reactor)

    async def ignored(self) -> str:
        """The next mail that was none."""
        return str(await self._ignored.get().addTimeout(60, reactor))

    async def about(self, message_id: str) -> None:
        """No message of these is in a store."""

    def nothing_more(self) -> bool:
        """True where no evidence waits."""
        return not self._facts.pending


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Listener]:
    """A listener, closed in the end."""
    listener = Listener()
    factory = ReturnedMail(
        reactor,
        keys=KEYS,
        domains=[DOMAIN],
        evidence=listener,
        about=listener.about,
        meter=listener,  # type: ignore[arg-type]
        **options,
    )
    path = Path(tempfile.mkdtemp(prefix="lmtp-")) / "s"
    ports = [
        await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory),
        await UNIXServerEndpoint(reactor, str(path)).listen(factory),
    ]
    listener.port = ports[0].getHost().port
    listener.path = str(path)  # type: ignore[attr-defined]
    try:
        yield listener
    finally:
        for port in ports:
            await port.stopListening()
        await factory.drain(20)
        path.parent.rmdir()
