"""Fakes that keep the promises of the real parts: FakeStore passes the same contract suite as Redis.

A file for each; import them from here.
"""

from fakes.claims import FakeClaims
from fakes.database import Database, Row
from fakes.evidence import FakeEvidence
from fakes.meter import FakeMeter
from fakes.stop_list import FakeStopList
from fakes.store import FakeStore

__all__ = ["Database", "FakeClaims", "FakeEvidence", "FakeMeter", "FakeStopList", "FakeStore", "Row"]
