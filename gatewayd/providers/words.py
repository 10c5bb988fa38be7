"""The values of the place-holders for one message. Pure: the moment is an argument.

The only place that puts a recipient and a text beside each other; printing what it gives would show both.
"""

from gatewayd.config.providers import Provider
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.model import Email, Order
from gatewayd.core.tokens import shortened
from gatewayd.providers.templates import Words


def words_of(order: Order, provider: Provider, report_url: str, now: float) -> Words:
    """A value for each place-holder of CONTRACT.md. Raises PermanentFailure for what is no short message."""
    message, content = order.message, order.message.content
    token = report_url.rpartition("/")[2]
    if isinstance(content, Email):
        raise PermanentFailure("no short message")
    return {
        "to": order.address,
        "to_digits": order.address.removeprefix("+"),
        "sender": content.from_number,
        "text": content.body,
        "message_id": message.id,
        "uid": message.uid,
        "label": message.label,
        "ext_user_id": message.ext_user_id,
        "report_url": report_url,
        "report_token": token,
        "short_token": shortened(token) if provider.reports.token else "",
        "username": provider.username,
        "password": provider.password.reveal(),
        "address": order.address,
        "seconds_left": str(max(0, int(message.deadline - now))),
    }
