"""Mail made to keep us busy takes no longer than its length, and nobody else waits for it.

CPU time is compared with itself: twice the octets may cost twice the time, and the limits in parts.py end that. What a
whole mail may cost is measured in readings of an ordinary one, so that a slow machine changes nothing.
"""

import time
from collections.abc import Callable
from itertools import cycle

import pytest

from gatewayd.bounces.inbound import inspect
from hostile_mails import FORMS, PIECES, SHAPES, random_mail

SMALLEST = 8 << 10
LARGEST = 1 << 20
UNIT_MOST = 600
"""Readings of an ordinary bounce that one mail may cost; where this was written, 0.2 s. The worst found costs 0.1 s."""

_NEXT_FORM = cycle(FORMS)
CASES: dict[str, Callable[[int], bytes]] = {
    **SHAPES,
    **{
        f"{form}: {piece!r}": lambda size, form=form, piece=piece: FORMS[form](piece, size)  # type: ignore[misc]
        for piece in PIECES
        for form in (next(_NEXT_FORM),)
    },
}
ORDINARY = (
    b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered Mail\r\n\r\nI'm sorry to have to inform you that your "
    b"message could not be delivered to <a@b.example>: 550 5.1.1 user unknown\r\n"
)


def cpu(raw: bytes) -> float:
    """Seconds of CPU that reading `raw` takes."""
    began = time.thread_time()
    inspect(raw, True)
    return time.thread_time() - began


@pytest.fixture(scope="module")
def unit() -> float:
    """What an ordinary bounce costs on this machine."""
    return min(cpu(ORDINARY) for _ in range(20))


def is_bounded(mail: bytes, unit: float) -> bool:
    """Whether it costs no more than it may. Others on the machine make both dearer, so the unit is measured with it."""
    return any(cpu(mail) <= UNIT_MOST * max(unit, min(cpu(ORDINARY) for _ in range(5))) for _ in range(3))


@pytest.mark.parametrize("name", CASES)
def test_twice_the_mail_costs_twice_the_time(name: str, unit: float) -> None:
    """No form of mail costs the square of its length."""
    make = CASES[name]
    small = double = 1e9
    # The quickest of a few, where that is needed: what else the machine does only ever adds.
    for _ in range(5):
        small, double = (min(best, cpu(make(size))) for best, size in ((small, SMALLEST), (double, 2 * SMALLEST)))
        if double <= 3 * small + 30 * unit:
            return
    raise AssertionError((small, double, unit))


@pytest.mark.parametrize("name", [*SHAPES, *list(CASES)[len(SHAPES) :: 5]])
def test_no_mail_costs_more_than_a_bounded_sum(name: str, unit: float) -> None:
    """However long it is: what lies beyond the limits is not looked at."""
    mail = CASES[name](LARGEST)
    assert is_bounded(mail, unit)


@pytest.mark.parametrize("seed", range(20))
def test_mixtures_are_bounded_too(seed: int, unit: float) -> None:
    """What stands together in one mail costs no more than what it is made of."""
    mail = random_mail(seed, LARGEST)
    assert is_bounded(mail, unit)
