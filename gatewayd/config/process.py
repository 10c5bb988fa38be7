"""The tables of the process itself: what it is called, what it listens on, its Redis, and whose events it takes."""

import socket
from typing import Annotated, Literal

from pydantic import Field, Strict

from gatewayd.config.endpoints import Listens, RedisEndpointOrNone
from gatewayd.config.secret import FullSecret, ProofSecret, Secret, SecretKey, SecretText
from gatewayd.config.table import Table
from gatewayd.config.times import Duration
from gatewayd.config.values import BaseUrl, Count, Domain, HostName, HostPatterns, Hosts, Net, Strings, shaped

Work = Literal["email", "sms", "im", "reports"]

Instance = Annotated[
    str, shaped(r"[A-Za-z0-9._-]{1,64}", "is not 1 to 64 letters, digits, dots, dashes and underscores")
]


class Gatewayd(Table):
    """[gatewayd]"""

    secret_key: SecretKey
    previous_secret_keys: Annotated[tuple[SecretKey, ...], Strict(False)] = ()
    instance: Instance = Field(default_factory=socket.gethostname)
    work: Annotated[tuple[Work, ...], Strict(False)] = ("email", "sms", "reports")
    retention: Duration = 7 * 86400.0
    log: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warn"] = "info"
    audit_log: str = ""


class Redis(Table):
    """[redis]"""

    endpoint: RedisEndpointOrNone = ""
    database: Annotated[int, Field(ge=0)] = 0
    username: str = ""
    password: SecretText = Secret("")
    key_prefix: Annotated[str, shaped(r"[^{}\s]*", "has a blank or a brace")] = "gatewayd:"
    max_queued: Count = 1_000_000
    sentinels: Hosts = ()
    master: str = ""
    sentinel_username: str = ""
    sentinel_password: SecretText = Secret("")
    tls: bool = False
    clear_text: bool = False
    replicas: Annotated[int, Field(ge=0)] = 0
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""


class Api(Table):
    """[api]"""

    listen: Listens = ("tcp:8080:interface=127.0.0.1",)
    reuse_port: bool = False
    trusted_proxies: Annotated[tuple[Net, ...], Strict(False)] = ()
    max_body: Count = 2_097_152


class Public(Table):
    """[public]"""

    base_url: BaseUrl
    listen: Listens = ("tcp:8081:interface=127.0.0.1",)
    reuse_port: bool = False


class Admin(Table):
    """[admin]"""

    listen: Listens = ("tcp:9090:interface=127.0.0.1",)
    open: bool = False
    hosts: Annotated[tuple[HostName, ...], Strict(False)] = ()


class Bounces(Table):
    """[bounces]"""

    domain: Domain
    listen: Listens = ("tcp:2424:interface=127.0.0.1",)
    reuse_port: bool = False
    open: bool = False
    max_size: Count = 5_242_880
    internal_relays: HostPatterns = ()


class Esp(Table):
    """[esp.NAME]"""

    secret: FullSecret
    signing_key: ProofSecret = Secret("")
    public_key: ProofSecret = Secret("")
    topic_arns: Strings = ()
    confirm: bool = True
    username: str = ""
    password: ProofSecret = Secret("")
