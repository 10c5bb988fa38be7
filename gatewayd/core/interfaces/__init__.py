"""The seams: where there are two providers, or where an operator brings one of their own.

A module for each room that provides them; import them from here. The verbs (accept, outbox, deliver, track, report) see
these and no neighbour. Times are seconds since the epoch.
"""

from gatewayd.core.interfaces.callbacks import ICallbacks
from gatewayd.core.interfaces.channels import BeforeWire, IChannel, ISharedRoutes
from gatewayd.core.interfaces.directories import IRecipientDirectory, IRecipientDirectoryMaker, IRecipients
from gatewayd.core.interfaces.evidence import EvidenceSink
from gatewayd.core.interfaces.operators import Decided, IMeter, SaysDegraded, unrecorded
from gatewayd.core.interfaces.store import Acceptance, Claim, IEventClaims, IStopList, IStore

__all__ = [
    "Acceptance",
    "BeforeWire",
    "Claim",
    "Decided",
    "EvidenceSink",
    "ICallbacks",
    "IChannel",
    "IEventClaims",
    "IMeter",
    "IRecipientDirectory",
    "IRecipientDirectoryMaker",
    "IRecipients",
    "ISharedRoutes",
    "IStopList",
    "IStore",
    "SaysDegraded",
    "unrecorded",
]
