"""Recipient domains that asked us to slow down: what closes one, and what opens it."""

import pytest

from gatewayd.core.rate import NotNow
from gatewayd.smtp.slow_domains import SlowDomains


def test_a_domain_closes_after_three_strikes_and_opens_with_success() -> None:
    """4xx of single messages do not close it; neighbours are never affected."""
    domains = SlowDomains(lambda: 1.0)
    for _ in range(2):
        domains.refused("big.test", 100.0, at_once=False)
    domains.check("big.test", 100.0)
    domains.refused("big.test", 100.0, at_once=False)
    with pytest.raises(NotNow):
        domains.check("big.test", 100.0)
    domains.check("other.test", 100.0)
    assert domains.closed(100.0) == 1
    domains.check("big.test", 102.1)
    domains.accepted("big.test")
    domains.refused("big.test", 110.0, at_once=False)
    domains.check("big.test", 110.0)
