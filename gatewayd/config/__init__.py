"""gatewayd.toml to a frozen, typed tree, or every error in it at once, each with its full key path.

Owns the names, defaults and checks of CONTRACT.md's keys. Reads the file and the secrets it points to; connects to
nothing. Nobody keeps the root `Config`: `makeService` hands each part the few values that it needs.
"""

import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidationInfo,
)

from gatewayd.config import pem
from gatewayd.config.contradictions import contradictions, tables_of
from gatewayd.config.values import (
    Count,
    Domain,
    DomainOrNone,
    Duration,
    FullSecret,
    HeaderFields,
    Host,
    Hosts,
    Listens,
    Net,
    Octet,
    Pins,
    Port,
    Rate,
    RedisEndpoint,
    RevealedSecret,
    Secret,
    SecretKey,
    SecretText,
    SigningKey,
    SmppPassword,
    SmsSender,
    Strings,
    SubmitStatuses,
    SystemId,
    SystemType,
    Text,
    TonNpi,
    Url,
    UrlOrNone,
    duration,
)


class ConfigError(Exception):
    """The file does not make a configuration. `errors` has a line for each fault: key path, colon, what is wrong."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Gatewayd(_Table):
    """[gatewayd]"""

    secret_key: SecretKey
    previous_secret_keys: Annotated[tuple[SecretKey, ...], Strict(False)] = ()
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = Field(default_factory=socket.gethostname)
    work: Annotated[tuple[Literal["email", "sms", "reports"], ...], Strict(False)] = ("email", "sms", "reports")
    retention: Duration = 7 * 86400.0
    log: Literal["text", "json"] = "text"
    audit_log: str = ""


class Redis(_Table):
    """[redis]"""

    endpoint: RedisEndpoint
    database: Annotated[int, Field(ge=0)] = 0
    username: str = ""
    password: SecretText = Secret("")
    key_prefix: Annotated[str, Field(pattern=r"^[^{}\s]*$")] = "gatewayd:"
    max_queued: Count = 1_000_000
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""


class Api(_Table):
    """[api]"""

    listen: Listens = ("tcp:8080:interface=127.0.0.1",)
    reuse_port: bool = False
    trusted_proxies: Annotated[tuple[Net, ...], Strict(False)] = ()
    max_body: Count = 2_097_152


class Public(_Table):
    """[public]"""

    base_url: Url
    listen: Listens = ("tcp:8081:interface=127.0.0.1",)
    reuse_port: bool = False


class Admin(_Table):
    """[admin]"""

    listen: Listens = ("tcp:9090:interface=127.0.0.1",)
    hosts: Annotated[tuple[Domain, ...], Strict(False)] = ()


class Bounces(_Table):
    """[bounces]"""

    domain: Domain
    listen: Listens = ("tcp:2424:interface=127.0.0.1",)
    reuse_port: bool = False
    max_size: Count = 5_242_880
    internal_relays: Strings = ()


class SmsRoute(_Table):
    """One entry of a label's sms_routes: SMSCs in order for numbers that begin with `prefix`."""

    prefix: Annotated[str, Field(pattern=r"^(\+\d{0,15})?$")]
    via: Annotated[tuple[Text, ...], Strict(False), Field(min_length=1)]


class Dkim(_Table):
    """[labels.NAME.dkim]: sign the label's mail ourselves."""

    domain: Domain
    selector: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    private_key: SigningKey


class Label(_Table):
    """[labels.NAME]"""

    allow_from: Annotated[tuple[Net, ...], Strict(False)]
    authorization: Annotated[tuple[FullSecret, ...], Strict(False), Field(min_length=1)]
    sms_authorization: bool = True
    api_key: FullSecret
    callback_url: UrlOrNone = ""
    callback_hosts: Strings
    callback_http: bool = False
    email_senders: Strings = ()
    sms_senders: Strings = ()
    sms_sender: SmsSender = ""
    preview_domains: Annotated[tuple[Domain, ...], Strict(False)] = ()
    preview_rate: Rate = 10 / 60
    directory: Text
    relays: Strings = ()
    sms_routes: Annotated[tuple[SmsRoute, ...], Strict(False)] = ()
    email_deadline: Duration = 86400.0
    sms_deadline: Duration = 4 * 3600.0
    max_segments: Annotated[int, Field(ge=1, le=255)] = 10
    track_opens: bool = False
    report_machine_opens: bool = False
    one_click_unsubscribe: bool = False
    bounce_domain: DomainOrNone = ""
    headers: HeaderFields = {}
    complaint_address: bool = False
    transliterate: bool = False
    stop_words: Strings = ()
    suppress_for: Duration = 365 * 86400.0
    suppress_on_unsubscribe: bool = True
    suppress_on_complaint: bool = True
    suppress_on_hard_bounce: bool = True
    only_users: Strings | None = None
    dkim: Dkim | None = None


class SqlDirectory(_Table):
    """[directories.NAME] with type = "sql" """

    type: Literal["sql"]
    driver: Text
    connect: dict[str, RevealedSecret] = {}
    query: Text
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""

    def __repr__(self) -> str:
        return f"<SqlDirectory {self.driver}>"


class HttpDirectory(_Table):
    """[directories.NAME] with type = "http" """

    type: Literal["http"]
    url: Url
    authorization: SecretText = Secret("")
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""


class PluginDirectory(_Table):
    """[directories.NAME] whose type names an operator's own twistd plugin (IRecipientDirectoryMaker)."""

    type: Text
    options: dict[str, Any] = {}
    timeout: Duration = 2.0
    cache: Annotated[float, BeforeValidator(duration)] = 30.0
    default_region: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] = ""


Directory = SqlDirectory | HttpDirectory | PluginDirectory
_DIRECTORIES: Mapping[str, type[_Table]] = {"sql": SqlDirectory, "http": HttpDirectory}


def _directory(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    kind = value.get("type")
    if not isinstance(kind, str):
        # Whose other keys these are is not known: only the type itself is wrong.
        return PluginDirectory.model_validate({"type": kind} if "type" in value else {})
    return _DIRECTORIES.get(kind, PluginDirectory).model_validate(value, context=info.context)


class Domains(_Table):
    """[relays.NAME.domains."example.com"]: pacing for one recipient domain."""

    rate: Rate = 0.0
    connections: Annotated[int, Field(ge=0)] = 0


class Relay(_Table):
    """[relays.NAME]"""

    host: Host
    port: Port = 25
    tls: Literal["none", "starttls", "implicit"] = "none"
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""
    username: str = ""
    password: SecretText = Secret("")
    connections: Count = 10
    rate: Rate = 0.0
    provider: Literal["", "ses", "sendgrid", "mailgun", "postmark", "mailjet", "sparkpost"] = ""
    on_uncertain: Literal["resend", "hold"] = "resend"
    uncertain_wait: Duration = 10.0
    headers: HeaderFields = {}
    domains: dict[str, Domains] = {}


class DataCodings(_Table):
    """[smscs.NAME] data_codings: under which value of data_coding each alphabet goes out."""

    default: Octet = 0
    ucs2: Octet = 8


class Smsc(_Table):
    """[smscs.NAME]"""

    host: Host
    port: Port = 2775
    tls: bool = False
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""
    certificate_pins: Pins = ()
    more_hosts: Hosts = ()
    system_id: SystemId
    password: SmppPassword
    system_type: SystemType = ""
    bind: Literal["transceiver", "transmitter+receiver", "auto"] = "transceiver"
    binds: Count = 1
    window: Annotated[int, Field(ge=1, le=1000)] = 20
    rate: Rate = 100.0
    enquire_link: Duration = 30.0
    response_timeout: Duration = 60.0
    long_messages: Literal["udh", "udh16", "sar", "payload"] = "udh"
    message_ids: Literal["as-is", "decimal", "hex", "auto"] = "auto"
    default_alphabet: Literal["gsm", "gsm-packed", "latin1", "ascii"] = "gsm"
    data_codings: DataCodings = DataCodings()
    surrogates: Literal["send", "strip"] = "send"
    receipts: Literal["final", "failure", "intermediate", "none"] = "final"
    validity: Literal["relative", "absolute", ""] = "relative"
    trace: bool = False
    source_ton_npi: TonNpi = None
    dest_ton_npi: TonNpi = None
    submit_statuses: SubmitStatuses = {}
    receipt_states: dict[str, Literal["accepted", "delivered", "failed", "rejected"]] = {}
    on_uncertain: Literal["hold", "resend"] = "hold"
    uncertain_wait: Duration = 10.0


class Esp(_Table):
    """[esp.NAME]"""

    secret: FullSecret
    signing_key: SecretText = Secret("")
    public_key: SecretText = Secret("")
    topic_arns: Strings = ()
    confirm: bool = True
    username: str = ""
    password: SecretText = Secret("")


class Config(_Table):
    """The whole file."""

    gatewayd: Gatewayd
    redis: Redis
    api: Api = Api()
    public: Public | None = None
    admin: Admin = Admin()
    bounces: Bounces | None = None
    labels: dict[str, Label] = {}
    directories: dict[str, Annotated[Directory, BeforeValidator(_directory)]] = {}
    relays: dict[str, Relay] = {}
    smscs: dict[str, Smsc] = {}
    esp: dict[str, Esp] = {}


def load(path: str | Path, environ: Mapping[str, str], instance: str = "") -> Config:
    """The configuration in the file at `path`; `instance`, if given, overrides the file's.

    Raises ConfigError with all that is wrong: unreadable file, TOML syntax with its line, each bad key.
    """
    try:
        raw = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: not TOML: {error}"]) from None
    return parse(raw, environ, instance)


def parse(raw: Mapping[str, Any], environ: Mapping[str, str], instance: str = "") -> Config:
    """As `load`, from the parsed TOML."""
    if instance and isinstance(raw.get("gatewayd"), dict):
        raw = dict(raw) | {"gatewayd": raw["gatewayd"] | {"instance": instance}}
    errors = []
    config = None
    try:
        config = Config.model_validate(dict(raw), context={"environ": environ})
    except ValidationError as error:
        errors = [_line(fault["loc"], fault["type"], fault["msg"], fault.get("ctx", {})) for fault in error.errors()]
    errors += [*contradictions(raw), *_misplaced(raw), *(_unreadable_keys(config) if config else ())]
    if config is None or errors:
        raise ConfigError(errors)
    return _named(config)


_PUBLIC_KEYS: Mapping[str, Callable[[str], object]] = {"sendgrid": pem.verifying_key, "ses": pem.certificate}


def _unreadable_keys(config: Config) -> Iterator[str]:
    """What an ESP's events are to be proven with and can't be: each of them would be refused."""
    for name, read in _PUBLIC_KEYS.items():
        if name in config.esp and (text := config.esp[name].public_key.reveal()):
            try:
                read(text)
            except ValueError as error:
                yield f"esp.{name}.public_key: {error}"


def _named(config: Config) -> Config:
    """`config` with {instance} in its listen strings replaced."""
    changed: dict[str, Any] = {}
    for table in ("api", "public", "admin", "bounces"):
        part = getattr(config, table)
        if part is not None:
            listen = tuple(text.replace("{instance}", config.gatewayd.instance) for text in part.listen)
            changed[table] = part.model_copy(update={"listen": listen})
    return config.model_copy(update=changed)


_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def _line(loc: tuple[int | str, ...], kind: str, message: str, context: Mapping[str, Any]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    if kind == "literal_error":
        message = f"must be one of {context.get('expected')}"
    elif kind == "string_too_long":
        message = f"must have at most {context.get('max_length')} characters"
    else:
        message = _WORDS.get(kind, message.removeprefix("Value error, "))
    return f"{path}: {message}"


def _misplaced(raw: Mapping[str, Any]) -> Iterator[str]:
    """Keys of a plug-in directory that stand beside its options."""
    for name, directory in tables_of(raw.get("directories")).items():
        kind = directory.get("type")
        if (
            isinstance(kind, str)
            and kind not in _DIRECTORIES
            and directory.keys() - PluginDirectory.model_fields.keys()
        ):
            yield f"directories.{name}.type: is neither 'sql' nor 'http'; a plug-in's own keys go into options"
