"""What the probes of gatewayctl find in the configuration: the sender that a way's messages have, and where reports go.

Knows the configuration, and not how a probe is done.
"""

from gatewayd.config import Config
from gatewayd.core.tokens import Keys, Purpose

MESSAGE = "00000000-0000-4000-8000-000000000000"
"""The id of a probe's message, which no other has."""


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
    """Where this provider may report on a probe; "" without a public listener.

    As long as every message's: a vendor that takes no such URL, or no such token, must say so to the probe.
    """
    base_url = config.public.base_url.rstrip("/") if config.public else ""
    token = Keys(config.gatewayd.secret_key.reveal().encode()).token(Purpose.REPORT, MESSAGE)
    return f"{base_url}/dlr/{name}/{token}" if base_url else ""
