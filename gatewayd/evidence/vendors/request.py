"""One report as it came, and the forms in which its fields may stand: JSON, a posted form, the query. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from gatewayd.core import half_pairs, paths
from gatewayd.evidence.esp import form

MOST_FIELDS = 200


class ReportRequest(Struct, frozen=True):
    """A GET or POST to a report's URL. Header names are lower case; `body` is byte for byte what was signed.

    `url` is what the vendor was told to ask, without query; `now` is seconds since the epoch.
    """

    method: str
    url: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    now: float

    @property
    def is_form(self) -> bool:
        """Whether its body says that it is a form."""
        return form.is_form(self.headers.get("content-type", ""))

    @property
    def is_compressed(self) -> bool:
        """Whether its body is in a coding that is not read here."""
        return form.is_compressed(self.headers, self.body)

    def form(self) -> list[tuple[str, str]]:
        """The fields of its body in their order; none where it is no form."""
        return form.pairs(self.headers.get("content-type", ""), self.body) if self.is_form else []

    def query_fields(self) -> list[tuple[str, str]]:
        """The fields of its query in their order."""
        try:
            return parse_qsl(self.query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            return []

    def data(self) -> list[Any]:
        """What it may be read as, likeliest first: the body's JSON or else its fields, then the query's.

        A body that is a JSON object or array is read as one, whatever its type says: many name a form, another or none.
        """
        return [*(_json(self.body) or [_table(self._fields())]), _table(self.query_fields())]

    def _fields(self) -> list[tuple[str, str]]:
        return self.form() if self.is_form else form.pairs("", self.body)

    def __repr__(self) -> str:
        return f"<ReportRequest {self.method}>"


def _table(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields by name; the last of a name counts."""
    return dict(pairs)


def _json(body: bytes) -> list[Any]:
    """Its JSON, where that is an object or an array, or a text that is one."""
    try:
        data = half_pairs.decoded_anyway(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    if isinstance(data, str):
        data = paths.within(data)
    return [data] if isinstance(data, dict | list) else []
