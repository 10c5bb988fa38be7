"""What is wrong with an audit log: changed, missing and foreign lines, torn files, an end that was cut off.

For gatewayctl, which has the keys and needs no daemon. Reads only, and files of any length line by line.
"""

import gzip
import hmac
import zlib
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from gatewayd.core.model import AuditHead
from gatewayd.operators.audit_chain import CONTINUED, GAP, MISSING, START, bound, decode, encode, key_of

MOST_FAULTS = 100
"""Sentences on single lines that are shown."""


def verify(path: Path, secrets: tuple[bytes, ...], follows: str = "") -> Generator[str, None, str]:
    """What is wrong with an audit log, a sentence for each place; the last item is always the count and the head.

    `secrets` are the installation's keys, today's first; `follows` is the head of the file from which this one must go
    on, "" for any. Returns its own head. Reads files ending in .gz, too. Raises OSError where it cannot be read.
    """
    keys = [key_of(secret) for secret in secrets]
    chain, number, began, first_bound = START, 0, "", 0
    try:
        for number, raw in enumerate(_lines_of(path), 1):
            try:
                line = decode(raw)
            except msgspec.DecodeError:
                yield f"line {number} is not a line of an audit log"
                continue
            # The chain is over what was read of it. A field more, or one twice, is read by others than us.
            if encode(line) != raw.rstrip(b"\r\n"):
                yield f"line {number} is not as it was written: something was added to it or changed"
            if number == 1 and line.decision == CONTINUED:
                # Whoever moved this line or made it up lacks the key under which it is bound to what it names.
                chain = began = line.reason
            if line.decision == GAP:
                missing, _, where = line.reason.partition(" ")
                if number == 1 and missing == follows:
                    began = missing
                else:
                    yield f"line {number}: Redis remembered {missing[:16]}... {where}: the end was cut off there"
            if line.decision == MISSING:
                yield f"line {number}: decisions are missing before it: {line.reason}"
            if number == 1 and follows not in ("", began):
                yield "line 1 does not go on from the file before: a file or the end of one is missing"
            bare = msgspec.structs.replace(line, chain="")
            if any(hmac.compare_digest(line.chain, bound(key, chain, bare)) for key in keys):
                first_bound = first_bound or number
            else:
                yield f"line {number} does not follow from the one before: something was changed, added or removed"
            chain = line.chain
    except gzip.BadGzipFile:
        yield f"after line {number}: the packed file is damaged or ends too early"
    unbound = first_bound - 1 if first_bound else number
    # A forged line is one among others; a key that is not known hits all of its time.
    key = f"; no key here binds the first {unbound}: do previous_secret_keys lack one?" if unbound > 1 else ""
    yield f"{number} lines, the chain ends at {chain}" + (f"; it goes on from {began}" if began else "") + key
    return chain


def _lines_of(path: Path) -> Iterator[bytes]:
    """Raises OSError where it cannot be read; gzip.BadGzipFile where what was packed is not whole."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        try:
            yield from lines
        except (EOFError, zlib.error) as error:
            raise gzip.BadGzipFile("the packed file is damaged or ends too early") from error


def verified(path: Path, secrets: tuple[bytes, ...], follows: str = "") -> tuple[list[str], str, str]:
    """All at once of what `verify` says: what is wrong, the sentence of count and head, and the head.

    Of more than MOST_FAULTS the first are told, and how many others there are: a year's log may be of another key.
    """
    faults: list[str] = []
    others, latest = 0, ""
    said = verify(path, secrets, follows)
    while True:
        try:
            following = next(said)
        except StopIteration as end:
            return [*faults, *([f"and {others} places more"] if others else [])], latest, end.value
        if latest and len(faults) < MOST_FAULTS:
            faults.append(latest)
        elif latest:
            others += 1
        latest = following


def cut_off(newest: Path, head: AuditHead) -> str:
    """Why the newest file's end cannot be whole, by the head that Redis remembers; "" where it is. Raises OSError."""
    if head.missing:
        return f"Redis remembers that {head.missing} decisions could not be written after {head.chain[:16]}..."
    number = line_of(newest, head.chain)
    if not number:
        return f"Redis remembers {head.chain} after {head.lines} lines, which no line has: the end was cut off"
    if number != head.lines:
        return f"line {number} has the head that Redis remembers as line {head.lines}: lines are missing before it"
    return ""


def line_of(path: Path, chain: str) -> int:
    """The number of the line whose chain this is; 0 where there is none. Raises OSError where it cannot be read."""
    wanted = f'"chain":"{chain}"'.encode()
    with suppress(gzip.BadGzipFile):
        return next((number for number, raw in enumerate(_lines_of(path), 1) if wanted in raw), 0)
    return 0
