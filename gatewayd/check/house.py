"""What the file itself says that an operator would want to hear: nothing is connected to.

A label without a way out or in test mode, or whose quiet hours are longer than its deadline, a way that nobody
uses, clear text where carriers leave a choice, a secret that others on this host can read, a DKIM key that many
receivers can't use, a certificate of ours that ends soon.
"""

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatewayd import config
from gatewayd.check.finding import FAIL, WARN, Finding
from gatewayd.config import small_file
from gatewayd.config.clear_text import beyond_loopback
from gatewayd.config.endpoint_words import words
from gatewayd.config.pem import certificates, signing_key
from gatewayd.config.secret import read_secret
from gatewayd.core.durations import spoken
from gatewayd.core.validity import ending, has_ended

_SECRET_KEYS = re.compile(r"(^|_)(secret|password|secret_key|api_key|authorization|signing_key|private_key)$")

_PEM_KEYS = ("ca_file", "certificate", "private_key")
"""Which have a file's path as it is."""


def look(config_: config.Config, now: float) -> list[Finding]:
    """What the tables say together, `now` in seconds since the epoch."""
    return [
        *_without_a_way(config_),
        *_in_test_mode(config_),
        *_quiet_for_too_long(config_),
        *_unused(config_),
        *_half_an_esp(config_),
        *_half_a_report(config_),
        *_never_reached(config_),
        *_clear(config_),
        *_keys(config_),
        *_certificates(config_, now),
    ]


def _without_a_way(config_: config.Config) -> Iterator[Finding]:
    for name, label in config_.labels.items():
        if not (label.relays or label.sms_routes or label.im_via):
            yield Finding(WARN, f"label {name}", "has no way out: no relays, sms_routes or im_via; it takes no message")


def _in_test_mode(config_: config.Config) -> Iterator[Finding]:
    for name, label in config_.labels.items():
        if label.only_users is not None:
            whom = f"{len(label.only_users)} of its players" if label.only_users else "nobody"
            text = f"is in test mode (only_users): it sends to {whom}, and reports all others as delivered"
            yield Finding(WARN, f"label {name}", text)


def _quiet_for_too_long(config_: config.Config) -> Iterator[Finding]:
    """Of what waits for their end nothing is left by then."""
    for name, label in config_.labels.items():
        hours = label.quiet_hours
        ways = (
            ("email_deadline", label.relays, label.email_deadline),
            ("sms_deadline", label.sms_routes, label.sms_deadline),
            ("im_deadline", label.im_via, label.im_deadline),
        )
        short = [key for key, out, deadline in ways if hours and out and deadline <= hours.seconds]
        if hours and short:
            text = f"quiet_hours last {spoken(hours.seconds)}, and {' and '.join(short)} less: what waits in them fails"
            yield Finding(WARN, f"label {name}", text)


def _unused(config_: config.Config) -> Iterator[Finding]:
    labels = config_.labels.values()
    relays = {name for label in labels for name in label.relays}
    by_sms = {name for label in labels for route in label.sms_routes for name in route.via}
    by_im = {name for label in labels for name in label.im_via}
    tables = (
        ("relay", config_.relays, relays, "relays"),
        ("smsc", config_.smscs, by_sms, "sms_routes"),
        ("provider", config_.providers, by_sms | by_im, "sms_routes or im_via"),
        ("directory", config_.directories, {label.directory for label in labels}, "directory"),
    )
    for kind, names, used, key in tables:
        for name in names:
            if name not in used:
                yield Finding(WARN, f"{kind} {name}", f"is used by no label: {key} names it nowhere")


def _half_an_esp(config_: config.Config) -> Iterator[Finding]:
    """An ESP's events need both: a relay that puts our token into its mails, and a table by which they are believed."""
    tagged = {relay.provider for relay in config_.relays.values()}
    for name, relay in config_.relays.items():
        if relay.provider and relay.provider not in config_.esp:
            text = f"there is no [esp.{relay.provider}]: what becomes of its mails stays unknown, complaints too"
            yield Finding(WARN, f"relay {name}", text)
    for provider in config_.esp:
        if provider not in tagged:
            text = f'no relay has provider = "{provider}": without our token in the mails most events match none'
            yield Finding(WARN, f"esp {provider}", text)


def _half_a_report(config_: config.Config) -> Iterator[Finding]:
    """A vendor's report needs all three: whereto it goes, where the status stands in it, what its words mean."""
    for name, provider in config_.providers.items():
        parts = {
            "{report_url} in its fields": provider.tells_later,
            "reports.status": provider.reports.status,
            "reports.states": provider.reports.states,
        }
        missing = [part for part, there in parts.items() if not there]
        if 0 < len(missing) < len(parts):
            text = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            yield Finding(WARN, f"provider {name}", f"what becomes of its messages stays unknown: {text}")


def _never_reached(config_: config.Config) -> Iterator[Finding]:
    """A refusal inside a 200 of a vendor whose every 200 is a yes: each such message would be lost as accepted."""
    for name, provider in config_.providers.items():
        answer = provider.answer
        yes = [match for match in answer.taken if not match.path and not match.values]
        for key, matches in (("rejected", answer.rejected), ("throttled", answer.throttled)):
            for index, match in enumerate(matches):
                if match.status and any(wide.has_status(match.status) for wide in yes):
                    text = "never fits: taken fits all such answers by their status alone"
                    yield Finding(WARN, f"providers.{name}.answer.{key}[{index}]", text)


def _clear(config_: config.Config) -> Iterator[Finding]:
    for name, relay in config_.relays.items():
        if relay.tls == "none" and beyond_loopback(relay.host):
            yield Finding(WARN, f"relay {name}", "mail goes to another machine in clear text: starttls, if offered")
        if relay.tls == "none" and (relay.ca_file or relay.certificate):
            text = 'names certificates, and goes in clear text: tls = "starttls" or "implicit" is missing'
            yield Finding(WARN, f"relays.{name}.tls", text)
    for name, smsc in config_.smscs.items():
        if not smsc.tls and beyond_loopback(smsc.host):
            text = "password and texts go to another machine in clear text: tls = true, a tunnel or a private line"
            yield Finding(WARN, f"smsc {name}", text)
        if not smsc.tls and (smsc.ca_file or smsc.certificate):
            yield Finding(
                WARN, f"smscs.{name}.tls", "names certificates, and goes in clear text: tls = true is missing"
            )


def _keys(config_: config.Config) -> Iterator[Finding]:
    for name, label in config_.labels.items():
        keys = [signing_key(key.private_key.reveal()) for key in label.dkim_keys]
        if keys and all(isinstance(key, Ed25519PrivateKey) for key in keys):
            text = "every DKIM key is ed25519, which Gmail and Microsoft do not verify: an rsa key beside it"
            yield Finding(WARN, f"label {name}", text)


def _certificates(config_: config.Config, now: float) -> Iterator[Finding]:
    """Of our own listeners, and those that we show to others: one that has ended, or will soon."""
    for table, endpoints in config_.listens.items():
        for index, endpoint in enumerate(endpoints):
            said = words(endpoint)
            if said.kind == "ssl":
                yield from _dates(
                    f"{table}.listen[{index}]", said.named.get("certKey") or said.named["privateKey"], now
                )
    if config_.redis.certificate:
        yield from _dates("redis.certificate", config_.redis.certificate, now)
    for kind in ("relays", "smscs", "providers", "directories"):
        for name, own in getattr(config_, kind).items():
            if own_file := getattr(own, "certificate", ""):
                yield from _dates(f"{kind}.{name}.certificate", own_file, now)


def _dates(at: str, path: str, now: float) -> Iterator[Finding]:
    try:
        first = certificates(path)[0]
    except (OSError, ValueError):
        # It was read a moment ago; whoever replaces it just now will see.
        return
    if why := ending(first, now):
        yield Finding(FAIL if has_ended(first, now) else WARN, at, f"the certificate in {path} {why}")


def secrets(path: Path) -> list[Finding]:
    """Secrets that other users of this host can read, in the file itself or in one that it names; and files with more
    in them than a secret, of which only the last line break is dropped.
    """
    try:
        raw = tomllib.loads(small_file.text(path))
        open_file = bool(path.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError, RecursionError):
        return []
    found = []
    for at, text in _texts(raw, ""):
        kind, _, rest = text.partition(":")
        if kind == "file" and not Path(rest).is_absolute():
            found.append(Finding(WARN, at, f"{rest} is read from wherever the daemon is started: write the whole path"))
        if kind == "file" and _has_strays(_key(at), Path(rest)):
            more = "blanks, line breaks or a byte order mark, which count as part of the secret"
            found.append(Finding(WARN, at, f"{rest} has more than one plain line: {more}"))
        named = rest if kind == "file" else text if _key(at) in _PEM_KEYS and text.startswith("/") else ""
        if named and (group := _kept_out(Path(named))):
            why = f"the group {group}, to which its directory is open, can't read {named}"
            found.append(Finding(WARN, at, f"{why} (chgrp {group} {named}; chmod g+r {named})"))
        is_secret = kind == "file" or _SECRET_KEYS.search(_key(at))
        if named and is_secret and _others_read(Path(named)):
            found.append(Finding(WARN, at, f"every user of this host can read {named} (chmod o= {named})"))
        elif open_file and text and is_secret and not named and kind not in ("credential", "env"):
            found.append(
                Finding(WARN, at, f"stands in {path}, which every user of this host can read (chmod o= {path})")
            )
    return found


def _has_strays(key: str, path: Path) -> bool:
    """Whether more than one plain line is in a file; not of keys, which may have many."""
    try:
        text = read_secret(f"file:{path}", {}).reveal()
    except ValueError:
        return False
    return not (key.endswith("_key") and key != "api_key") and (text != text.strip() or not text.isprintable())


def _others_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH and path.parent.stat().st_mode & stat.S_IXOTH)
    except OSError:
        return False


def _kept_out(path: Path) -> str:
    """The group that may enter the file's directory and not read the file, or nothing."""
    try:
        directory, file = path.parent.stat(), path.stat()
        ours = keeps_out(
            (directory.st_mode, directory.st_uid, directory.st_gid), (file.st_mode, file.st_uid, file.st_gid)
        )
        return path.parent.group() if ours else ""
    except (OSError, KeyError):
        return ""


def keeps_out(directory: tuple[int, int, int], file: tuple[int, int, int]) -> bool:
    """Whether a file of root's can't be read by whom its directory was made for; of each: mode, owner and group."""
    (entry, _, group), (mode, owner, of_file) = directory, file
    for_a_group = group != 0 and entry & stat.S_IXGRP and not entry & stat.S_IXOTH
    by_group = of_file == group and mode & stat.S_IRGRP
    return bool(for_a_group) and owner == 0 and not by_group and not mode & stat.S_IROTH


def _key(at: str) -> str:
    return re.sub(r"\[\d+\]$", "", at).rpartition(".")[2]


def _texts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """Every text in a table, with its key path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{at}[{index}]")
    elif isinstance(value, str):
        yield at, value
