"""Paths into somebody else's JSON: where they lead, and that nothing makes them fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core import paths

DATA = {
    "messages": [{"id": "a", "ok": True}, {"id": 7}, {"ok": None}],
    "error": {"code": 21211},
    "a.b": "dotted",
    "x": {"a.b": "inner"},
    "data": '[{"id": 1, "report": [{"status": "1"}, {"status": "2"}]}, {"id": 2, "report": "{\\"status\\": 3}"}]',
    "no": "{no JSON",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("messages.*.id", {(0,): "a", (1,): "7"}),
        ("messages.1.id", {(): "7"}),
        ("messages.*.ok", {(0,): "true"}),
        ("error.code", {(): "21211"}),
        ("error.*", {("code",): "21211"}),
        ("a.b", {(): "dotted"}),
        ("x.a.b", {(): "inner"}),
        ("data.*.id", {(0,): "1", (1,): "2"}),
        ("data.*.report.*.status", {(0, 0): "1", (0, 1): "2"}),
        ("data.1.report.status", {(): "3"}),
        ("data.*", {}),
        ("no.JSON", {}),
        ("x.a.b.c", {}),
        ("messages.9.id", {}),
        ("messages.-1.id", {}),
        ("error", {}),
        ("", {}),
        ("nothing.at.all", {}),
    ],
)
def test_where_a_path_leads(path: str, found: dict[paths.Place, str]) -> None:
    """Keys, positions, stars; a value that is no text, number or truth is none."""
    assert paths.texts(DATA, path) == found


def test_a_list_is_walked_from_the_top() -> None:
    """A body may be a list itself."""
    assert paths.texts([{"id": 1}, {"id": 2}], "*.id") == {(0,): "1", (1,): "2"}


def test_what_one_path_gives_is_bounded() -> None:
    """A stranger's list may be long."""
    assert len(paths.texts(list(range(5_000)), "*")) == paths.MOST


def test_a_number_that_python_does_not_write_is_none() -> None:
    """It has a limit of its own for the digits of a number."""
    assert paths.texts({"a": 10**5000}, "a") == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.text(alphabet="a.*0\x00é"),
)
def test_nothing_fails(data: object, path: str) -> None:
    """Whatever the data and the path are."""
    assert isinstance(paths.texts(data, path), dict)
