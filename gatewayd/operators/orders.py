"""What is asked of the admin listener, and by whom: bodies, forms and queries to typed values, or Wrong.

Does nothing of it.
"""

import re
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta, Struct

from gatewayd.core.half_pairs import is_utf_8
from gatewayd.core.ids import why_no_id
from gatewayd.core.model import Channel

LONGEST_LIFT = 7 * 86400
"""Seconds for which a guard may be lifted at once."""

MOST_DEAD_LETTERS = 100_000
"""What the daemon lists at once."""

Body = TypeVar("Body", bound=Struct)
Cursor = Annotated[str, Meta(pattern="^[0-9]{1,20}$")]
Moment = Annotated[float, Meta(ge=0, lt=253402300800)]
"""Seconds since the epoch, up to the year 9999."""
OPERATOR = "X-Operator"
"""The header that names who gives an order."""
MOST_OF_A_NAME = 64
ReplayCursor = Annotated[str, Meta(pattern="^[0-9]{1,20}(-[0-9]{1,15})?$")]


class Wrong(Exception):
    """The asker is told `message` with HTTP status `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class PlayerOrder(Struct, forbid_unknown_fields=True):
    """Body of suppress, unsuppress, erase and export. `cursor` goes on with the last two; no `channel` means all."""

    label: str
    ext_user_id: str
    channel: Channel | None = None
    cursor: Cursor = "0"


class Switch(Struct, forbid_unknown_fields=True):
    """Body of pause and resume."""

    label: str
    channel: Channel | None = None


class Lift(Struct, forbid_unknown_fields=True):
    """Body of guard: for how many seconds it is lifted; 0, and it stands again."""

    label: str
    seconds: Annotated[float, Meta(ge=0, le=LONGEST_LIFT)]


class Span(Struct, forbid_unknown_fields=True):
    """Body of replay: statuses heard in [since, until), seconds since the epoch; an empty label means all."""

    since: Moment
    until: Moment
    label: str = ""
    cursor: ReplayCursor = "0"


class Letter(Struct, forbid_unknown_fields=True):
    """Body of dead-letters/retry and drop."""

    id: str


def body(request: Any, kind: type[Body]) -> Body:
    """The request's JSON. Its content type is asked for because no form of a stranger's page can send it."""
    if not (request.header(b"content-type") or b"").startswith(b"application/json"):
        raise Wrong(415, "the body must be application/json")
    try:
        return msgspec.json.decode(request.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong(400, str(error) if is_utf_8(request.body) else "the body is not UTF-8") from None


def asked_by(request: Any) -> str:
    """Who gave an order: "operator NAME", as gatewayctl or a proxy with a log-in says it; else "an operator"."""
    name = (request.header(OPERATOR.lower().encode()) or b"").decode("ascii", "replace")
    return f"operator {one}" if (one := operator_name(name)) else "an operator"


def operator_name(text: str) -> str:
    """A user's name as it may stand in a log: no address, nothing that could pass for more than a name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text.strip())[:MOST_OF_A_NAME]


def check_id(user: str) -> None:
    """Raises Wrong for a player's id that no request can have. Of what is to be found or removed nothing is asked."""
    if fault := why_no_id(user):
        raise Wrong(400, f"ext_user_id {fault}: no message has such an id, and it would stop nobody")


def asked(request: Any, name: str, default: str = "") -> str:
    """One value of the query; the first where there are several."""
    values = (request.args or {}).get(name.encode())
    return values[0].decode("utf-8", "replace") if values else default


def channels(one: Channel | None) -> tuple[Channel, ...]:
    """The channels meant: one, or all where none is named."""
    return tuple(Channel) if one is None else (one,)


def form(request: Any) -> dict[str, str]:
    """The fields of a posted form; the first value where there are several."""
    return {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
