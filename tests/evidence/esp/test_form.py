"""Forms that are posted: read as they were written, broken ones too, and quickly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.evidence.esp import form


@given(st.lists(st.tuples(st.text("abc-_ é", min_size=1), st.text(max_size=20).map(lambda t: t.replace("--B", "")))))
def test_a_multipart_form_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    """Any value comes back whole, line ends and dashes in it included."""
    parts = "".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields)
    body = (parts + "--B--\r\n").encode()
    assert form.pairs('multipart/form-data; boundary="B"', body) == fields
    assert form.pairs("Multipart/Form-Data; charset=utf-8; boundary=B", body) == fields


@given(st.binary(max_size=200), st.text(max_size=80))
def test_a_broken_form_has_no_fields_or_some_but_never_fails(body: bytes, kind: str) -> None:
    """The world can post anything at the unsubscribe page."""
    for content_type in (kind, "multipart/form-data; boundary=" + kind, "multipart/form-data;" + kind):
        assert isinstance(form.pairs(content_type, body), list)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + b"Content-Disposition:;" * 48_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\n" * 170_000,
        b"\r\n\r\n" * 250_000,
        b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 1_000_000,
        b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 20_000,
    ],
)
def test_the_largest_form_that_a_stranger_can_post_is_read_at_once(body: bytes) -> None:
    """One megabyte made to cost more than its length costs no more than that."""
    assert form.pairs("multipart/form-data; boundary=b", body) == []
