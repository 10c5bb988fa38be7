"""The audit log: one JSON line for each decision, each bound to all before it by a keyed chain.

For compliance officers: what was taken, what was refused and why, what went out, how it ended. Holds ids, never an
address or content. A line that is changed, removed or put in between breaks the chain from there on; the chain's head
is also said in the daemon's own log, so that a cut-off end shows as well. Where the file was moved away (rotated), the
first line of the new one names the head of the old one, and is bound to it. Where an end was missing when the daemon
started, or decisions could not be written (a full disk), a line of the chain says so for good.
"""

import fcntl
import mmap
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from twisted.logger import Logger

from gatewayd.config import ConfigError, Gatewayd
from gatewayd.core.model import AuditHead, Decision
from gatewayd.operators.audit_chain import (
    CONTINUED,
    GAP,
    MISSING,
    START,
    AuditLine,
    bound,
    decode,
    encode,
    key_of,
)
from gatewayd.operators.shapes import iso

HEAD_EVERY = 3600.0
"""Seconds after which the chain's head is said in the daemon's log again."""

_TAIL = 65536  # bytes at the end of a file in which its last line is looked for
_BEGINNING = b'{"at":"'  # of each line, whole or torn
log = Logger()


class FileTaken(OSError):
    """Another process writes this file: two chains in one file would be none."""


class NoAuditLog(OSError):
    """What has that name is another program's, or no file: nothing of ours belongs behind it."""


class AuditLog:
    """Appends to the file at `path`; one process writes a file ({instance} in the path keeps several apart).

    Raises FileTaken where another process has it, NoAuditLog where it is something else, OSError where it can't be
    opened; a later failure is logged as critical, and work goes on: what was decided stands in Redis and in the
    daemon's log as well. `trouble` says so for as long as it lasts.
    """

    def __init__(self, clock: Any, path: Path, secret: bytes, instance: str) -> None:
        self._clock = clock
        self._key = key_of(secret)
        self._instance = instance
        self._path = path
        self._next_head = 0.0
        self._missing = 0  # decisions that could not be written since the last line
        self._why_missing = ""
        self._is_removed = False
        self._file = _open(path)
        self._chain = self._opened_at = _last_chain(self._file)
        self._lines = _count(self._file)

    def head(self) -> AuditHead:
        """Where the chain stands, after how many lines of this file, and how many decisions are missing after it."""
        return AuditHead(self._chain, self._lines, self._missing)

    def holds(self, chain: str) -> bool:
        """Whether a line of the file has this chain, or the file goes on from it."""
        size = os.fstat(self._file).st_size
        if not size:
            return False
        with mmap.mmap(self._file, size, access=mmap.ACCESS_READ) as everything:
            # A rotated file's first line names the head of the one before it as its reason.
            return everything.rfind(f'"chain":"{chain}"'.encode()) >= 0 or chain.encode() in everything[:4096]

    @property
    def trouble(self) -> str:
        """Why decisions are missing from the file, and how many by now; "" where it can be written."""
        if self._is_removed:
            return "the audit log's file was removed and no new one can be opened: what is written is lost"
        if not self._missing:
            return ""
        return f"the audit log cannot be written: {self._why_missing}; {self._missing} decisions are missing from it"

    def record(self, decision: Decision) -> None:
        """Write one line; where that can't be done, it is counted as missing."""
        self.catch_up()
        if self._missing or not self._write(decision.what, decision):
            self._missed()
        now = self._clock.seconds()
        if now >= self._next_head:
            self._next_head = now + HEAD_EVERY
            log.info("the audit log's chain stands at {chain}", chain=self._chain)

    def look_after(self) -> None:
        """Go on in a new file where this one was removed: what is written into a file without a name nobody can read.

        One that was moved away has its name elsewhere, and goes on until it is reopened.
        """
        was_removed, self._is_removed = self._is_removed, not os.fstat(self._file).st_nlink
        if not self._is_removed:
            return
        if not was_removed:
            log.critical(
                "the audit log's file was removed, and all that stood in it up to {chain}: a new one begins",
                chain=self._chain,
            )
        self.reopen()
        self._is_removed = not os.fstat(self._file).st_nlink

    def catch_up(self) -> None:
        """Write down how many decisions are missing, if there are any, as soon as that can be written."""
        count = self._missing
        reason = f"{count} decisions could not be written: {self._why_missing}"
        if count and self._write(MISSING, Decision(MISSING, "", "", reason=reason)):
            self._missing = 0
            log.warn("the audit log is written again; {count} decisions are missing, and a line says so", count=count)

    def note_gap(self, missing: AuditHead) -> None:
        """Write down that this head is known, and is not in the file: from now on `verify` says so."""
        if not self._write(GAP, Decision(GAP, "", "", reason=f"{missing.chain} after {missing.lines} lines")):
            self._missed()

    def recall_missing(self, known: AuditHead) -> None:
        """Count what was missing when the process before us ended, unless a line of the file says so already."""
        # What follows such a head in the file is the line `missing`: nothing else is written before it.
        if known.missing and (known.chain == self._opened_at or not self.holds(known.chain)):
            self._missing += known.missing
            self._why_missing = self._why_missing or "gatewayd ended before there was room"
            self.catch_up()

    def _missed(self) -> None:
        self._missing += 1
        log.critical(
            "the audit log cannot be written, decisions are missing from it until it can: {reason}",
            reason=self._why_missing,
        )

    def reopen(self) -> None:
        """Go on in a new file where the old one was moved away or emptied. Where that fails, in the old one."""
        try:
            now = os.fstat(self._file)
            moved = not self._path.exists() or not os.path.samestat(self._path.stat(), now)
            if moved:
                fresh = _open(self._path)
                os.close(self._file)
                self._file = fresh
                self._lines = _count(fresh)
        except OSError as error:
            log.critical(
                "no new audit log could be opened, decisions go on into the old file: {reason}", reason=error.strerror
            )
            return
        if os.fstat(self._file).st_size:
            if moved:
                self._chain = _last_chain(self._file)
        else:
            self._lines = 0
            if self._chain != START:
                log.info("the audit log goes on in a new file; its chain stands at {chain}", chain=self._chain)
                self._continue()

    def _continue(self) -> bool:
        """Name the file before this one in its first line; on a full disk, as soon as there is room for a line."""
        return self._write(CONTINUED, Decision(CONTINUED, "", "", reason=self._chain))

    def _write(self, what: str, decision: Decision) -> bool:
        """Whether the line is in the file now; `_why_missing` says why it is not."""
        if not self._lines and self._chain != START and what != CONTINUED and not self._continue():
            return False
        line = AuditLine(
            at=iso(self._clock.seconds()) or "",
            instance=self._instance,
            decision=what,
            label=decision.label,
            channel=decision.channel,
            ext_message_id=decision.message_id,
            uid=decision.uid,
            ext_user_id=decision.ext_user_id,
            reason=decision.reason,
            chain="",
        )
        chain = bound(self._key, self._chain, line)
        raw = encode(msgspec.structs.replace(line, chain=chain)) + b"\n"
        try:
            size = os.write(self._file, raw)
            if size < len(raw):
                # A full disk took a part of it: a torn line would spoil the next one, too.
                os.ftruncate(self._file, os.fstat(self._file).st_size - size)
                raise OSError(0, "only a part of a line could be written")
        except OSError as error:
            self._why_missing = error.strerror or str(error)
            return False
        self._chain = chain
        self._lines += 1
        return True

    def close(self) -> None:
        """Say the chain's head once more, and close the file."""
        self.catch_up()
        if self._missing:
            log.critical(
                "{trouble}, at its end: the next start says so in it, if Redis is there to tell", trouble=self.trouble
            )
        log.info("the audit log's chain ends at {chain}", chain=self._chain)
        os.close(self._file)


def open_audit(clock: Any, table: Gatewayd) -> AuditLog | None:
    """The audit log that [gatewayd] asks for, or None. Raises ConfigError where its file can't be written."""
    if not table.audit_log:
        return None
    path = Path(table.audit_log.replace("{instance}", table.instance))
    try:
        return AuditLog(clock, path, table.secret_key.reveal().encode(), table.instance)
    except OSError as error:
        raise ConfigError([f"gatewayd.audit_log: {path}: {error.strerror}"]) from None


def fault_of(table: Gatewayd) -> str:
    """Why the daemon would not start with this audit_log, as far as it can be seen without writing; else ""."""
    if not table.audit_log:
        return ""
    path = Path(table.audit_log.replace("{instance}", table.instance))
    try:
        # A pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        # It is made at the start, and its directory by systemd; and the daemon runs as another user, who may be let in.
        return ""
    try:
        return "" if _is_audit_log(file) else f"gatewayd.audit_log: {path}: {_NO_AUDIT_LOG}"
    finally:
        os.close(file)


_NO_AUDIT_LOG = "this is no audit log, and nothing is written to it: name another file"


def _open(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        # Goes with the process, however it ends; kept over the fork of a daemon.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if isinstance(error, BlockingIOError):
            raise FileTaken(
                error.errno, "another process writes it; {instance} in its name keeps several apart"
            ) from None
        raise
    if not _is_audit_log(file):
        os.close(file)
        raise NoAuditLog(0, _NO_AUDIT_LOG)
    return file


def _is_audit_log(file: int) -> bool:
    """Whether lines may be written to it: it is empty, or its beginning or its end is of an audit log.

    Either may be torn or changed: `verify` says so, and the lines after it are no less wanted.
    """
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        return False
    parts = (os.pread(file, _TAIL, 0), os.pread(file, _TAIL, max(found.st_size - _TAIL, 0)))
    # A power cut may leave zeros where a line was written.
    nothing = not parts[0].strip(b"\0\n")
    return nothing or parts[0].startswith(_BEGINNING) or any(_latest_line(part) for part in parts)


def _count(file: int) -> int:
    size = os.fstat(file).st_size
    if not size:
        return 0
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as everything:
        return sum(1 for _ in iter(everything.readline, b""))


def _last_chain(file: int) -> str:
    size = os.fstat(file).st_size
    if not size:
        return START
    tail = os.pread(file, _TAIL, max(size - _TAIL, 0))
    if not tail.endswith(b"\n"):
        log.critical(
            "the last line of the audit log was cut off by a crash or a full disk: `gatewayctl audit verify` names it"
        )
        os.write(file, b"\n")
    if latest := _latest_line(tail):
        return latest.chain
    log.critical("no line of the audit log can be read: a new chain begins")
    return START


def _latest_line(part: bytes) -> AuditLine | None:
    for line in reversed(part.splitlines()):
        with suppress(msgspec.DecodeError):
            return decode(line)
    return None
