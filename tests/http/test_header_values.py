"""What a header's value is: RFC 9110 5.5 says that the blanks around it are not of it."""

import pytest

from gatewayd.http.reader import RequestReader
from gatewayd.http.request import Request
from http_line import Line, head


@pytest.mark.parametrize("written", ["x y", " x y", "\t x y", "x y ", "x y\t", " \tx y \t "])
def test_the_blanks_around_a_value_are_not_of_it(written: str) -> None:
    """Neither those before it nor those after it, of whatever header; those inside are."""
    came = list[Request]()
    reader = RequestReader(
        Request, on_head=came.append, on_piece=lambda request, data: None, on_end=lambda request: None
    )
    reader.feed(f"GET / HTTP/1.1\r\nAuthorization:{written}\r\nX-Any:{written}\r\nX-None: \t \r\n\r\n".encode())
    assert came[0].headers == [(b"authorization", b"x y"), (b"x-any", b"x y"), (b"x-none", b"")]


@pytest.mark.parametrize("blanks", ["", " ", "\t"])
def test_blanks_after_what_we_act_on_ourselves(blanks: str) -> None:
    """A caller who waits for our word gets it, and the body's length is the length."""
    line = Line()
    asked = head("/body", f"Content-Length: 2{blanks}", f"Expect: 100-continue{blanks}", method="POST")
    assert line.send(asked) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert line.send(b"ab").startswith(b"HTTP/1.1 200 OK\r\n")
    assert line.pages.bodies == [b"ab"]
