"""How long, and how often, as people read it. Pure."""


def spoken(seconds: float) -> str:
    """A length of time in the largest unit that says enough: 0.4 s, 12 s, 3 min, 5 h, 2 d."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 or not seconds else f"{seconds:.1f} s"


def after(tries: int) -> str:
    """For a sentence that says when something was given up."""
    return {0: "without a try", 1: "after 1 try"}.get(tries, f"after {tries} tries")
