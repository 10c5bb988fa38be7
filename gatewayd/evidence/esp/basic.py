"""HTTP Basic credentials (RFC 7617): the proof of the providers that sign nothing."""

import base64
import binascii
import hmac

from gatewayd.evidence.esp.event import EspRequest, Forged, Settings


class WrongCredentials(Forged):
    """They are missing or wrong, as while an operator changes the password: what is repeated then is not lost."""


def check(request: EspRequest, settings: Settings) -> None:
    """Raises WrongCredentials where credentials are configured and the request does not bring them.

    Where none are, the secret in the path is the proof; the listener has compared it.
    """
    if not settings.username and not settings.password:
        return
    scheme, _, given = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "basic":
        raise WrongCredentials("no Basic credentials")
    try:
        raw = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise WrongCredentials("the Basic credentials are not base64") from None
    if not hmac.compare_digest(raw, f"{settings.username}:{settings.password}".encode()):
        raise WrongCredentials("wrong Basic credentials")
