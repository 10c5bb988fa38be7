"""[labels.NAME] with as little as it can have."""

from typing import Any

from gatewayd.config import Label

LABEL: dict[str, Any] = {
    "allow_from": ["127.0.0.0/8"],
    "authorization": ["secret"],
    "api_key": "key",
    "callback_hosts": ["*.smartico.ai"],
    "directory": "players",
}


def label(**changed: Any) -> Label:
    """A label, with these keys of the file besides, or in place of its own."""
    return Label.model_validate(LABEL | changed)
