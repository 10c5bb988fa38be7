"""IStore in memory, the sum of its parts."""

from zope.interface import implementer

from fakes.accepting import FakeAccepting
from fakes.facts import FakeFacts
from fakes.people import FakeShownToPeople
from fakes.processes import FakeProcesses
from fakes.queues import FakeQueues
from gatewayd.core.interfaces import IStore


@implementer(IStore)
class FakeStore(FakeAccepting, FakeQueues, FakeFacts, FakeShownToPeople, FakeProcesses):
    """IStore in memory. `down = True` makes every call raise StoreUntouched."""
