"""What gatewayctl says of what it did: to whom, what, and what one may want to do next."""

import pytest

from gatewayd.operators import outcomes

NOTHING = {"label": "amazing", "removed": 0, "waiting": 0, "stops": 0}
"""What an erasure answers of a player whom nobody knows."""


def test_a_stop_says_whose_and_how_it_is_undone() -> None:
    """The next command can be copied, and undoes no stop of another channel, such as what the player said by STOP."""
    said = outcomes.stop_list("1001", {"label": "amazing", "suppressed": ["email", "sms"]})
    assert said.startswith("Player 1001 is on the stop list of amazing: email, sms.")
    assert said.endswith("gatewayctl unsuppress amazing 1001")
    for player, words in (("-1 $(x)", "-- amazing '-1 $(x)'"), ("O'Neil", "amazing 'O'\"'\"'Neil'")):
        said = outcomes.stop_list(player, {"label": "amazing", "suppressed": ["email"]})
        assert said.endswith(f"gatewayctl unsuppress --channel email {words}")
    assert "was not on" in outcomes.stop_list("1001", {"label": "amazing", "unsuppressed": []})
    unchecked = {"label": "amazing", "suppressed": ["sms"], "unchecked": "down"}
    assert "do it again once it answers" in outcomes.stop_list("1001", unchecked)


def test_a_pause_says_what_becomes_of_messages() -> None:
    """They wait, and until when."""
    said = outcomes.switched({"label": "amazing", "paused": ["sms"]})
    assert "still accepted" in said
    assert "gatewayctl resume --channel sms amazing" in said
    assert "resume amazing" in outcomes.switched({"label": "amazing", "paused": ["email", "sms", "im"]})
    assert outcomes.switched({"label": "amazing", "resumed": ["sms"]}) == "Label amazing goes on: sms."


@pytest.mark.parametrize(("seconds", "words"), [(7200.0, "lifted for 2 h"), (0.0, "stands again")])
def test_a_guard_that_is_lifted_for_no_time_stands(seconds: float, words: str) -> None:
    """As `--lift 0s` is meant."""
    assert words in outcomes.guard_lifted({"label": "amazing", "lifted_for_seconds": seconds})


def test_what_found_nothing_to_do_says_so() -> None:
    """A count of 0 makes nobody wiser."""
    assert "no dead letters" in outcomes.dead_letters_retried({"messages_retried": 0, "gone_meanwhile": 0})
    assert "heard no status" in outcomes.replayed({"statuses_queued": 0})
    assert "No message of player x" in outcomes.erased("x", NOTHING)
    assert "Is that the id" in outcomes.erased("x", NOTHING)
    said = outcomes.erased("x", NOTHING | {"stops": 3})
    assert "The id is gone from 3 stops, which hold by a keyed hash." in said
    assert "Is that the id" not in said


def test_an_erasure_says_of_whom_and_what_still_waited() -> None:
    """Those that waited are reported as failed; and what becomes of Redis' file."""
    said = outcomes.erased("x", NOTHING | {"removed": 3, "waiting": 1})
    assert said.startswith("Removed 3 messages of player x under label amazing, of which 1 still waited")
    assert "append-only file" in said


def test_a_file_of_stops_is_named() -> None:
    """With what stands in it without a player's id, and what was left out."""
    written = outcomes.stops_written("f.csv", {"label": "amazing", "exported": 2, "without_player_id": 1})
    assert "2 stops of label amazing are written to f.csv (of 1 only a keyed hash is known" in written
    brought = outcomes.stops_brought("f.csv", {"label": "amazing", "imported": 2, "ended": 1})
    assert "2 stops of f.csv are on the stop list of label amazing; 1 others had ended" in brought
    brought = outcomes.stops_brought("f.csv", {"label": "a", "imported": 2, "ended": 0, "spelt_otherwise": 1})
    assert brought.endswith("label a. 1 of them by another id, as the directory spells it.")
