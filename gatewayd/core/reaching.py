"""Why a connection did not come about, in words for whoever is called at night. Pure."""

from errno import EACCES, EADDRNOTAVAIL, EHOSTUNREACH, EMFILE, ENOENT, EPERM

_WORDS = {
    "ConnectionRefusedError": "refused: does it run, and listen on this port?",
    "DNSLookupError": "the name can't be looked up",
    "TimeoutError": "no answer in time",
    "TCPTimedOutError": "no answer in time",
    "ConnectingCancelledError": "no answer in time",
    "NoRouteError": "no route",
    "ConnectionLost": "it hung up at once",
    "ConnectionDone": "it hung up at once",
}
# For which Twisted has no error of its own; the first two are those of a Unix socket.
_NUMBERS = {
    ENOENT: "there is no such socket: does it run?",
    EACCES: "the socket is closed to us: is our user in its group?",
    EHOSTUNREACH: "no route",
    EADDRNOTAVAIL: "this host has no address of that kind (IPv4, IPv6), or no port left",
    EMFILE: "this process has as many files open as it may (LimitNOFILE)",
    EPERM: "this host's own firewall forbids it",
}


def known(error: BaseException) -> str:
    """Why there is no connection, in words; "" where the error says nothing of that kind."""
    number = getattr(error, "osError", None) or 0
    if isinstance(error, OSError) and error.errno == EMFILE:
        # Before Twisted makes an error of its own of it. Other numbers may be of any file.
        number = EMFILE
    return _WORDS.get(type(error).__name__, "") or _NUMBERS.get(number, "")


def plain(error: BaseException) -> str:
    """The kind of connection error in words; its own text may name hosts and numbers."""
    return known(error) or type(error).__name__
