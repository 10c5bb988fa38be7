"""HTTP answers to what we ask: read the same however they are cut, bad ones said to be bad."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbacks_world import OK
from gatewayd.http_client.answers import LONGEST_WAIT, MAX_BODY, AnswerReader, BadAnswer, asked_for


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """`data` cut at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(places):
        yield data[begin:end]


CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'9;x=y\r\n{"error_c\r\n9\r\node": 0,}\r\n0\r\nTrailer: x\r\n\r\n'
)


@given(
    st.sampled_from([(OK, True), (CHUNKED, True), (OK.replace(b"1.1", b"1.0"), False)]), st.lists(st.integers(0, 400))
)
def test_an_answer_reads_the_same_however_it_is_cut(case: tuple[bytes, bool], cuts: list[int]) -> None:
    """Wherever the network cuts an answer, it is complete at its last byte and not before."""
    data, keep = case
    reader = AnswerReader()
    done = [reader.received(piece) for piece in pieces(data, cuts)]
    assert done == [False] * (len(done) - 1) + [True]
    assert (reader.status, reader.body, reader.keep) == (200, b'{"error_code": 0,}', keep)


def test_an_answer_may_end_with_the_connection() -> None:
    """Without any length the body ends where the peer closes; half a counted body is no answer."""
    reader = AnswerReader()
    assert not reader.received(b"HTTP/1.0 200 OK\n\n{}")
    assert reader.closed()
    assert (reader.body, reader.keep) == (b"{}", False)
    half = AnswerReader()
    assert not half.received(OK[:-1])
    assert not half.closed()


def test_an_answer_whose_last_chunk_came_may_end_with_the_connection() -> None:
    """All of its body is there (RFC 9112 8); without that chunk it is not."""
    whole, half = AnswerReader(), AnswerReader()
    assert not whole.received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    assert whole.closed()
    assert whole.body == b"{}"
    assert not half.received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    assert not half.closed()


@pytest.mark.parametrize(
    ("fields", "body", "keep"),
    [
        (b"Content-Length: 7\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", False),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2", b"2\r\n{}\r\n0\r\n\r\n", False),
        (b"Transfer-Encoding: identity\r\nContent-Length: 2", b"{}", True),
        (b"Content-Length: 2\r\nTransfer-Encoding: Identity", b"{}", True),
        (b"Content-Length: 2, 2", b"{}", True),
        (b"Content-Length: 2\r\nContent-Length: 2,2", b"{}", True),
        (b"Content-Length : 2", b"{}", True),
    ],
)
def test_a_length_that_is_said_oddly_is_no_lost_answer(fields: bytes, body: bytes, keep: bool) -> None:
    """Proxies and old servers do so with each answer; an SMS would be held for each."""
    reader = AnswerReader()
    assert reader.received(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body)
    assert (reader.body, reader.keep) == (b"{}", keep)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"{}")),
        ("X-GZIP", gzip.compress(b"{}")),
        ("deflate", zlib.compress(b"{}")),
        ("Deflate", zlib.compress(b"{}", wbits=-15)),
        ("deflate", b"{}"),
    ],
)
def test_a_compressed_answer_is_unpacked(coding: str, body: bytes) -> None:
    """We ask for none, and some servers send it all the same; whichever way its end is known."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n".encode()
    counted, until_closed, chunked = AnswerReader(), AnswerReader(), AnswerReader()
    assert counted.received(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    until_closed.received(head + b"\r\n" + body)
    assert until_closed.closed()
    assert chunked.received(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert {reader.body for reader in (counted, until_closed, chunked)} == {b"{}"}


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", gzip.compress(b"{}")[:-4], gzip.compress(b"x" * (MAX_BODY + 1)), gzip.compress(b" " * 60_000_000)],
)
def test_what_can_not_be_unpacked_stays_as_it_came(body: bytes) -> None:
    """It is said to be compressed, and is not, or is cut off, or would be larger than any answer that we read."""
    reader = AnswerReader()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert reader.received(head + body)
    assert reader.body == body


def test_bytes_after_an_answer_spoil_the_connection() -> None:
    """What nobody asked for never becomes the next answer."""
    reader = AnswerReader()
    assert reader.received(OK + OK)
    assert not reader.keep


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: ,\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;" * 2000,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 8000,
    ],
)
def test_unclear_or_endless_answers_are_bad(data: bytes) -> None:
    """What is not plainly one bounded HTTP/1.1 answer is refused."""
    with pytest.raises(BadAnswer):
        AnswerReader().received(data)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_no_bytes_break_the_reader(data: bytes, cuts: list[int]) -> None:
    """Random bytes are an answer, unfinished, or bad: never another exception."""
    reader = AnswerReader()
    try:
        for piece in pieces(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data, cuts):
            reader.received(piece)
    except BadAnswer:
        pass


NOW = 1_796_004_800.0
"""2026-11-30 02:13:20 UTC, a Monday."""


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("4", 4.0),
        ("0", 0.0),
        ("0004", 4.0),
        ("4.25", 4.25),
        ("9" * 200, LONGEST_WAIT),
        ("Mon, 30 Nov 2026 02:13:24 GMT", 4.0),
        ("Monday, 30-Nov-26 02:13:24 GMT", 4.0),
        ("Mon Nov 30 02:13:24 2026", 4.0),
        ("Mon, 30 Nov 2026 04:13:24 +0200", 4.0),
        ("Mon, 30 Nov 2026 02:13:10 GMT", 0.0),
        ("Tue, 30 Nov 2027 02:13:10 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("4s", None),
        ("4.", None),
        ("2, 5", None),
        ("\u0664", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_when_to_come_again(said: str, wait: float | None) -> None:
    """Seconds, or a date in each of the forms of RFC 9110 5.6.7; what can't be read asks for nothing."""
    assert asked_for(said, NOW) == (None if wait is None else NOW + wait)


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} [A-Z+0-9-]{0,6}"))
def test_no_wish_to_wait_is_a_failure_inside(said: str) -> None:
    """Whatever stands there."""
    asked_for(said, NOW)
