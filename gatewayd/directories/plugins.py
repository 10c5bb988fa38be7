"""Directories of an operator's own, which are twistd plugins (IRecipientDirectoryMaker)."""

from twisted.plugin import getPlugins

from gatewayd.core.interfaces import IRecipientDirectoryMaker


def maker(type_name: str) -> IRecipientDirectoryMaker:
    """The plug-in of this type. Raises ValueError, naming the key."""
    for found in getPlugins(IRecipientDirectoryMaker):
        if found.type_name == type_name:
            return found
    raise ValueError(f'type: "{type_name}" is neither sql nor http, nor the type of an installed plugin')
