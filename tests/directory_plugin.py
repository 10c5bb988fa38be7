"""An operator's own kind of directory, as its plug-in."""

from collections.abc import Mapping
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from gatewayd.core.interfaces import IRecipientDirectory, IRecipientDirectoryMaker
from gatewayd.core.model import Recipient
from intake_world import Players


@implementer(IPlugin, IRecipientDirectoryMaker)
class Maker:
    """An operator's own kind of directory."""

    type_name = "ours"

    def make(self, reactor: Any, options: Mapping[str, Any]) -> IRecipientDirectory:
        """Players by the options."""
        if "email" not in options:
            raise ValueError("options.email: is required")
        players = Players({"1": Recipient(email=options["email"])})
        options.get("made", []).append(players)
        return players  # type: ignore[no-any-return]
