"""How evenly a peer was given what it took, measured where it stands."""

from collections.abc import Callable, Sequence


def fullest_second(moments: Sequence[float]) -> int:
    """How many fall into the fullest second."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def evenness(moments: Sequence[float]) -> tuple[int, float]:
    """How many fall into the fullest second, and the seconds from the first to the last."""
    return fullest_second(moments), moments[-1] - moments[0]


def within(measure: Callable[[], tuple[int, float]], *, most: int, seconds: float) -> None:
    """One of three measurements keeps both bounds: a machine that stood still for a moment spoils one, not three."""
    found = []
    for _ in range(3):
        found.append(measure())
        worst, took = found[-1]
        if worst <= most and took <= seconds:
            return
    raise AssertionError(f"{found}: more than {most} in a second, or over {seconds} s in all")
