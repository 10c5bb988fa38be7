"""What of a sandbox's directory the next run in it goes by."""

from pathlib import Path

from gatewayd.sandbox.places import kept_key


def test_the_next_run_in_a_directory_has_the_same_key(tmp_path: Path) -> None:
    """With another one, a player who was stopped in the run before got a message, and a uid was sent again."""
    key = kept_key(tmp_path)
    assert len(key) >= 32
    assert kept_key(tmp_path) == key
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
