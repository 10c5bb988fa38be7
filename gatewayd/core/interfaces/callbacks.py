"""The way to tell the caller a status."""

from zope.interface import Interface


class ICallbacks(Interface):
    """The way to tell the caller a status."""

    async def get(url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
        """HTTP status and body (bounded) of one GET; no redirect is followed.

        With `allow_private` the host may be at a private or loopback address. Raises TemporaryFailure, with `counts`
        false where nothing was tried; PermanentFailure where `url` cannot be asked at all. `asker` names who was
        turned away once the host is up again.
        """
