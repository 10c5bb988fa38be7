"""What a bind is: its kinds, and the request for one."""

from enum import StrEnum

from gatewayd import config
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Command


class Mode(StrEnum):
    """What a bind is for."""

    TRANSCEIVER = "transceiver"
    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"


COMMANDS = {
    Mode.TRANSCEIVER: Command.BIND_TRANSCEIVER,
    Mode.TRANSMITTER: Command.BIND_TRANSMITTER,
    Mode.RECEIVER: Command.BIND_RECEIVER,
}

ALONE, PAIR = (Mode.TRANSCEIVER,), (Mode.TRANSMITTER, Mode.RECEIVER)

WAYS: dict[str, tuple[tuple[Mode, ...], ...]] = {
    "transceiver": (ALONE,),
    "transmitter+receiver": (PAIR,),
    "auto": (ALONE, PAIR),
}
"""By `bind` of [smscs.NAME]: the sets of binds to try, in order."""


def bind_request(settings: config.Smsc, mode: Mode) -> smpp.Bind:
    """The bind of this account (SMPP 3.4 4.1); sequence number 0. A transmitter serves no addresses."""
    return smpp.Bind(
        0,
        kind=COMMANDS[mode],
        system_id=settings.system_id.encode("latin-1"),
        password=settings.password.reveal().encode("latin-1"),
        system_type=settings.system_type.encode("latin-1"),
        address_range=b"" if mode is Mode.TRANSMITTER else settings.address_range.encode("latin-1"),
    )
