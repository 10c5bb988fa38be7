"""Scripts say names, and read records by them."""

import re

import pytest

from gatewayd.store.scripts import all_scripts
from gatewayd.store.spelling import OF_A_RECORD, readers, spell


def test_a_name_that_is_not_there_is_no_script() -> None:
    """A slip of the pen is found when the scripts are loaded, not when one runs."""
    with pytest.raises(KeyError):
        spell("call('GET', KEY.masage .. id)")
    assert spell("call('HGET', KEY.message .. id, FIELD.state)") == "call('HGET', P .. 'm:' .. id, 's')"
    assert all(b"RECORD(" not in script.source for script in all_scripts().values())
    assert all(b"KEY." not in script.source for script in all_scripts().values())


def test_a_script_says_what_it_reads_of_a_message() -> None:
    """A moment is a number, anything else is nil where it is not there."""
    source = readers("local read = RECORD(state, lease, sent_at)")
    assert "function(id)" in source
    assert "'s', 'L', 'e')" in spell(source)
    assert "lease = lease, sent_at = (sent_at or 0) + 0" in source
    assert "segments_taken = 0" in source
    assert "segments_taken = 0" not in readers("RECORD(state, segments_taken)")
    with pytest.raises(KeyError):
        readers("RECORD(state, leese)")


def test_what_stands_together_is_read_together() -> None:
    """By the name of any of it; the function that takes it apart stands in a file of its own."""
    source = readers("RECORD(state, marked_at, route)")
    assert "'s', 'r', 't')" in spell(source)
    assert "local state, queued_reports, to_tell = state_of(key, state)" in source
    assert "local marked_at, route = route_of(key, route, accepted_at)" in source
    assert "state = state, queued_reports = queued_reports, to_tell = to_tell" in source


def test_a_script_may_read_two_fields_more_under_names_of_their_own() -> None:
    """`more` and `another` stand behind the fields, and are none themselves."""
    source = readers("local read = RECORD(state, more, another)")
    assert "function(id, ...)" in source
    assert "local state, more, another = " in source
    assert "'s', ...)" in spell(source)
    assert "more = more, another = another" in source


def test_what_a_script_says_of_a_record_has_its_place() -> None:
    """Also what it adds later; what it reads and never says has none, and what is no record keeps its names."""
    source = spell(readers("local m = RECORD(state, lease, route)(id) m.age = m.lease, one(id).state, found.rival"))
    assert source.endswith(" return {nil, lease, state} end(id) m[1] = m[2], one(id)[3], found.rival")


def test_no_other_table_of_a_script_has_a_name_of_a_record() -> None:
    """It would be written under the name, and read at a record's place."""
    for script in all_scripts().values():
        for table in re.findall(r"\{([^{}]*)\}", re.sub("--.*", "", script.source.decode())):
            assert not set(re.findall(r"([a-z_]+) = ", table)) & OF_A_RECORD, (script, table)
