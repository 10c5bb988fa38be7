"""Registers ``twistd gatewayd``; installed as twisted/plugins/gatewayd_plugin.py."""

from twisted.application.service import ServiceMaker

gatewayd = ServiceMaker(
    "gatewayd",
    "gatewayd.service",
    "Email and SMS gateway between Smartico and the operator's players",
    "gatewayd",
)
