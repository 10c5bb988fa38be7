"""Header lines that the installation adds to a message's own: the configured ones, and the ESP's. Pure."""

from collections.abc import Mapping

from gatewayd.core.tokens import Keys, Purpose


def header_lines(fields: Mapping[str, str]) -> str:
    """The configuration's further header fields as lines."""
    return "".join(f"{name}: {text}\r\n" for name, text in fields.items())


def esp_header(provider: str, message_id: str, keys: Keys) -> bytes:
    """The header in which the ESP `provider` gives our token back in its events; empty for a plain relay."""
    form = _ESP_HEADERS.get(provider)
    return b"" if form is None else (form % keys.token(Purpose.ESP, message_id)).encode() + b"\r\n"


_ESP_HEADERS: dict[str, str] = {
    "ses": "X-SES-MESSAGE-TAGS: gw=%s",
    "sendgrid": 'X-SMTPAPI: {"unique_args":{"gw":"%s"}}',
    "mailgun": 'X-Mailgun-Variables: {"gw":"%s"}',
    "postmark": "X-PM-Metadata-gw: %s",
    "mailjet": "X-MJ-CustomID: %s",
    "sparkpost": 'X-MSYS-API: {"metadata":{"gw":"%s"}}',
    "brevo": "X-Mailin-custom: %s",
    "mandrill": 'X-MC-Metadata: {"gw":"%s"}',
    "postal": "X-Postal-Tag: %s",
    # These give back any header that they are asked for.
    "smtp2go": "X-Gw-Token: %s",
    "resend": "X-Gw-Token: %s",
    "kumomta": "X-Gw-Token: %s",
}
