"""Jasmin's daemon, run by its own environment: as `jasmind.py`, but for its lock, which is one of the whole machine."""

from jasmin.bin.jasmind import JasminDaemon, Options
from twisted.internet import reactor

options = Options()
options.parseOptions()
reactor.callWhenRunning(JasminDaemon(options).start)
reactor.run()
