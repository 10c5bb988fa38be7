"""What the tests of a daemon's life ask of a world: its admin listener, and whether another label goes on."""

import uuid
from typing import Any

from outside import Outside, Reply


def admin(world: Outside, path: str) -> Reply:
    """GET from the admin listener."""
    return world.http("GET", path, port=world.admin)


def others_go_on(world: Outside) -> None:
    """An SMS and an email of the other label are refused once and go out then: every queue was looked at meanwhile."""
    sms = world.post("/other/sms", world.sms_fields(body=uuid.uuid4().hex)).json["ext_message_id"]
    refused: list[Any] = []

    def later(submit: Any) -> None:
        refused.append(submit)
        world.smsc.ok(submit, 0x58)
        world.smsc.submitted = world.smsc.deliver_at_once

    def busy(address: str) -> str:
        refused.append(address)
        world.relay.mail = lambda _: ""
        return "451 4.3.0 later"

    world.until_heard(sms, "accepted", "delivered")
    world.smsc.submitted, world.relay.mail = later, busy
    sms, email = (
        world.post(f"/other/{kind}", fields).json["ext_message_id"]
        for kind, fields in (("sms", world.sms_fields()), ("email", world.email_fields()))
    )
    world.until_heard(sms, "accepted", "delivered")
    world.until_heard(email, "accepted")
    assert len(refused) == 2
