"""Several faults in one value that a function reads: each is told, behind its own key. Pure."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


def raise_each(faults: Iterable[tuple[str, str]]) -> None:
    """Do nothing for no fault; `faults` are pairs of the key and what is wrong. Raises ValidationError with all of them."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("value_error", "{text}", {"text": text}), loc=(key,), input=None)
        for key, text in faults
    ]
    if lines:
        raise ValidationError.from_exception_data("table", lines)
