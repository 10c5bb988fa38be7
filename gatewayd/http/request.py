"""One HTTP request as our listeners see it: what was asked, by whom, and its body. Pure."""

from urllib.parse import parse_qs

Headers = list[tuple[bytes, bytes]]


class Request:
    """Made when a request begins; complete when its body is in.

    `path` is without query and host; `headers` have lower-case names, in the order in which they came. `peer` is the
    host that is connected to us, "" on a unix socket. `most_body` is how many bytes its body may have: a door lowers it
    for paths that need less. `expects_100`: its caller sends the body once we say 100. `came_at` is the reactor's time
    when it had reached this host: its caller's time for an answer counts from there, and from before where the answer
    will leave late (turns.Turns).
    """

    __slots__ = (
        "_body",
        "came_at",
        "expects_100",
        "headers",
        "keep_alive",
        "method",
        "most_body",
        "path",
        "peer",
        "query",
        "uri",
    )

    def __init__(self, peer: str = "", most_body: int = 0) -> None:
        self.peer = peer
        self.came_at = 0.0
        self.most_body = most_body
        self.method = b""
        self.uri = b""
        self.path = b""
        self.query = b""
        self.headers: Headers = []
        self.keep_alive = False
        self.expects_100 = False
        self._body: bytes | bytearray = b""

    def locate(self) -> None:
        """Read path and query from the request line's target."""
        uri = self.uri
        if not uri.startswith(b"/") and b"://" in uri:
            # RFC 9112 3.2.2: absolute-form must be understood by every server.
            uri = b"/" + uri.partition(b"://")[2].partition(b"/")[2]
        self.path, _, self.query = uri.partition(b"?")

    def add(self, data: bytes) -> None:
        """One more piece of the body."""
        if not self._body:
            self._body = data
        elif isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body = bytearray(self._body + data)

    def drop_body(self) -> None:
        """Keep nothing of it: nobody will read it."""
        self._body = b""

    @property
    def size(self) -> int:
        """Bytes of the body that have come."""
        return len(self._body)

    @property
    def body(self) -> bytes:
        """All of the body that has come."""
        return bytes(self._body)

    def header(self, name: bytes) -> bytes | None:
        """The last header of this lower-case name; None where there is none."""
        return next((value for known, value in reversed(self.headers) if known == name), None)

    def all_headers(self, name: bytes) -> list[bytes]:
        """Every header of this lower-case name, in order."""
        return [value for known, value in self.headers if known == name]

    @property
    def args(self) -> dict[bytes, list[bytes]]:
        """The query's fields, octets as they are: given octets, parse_qs raises for what is not ASCII."""
        found = parse_qs(self.query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        return {name.encode("latin-1"): [value.encode("latin-1") for value in values] for name, values in found.items()}

    def __repr__(self) -> str:
        return f"<Request {self.method!r}>"
