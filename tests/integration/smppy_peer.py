"""An SMSC on the package smppy, run as a process of its own; the same JSON lines as smpp_npm_peer.js.

It is as it comes: it reads one PDU of what a segment brings, and answers submits without a message id.
"""

import asyncio
import json
import logging
import sys
from typing import Any

from outside_ports import free_port
from smppy import Application

report: dict[str, Any] = {"binds": 0, "unbound": 0, "messages": []}


def say(told: dict[str, Any]) -> None:
    """A line to the test."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class Smsc(Application):  # type: ignore[misc]
    """Takes everything and notes it."""

    async def handle_bound_client(self, client: Any) -> Any:
        """A bind."""
        report["binds"] += 1
        return client

    async def handle_unbound_client(self, client: Any) -> None:
        """An unbind."""
        report["unbound"] += 1

    async def handle_sms_received(self, client: Any, source_number: Any, dest_number: Any, text: Any) -> None:
        """A submit."""
        report["messages"].append(str(text))


async def serve() -> None:
    """Serve until the test ends us."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.readline() and say(report))
    from smppy.server import SmppProtocol

    app, port = Smsc(name="smppy", logger=logging.getLogger("smppy")), free_port()
    await loop.create_server(lambda: SmppProtocol(app=app), host="127.0.0.1", port=port)
    say({"port": port})
    await asyncio.Event().wait()


asyncio.run(serve())
