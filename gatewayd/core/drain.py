"""How long a stop may take: what is on the wire gets its answer, and 20 s after SIGTERM the process is gone."""

DRAIN = 18.5
"""Seconds for the answers to what is on the wire."""

STORED = 0.5
"""Seconds behind those for the store to be told what came of it: what was given up unwritten is put back."""

IN_ALL = 19.7
"""Seconds from the signal on in which every part is waited for; what is left is for goodbyes and the exit."""

AT_LEAST = 0.1
"""Seconds for a part whose turn comes later."""
