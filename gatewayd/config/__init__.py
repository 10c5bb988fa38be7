"""gatewayd.toml to a frozen, typed tree, or every error in it at once, each with its full key path.

Owns the names, defaults and checks of CONTRACT.md's keys. Reads the file and the secrets it points to; connects to
nothing. Nobody but a reload keeps the root `Config`: each part is given the few values that it needs.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from gatewayd.config import doors, pem, small_file
from gatewayd.config.as_written import items_of, table_of, tables_of
from gatewayd.config.contradictions import contradictions
from gatewayd.config.data_coding import following
from gatewayd.config.endpoint_words import collide
from gatewayd.config.labels import Dkim, Label, SmsRoute
from gatewayd.config.players import (
    DIRECTORIES,
    Directory,
    HttpDirectory,
    Opening,
    PluginDirectory,
    SqlDirectory,
    directory_of,
    opening,
)
from gatewayd.config.process import Admin, Api, Bounces, Esp, Gatewayd, Public, Redis
from gatewayd.config.profiles import filled, profiles
from gatewayd.config.providers import Provider, ProviderAnswer, ProviderMatch, ProviderReports
from gatewayd.config.secret import Secret, read_secret
from gatewayd.config.table import Table
from gatewayd.config.values import is_region
from gatewayd.config.ways import DataCodings, Domains, Relay, Smsc
from gatewayd.config.wording import encoding_error, fault, toml_error, without_follow_ups

__all__ = [
    "Admin",
    "Api",
    "Bounces",
    "Config",
    "ConfigError",
    "DataCodings",
    "Directory",
    "Dkim",
    "Domains",
    "Esp",
    "Gatewayd",
    "HttpDirectory",
    "Label",
    "PluginDirectory",
    "Provider",
    "ProviderAnswer",
    "ProviderMatch",
    "ProviderReports",
    "Public",
    "Redis",
    "Relay",
    "Secret",
    "SmsRoute",
    "Smsc",
    "SqlDirectory",
    "load",
    "parse",
]


class ConfigError(Exception):
    """The file does not make a configuration. `errors` has a line for each fault: key path, colon, what is wrong.

    `directories` is what could be read of these: who opens them has more to say of it.
    """

    def __init__(self, errors: list[str], directories: Mapping[str, Opening] = MappingProxyType({})) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors
        self.directories = directories


class Config(Table):
    """The whole file."""

    gatewayd: Gatewayd
    redis: Redis
    api: Api = Api()
    public: Public | None = None
    admin: Admin = Admin()
    bounces: Bounces | None = None
    labels: dict[str, Label] = {}
    directories: dict[str, Annotated[Directory, BeforeValidator(directory_of)]] = {}
    relays: dict[str, Relay] = {}
    smscs: dict[str, Smsc] = {}
    providers: dict[str, Provider] = {}
    esp: dict[str, Esp] = {}

    @property
    def listens(self) -> dict[str, tuple[str, ...]]:
        """What each table of listeners opens."""
        parts = {name: getattr(self, name) for name in _LISTENERS}
        return {name: part.listen for name, part in parts.items() if part is not None}

    @property
    def return_domains(self) -> frozenset[str]:
        """The domains to which mail may come back: the common one, and those that labels have of their own."""
        own = {label.bounce_domain for label in self.labels.values() if label.bounce_domain}
        return frozenset(own | ({self.bounces.domain} if self.bounces else set()))


def load(path: str | Path, environ: Mapping[str, str], instance: str = "", *, again: bool = False) -> Config:
    """The configuration in the file at `path`; `instance`, if given, overrides the file's.

    Who reads it `again` is at work, and waits for no pipe.

    Raises ConfigError with all that is wrong: unreadable or empty file, TOML syntax with its line, each bad key.
    """
    try:
        text = small_file.text(path, waits=not again)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: {encoding_error(error)}"]) from None
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Beside its own errors the reader lets Python's through: a number too long, tables in tables without end.
        raise ConfigError([f"{path}: {toml_error(error, text, Config)}"]) from None
    try:
        return parse(raw, environ, instance)
    except ConfigError as error:
        if raw:
            raise
        raise ConfigError([f"{path}: is empty, or has nothing but comments", *error.errors]) from None


def parse(raw: Mapping[str, Any], environ: Mapping[str, str], instance: str = "") -> Config:
    """As `load`, from the parsed TOML."""
    if instance and isinstance(raw.get("gatewayd"), dict):
        raw = dict(raw) | {"gatewayd": raw["gatewayd"] | {"instance": instance}}
    raw = _with_what_follows(filled(raw, profiles()))
    errors = []
    config = None
    try:
        config = Config.model_validate(dict(raw), context={"environ": environ})
    except ValidationError as error:
        errors = [
            fault(Config, one["loc"], one["type"], one["msg"], one.get("ctx", {}))
            for one in without_follow_ups(error.errors())
        ]
    errors += [
        *contradictions(raw),
        *_misplaced(raw),
        *_shared_doors(raw),
        *_unreadable_keys(raw, environ),
    ]
    errors += _guessable(raw, environ, errors)
    if config is None or errors:
        directories = tables_of(raw.get("directories"))
        raise ConfigError(errors, {name: opening(table) for name, table in directories.items()})
    return _named(config)


def _with_what_follows(raw: Mapping[str, Any]) -> dict[str, Any]:
    """`raw` with the defaults of [smscs.*] that other keys say: the alphabet, and the region of all the players."""
    smscs = raw.get("smscs")
    if not isinstance(smscs, Mapping):
        return dict(raw)
    directories = tables_of(raw.get("directories")).values()
    # A region that is none has its own error, and would have another one at each SMSC.
    given = [directory.get("default_region", "") for directory in directories]
    regions = {region if isinstance(region, str) and is_region(region) else "" for region in given}
    region = {"default_region": regions.pop()} if len(regions) == 1 else {}
    changed = {}
    for name, table in smscs.items():
        if isinstance(table, Mapping):
            own = {key: value for key, value in table.items() if (key, value) != ("default_region", "")}
            table = region | following(table) | own
        changed[name] = table
    return dict(raw) | {"smscs": changed}


_PUBLIC_KEYS: Mapping[str, Callable[[str], object]] = {
    "sendgrid": pem.verifying_key,
    "ses": pem.certificate,
    "postal": pem.rsa_verifying_key,
}


def _unreadable_keys(raw: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """What events and reports are to be proven with and can't be: each of them would be refused."""
    esp = tables_of(raw.get("esp"))
    proofs = [
        (f"esp.{name}.public_key", esp.get(name, {}).get("public_key"), read) for name, read in _PUBLIC_KEYS.items()
    ]
    proofs.append(("esp.resend.signing_key", esp.get("resend", {}).get("signing_key"), pem.svix_key))
    for name, table in tables_of(raw.get("providers")).items():
        reports = table_of(table.get("reports"))
        if reports.get("signature") == "telnyx":
            proofs.append((f"providers.{name}.reports.secret", reports.get("secret"), pem.ed25519_key))
    for at, given, read in proofs:
        if text := _revealed(given, environ):
            try:
                read(text)
            except ValueError as error:
                yield f"{at}: {error}"


def _guessable(raw: Mapping[str, Any], environ: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
    """Secret paths of ESPs that are too short for what they are, where a file or the environment holds them."""
    read = {
        name: dict(table) | {"secret": _revealed(table.get("secret"), environ)}
        for name, table in tables_of(raw.get("esp")).items()
    }
    yield from (line for line in doors.guessable(read) if line not in known)


def _revealed(value: object, environ: Mapping[str, str]) -> str:
    """The secret that `value` is or points to; "" where it can't be read, which is an error of its own."""
    try:
        return read_secret(value, environ).reveal() if isinstance(value, str) else ""
    except ValueError:
        return ""


_LISTENERS: Mapping[str, type[Table]] = {"api": Api, "public": Public, "admin": Admin, "bounces": Bounces}
_ALWAYS = ("api", "admin")
"""Tables that count as they are by default where the file has none."""


def _shared_doors(raw: Mapping[str, Any]) -> Iterator[str]:
    """A line for each listener that would want what another one of this process has."""
    seen: list[tuple[str, str]] = []
    for part, table in _LISTENERS.items():
        own = raw.get(part, {} if part in _ALWAYS else None)
        if not isinstance(own, Mapping):
            continue
        for index, text in enumerate(items_of(own.get("listen", table.model_fields["listen"].default))):
            at = f"{part}.listen[{index}]"
            if isinstance(text, str):
                yield from (f"{at}: {other} listens there ({there})" for other, there in seen if collide(text, there))
                seen.append((at, text))


def _named(config: Config) -> Config:
    """`config` with {instance} in its listen strings replaced."""
    changed: dict[str, Any] = {}
    for table in _LISTENERS:
        part = getattr(config, table)
        if part is not None:
            listen = tuple(text.replace("{instance}", config.gatewayd.instance) for text in part.listen)
            changed[table] = part.model_copy(update={"listen": listen})
    return config.model_copy(update=changed)


def _misplaced(raw: Mapping[str, Any]) -> Iterator[str]:
    """Keys of a plug-in directory that stand beside its options."""
    for name, directory in tables_of(raw.get("directories")).items():
        kind = directory.get("type")
        if isinstance(kind, str) and kind not in DIRECTORIES and directory.keys() - PluginDirectory.model_fields.keys():
            yield f"directories.{name}.type: is neither 'sql' nor 'http'; a plug-in's own keys go into options"
