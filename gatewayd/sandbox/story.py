"""What the sandbox tells of what happens: lines for people, or JSON for programs. Knows no part of the sandbox."""

import json
from collections.abc import Callable
from typing import Any, TextIO

from gatewayd.core.model import Json


class SandboxFailed(Exception):
    """The sandbox cannot go on; the text is for the person who started it."""


class Story:
    """One line a step, with the seconds since the beginning and who did it."""

    def __init__(self, clock: Any, out: TextIO) -> None:
        self._clock = clock
        self._out = out
        self._began = clock.seconds()
        self.unheard: OSError | None = None
        """Why nothing can be told any more: the reader has gone, the terminal is closed, the disk is full."""
        self.on_unheard: Callable[[], None] = lambda: None

    def tell(self, who: str, what: str) -> None:
        """Write one step."""
        self._write(f"{self._at():7.2f}  {who:<9} {what}")

    def say(self, text: str = "") -> None:
        """Write something that is not a step."""
        self._write(text)

    def result(self, facts: Json) -> None:
        """What came of the round trip: people have read it in the steps."""

    def _at(self) -> float:
        return float(self._clock.seconds() - self._began)

    def _write(self, line: str) -> None:
        if self.unheard is not None:
            return
        try:
            print(line, file=self._out, flush=True)
        except OSError as error:
            # Not raised in whatever part tells of a step: that one would fail, and the sandbox go on.
            self.unheard = error
            self.on_unheard()


class JsonStory(Story):
    """One object: the round trip with all its steps once it is over; if `then_live`, then one a line for each step."""

    def __init__(self, clock: Any, out: TextIO, *, then_live: bool) -> None:
        super().__init__(clock, out)
        self._then_live = then_live
        self._steps: list[Json] | None = []

    def tell(self, who: str, what: str) -> None:
        """Keep one step for the result, or write it."""
        step = {"at": round(self._at(), 3), "who": who, "what": what}
        if self._steps is not None:
            self._steps.append(step)
        elif self._then_live:
            self._object(step)

    def say(self, text: str = "") -> None:
        """What is for people is left out: its facts come with the result."""

    def result(self, facts: Json) -> None:
        """Write what came of the round trip."""
        self._object(facts | {"steps": self._steps})
        self._steps = None

    def _object(self, value: Json) -> None:
        self._write(json.dumps(value, ensure_ascii=False))
