"""What the whole way speaks, and what every channel uses. It knows no other room but the configuration's types.

The first are model, status, errors, interfaces, tokens, contact, redact; the second line, slots, pace, rate, retry,
failover and replace.
"""
