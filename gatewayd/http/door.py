"""What a listener's door says: who may come in, and the whole answers that are given to whom is turned away.

Decided on a request's head. Owns the form of an answer, and no rule of its own but the open door's.
"""

from typing import Protocol

from msgspec import Struct
from twisted.web.iweb import IRequest


class Answer(Struct, frozen=True):
    """A whole answer: `headers` are what goes beside Content-Type, Content-Length and Date."""

    body: bytes = b""
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


BAD_REQUEST = Answer(b"bad request\n", 400, b"text/plain; charset=utf-8")


class Door(Protocol):
    """Who may come in, decided on the request's head, and what is said to whom is turned away."""

    def admit(self, request: IRequest) -> Answer | None:
        """None lets the request in; an Answer is given at once, the body is not read, the connection closed."""

    def too_large(self, request: IRequest) -> Answer:
        """What a body over the limit is answered with, before more of it is kept."""

    def not_http(self, request: IRequest) -> Answer:
        """What is answered where a request line is followed by what is not HTTP, or by more headers than we read."""


class OpenDoor:
    """Lets everybody in; a body over the limit gets 413, what is not HTTP 400."""

    def admit(self, request: IRequest) -> Answer | None:
        """Everybody."""
        return None

    def too_large(self, request: IRequest) -> Answer:
        """413, in plain words."""
        return Answer(b"too large\n", 413, b"text/plain; charset=utf-8")

    def not_http(self, request: IRequest) -> Answer:
        """400, in plain words."""
        return BAD_REQUEST
