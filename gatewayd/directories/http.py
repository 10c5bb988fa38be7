"""Players behind an operator's HTTP service: one GET for each look-up, JSON back.

Owns what of an answer means "not known", and what is trouble. Must not know what a column means.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from twisted.internet import error as net
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.core import half_pairs
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.core.redact import redact
from gatewayd.directories.remembered import TookTooLong
from gatewayd.directories.rows import COLUMNS, FLAGS, recipient_of, unread_flags
from gatewayd.http_client import origin
from gatewayd.http_client.answers import AnswerReader, TooLarge
from gatewayd.http_client.keepalive import Stale, TooLate
from gatewayd.http_client.requests import host_header, request, target

KEPT = 16
"""Connections that are kept unused at the most: a crowd may ask at a time."""

_ID, _LABEL = "{ext_user_id}", "{label}"
"""What stands for player and label in a URL."""

_OVERLONG = re.compile(r"%(?:c0|e0%80|f0%80%80)%(?:ae|af)", re.IGNORECASE)
"""A dot or a slash in more octets than UTF-8 has for it: some decoders read it all the same."""

NOT_KNOWN = frozenset({204, 404, 410})
"""Statuses that always mean: there is no such player."""


def check_url(url: str) -> None:
    """Raises ValueError, naming the key, for a URL without {ext_user_id}, or with place-holders in its host."""
    host, slash, _ = url.partition("://")[2].partition("/")
    if "{" in host or not slash:
        raise ValueError("url: place-holders belong into the path or the query")
    if _ID not in url:
        raise ValueError(f"url: has no {_ID}")
    rest = url.replace(_ID, "").replace(_LABEL, "")
    if "{" in rest or "}" in rest:
        raise ValueError(f"url: the place-holders are {_ID} and {_LABEL}")


@implementer(IRecipientDirectory)
class HttpRecipientDirectory:
    """`url` holds {ext_user_id} and may hold {label}, percent-encoded into path or query; redirects are not followed.

    `headers()` gives the headers of a request, and `headers(again=True)` the same with secrets as their files have them
    now. `fields` says where in the answer a column is, if not at the top under its own name; `not_found` are further
    statuses that mean: not known. Raises ValueError for a URL without {ext_user_id}, or with place-holders in its host.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        url: str,
        headers: Callable[..., Mapping[str, str]] = lambda again=False: {},
        *,
        fields: Mapping[str, str] | None = None,
        not_found: Collection[int] = (),
        timeout: float = 5.0,
        ca_file: str = "",
        certificate: str = "",
        private_key: str = "",
    ) -> None:
        check_url(url)
        self._host = urlsplit(url).netloc
        self._path = url.partition("://")[2].removeprefix(self._host)
        self._id_is_in_path = _ID in self._path.partition("?")[0]
        self._headers = headers
        self._paths = {name: tuple(path.split(".")) for name, path in (fields or {}).items()}
        # Those by which a player is kept from messages, and what leads to them.
        self._flags = {*FLAGS, *chain.from_iterable(self._paths.get(name, ()) for name in FLAGS)}
        self._not_known = NOT_KNOWN | frozenset(not_found)
        self._told_unread = False
        self._clock = reactor
        self._timeout = timeout
        self._host_header = host_header(self._host)
        self._origin = origin.origin_of(
            reactor,
            url,
            timeout=timeout,
            ca_file=ca_file,
            certificate=certificate,
            private_key=private_key,
        )

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player that the service tells of, always asked anew. Raises TemporaryFailure."""
        if self._id_is_in_path and _leaves_its_segment(ext_user_id):
            return None
        path = self._path.replace(_ID, quote(ext_user_id, safe="")).replace(_LABEL, quote(label, safe=""))
        status, body = await self._get(path, again=False)
        if status == 401:
            # The secret was rotated, and nobody has reloaded us.
            status, body = await self._get(path, again=True)
        if status in self._not_known:
            return None
        if status != 200:
            hint = ": check authorization and headers" if status in (401, 403) else ""
            raise TemporaryFailure(f"the directory at {self._host} answered with status {status}{hint}")
        row = _player_in(body, self._host, self._flags)
        if row is None:
            return None
        if row and not self._tells_of_a_player(row):
            # Such as {"error": "busy"}, or a player one level further down: nobody would be reached, for good.
            raise TemporaryFailure(f"the answer of the directory at {self._host} has none of the columns' names")
        if not self._told_unread:
            self._tell_unread(row)
        return recipient_of(self._columns(row))

    def _tell_unread(self, row: Mapping[str, Any]) -> None:
        """Once: who must not be written to may be told where nobody looks, and gets messages."""
        read = {path[0] for path in self._paths.values()}
        for name in unread_flags(name for name in row if name not in read):
            self._told_unread = True
            self.log.warn(
                "the directory at {host} tells of {name}, which nobody is kept from messages by: fields of"
                " [directories.*] names where {flags} are",
                host=self._host,
                name=redact(name, 60),
                flags=", ".join(FLAGS),
            )
        for name, path in self._paths.items():
            if name in FLAGS and _at(row, path) is None:
                self._told_unread = True
                self.log.warn(
                    "the directory at {host} has nothing at {path} for a player, which counts as no {name}",
                    host=self._host,
                    path=".".join(path),
                    name=name,
                )

    async def _get(self, path: str, *, again: bool) -> tuple[int, bytes]:
        headers = (("Accept", "application/json"), *self._headers(again=again).items())
        octets = request("GET", target(path), self._host_header, headers, has_body=False)
        try:
            answer = await self._ask(octets, self._clock.seconds() + self._timeout)
        except CancelledError:
            raise
        except (TooLate, net.TimeoutError, DeferredTimeoutError):
            raise TookTooLong(f"the directory at {self._host} did not answer in time") from None
        except TooLarge:
            raise TemporaryFailure(f"the answer of the directory at {self._host} is too long") from None
        except Exception as error:
            why = origin.reason(error, "host", has_keys=True) or type(error).__name__
            raise TemporaryFailure(f"the directory at {self._host} can't be asked: {why}") from None
        if len(self._origin.idle) > KEPT:
            self._origin.idle[0].abandon()
        return answer.status, answer.body

    async def _ask(self, octets: bytes, until: float) -> AnswerReader:
        while True:
            connection = await self._origin.connection()
            try:
                return await connection.ask(octets, until)
            except Stale:
                # A look-up may be asked again; of a new connection nobody can say that it is stale.
                continue

    def _tells_of_a_player(self, row: Mapping[str, Any]) -> bool:
        """Whether a column's name is in it, or the way to one: who has no address is known by others."""
        return any(name.lower() in COLUMNS for name in row) or any(path[0] in row for path in self._paths.values())

    def _columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = {name.lower(): value for name, value in row.items() if name.lower() in COLUMNS}
        for name, path in self._paths.items():
            found.pop(name, None)
            value = _at(row, path)
            if value is not None:
                found[name] = value
        return found

    async def close(self) -> None:
        """Close the kept connections; one that waits for an answer closes behind it."""
        for closing in self._origin.let_go():
            await closing


def _leaves_its_segment(ext_user_id: str) -> bool:
    """Whether an id could mean another path to some server: one with slashes or dot segments (RFC 3986 6.2.2.3).

    Percent-encoding does not help where a proxy decodes it before it looks; some decode what is no UTF-8, take off what
    stands behind a semicolon, or fold signs that look like others.
    """
    text = ext_user_id
    for _ in range(3):
        text = unicodedata.normalize("NFKC", text)
        if "/" in text or "\\" in text or text.partition(";")[0] in (".", "..") or _OVERLONG.search(text):
            return True
        text = unquote(text)
    return False


def _player_in(body: bytes, host: str, flags: Collection[str]) -> Mapping[str, Any] | None:
    """The one player that an answer tells of: an object, or a list of one. Nothing, null and other lists tell of none.

    Raises TemporaryFailure for what is no such JSON, and where it has one of `flags` twice: whichever counts, the other
    may say that nobody may write to this player.
    """
    if not body.strip():
        return None
    try:
        found, twice = half_pairs.decoded(body), _twice_in(body, flags)
    except (ValueError, RecursionError):
        raise TemporaryFailure(f"the answer of the directory at {host} is not JSON") from None
    if twice:
        raise TemporaryFailure(f"the answer of the directory at {host} has {twice} twice")
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    if found is not None and not isinstance(found, dict):
        raise TemporaryFailure(f"the answer of the directory at {host} is not a JSON object")
    return found


def _twice_in(body: bytes, names: Collection[str]) -> str:
    """One of these names that some object in an answer has twice, a flag's in any letter case; "" for none."""
    small = body.lower()
    if not any(small.count(f'"{name}"'.lower().encode()) > 1 for name in names):
        return ""
    twice: list[str] = []

    def look(members: list[tuple[str, Any]]) -> None:
        known = [name.lower() if name.lower() in FLAGS else name for name, _ in members]
        twice.extend(name for name, times in Counter(known).items() if times > 1 and name in names)

    json.loads(body, object_pairs_hook=look)
    return next(iter(twice), "")


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """What stands at `path`, of which a number may be a place in a list; None where there is nothing."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and len(part) < 6 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
