"""How long a stop may take: what is on the wire gets its answer, and 20 s after SIGTERM the process is gone."""

DOORS = 0.7
"""Seconds for the doors alone: what is being accepted is still sent. Who takes longer goes on beside the ways out, and
what it still accepts waits for the next start, or a peer."""

DRAIN = 18.5
"""Seconds for the answers to what is on the wire."""

STORED = 0.5
"""Seconds behind those for the store to be told what came of it: what was given up unwritten is put back."""

IN_ALL = DOORS + DRAIN + STORED
"""Seconds from the signal on in which every part is waited for; what is left is for goodbyes and the exit."""

AT_LEAST = 0.1
"""Seconds for a part whose turn comes later."""
