"""Prints CPU µs a callback; the server is another process. Run: PYTHONPATH=. python tests/bench/callbacks.py"""

import contextlib
import ipaddress
import os
import resource
import socket
import sys
import threading

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, DeferredList

from gatewayd.callbacks import Callbacks
from gatewayd.config import Label, Secret
from gatewayd.core.model import Channel, ReportJob
from gatewayd.core.status import Report
from gatewayd.work.report import Reporter

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"error_code": 0,}'
ROUNDS, EACH, WORKERS = 5, 4_000, 16


def serve(listening: socket.socket) -> None:
    """Answer every request on every connection, in a process of its own."""

    def one(peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(65536):
                peer.sendall(ANSWER * data.count(b"\r\n\r\n"))

    while True:
        peer, _ = listening.accept()
        threading.Thread(target=one, args=(peer,), daemon=True).start()


async def bench(port: int) -> None:
    """Print the best of some rounds."""
    callbacks = Callbacks(reactor, lambda: 0.5)
    label = Label.model_construct(
        api_key=Secret("48a8-11ee-be56-0242"),
        callback_url=f"http://127.0.0.1:{port}/xyz/callback",
        callback_hosts=("127.0.0.1",),
        allow_from=(ipaddress.ip_network("::/0"),),
    )
    reporter = Reporter(reactor, callbacks, {"amazing": label})
    job = ReportJob("a540f662-45b3-11ee-be56-0242ac120002", "amazing", Channel.EMAIL, Report.DELIVERED, "", 0.0)

    async def work() -> None:
        for _ in range(EACH // WORKERS):
            await reporter.tell(job)

    figures = []
    for _ in range(ROUNDS):
        begun = resource.getrusage(resource.RUSAGE_SELF)
        at = reactor.seconds()
        await DeferredList([Deferred.fromCoroutine(work()) for _ in range(WORKERS)], fireOnOneErrback=True)
        ended = resource.getrusage(resource.RUSAGE_SELF)
        cpu = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
        figures.append((cpu / EACH * 1e6, EACH / (reactor.seconds() - at)))
    await callbacks.stopService()
    cpu, rate = min(figures)
    print(f"callbacks: {cpu:.0f} CPU µs each (best of {ROUNDS} rounds of {EACH}), {rate:.0f}/s")


def main() -> None:
    """Run the server in a child, the bench here."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    child = os.fork()
    if not child:
        serve(listening)
    try:
        task.react(lambda _: Deferred.fromCoroutine(bench(listening.getsockname()[1])))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


if __name__ == "__main__":
    sys.exit(main())
