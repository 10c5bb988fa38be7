"""[relays.NAME] and [smscs.NAME]: the ways out."""

from typing import Annotated, Literal

from pydantic import Field

from gatewayd.config.esp import EspName
from gatewayd.config.secret import Secret, SecretText
from gatewayd.config.smpp_values import (
    AddressRange,
    ServiceType,
    SmppPassword,
    SubmitStatuses,
    SystemId,
    SystemType,
    Tlvs,
    TonNpi,
)
from gatewayd.config.table import Table
from gatewayd.config.times import Duration, Rate
from gatewayd.config.values import Count, HeaderFields, Helo, Host, Hosts, Octet, Pins, Port, Region

Provider = Literal["", EspName]


class Domains(Table):
    """[relays.NAME.domains."example.com"]: pacing for one recipient domain."""

    rate: Rate = 0.0
    connections: Annotated[int, Field(ge=0)] = 0


class Relay(Table):
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
    provider: Provider = ""
    helo: Helo = ""
    on_uncertain: Literal["resend", "hold"] = "resend"
    uncertain_wait: Duration = 10.0
    headers: HeaderFields = {}
    domains: dict[str, Domains] = {}


class DataCodings(Table):
    """[smscs.NAME] data_codings: under which value of data_coding each alphabet goes out."""

    default: Octet = 0
    ucs2: Octet = 8


class Smsc(Table):
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
    binds: Annotated[int, Field(ge=1, le=1000)] = 1
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
    long_receipts: Literal["each", "one"] = "each"
    validity: Literal["relative", "absolute", ""] = "relative"
    trace: bool = False
    source_ton_npi: TonNpi = None
    dest_ton_npi: TonNpi = None
    submit_statuses: SubmitStatuses = {}
    receipt_states: dict[str, Literal["accepted", "delivered", "failed", "rejected"]] = {}
    default_region: Region = ""
    service_type: ServiceType = ""
    address_range: AddressRange = ""
    tlvs: Tlvs = ()
    on_uncertain: Literal["hold", "resend"] = "hold"
    uncertain_wait: Duration = 10.0
