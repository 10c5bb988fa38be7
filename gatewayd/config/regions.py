"""Countries, as telephone numbers know them: what `default_region` may name."""

from typing import Annotated

from pydantic import AfterValidator

_MEANT = {"UK": "GB"}
"""What people write for a country whose code is another."""


def is_region(text: str) -> bool:
    """Whether numbers without a country code can be read as this country's."""
    # Only a file that names one waits for this import.
    from phonenumbers import SUPPORTED_REGIONS

    return text in SUPPORTED_REGIONS


def _region(text: str) -> str:
    if not text or is_region(text):
        return text
    capitals = text.strip().upper()
    meant = _MEANT.get(capitals, capitals)
    hint = f" (did you mean {meant}?)" if is_region(meant) else ""
    raise ValueError(f"is no country's code by ISO 3166, such as GB{hint}")


Region = Annotated[str, AfterValidator(_region)]
"""ISO 3166: GB; or none."""
