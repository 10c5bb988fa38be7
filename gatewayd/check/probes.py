"""What the probes of gatewayctl find in the configuration: the sender that a way's messages have, and where reports go.

Knows the configuration, and not how a probe is done.
"""

from gatewayd.config import Config


def smsc_sender(config: Config, name: str) -> str:
    """The first sender, a route's or else its label's, of what goes by this SMSC; "" where none is configured."""
    senders = (
        route.sender or label.sms_sender
        for label in config.labels.values()
        for route in label.sms_routes
        if name in route.via
    )
    return next(filter(None, senders), "")


def provider_sender(config: Config, name: str) -> str:
    """The first sender of a label some of whose messages go by this provider; "" where none is configured."""
    senders = (label.sms_sender for label in config.labels.values() for route in label.sms_routes if name in route.via)
    return next(filter(None, senders), "")


def report_url(config: Config, name: str) -> str:
    """Where this provider may report on a probe; "" without a public listener."""
    base_url = config.public.base_url.rstrip("/") if config.public else ""
    return f"{base_url}/dlr/{name}/probe" if base_url else ""
