"""The gateway that CONTRACT.md's promises of the intake are held against, and what an answer says."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from outside import Outside


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """One daemon for all of these: labels with and without this and that."""
    with Outside() as world:
        label = world.label
        world.settings["labels"] = {
            "amazing": label,
            "Other.Brand_2": label | {"authorization": ["first", "second"], "api_key": "other", "max_segments": 2},
            "elsewhere": label | {"allow_from": ["203.0.113.0/24", "2001:db8::/32"]},
            "open": label | {"sms_authorization": False},
            "silent": {
                key: value for key, value in label.items() if key not in ("relays", "sms_routes", "callback_url")
            },
            "uncalled": {key: value for key, value in label.items() if key != "callback_url"},
            "preview": label | {"preview_domains": ["amazing.co"]},
            # Of its own, because a label's previews go slowly.
            "previewed": label | {"preview_domains": ["amazing.co"]},
            "strict": label
            | {
                "callback_hosts": ["*.smartico.ai", "exact.example"],
                "callback_http": False,
                "callback_url": "https://api.smartico.ai/cb",
            },
            "nosender": label | {"sms_sender": ""},
        }
        world.settings["api"]["max_body"] = 100_000
        world.start()
        yield world


def code(answer: dict[str, Any]) -> int:
    """The error code of an answer that has the contract's shape."""
    if answer["error_code"] == 0:
        assert set(answer) == {"error_code", "ext_message_id"}
        uuid.UUID(answer["ext_message_id"])
    else:
        assert set(answer) == {"error_code", "error_message"}
        assert answer["error_message"]
    return int(answer["error_code"])


def refused(answer: dict[str, Any], number: int, *names: str) -> None:
    """It is refused with this code, and the message names each of these."""
    assert code(answer) == number, answer
    for name in names:
        assert name in answer["error_message"], answer
