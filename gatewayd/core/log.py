"""Twisted's Logger, but for debug lines that nobody reads: no event is made of them.

Owns whether somebody does: one answer for the whole process, as its log is one.
"""

from typing import Any

from twisted import logger


class Logger(logger.Logger):
    """For modules that have something to say of every message: four events an SMS were made and thrown away.

    `debugging` is said on the class, by who opens the log.
    """

    debugging = True

    def debug(self, format: str | None = None, **fields: Any) -> None:  # noqa: A002
        """See twisted.logger."""
        if Logger.debugging:
            super().debug(format, **fields)


def is_worth_a_line(tries: int) -> bool:
    """The first, second, fourth, eighth ... try: one message that nobody takes for a day is a few lines.

    Of many messages the log writes some and counts the rest (`log_limited`). The timeline has every try.
    """
    return tries & (tries - 1) == 0
