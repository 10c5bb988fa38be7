"""What is wrong between the keys of [providers.*], and between them and the rest of the file.

Of the file as it stands, the profiles filled in; one fault of several keys is named at the key that has to change.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gatewayd.config import pem
from gatewayd.config.as_written import table_of
from gatewayd.config.clear_text import ALLOW, beyond_loopback
from gatewayd.config.profiles import profiles
from gatewayd.config.providers import NUMBER, PLACE_HOLDER, PLACE_HOLDERS, REPORTING, TOKENS, leaves
from gatewayd.config.secret import ELSEWHERE

_SECRET = re.compile(r"file:/.*|credential:[^ ]+|env:[A-Za-z_]\w*", re.ASCII)
"""What is a secret where one may stand. In a field it would go to the vendor in these very words."""


def provider_contradictions(raw: Mapping[str, Any], providers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each fault: key path, colon, what is wrong."""
    smscs = table_of(raw.get("smscs"))
    for name, table in providers.items():
        at = f"providers.{name}"
        if name in smscs:
            yield f"{at}: there is an [smscs.{name}]: sms_routes could not tell them apart"
        profile = table.get("profile")
        if profile and isinstance(profile, str) and profile not in profiles():
            yield f"{at}.profile: is none of {', '.join(profiles())}"
        yield from _request(at, table, "public" in raw)
        yield from _way(at, table)
        reports = table_of(table.get("reports"))
        if reports.get("signature") and not reports.get("secret"):
            yield f"{at}.reports.secret: is required: without it no report can be proven"
        yield from _inbound(at, table, "public" in raw)
        yield from _by_ids(at, table, "public" in raw)


def _request(at: str, table: Mapping[str, Any], public: bool) -> Iterator[str]:
    """What the request is made of."""
    if table.get("method") == "GET" and table.get("body", "none") != "none":
        yield f'{at}.body: a GET has none: "none" puts the fields into the query'
    where: dict[str, str] = {}
    for path, text in _templates(at, table):
        if not isinstance(text, str):
            if isinstance(text, float) and not math.isfinite(text):
                yield f"{path}: is a number that JSON has not"
            elif not isinstance(text, bool | int | float):
                yield f"{path}: is neither a text, a number, true or false, nor a table or list of these"
            continue
        yield from _misspelt(path, text)
        if path.startswith((f"{at}.fields", f"{at}.unicode_fields")) and _SECRET.fullmatch(text):
            yield f"{path}: is no secret here, and would be sent as it stands: write {{password}}, and it in password"
        for word in PLACE_HOLDER.findall(text):
            where.setdefault(word, path)
    for word in sorted(REPORTING & where.keys()):
        if not public:
            yield f"{where[word]}: {{{word}}} needs [public]"
    comes_back = table_of(table.get("reports")).get("token")
    tokens = sorted(TOKENS & where.keys())
    if comes_back and not tokens:
        yield f"{at}.reports.token: nothing comes back there: no field has {{report_token}} or {{short_token}}"
    for word in tokens:
        if not comes_back:
            yield f"{where[word]}: {{{word}}} needs reports.token: where it comes back in a report"
    for key in ("username", "password"):
        if key in where and not table.get(key):
            yield f"{at}.{key}: is required: {where[key]} has {{{key}}}"
    for name in table_of(table.get("headers")):
        if name.lower() == "authorization" and table.get("authorization"):
            yield f"{at}.headers.{name}: stands in authorization, too: two of them would be sent"
    if table.get("username") and not table.get("password") and "password" not in where:
        yield f"{at}.password: is required with username"


def _misspelt(at: str, text: str) -> Iterator[str]:
    """Place-holders in a text that are none; players would get an unclosed one as it stands."""
    for word in PLACE_HOLDER.findall(text):
        if word not in PLACE_HOLDERS:
            yield f"{at}: {{{word}}} is unknown; one of {', '.join(sorted(PLACE_HOLDERS))}"
    if NUMBER.search(text) and not NUMBER.fullmatch(text):
        yield f"{at}: {{...:number}} is a field's whole value: beside other text it would be no number"
    if re.search("[{}]", PLACE_HOLDER.sub("", text)):
        is_header = ".headers." in at or at.endswith(".authorization")
        secret = "; a secret that has braces belongs into a file" if is_header else ""
        yield f"{at}: has a brace around no place-holder: these are written {{text}}, without blanks{secret}"


def _names(at: str, value: object) -> Iterator[tuple[str, str]]:
    """The names in nested tables, in which place-holders may stand, too, each with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{at}.{key}", str(key)
            yield from _names(f"{at}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _names(f"{at}[{index}]", inner)


def _templates(at: str, table: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The texts in which place-holders stand, and whatever else a field holds, each with its path."""
    if isinstance(url := table.get("url"), str):
        yield f"{at}.url", url
    for key in ("fields", "unicode_fields"):
        if isinstance(fields := table.get(key), Mapping):
            yield from _names(f"{at}.{key}", fields)
            yield from leaves(f"{at}.{key}", fields)
    sent = {f"{at}.authorization": table.get("authorization")}
    if isinstance(headers := table.get("headers"), Mapping):
        sent |= {f"{at}.headers.{name}": text for name, text in headers.items()}
    for path, text in sent.items():
        # What a secret elsewhere holds is nobody's template.
        if isinstance(text, str) and not text.startswith(ELSEWHERE):
            yield path, text


def _way(at: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Whether it may go there, and with which certificates."""
    url = table.get("url")
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        host, port = (parts.hostname or "", parts.port) if parts else ("", None)
    except ValueError:
        yield f"{at}.url: its host or port can't be read"
        return
    if parts is None or port == 0:
        return
    if parts.scheme == "http" and host and beyond_loopback(host) and table.get("clear_text", False) is False:
        yield f"{at}.url: goes in clear text to another machine ({ALLOW})"
    yield from pem.faults_of_https(at, table)


def _inbound(at: str, table: Mapping[str, Any], public: bool) -> Iterator[str]:
    """What players write back."""
    inbound = table_of(table.get("inbound"))
    if not inbound.get("secret"):
        return
    if not public:
        yield f"{at}.inbound.secret: needs [public], to which texts come"
    for key in ("number", "text"):
        if not inbound.get(key):
            yield f"{at}.inbound.{key}: is required with secret"


def _by_ids(at: str, table: Mapping[str, Any], public: bool) -> Iterator[str]:
    """Reports that name messages by the vendor's own ids, which its answers must have named."""
    reports, answer = table.get("reports"), table.get("answer")
    if not isinstance(reports, Mapping) or not reports.get("url_secret"):
        return
    if not public:
        yield f"{at}.reports.url_secret: needs [public], to which reports come"
    if not reports.get("id"):
        yield f"{at}.reports.id: is required with url_secret: nothing else says which message a report is about"
    if not isinstance(answer, Mapping) or not answer.get("ids"):
        yield f"{at}.answer.ids: is required with reports.url_secret: by them a report is known"
    if reports.get("token"):
        yield f"{at}.reports.token: stands beside url_secret: a report is known by the one or by the other"
