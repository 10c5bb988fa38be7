"""gatewayd: the on-premises email and SMS gateway between Smartico and an operator's players."""

__version__ = "0.2.0"
