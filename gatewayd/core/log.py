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
