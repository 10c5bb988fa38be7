"""What is wrong between the keys of a configuration file, each of which is right in itself.

Of the file as it stands, before it is made into types: a contradiction must be told beside what is wrong inside a key.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gatewayd.config import doors, pem
from gatewayd.config.as_written import items_of, table_of, tables_of
from gatewayd.config.clear_text import directory_faults
from gatewayd.config.data_coding import coding_contradictions
from gatewayd.config.esp import ESP_NAMES, ESP_NEEDS
from gatewayd.config.provider_contradictions import provider_contradictions
from gatewayd.config.wording import meant

_PARTS = ("labels", "relays", "smscs", "providers", "directories", "esp")
_NAMED = ("labels", "relays", "smscs", "providers", "directories")
"""Tables of tables that operators name: in a path, in Redis, in metrics, on the command line."""
_LABEL_NEEDS = (
    ("track_opens", "public"),
    ("one_click_unsubscribe", "public"),
    ("bounce_domain", "bounces"),
    ("complaint_address", "bounces"),
)


def contradictions(raw: Mapping[str, Any]) -> Iterator[str]:
    """A line for each fault: key path, colon, what is wrong."""
    tables = {part: tables_of(raw.get(part)) for part in _PARTS}
    for part in _NAMED:
        yield from _names(part, tables[part])
    for name, label in tables["labels"].items():
        yield from _label(name, label, tables, raw)
    for name, esp in tables["esp"].items():
        yield from _esp(name, esp, raw)
    yield from doors.open_doors(raw)
    yield from doors.guessable(tables["esp"])
    redis = table_of(raw.get("redis"))
    if isinstance(raw.get("redis"), Mapping):
        yield from _redis(redis)
    for name, relay in tables["relays"].items():
        if relay.get("username") and not relay.get("password"):
            yield f"relays.{name}.password: is required with username"
    for name, directory in tables["directories"].items():
        yield from directory_faults(f"directories.{name}", directory)
        if directory.get("type") == "http":
            yield from pem.faults_of_https(f"directories.{name}", directory)
    yield from _certificates("redis", redis)
    for name, smsc in tables["smscs"].items():
        yield from _smsc(f"smscs.{name}", smsc)
    for part in ("relays", "smscs"):
        for name, table in tables[part].items():
            yield from _certificates(f"{part}.{name}", table)
    yield from provider_contradictions(raw, tables["providers"])


def _names(part: str, tables: Iterable[str]) -> Iterator[str]:
    """Names that a path, a key in Redis or a line of the log could not be told apart by."""
    for name in tables:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            # Whatever it holds, this is one line, and TOML's own spelling.
            yield (
                f"{part}.{json.dumps(name)}: is no name for a table: 1 to 64 letters, digits, dots, dashes and"
                " underscores, the first a letter or digit"
            )


def _label(
    name: str, label: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]], raw: Mapping[str, Any]
) -> Iterator[str]:
    """What does not go together in a label, or with what it names."""
    at = f"labels.{name}"
    yield from _references(at, label, tables)
    yield from _same_prefixes(at, label)
    url = label.get("callback_url")
    if isinstance(url, str) and url.startswith("http://") and label.get("callback_http", False) is False:
        yield f"{at}.callback_url: is not https (callback_http = true would allow it)"
    for key, part in _LABEL_NEEDS:
        if label.get(key) and part not in raw:
            yield f"{at}.{key}: needs [{part}]"


def _esp(name: str, esp: Mapping[str, Any], raw: Mapping[str, Any]) -> Iterator[str]:
    """Whose events nobody could take, or prove."""
    if name not in ESP_NAMES:
        yield f"esp.{name}: unknown provider; one of {', '.join(ESP_NAMES)}"
    elif "public" not in raw:
        yield f"esp.{name}: needs [public]"
    needed = ESP_NEEDS.get(name)
    if needed and not esp.get(needed):
        yield f"esp.{name}.{needed}: is required: without it no event can be proven"


def _smsc(at: str, smsc: Mapping[str, Any]) -> Iterator[str]:
    """What does not go together in an SMSC's table."""
    if smsc.get("certificate_pins") and smsc.get("tls") is not True:
        yield f"{at}.certificate_pins: needs tls = true"
    if smsc.get("certificate_pins") and smsc.get("ca_file"):
        yield f"{at}.ca_file: is not looked at beside certificate_pins; give one of them"
    yield from coding_contradictions(at, smsc)


def _redis(table: Mapping[str, Any]) -> Iterator[str]:
    """What does not go together in [redis], which is reached by its endpoint or by the Sentinels' word."""
    yield from doors.clear_redis(table)
    sentinels, endpoint = table.get("sentinels"), str(table.get("endpoint") or "")
    if not endpoint and not sentinels:
        yield "redis.endpoint: is required (or sentinels, and the name of the master that they watch)"
    if sentinels and not table.get("master"):
        yield "redis.master: is required with sentinels"
    for key in ("master", "sentinel_username", "sentinel_password"):
        if table.get(key) and not sentinels:
            yield f"redis.{key}: needs sentinels"
    if table.get("sentinel_username") and not table.get("sentinel_password"):
        yield "redis.sentinel_password: is required with sentinel_username"
    if table.get("tls") is True and endpoint.startswith("unix:") and not sentinels:
        yield "redis.tls: a unix: endpoint has none"
    if table.get("tls") is not True and not (endpoint.startswith("tls:") and not sentinels):
        for key in ("ca_file", "certificate"):
            if table.get(key):
                yield f"redis.{key}: needs a tls: endpoint, or tls = true"
                break


def _certificates(at: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A neighbour's certificate files that can't be used."""
    for key, fault in pem.faults(table):
        yield f"{at}.{key}: {fault}"


def _references(at: str, label: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A label's names of tables that are not there."""
    directory = label.get("directory")
    if isinstance(directory, str) and directory and directory not in tables["directories"]:
        yield f"{at}.directory: there is no [directories.{directory}]{meant(directory, tables['directories'])}"
    for index, relay in enumerate(items_of(label.get("relays"))):
        if isinstance(relay, str) and relay and relay not in tables["relays"]:
            yield f"{at}.relays[{index}]: there is no [relays.{relay}]{meant(relay, tables['relays'])}"
    for index, route in enumerate(items_of(label.get("sms_routes"))):
        for position, name in enumerate(items_of(table_of(route).get("via"))):
            if isinstance(name, str) and name and name not in tables["smscs"]:
                yield from _no_provider(f"{at}.sms_routes[{index}].via[{position}]", name, "sms", tables)
    for index, name in enumerate(items_of(label.get("im_via"))):
        if isinstance(name, str) and name:
            yield from _no_provider(f"{at}.im_via[{index}]", name, "im", tables)


def _same_prefixes(at: str, label: Mapping[str, Any]) -> Iterator[str]:
    """Routes that no number would ever take."""
    seen: dict[str, int] = {}
    for index, route in enumerate(items_of(label.get("sms_routes"))):
        prefix = table_of(route).get("prefix")
        if isinstance(prefix, str) and (first := seen.setdefault(prefix, index)) != index:
            yield f'{at}.sms_routes[{index}].prefix: sms_routes[{first}] has "{prefix}", too, and takes all its numbers'


def _no_provider(at: str, name: str, carries: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Why a provider can't stand where it is named."""
    if name not in tables["providers"]:
        kinds = f"[smscs.{name}], and no [providers.{name}]" if carries == "sms" else f"[providers.{name}]"
        yield f"{at}: there is no {kinds}"
    elif (other := tables["providers"][name].get("carries", "sms")) != carries:
        yield f'{at}: [providers.{name}] has carries = "{other}", and not "{carries}"'
