"""The audit log: one JSON line for each decision, each bound to all before it by a keyed chain.

For compliance officers: what was taken, what was refused and why, what went out, how it ended. Holds ids, never an
address or content. A line that is changed, removed or put in between breaks the chain from there on; the chain's head
is also said in the daemon's own log, so that a cut-off end shows as well.
"""

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from twisted.logger import Logger

from gatewayd.model import Decision
from gatewayd.shapes import iso

HEAD_EVERY = 3600.0
"""Seconds after which the chain's head is said in the daemon's log again."""

START = "0" * 64
_TAIL = 65536
log = Logger()


class Line(msgspec.Struct, frozen=True):
    """One decision as it stands in the file; `chain` is over the line before and all other fields of this one."""

    at: str
    instance: str
    decision: str
    label: str
    channel: str
    ext_message_id: str
    uid: str
    ext_user_id: str
    reason: str
    chain: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class AuditLog:
    """Appends to the file at `path`; one process writes a file ({instance} in the path keeps several apart).

    Raises OSError where the file cannot be opened; a later failure to write is logged as critical, and work goes on:
    what was decided stands in Redis and in the daemon's log as well.
    """

    def __init__(self, clock: Any, path: Path, secret: bytes, instance: str) -> None:
        self._clock = clock
        self._key = _key(secret)
        self._instance = instance
        self._chain = _last_chain(path)
        self._next_head = 0.0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def record(self, decision: Decision) -> None:
        """Write one line."""
        now = self._clock.seconds()
        line = Line(
            at=iso(now) or "",
            instance=self._instance,
            decision=decision.what,
            label=decision.label,
            channel=decision.channel,
            ext_message_id=decision.message_id,
            uid=decision.uid,
            ext_user_id=decision.ext_user_id,
            reason=decision.reason,
            chain="",
        )
        chain = _bind(self._key, self._chain, line)
        try:
            os.write(self._file, _encode(msgspec.structs.replace(line, chain=chain)) + b"\n")
        except OSError as error:
            log.critical("the audit log cannot be written: {reason}", reason=error.strerror)
            return
        self._chain = chain
        if now >= self._next_head:
            self._next_head = now + HEAD_EVERY
            log.info("the audit log's chain stands at {chain}", chain=chain)

    def close(self) -> None:
        """Say the chain's head once more, and close the file."""
        log.info("the audit log's chain ends at {chain}", chain=self._chain)
        os.close(self._file)


def verify(path: Path, secrets: tuple[bytes, ...]) -> Iterator[str]:
    """What is wrong with an audit log, a sentence for each place; the last item is always the count and the head.

    `secrets` are the installation's keys, today's first. Raises OSError where the file cannot be read.
    """
    keys = [_key(secret) for secret in secrets]
    chain, number = START, 0
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            try:
                line = _decode(raw)
            except msgspec.DecodeError:
                yield f"line {number} is not a line of an audit log"
                continue
            bare = msgspec.structs.replace(line, chain="")
            if not any(hmac.compare_digest(line.chain, _bind(key, chain, bare)) for key in keys):
                yield f"line {number} does not follow from the one before: something was changed, added or removed"
            chain = line.chain
    yield f"{number} lines, the chain ends at {chain}"


def _key(secret: bytes) -> bytes:
    return hashlib.blake2b(b"audit", key=hashlib.blake2b(secret).digest(), digest_size=32).digest()


def _bind(key: bytes, before: str, line: Line) -> str:
    return hmac.digest(key, before.encode() + b"\n" + _encode(line), "sha256").hex()


def _last_chain(path: Path) -> str:
    if not path.exists() or not path.stat().st_size:
        return START
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL, 0))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return _decode(last).chain
    except msgspec.DecodeError:
        log.critical("the last line of the audit log cannot be read: a new chain begins")
        return START
