"""What happened lately is remembered by key, bounded in number and age."""

from msgspec import Struct

from gatewayd.core.recent import Recent

MOST = 10
KEPT_FOR = 60.0


class Moment(Struct, frozen=True):
    """Something that happened at `at`."""

    at: float
    word: str = ""


def keys(recent: Recent[Moment]) -> list[str]:
    """All that is remembered, in its order."""
    return [key for some in recent.since(0.0, 100) for key, _ in some]


def test_of_each_key_the_latest_is_remembered() -> None:
    """It stands once, behind those that came before it."""
    recent: Recent[Moment] = Recent(MOST, KEPT_FOR)
    for at, key in enumerate("abc"):
        recent.put(key, Moment(at, "first"))
    recent.put("a", Moment(3.0, "second"))
    assert keys(recent) == ["b", "c", "a"]
    assert (recent.get("a"), recent.get("d")) == (Moment(3.0, "second"), None)
    assert "a" in recent
    assert "d" not in recent


def test_of_too_many_the_oldest_are_forgotten() -> None:
    """There are never more than may be."""
    recent: Recent[Moment] = Recent(MOST, KEPT_FOR)
    for number in range(3 * MOST):
        recent.put(str(number), Moment(1.0))
        assert len(recent) == min(number + 1, MOST)
    assert keys(recent) == [str(number) for number in range(2 * MOST, 3 * MOST)]


def test_what_is_too_old_is_forgotten_bit_by_bit() -> None:
    """With each one that comes two old ones go, and no young one does."""
    recent: Recent[Moment] = Recent(MOST, KEPT_FOR)
    for key in "abcd":
        recent.put(key, Moment(0.0))
    recent.put("e", Moment(KEPT_FOR))
    assert keys(recent) == ["a", "b", "c", "d", "e"], "none is too old yet"
    recent.put("f", Moment(KEPT_FOR + 1))
    assert keys(recent) == ["c", "d", "e", "f"]
    recent.put("c", Moment(KEPT_FOR + 1))
    assert keys(recent) == ["e", "f", "c"]


def test_what_came_since_a_moment_is_given_in_parts() -> None:
    """As it is at the start: what is put in or forgotten meanwhile changes nothing."""
    recent: Recent[Moment] = Recent(MOST, KEPT_FOR)
    for at, key in enumerate("abcde"):
        recent.put(key, Moment(at))
    parts = []
    for some in recent.since(1.0, 3):
        parts.append([key for key, _ in some])
        recent.put("f", Moment(6.0))
        recent.forget("e")
    assert parts == [["b", "c", "d"], ["e"]]
    assert keys(recent) == ["a", "b", "c", "d", "f"]


def test_what_is_forgotten_is_not_there() -> None:
    """Forgetting what was never known is no mistake."""
    recent: Recent[Moment] = Recent(MOST, KEPT_FOR)
    recent.put("a", Moment(1.0))
    recent.forget("a")
    recent.forget("a")
    assert len(recent) == 0
