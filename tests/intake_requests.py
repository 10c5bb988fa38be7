"""Requests in small, and what became of them."""

import json
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from fakes import FakeStore
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Email, Message, Sms
from gatewayd.intake.request_json import read_request
from gatewayd.intake.rules import SendRequest
from intake_world import EMAIL, SMS, Intake

MAIL = read_request(Channel.EMAIL, json.dumps(EMAIL).encode())
TEXT = read_request(Channel.SMS, json.dumps(SMS).encode())


def mail(**changes: Any) -> SendRequest:
    """MAIL with other fields, by the protocol's names."""
    content = {name: changes.pop(name) for name in list(changes) if name in Email.__struct_fields__}
    return replace(MAIL, content=replace(MAIL.content, **content), **changes)


def text(**changes: Any) -> SendRequest:
    """TEXT with other fields."""
    content = {name: changes.pop(name) for name in list(changes) if name in Sms.__struct_fields__}
    return replace(TEXT, content=replace(TEXT.content, **content), **changes)


async def code(intake: Intake, request: SendRequest, name: str = "amazing", came_at: float | None = None) -> ErrorCode:
    """What `request` is answered with; what a refusal says must repeat nothing of the request."""
    try:
        await intake.acceptor.accept(name, request, came_at)
    except Refused as caught:
        refused = caught
    else:
        return ErrorCode.TAKEN
    for told in (request.content.body, "evil", "@", "\n"):
        assert not told or told not in refused.message
    return refused.code


def stored(intake: Intake) -> Message:
    """The one message in the store."""
    (row,) = intake.store.db.rows.values()
    assert row.message is not None
    message: Message = row.message
    return message


PREVIEW: dict[str, Any] = {"activity_type": "preview", "to_email_address": "tester@office.example"}


class SilentStore(FakeStore):
    """A store that answers when it is told to."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.gate: Deferred[None] = Deferred()

    async def accept(self, *args: Any, **more: Any) -> tuple[Acceptance, str]:
        """As the fake's; the answer comes once the gate opens."""
        outcome = await super().accept(*args, **more)
        await self.gate
        return outcome


def silent() -> Intake:
    """An intake whose store is silent."""
    return Intake(SilentStore)
