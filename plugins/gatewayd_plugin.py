"""Registers ``twistd gatewayd``; installed as twisted/plugins/gatewayd_plugin.py."""

import signal
from typing import Any

from twisted.application.service import ServiceMaker


class DaemonMaker(ServiceMaker):
    """Its options are asked for by who runs this very command, and importing them is most of the start."""

    @property
    def options(self) -> Any:
        """The class of the options. From here on a SIGHUP, which would end us, waits for the daemon that can reload."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        return super().options


gatewayd = DaemonMaker(  # type: ignore[no-untyped-call]
    "gatewayd",
    "gatewayd.service",
    "Email and SMS gateway between Smartico and the operator's players",
    "gatewayd",
)
