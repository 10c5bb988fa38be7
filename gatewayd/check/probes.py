"""What the probes of gatewayctl find in the configuration: the sender that a way's messages have, and where reports go.

Knows the configuration, and not how a probe is done.
"""

from gatewayd.config import Config


def sender_of(config: Config, name: str) -> str:
    """The sender of the first messages that go by this SMSC or provider: their route's own, or else their label's.

    "" where none is configured.
    """
    for label in config.labels.values():
        senders = [route.sender or label.sms_sender for route in label.sms_routes if name in route.via]
        senders += [label.sms_sender] if name in label.im_via else []
        if found := next(filter(None, senders), ""):
            return found
    return ""


def report_url(config: Config, name: str) -> str:
    """Where this provider may report on a probe; "" without a public listener."""
    base_url = config.public.base_url.rstrip("/") if config.public else ""
    return f"{base_url}/dlr/{name}/probe" if base_url else ""
