"""Several faults in one value that a function reads: each is told, behind its own key. Pure."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


def raise_each(faults: Iterable[tuple[str, str]]) -> None:
    """Raises ValidationError with all `faults`, pairs of the key and what is wrong there; for none it does nothing."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("value_error", "{text}", {"text": text}), loc=(key,), input=None)
        for key, text in faults
    ]
    if lines:
        raise ValidationError.from_exception_data("table", lines)
