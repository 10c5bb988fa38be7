"""The SMPP 3.4 codec in one place: PDUs as octets and as values, their names, and the cutting of the stream.

The numbers are codes.py's, the values shapes.py's, the octets frames.py's, reading.py's and writing.py's. Nothing here
knows a connection, a clock, an alphabet or a receipt.
"""

from gatewayd.smpp.codec.codes import (
    DISPOSITIONS,
    RESPONSE,
    Command,
    Disposition,
    Status,
    Tag,
    command_name,
    disposition,
    status_name,
)
from gatewayd.smpp.codec.frames import MAX_LENGTH, Framer, FramingError, numbered
from gatewayd.smpp.codec.reading import BodyError, decode
from gatewayd.smpp.codec.salvage import read, salvage
from gatewayd.smpp.codec.shapes import (
    AlertNotification,
    Bind,
    BindResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    Raw,
    SubmitSm,
    SubmitSmResp,
    Tlvs,
    Unbind,
    UnbindResp,
    response_to,
)
from gatewayd.smpp.codec.writing import EncodeError, encode

__all__ = [
    "DISPOSITIONS",
    "MAX_LENGTH",
    "RESPONSE",
    "AlertNotification",
    "Bind",
    "BindResp",
    "BodyError",
    "Command",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "Disposition",
    "EncodeError",
    "EnquireLink",
    "EnquireLinkResp",
    "Framer",
    "FramingError",
    "GenericNack",
    "Outbind",
    "Pdu",
    "Raw",
    "Status",
    "SubmitSm",
    "SubmitSmResp",
    "Tag",
    "Tlvs",
    "Unbind",
    "UnbindResp",
    "command_name",
    "decode",
    "disposition",
    "encode",
    "numbered",
    "read",
    "response_to",
    "salvage",
    "status_name",
]
