"""What happened lately is remembered by key, bounded in number and age."""

from msgspec import Struct

from gatewayd.core.memory import Memory

MOST = 10
KEPT_FOR = 60.0


class Moment(Struct, frozen=True):
    """Something that happened at `at`."""

    at: float
    word: str = ""


def keys(memory: Memory[str, Moment]) -> list[str]:
    """All that is remembered, in its order."""
    return [key for some in memory.since(0.0, 100) for key, _ in some]


def test_of_each_key_the_latest_is_remembered() -> None:
    """It stands once, behind those that came before it."""
    memory: Memory[str, Moment] = Memory(MOST, KEPT_FOR)
    for at, key in enumerate("abc"):
        memory.put(key, Moment(at, "first"))
    memory.put("a", Moment(3.0, "second"))
    assert keys(memory) == ["b", "c", "a"]
    assert (memory.get("a"), memory.get("d")) == (Moment(3.0, "second"), None)
    assert "a" in memory
    assert "d" not in memory


def test_of_too_many_the_oldest_are_forgotten() -> None:
    """There are never more than may be."""
    memory: Memory[str, Moment] = Memory(MOST, KEPT_FOR)
    for number in range(3 * MOST):
        memory.put(str(number), Moment(1.0))
        assert len(memory) == min(number + 1, MOST)
    assert keys(memory) == [str(number) for number in range(2 * MOST, 3 * MOST)]


def test_what_is_too_old_is_forgotten_bit_by_bit() -> None:
    """With each one that comes two old ones go, and no young one does."""
    memory: Memory[str, Moment] = Memory(MOST, KEPT_FOR)
    for key in "abcd":
        memory.put(key, Moment(0.0))
    memory.put("e", Moment(KEPT_FOR))
    assert keys(memory) == ["a", "b", "c", "d", "e"], "none is too old yet"
    memory.put("f", Moment(KEPT_FOR + 1))
    assert keys(memory) == ["c", "d", "e", "f"]
    memory.put("c", Moment(KEPT_FOR + 1))
    assert keys(memory) == ["e", "f", "c"]


def test_what_came_since_a_moment_is_given_in_parts() -> None:
    """As it is at the start: what is put in or forgotten meanwhile changes nothing."""
    memory: Memory[str, Moment] = Memory(MOST, KEPT_FOR)
    for at, key in enumerate("abcde"):
        memory.put(key, Moment(at))
    parts = []
    for some in memory.since(1.0, 3):
        parts.append([key for key, _ in some])
        memory.put("f", Moment(6.0))
        memory.forget("e")
    assert parts == [["b", "c", "d"], ["e"]]
    assert keys(memory) == ["a", "b", "c", "d", "f"]


def test_what_is_forgotten_is_not_there() -> None:
    """Forgetting what was never known is no mistake."""
    memory: Memory[str, Moment] = Memory(MOST, KEPT_FOR)
    memory.put("a", Moment(1.0))
    memory.forget("a")
    memory.forget("a")
    assert len(memory) == 0
