"""SMSCs in many roles, each on a port of its own, and the gateway before them."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from outside import Outside, Smsc, Submit, until


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """One SMSC in many roles: each is a port of its own."""
    with Outside() as world:
        label = world.label
        label["sms_senders"] = ["*"]
        roles: dict[str, dict[str, Any]] = {
            "world": {"rate": "1000/s", "uncertain_wait": "1s"},
            "uk": {},
            "sar": {"long_messages": "sar"},
            "payload": {"long_messages": "payload"},
            "decimal": {"message_ids": "decimal"},
            "hex": {"message_ids": "hex"},
            "asis": {"message_ids": "as-is"},
            "paced": {"rate": "20/s"},
            "two": {"bind": "transmitter+receiver", "binds": 2},
            "vendor": {
                "receipt_states": {"BLOCKED": "rejected", "BUFFERED": "accepted"},
                "source_ton_npi": "6,2",
                "dest_ton_npi": "2,8",
            },
            "resend": {"on_uncertain": "resend", "uncertain_wait": "1s", "response_timeout": "2s"},
            "quick": {"enquire_link": "1s", "response_timeout": "2s"},
            "narrow": {"window": 3},
        }
        world.centres = {}  # type: ignore[attr-defined]
        world.settings["smscs"] = {}
        world.settings["labels"] = {}
        for name, extra in roles.items():
            centre = world.smsc if name == "world" else Smsc()
            if centre is not world.smsc:
                world.peers.append(centre)
            world.centres[name] = centre  # type: ignore[attr-defined]
            world.settings["smscs"][name] = {
                "host": "127.0.0.1",
                "port": centre.port,
                "system_id": "gw",
                "password": "smppsec",
                "rate": "1000/s",
                **extra,
            }
            world.settings["labels"][name] = label | {"sms_routes": [{"prefix": "", "via": [name]}]}
        world.settings["labels"]["amazing"] = label | {
            "sms_routes": [
                {"prefix": "+44", "via": ["uk", "world"]},
                {"prefix": "+44770090010", "via": ["world", "uk"]},
                {"prefix": "", "via": ["world"]},
            ],
        }
        world.settings["labels"]["english"] = label | {"sms_routes": [{"prefix": "+44", "via": ["uk"]}]}
        world.settings["labels"]["short"] = label | {"sms_deadline": "4s"}
        world.start()
        yield world


@pytest.fixture(autouse=True)
def plain(world: Outside) -> Iterator[None]:
    """Each begins with SMSCs that take everything and send receipts."""
    for centre in centres(world).values():
        centre.submitted = centre.deliver_at_once
        centre.prefix = "id"
        centre.new_id = type(centre).new_id.__get__(centre)
    return


def centres(world: Outside) -> dict[str, Smsc]:
    """The SMSCs by name."""
    found: dict[str, Smsc] = world.centres  # type: ignore[attr-defined]
    return found


def send(world: Outside, label: str = "world", **fields: Any) -> str:
    """Take an SMS; its id."""
    answer = world.post(f"/{label}/sms", world.sms_fields(**fields)).json
    assert answer["error_code"] == 0, answer
    return str(answer["ext_message_id"])


def marked() -> str:
    """A text of its own."""
    return f"text {uuid.uuid4().hex}"


def submits(world: Outside, text: str, centre: str = "world") -> list[Submit]:
    """What an SMSC has of a text."""
    return [submit for submit in list(centres(world)[centre].submits) if submit.text == text]


def first(world: Outside, text: str, centre: str = "world") -> Submit:
    """The first of it."""
    return until(lambda: submits(world, text, centre))[0]  # type: ignore[no-any-return]


def receipts(smsc: Smsc, *said: tuple[Submit, str]) -> None:
    """Send these receipts, and return once each is answered: what they say is stored then."""
    for submit, state in said:
        smsc.receipt(submit, state)
    until(smsc.all_answered)


def answered(smsc: Smsc, most: int = 1000) -> list[Submit]:
    """From now on this SMSC answers submits, the first `most` of them, and sends no receipts; those that came."""
    came: list[Submit] = []

    def answer(submit: Submit) -> None:
        came.append(submit)
        if len(came) <= most:
            smsc.ok(submit)

    smsc.submitted = answer
    return came


def receipted(smsc: Smsc, **said: Any) -> None:
    """From now on this SMSC answers each submit, and sends a receipt that says this."""

    def answer(submit: Submit) -> None:
        smsc.ok(submit)
        smsc.receipt(submit, **said)

    smsc.submitted = answer
