"""The things that cross module boundaries: frozen, typed, and safe to print. Nothing here does I/O or asks the clock.

By whom they are about: `message`, `attempt`, `evidence` (what others tell us), `kept` (in the store), `standing` (for
operators). Import them from here.
"""

from gatewayd.core.model.attempt import Handed, Leased, Order, ReportJob, part_of
from gatewayd.core.model.evidence import BEFORE_THE_ANSWER, Evidence, Inbound, Receipt, SettledSent
from gatewayd.core.model.kept import (
    DeadLetter,
    Erased,
    Kept,
    Known,
    Stop,
    Stopped,
    Trace,
    TracedEvent,
    TracedReport,
    Waiting,
)
from gatewayd.core.model.message import (
    CHANNEL_OF,
    Channel,
    Content,
    Email,
    Im,
    Message,
    Recipient,
    Resolved,
    Sms,
    WhyNot,
)
from gatewayd.core.model.standing import (
    MOST_NAMED,
    AuditHead,
    BindState,
    Decision,
    Degraded,
    Json,
    QueueState,
    WayState,
    some_names,
)

__all__ = [
    "BEFORE_THE_ANSWER",
    "CHANNEL_OF",
    "MOST_NAMED",
    "AuditHead",
    "BindState",
    "Channel",
    "Content",
    "DeadLetter",
    "Decision",
    "Degraded",
    "Email",
    "Erased",
    "Evidence",
    "Handed",
    "Im",
    "Inbound",
    "Json",
    "Kept",
    "Known",
    "Leased",
    "Message",
    "Order",
    "QueueState",
    "Receipt",
    "Recipient",
    "ReportJob",
    "Resolved",
    "SettledSent",
    "Sms",
    "Stop",
    "Stopped",
    "Trace",
    "TracedEvent",
    "TracedReport",
    "Waiting",
    "WayState",
    "WhyNot",
    "part_of",
    "some_names",
]
