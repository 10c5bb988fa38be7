"""Enhanced status codes (RFC 3463) that decide about an address, in a relay's reply as in a bounce. Pure."""

HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""The address does not exist, or not any more. Full boxes, policy, content and authentication never count."""
