"""Returned mail in: the LMTP listener, and the reader of DSNs, prose and complaints, which is pure."""
