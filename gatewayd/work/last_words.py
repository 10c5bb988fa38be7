"""What a process knew when it ended and Redis did not: kept in a file for the next process of its name.

A Redis whose disk is full takes no writes. Where the daemon is stopped meanwhile, what next hops and Smartico had
answered would end with it, and be sent and told again. Owns the file, which holds ids, routes and statuses.
"""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.logger import Logger

from gatewayd.work.marks import Mark, Marks
from gatewayd.work.statuses import RecentStatuses

log = Logger()


class Words(Struct, frozen=True):
    """By message id: what next hops said of it, and the letters of what Smartico took.

    `unwritten` are names of leases under which nothing left.
    """

    taken: dict[str, Mark] = {}
    heard: dict[str, str] = {}
    unwritten: tuple[str, ...] = ()


class LastWords:
    """Those of one instance. `path` is None where nothing outlives the process."""

    def __init__(self, path: Path | None, marks: Marks, statuses: RecentStatuses) -> None:
        self._path = path
        self._marks = marks
        self._statuses = statuses
        self._recalled = Words()

    def recall(self) -> None:
        """Remember what a former process left. Its file stays until the store knows that."""
        if self._path is None:
            return
        try:
            self._recalled = msgspec.json.decode(self._path.read_bytes(), type=Words)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.error("can't read what a former process could not store, {path}: {error}", path=self._path, error=error)
            return
        self._marks.recall(self._recalled.taken)
        self._statuses.recall(self._recalled.heard)

    def are_to_be_said(self) -> bool:
        """Whether the store has not heard yet what was recalled."""
        return self._recalled != Words()

    @property
    def unwritten(self) -> tuple[str, ...]:
        """The names of a former process's leases under which nothing left: they are to be given back as such."""
        return self._recalled.unwritten

    def said(self) -> None:
        """The store has heard all that was recalled."""
        if self._path is None or not self.are_to_be_said():
            return
        said, self._recalled = self._recalled, Words()
        for message_id in said.taken:
            self._marks.stored(message_id)
        for message_id in said.heard:
            self._statuses.stored(message_id)
        log.info("Redis has heard what a former process could not store: {words}", words=_counted(said))
        with suppress(OSError):
            self._path.unlink()

    def keep(self) -> None:
        """The process ends: write down what the store has not heard."""
        unwritten = (*self._recalled.unwritten, *self._marks.not_put_back())
        words = Words(self._marks.not_stored(), self._statuses.not_stored(), unwritten)
        if words == Words():
            return
        try:
            if self._path is None:
                raise FileNotFoundError("there is no $RUNTIME_DIRECTORY")
            _write(self._path, msgspec.json.encode(words))
        except OSError as error:
            log.error(
                "Redis took no writes, and {words} could not be stored, nor kept for the next start: {error}."
                " They may be sent or told again",
                words=_counted(words),
                error=str(error),
            )
        else:
            log.warn(
                "Redis took no writes, and {words} could not be stored: the next start finds them in {path}",
                words=_counted(words),
                path=str(self._path),
            )


def _counted(words: Words) -> str:
    became = len(words.taken) + len(words.unwritten)
    return f"what became of {became} messages, and that {len(words.heard)} had a status told"


def _write(path: Path, octets: bytes) -> None:
    """All or nothing, for nobody else."""
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(octets)
    new.replace(path)
