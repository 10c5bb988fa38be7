"""The numbers of SMPP 3.4 and what they mean: commands, statuses, TLV tags, and what a status asks of us.

Tables to be reviewed by someone who knows SMPP; no wire form, no behaviour.
"""

from enum import Enum, IntEnum


class Command(IntEnum):
    """command_id (SMPP 3.4, 5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_TRANSMITTER = 0x00000002
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER = 0x00000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    DATA_SM_RESP = 0x80000103


RESPONSE = 0x80000000


class Status(IntEnum):
    """command_status (SMPP 3.4, 5.1.3; from 0x100 on 5.0, 4.7.6), names without ESME_."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVOPTPARSTREAM = 0xC0
    ROPTPARNOTALLWD = 0xC1
    RINVPARLEN = 0xC2
    RMISSINGOPTPARAM = 0xC3
    RINVOPTPARAMVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF
    RSERTYPUNAUTH = 0x100
    RPROHIBITED = 0x101
    RSERTYPUNAVAIL = 0x102
    RSERTYPDENIED = 0x103
    RINVDCS = 0x104


BRING_AGAIN = Status.RMSGQFUL
"""Answers a receipt or text that is to come again. For that the specification has RX_T_APPN, which some carriers count
as final (Vonage); "queue full" is temporary in all of their lists. Others count whatever is not ROK as final.
"""

PASSWORD_ROOM = 8
"""Octets of a password without its NUL (5.2.2)."""


class Tag(IntEnum):
    """TLV tags (SMPP 3.4, 5.3.2) that we send or read."""

    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MESSAGE_STATE = 0x0427


class Disposition(Enum):
    """What a submit_sm_resp status asks of us."""

    TAKEN = "taken"
    RETRY = "retry"
    LIMITED = "it may mean anything: another route; where there is none, retry a limited number of times"
    THROTTLED = "pause the link, then send the same again"
    SESSION = "the session is at fault: bind again"
    CONFIGURATION = "the account is at fault: stop it, tell the operator, try slowly"
    PERMANENT = "this message will never be taken"
    OUR_FAULT = "it cannot read or does not know what we send, whatever the message: another route; tell loudly"


DISPOSITIONS: dict[int, Disposition] = {
    Status.ROK: Disposition.TAKEN,
    Status.RMSGQFUL: Disposition.THROTTLED,
    Status.RTHROTTLED: Disposition.THROTTLED,
    Status.RSYSERR: Disposition.RETRY,
    Status.RX_T_APPN: Disposition.RETRY,
    Status.RDELIVERYFAILURE: Disposition.RETRY,
    Status.RSUBMITFAIL: Disposition.LIMITED,
    Status.RUNKNOWNERR: Disposition.LIMITED,
    Status.RINVBNDSTS: Disposition.SESSION,
    Status.RALYBND: Disposition.SESSION,
    Status.RBINDFAIL: Disposition.SESSION,
    Status.RINVPASWD: Disposition.CONFIGURATION,
    Status.RINVSYSID: Disposition.CONFIGURATION,
    Status.RINVSYSTYP: Disposition.CONFIGURATION,
    Status.RINVMSGLEN: Disposition.PERMANENT,
    Status.RINVPRTFLG: Disposition.PERMANENT,
    Status.RINVREGDLVFLG: Disposition.PERMANENT,
    Status.RINVSRCADR: Disposition.PERMANENT,
    Status.RINVDSTADR: Disposition.PERMANENT,
    Status.RINVMSGID: Disposition.PERMANENT,
    Status.RINVSERTYP: Disposition.PERMANENT,
    Status.RINVNUMDESTS: Disposition.PERMANENT,
    Status.RINVDLNAME: Disposition.PERMANENT,
    Status.RINVDESTFLAG: Disposition.PERMANENT,
    Status.RINVSUBREP: Disposition.PERMANENT,
    Status.RINVESMCLASS: Disposition.PERMANENT,
    Status.RCNTSUBDL: Disposition.PERMANENT,
    Status.RINVSRCTON: Disposition.PERMANENT,
    Status.RINVSRCNPI: Disposition.PERMANENT,
    Status.RINVDSTTON: Disposition.PERMANENT,
    Status.RINVDSTNPI: Disposition.PERMANENT,
    Status.RINVREPFLAG: Disposition.PERMANENT,
    Status.RINVNUMMSGS: Disposition.PERMANENT,
    Status.RINVSCHED: Disposition.PERMANENT,
    Status.RINVEXPIRY: Disposition.PERMANENT,
    Status.RINVDFTMSGID: Disposition.PERMANENT,
    Status.RX_P_APPN: Disposition.PERMANENT,
    Status.RX_R_APPN: Disposition.PERMANENT,
    Status.RINVOPTPARSTREAM: Disposition.PERMANENT,
    Status.ROPTPARNOTALLWD: Disposition.PERMANENT,
    Status.RINVPARLEN: Disposition.PERMANENT,
    Status.RMISSINGOPTPARAM: Disposition.PERMANENT,
    Status.RINVOPTPARAMVAL: Disposition.PERMANENT,
    Status.RSERTYPUNAUTH: Disposition.PERMANENT,
    Status.RPROHIBITED: Disposition.CONFIGURATION,
    Status.RSERTYPUNAVAIL: Disposition.RETRY,
    Status.RSERTYPDENIED: Disposition.PERMANENT,
    Status.RINVDCS: Disposition.PERMANENT,
    Status.RINVCMDLEN: Disposition.OUR_FAULT,
    Status.RINVCMDID: Disposition.OUR_FAULT,
}

RECEIPTS: dict[str, int] = {"none": 0x00, "final": 0x01, "failure": 0x02, "intermediate": 0x11}
"""registered_delivery (5.2.17) by the words of [smscs.NAME] receipts."""

NO_SUCH_BIND = frozenset({Status.RINVCMDID, Status.RBINDFAIL})
"""What an SMSC that has no bind of the kind asked for answers to it."""

MEANINGS: dict[str, Disposition] = {
    "retry": Disposition.RETRY,
    "rejected": Disposition.PERMANENT,
    "throttled": Disposition.THROTTLED,
}
"""The words of [smscs.NAME] submit_statuses: what the operator knows of a carrier's own codes."""


def disposition(status: int) -> Disposition:
    """What a submit_sm_resp `status` asks of us; what the table does not list (vendors' codes) is LIMITED."""
    return DISPOSITIONS.get(status, Disposition.LIMITED)


_STATUS_NAMES: dict[int, str] = {status.value: f"ESME_{status.name}" for status in Status}
_COMMAND_NAMES: dict[int, str] = {command.value: command.name.lower() for command in Command}


def status_name(status: int) -> str:
    """For logs: `ESME_RTHROTTLED`, or `0x00000400` for what the specification does not name."""
    return _STATUS_NAMES.get(status) or f"0x{status:08x}"


def command_name(command_id: int) -> str:
    """For logs: `submit_sm_resp`, or `0x00010200` for what the specification does not name."""
    return _COMMAND_NAMES.get(command_id) or f"0x{command_id:08x}"
