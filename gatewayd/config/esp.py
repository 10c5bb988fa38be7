"""The email providers whose events we can read, by the names that the configuration knows them by. Pure."""

from typing import Literal, get_args

EspName = Literal[
    "ses",
    "sendgrid",
    "mailgun",
    "postmark",
    "mailjet",
    "sparkpost",
    "brevo",
    "mandrill",
    "smtp2go",
    "resend",
    "postal",
    "kumomta",
]
ESP_NAMES: tuple[str, ...] = get_args(EspName)

ESP_NEEDS = {
    "mailgun": "signing_key",
    "mandrill": "signing_key",
    "resend": "signing_key",
    "sendgrid": "public_key",
    "postal": "public_key",
    "ses": "topic_arns",
}
"""The key without which a provider's signature proves nothing; one that is not here does not sign."""
