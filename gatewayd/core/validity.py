"""How long a certificate is still good for, as operators are told. Pure."""

from datetime import UTC, datetime

from cryptography import x509

from gatewayd.core.durations import spoken

_EARLY = 14 * 86400.0
"""Seconds before its end at which a certificate is spoken of; certbot has renewed it 16 days earlier."""

_SHARE = 6
"""Of one that lives for so short that this would be most of its life: its last sixth."""


def until(certificate: x509.Certificate) -> str:
    """The moment at which it ends: 2027-02-27T12:00Z."""
    return f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%MZ}"


def has_ended(certificate: x509.Certificate, now: float) -> bool:
    """Whether nobody believes it any more."""
    return now >= certificate.not_valid_after_utc.timestamp()


def ending(certificate: x509.Certificate, now: float) -> str:
    """What is wrong with its dates, or soon will be; "" where nothing is."""
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if now < begins:
        return f"is not valid before {datetime.fromtimestamp(begins, UTC):%Y-%m-%dT%H:%MZ}"
    if now >= ends:
        return f"has expired, {spoken(now - ends)} ago ({until(certificate)})"
    early = min(_EARLY, (ends - begins) / _SHARE)
    return f"expires in {spoken(ends - now)} ({until(certificate)})" if ends - now < early else ""
