"""How many tries there were, in words, and which of them are worth a line in the log. Pure."""


def after(tries: int) -> str:
    """For a sentence that says when something was given up."""
    return {0: "without a try", 1: "after 1 try"}.get(tries, f"after {tries} tries")


def is_worth_a_line(tries: int) -> bool:
    """The first, second, fourth, eighth ... try: one message that nobody takes for a day is a few lines.

    Of many messages the log writes some and counts the rest (`log_limited`). The timeline has every try.
    """
    return tries & (tries - 1) == 0
