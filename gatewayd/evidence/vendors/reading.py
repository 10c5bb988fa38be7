"""What a report says, by the paths of [providers.NAME.reports]. Pure; nothing here raises, whatever came."""

from typing import Any

from msgspec import Struct

from gatewayd.config.providers import ProviderReports
from gatewayd.core import paths
from gatewayd.evidence.vendors.request import ReportRequest

MOST = 255
"""Facts in one report: it is about one message, which has no more segments."""

LONGEST = 200
"""Characters of an id, as of an answer's."""


class VendorSaid(Struct, frozen=True):
    """One fact: the vendor's `word`, of the part of the message that bears `remote_id` ("": of all of it)."""

    remote_id: str
    word: str


def read(table: ProviderReports, request: ReportRequest) -> tuple[VendorSaid, ...]:
    """The facts in a report, in its order; none where it has nothing at the status' path."""
    if not table.status:
        return ()
    for data in request.data():
        words = paths.texts(data, table.status)
        if words:
            ids = paths.texts(data, table.id) if table.id else {}
            said = (VendorSaid(_id_of(place, ids), word.strip()) for place, word in words.items())
            return tuple(dict.fromkeys(said))[:MOST]
    return ()


def _id_of(place: paths.Place, ids: dict[paths.Place, Any]) -> str:
    """The id that stands in the same element as a status, or around it."""
    for length in range(len(place), -1, -1):
        found = ids.get(place[:length])
        if found is not None:
            text = str(found).strip()
            return text if len(text) <= LONGEST else ""
    return ""
