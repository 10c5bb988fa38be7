"""Every verb of gatewayctl: the tests that go through all of them start from here."""

VERBS = {
    *("check", "status", "trace", "dead-letters", "stops", "guard"),
    *("suppress", "unsuppress", "erase", "export", "pause", "resume"),
    *("replay", "smpp-probe", "providers", "provider-probe", "audit", "sandbox"),
}
