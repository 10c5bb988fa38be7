"""Why a connection did not come about, in words for whoever is called at night. Pure."""

_WORDS = {
    "ConnectionRefusedError": "refused: does it run, and listen on this port?",
    "DNSLookupError": "the name can't be looked up",
    "TimeoutError": "no answer in time",
    "TCPTimedOutError": "no answer in time",
    "NoRouteError": "no route",
    "ConnectionLost": "it hung up at once",
    "ConnectionDone": "it hung up at once",
}


def known(error: BaseException) -> str:
    """Why there is no connection, in words; "" where the error says nothing of that kind."""
    return _WORDS.get(type(error).__name__, "")


def plain(error: BaseException) -> str:
    """The kind of connection error in words; its own text may name hosts and numbers."""
    return known(error) or type(error).__name__
