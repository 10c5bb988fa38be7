"""What an answer means: the first match that fits, ids, and no word of the vendor's beside them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.config.providers import ProviderAnswer
from gatewayd.providers.answers import LONGEST_ID, MOST_IDS, Verdict, read

VONAGE = ProviderAnswer.model_validate(
    {
        "taken": [{"status": "2xx", "path": "messages.*.status", "values": ["0"]}],
        "rejected": [{"path": "messages.*.status", "values": ["6", "7"]}, {"status": "400", "path": "error.code"}],
        "throttled": [{"path": "messages.*.status", "values": ["1"]}, {"status": "429"}],
        "ids": "messages.*.message-id",
    }
)


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"messages": [{"status": "0", "message-id": "A"}]}, Verdict.TAKEN),
        (200, {"messages": [{"status": 0}]}, Verdict.TAKEN),
        (200, {"messages": [{"status": "0"}, {"status": "1"}]}, Verdict.TAKEN),
        (200, {"messages": [{"status": "7"}]}, Verdict.REJECTED),
        (200, {"messages": [{"status": "1"}]}, Verdict.THROTTLED),
        (429, {}, Verdict.THROTTLED),
        (400, {"error": {"code": 5}}, Verdict.REJECTED),
        (400, {"error": {"code": None}}, Verdict.TEMPORARY),
        (200, {"messages": [{"status": "5"}]}, Verdict.TEMPORARY),
        (200, [], Verdict.TEMPORARY),
        (500, {"messages": [{"status": "0"}]}, Verdict.TEMPORARY),
        (302, {}, Verdict.TEMPORARY),
    ],
)
def test_the_first_match_that_fits(status: int, body: Any, verdict: Verdict) -> None:
    """taken before rejected before throttled; what fits none is temporary."""
    assert read(VONAGE, status, json.dumps(body).encode()).verdict is verdict


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"", Verdict.UNREADABLE),
        (202, b"<html>Thank you</html>", Verdict.UNREADABLE),
        (200, b'{"messages": [{"status": "0"', Verdict.UNREADABLE),
        (200, b"\x1f\x8b\x08\x00", Verdict.UNREADABLE),
        (200, b'{"messages": "' + b"\xff" + b'"}', Verdict.UNREADABLE),
        (200, b"[" * 60_000, Verdict.UNREADABLE),
        (200, b"null", Verdict.TEMPORARY),
        (200, b'"OK"', Verdict.TEMPORARY),
        (302, b"<html>Moved</html>", Verdict.TEMPORARY),
        (404, b"<html>Not found</html>", Verdict.TEMPORARY),
        (502, b"<html>Bad gateway</html>", Verdict.TEMPORARY),
        (429, b"<html>Slow</html>", Verdict.THROTTLED),
    ],
)
def test_a_success_that_can_not_be_read_may_have_been_a_yes(status: int, body: bytes, verdict: Verdict) -> None:
    """Where `taken` looks into the answer; any other status, and whatever is JSON, was read."""
    assert read(VONAGE, status, body).verdict is verdict


def test_a_text_is_always_read() -> None:
    """Where only the status or the whole text counts, no answer is unreadable; a byte order mark is no text."""
    words = ProviderAnswer.model_validate({"taken": [{"status": "2xx", "values": ["OK"]}]})
    assert read(words, 200, b"<html>").verdict is Verdict.TEMPORARY
    assert read(words, 200, b"\xef\xbb\xbfOK\r\n").verdict is Verdict.TAKEN


@pytest.mark.parametrize(
    "said",
    [
        b'\xef\xbb\xbf{"messages": [{"status": "%s", "message-id": "A"}]}',
        b'{"messages": [{"status": "%s", "message-id": "A", "text": "Enviado con \xe9xito"}]}',
        b'{"messages": [{"status": "%s", "message-id": "A", "text": "Get\r\n\tthe offer", "price": NaN}]}',
    ],
)
def test_a_yes_that_is_badly_written_is_a_yes(said: bytes) -> None:
    """A byte order mark, a sentence in Latin-1, the SMS as it was: what was taken would be held, and end as failed."""
    assert (read(VONAGE, 200, said % b"0").verdict, read(VONAGE, 200, said % b"0").ids) == (Verdict.TAKEN, ("A",))
    assert read(VONAGE, 200, said % b"7").verdict is Verdict.REJECTED


@pytest.mark.parametrize("wanted", ["200", "201", "2xx", ""])
@pytest.mark.parametrize(("status", "body"), [(200, b"OK"), (201, b"created"), (202, b""), (204, b""), (206, b"<")])
def test_any_success_that_can_not_be_read_may_have_been_a_yes(wanted: str, status: int, body: bytes) -> None:
    """Whatever 2xx `taken` expects beside its path: a vendor that says 204 has it as likely as one that says 200."""
    table = ProviderAnswer.model_validate({"taken": [{"status": wanted, "path": "id"}]})
    assert read(table, status, body).verdict is Verdict.UNREADABLE
    assert read(table, status, b'{"other": 1}').verdict is Verdict.TEMPORARY
    assert read(table, status + 300, body).verdict is Verdict.TEMPORARY


def test_a_text_that_was_cut_in_the_middle_of_a_sign_hides_no_id() -> None:
    """A vendor that gives the SMS back in its answer may have cut it."""
    table = ProviderAnswer.model_validate({"ids": "id"})
    assert read(table, 200, rb'{"text": "\ud83d", "id": 7}').ids == ("7",)


def test_json_that_is_written_as_a_text_is_gone_into() -> None:
    """As .NET writes what was JSON already: read as a text, each yes would send a copy by the next route."""
    said = json.dumps(json.dumps({"messages": [{"status": "0", "message-id": "A"}]})).encode()
    reading = read(VONAGE, 200, said)
    assert (reading.verdict, reading.ids) == (Verdict.TAKEN, ("A",))


def test_without_a_table_any_2xx_is_taken() -> None:
    """The contract's defaults."""
    assert read(ProviderAnswer(), 204, b"").verdict is Verdict.TAKEN
    assert read(ProviderAnswer(), 404, b"").verdict is Verdict.TEMPORARY
    assert read(ProviderAnswer(), 429, b"").verdict is Verdict.TEMPORARY


def test_ids_are_all_of_them_once_and_in_order() -> None:
    """One, several or none; what can't be an id is left out."""
    table = ProviderAnswer.model_validate({"ids": "m.*.id"})

    def ids(*values: Any) -> tuple[str, ...]:
        return read(table, 200, json.dumps({"m": [{"id": value} for value in values]}).encode()).ids

    assert ids("b", 7, "b", None, "", " a ", "x" * (LONGEST_ID + 1)) == ("b", "7", "a")
    assert len(ids(*range(999))) == MOST_IDS
    assert read(table, 200, b"OK").ids == ()
    assert read(ProviderAnswer(), 200, b'{"m": [{"id": 1}]}').ids == ()


@pytest.mark.parametrize(
    ("body", "verdict", "why"),
    [
        (b"OK: 447700900101/4711", Verdict.TAKEN, "OK:*"),
        (b" OK:\r\n", Verdict.TAKEN, "OK:*"),
        (b"ERR: 105, invalid number 447700900101", Verdict.REJECTED, "ERR: 105*"),
        (b'{"ok": false, "error": "FLOOD_WAIT_30"}', Verdict.THROTTLED, "FLOOD_WAIT_*"),
        (b"ERR: 301, no credit left", Verdict.TEMPORARY, "ERR: 301"),
        (b"1025", Verdict.TEMPORARY, "1025"),
        (b"1025|447700900101", Verdict.TEMPORARY, "1025"),
        (b"447700900101 has no credit", Verdict.TEMPORARY, ""),
        (b"Anna 4711 has no credit", Verdict.TEMPORARY, ""),
        (b"NOT OK:", Verdict.TEMPORARY, ""),
        (b"", Verdict.TEMPORARY, ""),
    ],
)
def test_a_value_that_ends_in_a_star_fits_what_begins_so(body: bytes, verdict: Verdict, why: str) -> None:
    """Vendors write ids, seconds and sentences behind their codes; of those no word gets out."""
    table = ProviderAnswer.model_validate(
        {
            "taken": [{"status": "2xx", "values": ["OK:*"]}],
            "rejected": [{"values": ["ERR: 105*"]}],
            "throttled": [{"path": "error", "values": ["FLOOD_WAIT_*"]}],
        }
    )
    reading = read(table, 200, body)
    assert (reading.verdict, reading.why) == (verdict, why)


XML = b'<?xml version="1.0"?>\n<answer><id>%d</id><status>%d</status></answer>\n'


@pytest.mark.parametrize(
    ("body", "verdict", "why"),
    [
        (XML % (4711, 0), Verdict.TAKEN, "*<status>0</status>*"),
        (XML % (4711, 7), Verdict.REJECTED, "*<status>7</status>*"),
        (XML % (4711, 9), Verdict.TEMPORARY, ""),
        (b"4711;0;SUBMITTED", Verdict.TAKEN, "*;SUBMITTED"),
        (b"4711;0;SUBMITTED;", Verdict.TEMPORARY, "4711"),
    ],
)
def test_a_value_may_stand_anywhere_in_a_text(body: bytes, verdict: Verdict, why: str) -> None:
    """Vendors who answer in XML, or with the id in front; the table's own words are what is said of it."""
    table = ProviderAnswer.model_validate(
        {
            "taken": [{"values": ["*<status>0</status>*", "*;SUBMITTED"]}],
            "rejected": [{"values": ["*<status>7</status>*"]}],
        }
    )
    reading = read(table, 200, body)
    assert (reading.verdict, reading.why) == (verdict, why)


def test_values_without_a_path_are_the_whole_text() -> None:
    """For vendors that answer in plain words."""
    table = ProviderAnswer.model_validate(
        {"taken": [{"status": "200", "values": ["OK"]}], "rejected": [{"values": ["BAD NUMBER"]}]}
    )
    assert read(table, 200, b" OK\r\n").verdict is Verdict.TAKEN
    assert read(table, 200, b"BAD NUMBER").verdict is Verdict.REJECTED
    assert read(table, 200, b"OK +447700900123").verdict is Verdict.TEMPORARY


def test_why_is_the_tables_own_word() -> None:
    """Never what the vendor said beside it, which may quote the number."""
    assert read(VONAGE, 200, b'{"messages": [{"status": "7", "error-text": "+447700900123"}]}').why == "7"


@given(
    st.integers(100, 599),
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)).map(
        lambda data: json.dumps(data).encode()
    ),
)
def test_nothing_fails(status: int, body: bytes) -> None:
    """Whatever came."""
    assert read(VONAGE, status, body).verdict in Verdict


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, {"messages": [{"status": "9"}]}, "9"),
        (200, {"messages": [{"status": "NO_CREDIT"}]}, "NO_CREDIT"),
        (200, {"messages": [{"status": 9}]}, "9"),
        (500, {"messages": [{"status": "5"}, {"status": "9"}]}, "5"),
        (200, {"messages": [{"status": "447700900123"}]}, ""),
        (200, {"messages": [{"status": "X447700900123"}]}, ""),
        (200, {"messages": [{"status": "Dear Anna"}]}, ""),
        (200, {"messages": [{"status": "anna"}]}, ""),
        (200, {"messages": [{"status": ["9"]}]}, ""),
        (400, {"error": {"code": None}}, ""),
        (401, [], ""),
    ],
)
def test_what_fits_none_is_said_by_its_code(status: int, body: Any, why: str) -> None:
    """The operator must know that it was the money; a number or a word of somebody's is no code."""
    reading = read(VONAGE, status, json.dumps(body).encode())
    assert (reading.verdict, reading.why) == (Verdict.TEMPORARY, why)
