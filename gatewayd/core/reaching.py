"""Why a connection did not come about, in words for whoever is called at night. Pure."""

from errno import EACCES, ENOENT

_WORDS = {
    "ConnectionRefusedError": "refused: does it run, and listen on this port?",
    "DNSLookupError": "the name can't be looked up",
    "TimeoutError": "no answer in time",
    "TCPTimedOutError": "no answer in time",
    "NoRouteError": "no route",
    "ConnectionLost": "it hung up at once",
    "ConnectionDone": "it hung up at once",
}
# Of a Unix socket, for which Twisted has no error of its own.
_NUMBERS = {
    ENOENT: "there is no such socket: does it run?",
    EACCES: "the socket is closed to us: is our user in its group?",
}


def known(error: BaseException) -> str:
    """Why there is no connection, in words; "" where the error says nothing of that kind."""
    return _WORDS.get(type(error).__name__, "") or _NUMBERS.get(getattr(error, "osError", None) or 0, "")


def plain(error: BaseException) -> str:
    """The kind of connection error in words; its own text may name hosts and numbers."""
    return known(error) or type(error).__name__
