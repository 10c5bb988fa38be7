"""Where a player is reached: one directory, all of them, and a plug-in that makes one of an operator's own."""

from collections.abc import Awaitable, Mapping
from typing import Any

from zope.interface import Attribute, Interface

from gatewayd.core.model import Channel, Recipient, Resolved


class IRecipientDirectory(Interface):
    """The operator's database of players."""

    async def find(label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player, or None where the directory does not know the id.

        `fresh` asks for what is true now, never for a remembered answer. Raises TemporaryFailure where it cannot be
        asked now.
        """

    def close() -> Awaitable[None]:
        """Release connections and threads."""


class IRecipients(Interface):
    """The players of all labels, whatever directories they are in."""

    async def address(label: str, user: str, channel: Channel, *, fresh: bool = False) -> Resolved:
        """Where a player of `label` is reached on `channel`, or why not. Raises nothing but CancelledError.

        `fresh` asks for what is true now, never for a remembered answer.
        """

    def patience(label: str) -> float:
        """Seconds after which `address` has given its answer, whatever the label's directory does."""


class IRecipientDirectoryMaker(Interface):
    """A twistd plugin that brings a recipient directory of the operator's own (found by twisted.plugin)."""

    type_name: str = Attribute("The `type` in [directories.NAME] that this maker answers to.")

    def make(reactor: Any, options: Mapping[str, Any]) -> IRecipientDirectory:
        """A directory from the table's `options`. Raises ValueError naming the wrong option."""
