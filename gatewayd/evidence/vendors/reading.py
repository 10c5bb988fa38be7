"""What a report says, by the paths of [providers.NAME.reports], and what a player wrote, by those of .inbound.

Pure; nothing here raises, whatever came.
"""

from typing import Any

from msgspec import Struct

from gatewayd.config.providers import ProviderInbound, ProviderReports
from gatewayd.core import paths
from gatewayd.evidence.vendors.request import ReportRequest

MOST = 255
"""Facts in a report that is about one message, which has no more segments."""

LONGEST = 200
"""Characters of an id, as of an answer's."""


class VendorSaid(Struct, frozen=True):
    """One fact: the vendor's `word`, of the part of the message that bears `remote_id` ("": of all of it).

    `token` is what stood where our signed token belongs: unchecked, empty where none is looked for. `reason` is why, in
    the vendor's own words: it may say anything.
    """

    remote_id: str
    word: str
    token: str = ""
    reason: str = ""


class VendorText(Struct, frozen=True):
    """A text that a player sent. Printing it shows neither number nor text."""

    number: str
    text: str

    def __repr__(self) -> str:
        return "<VendorText>"


def read_texts(table: ProviderInbound, request: ReportRequest) -> tuple[VendorText, ...]:
    """The texts in a post, in its order; none where it has nothing at the text's path."""
    for data in request.data():
        texts = paths.texts(data, table.text)
        if texts:
            numbers = paths.texts(data, table.number)
            return tuple(VendorText(_beside(place, numbers), text) for place, text in texts.items())[:MOST]
    return ()


def read(table: ProviderReports, request: ReportRequest) -> tuple[VendorSaid, ...]:
    """The facts in a report, in its order; none where it has nothing at the status' path."""
    if not table.status:
        return ()
    for data in request.data():
        words = paths.texts(data, table.status)
        if words:
            ids, tokens, reasons = (
                paths.texts(data, path) if path else {} for path in (table.id, table.token, table.reason)
            )
            said = (
                VendorSaid(_beside(place, ids), word.strip(), _beside(place, tokens), _beside(place, reasons))
                for place, word in words.items()
            )
            # By their tokens or ids they may be about as many messages as there are.
            return tuple(dict.fromkeys(said))[: paths.MOST if table.token or table.url_secret else MOST]
    return ()


def _beside(place: paths.Place, found_at: dict[paths.Place, Any]) -> str:
    """What stands in the same element as a status, or around it."""
    for length in range(len(place), -1, -1):
        found = found_at.get(place[:length])
        if found is not None:
            text = str(found).strip()
            return text if len(text) <= LONGEST else ""
    return ""
