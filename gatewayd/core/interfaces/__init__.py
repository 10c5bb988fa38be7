"""The seams: where there are two providers, or where an operator brings one of their own.

A module for each room that provides them; import them from here. The verbs (accept, outbox, deliver, track, report) see
these and no neighbour. Times are seconds since the epoch.
"""

from gatewayd.core.interfaces.accepting import Acceptance, IAccepting
from gatewayd.core.interfaces.channels import BeforeWire, ICallbacks, IChannel, ISharedRoutes
from gatewayd.core.interfaces.directories import IRecipientDirectory, IRecipientDirectoryMaker, IRecipients
from gatewayd.core.interfaces.evidence import EvidenceSink
from gatewayd.core.interfaces.facts import IFacts
from gatewayd.core.interfaces.operators import Decided, IMeter, SaysDegraded, unrecorded
from gatewayd.core.interfaces.people import IShownToPeople
from gatewayd.core.interfaces.processes import IProcesses
from gatewayd.core.interfaces.queues import IQueues
from gatewayd.core.interfaces.store import Claim, IEventClaims, IStopList, IStore

__all__ = [
    "Acceptance",
    "BeforeWire",
    "Claim",
    "Decided",
    "EvidenceSink",
    "IAccepting",
    "ICallbacks",
    "IChannel",
    "IEventClaims",
    "IFacts",
    "IMeter",
    "IProcesses",
    "IQueues",
    "IRecipientDirectory",
    "IRecipientDirectoryMaker",
    "IRecipients",
    "ISharedRoutes",
    "IShownToPeople",
    "IStopList",
    "IStore",
    "SaysDegraded",
    "unrecorded",
]
