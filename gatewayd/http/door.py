"""What a listener's door says: who may come in, and the whole answers that are given to whom is turned away.

Decided on a request's head. Owns the form of an answer, and no rule of its own but the open door's.
"""

from http import HTTPStatus
from typing import Protocol

from msgspec import Struct

from gatewayd.http.request import Request


class Answer(Struct, frozen=True):
    """A whole answer: `headers` are what goes beside Content-Type, Content-Length and Date."""

    body: bytes = b""
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def as_bytes(answer: Answer, request: Request, date: bytes) -> bytes:
    """The answer to `request` on the wire, without its body for HEAD, and the word that it is the last, if so."""
    parts = [
        b"HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
        % (answer.status, _REASONS.get(answer.status, b""), date, answer.content_type, len(answer.body))
    ]
    parts.extend(b"%s: %s\r\n" % pair for pair in answer.headers)
    parts.append(b"\r\n" if request.keep_alive else b"Connection: close\r\n\r\n")
    if request.method != b"HEAD":
        parts.append(answer.body)
    return b"".join(parts)


_PLAIN = b"text/plain; charset=utf-8"
BAD_REQUEST = Answer(b"bad request\n", 400, _PLAIN)
TOO_LARGE = Answer(b"too large\n", 413, _PLAIN)
BUSY = Answer(b"busy, try again\n", 503, _PLAIN, ((b"Retry-After", b"5"),))


class Door(Protocol):
    """Who may come in, decided on the request's head, and what is said to whom is turned away."""

    def admit(self, request: Request) -> Answer | None:
        """None lets the request in; an Answer is given at once, the body is not read, the connection closed.

        May lower the request's `most_body`.
        """

    def too_large(self, request: Request) -> Answer:
        """What a body over the limit is answered with, before more of it is kept."""

    def not_http(self, request: Request) -> Answer:
        """What is answered where a request line is followed by what is not HTTP, or by more headers than we read."""

    def busy(self, request: Request) -> Answer:
        """What is answered where more is asked at once than can be answered in time."""


class OpenDoor:
    """Lets everybody in; whoever is turned away is told so in plain words."""

    def admit(self, request: Request) -> Answer | None:
        """Everybody."""
        return None

    def too_large(self, request: Request) -> Answer:
        """413."""
        return TOO_LARGE

    def not_http(self, request: Request) -> Answer:
        """400."""
        return BAD_REQUEST

    def busy(self, request: Request) -> Answer:
        """503."""
        return BUSY
