"""What whoever handles a message may ask of it.

Times are seconds since the epoch.
"""

from zope.interface import Interface

from gatewayd.core.model import Known


class IAbout(Interface):
    """What is known of a message beside its content. May raise StoreUnavailable."""

    async def about(message_id: str) -> Known | None:
        """What is kept of one message: whose it is, where it went and when."""
