"""[labels.NAME]: what one brand may send, by which ways, and who may ask for it."""

from typing import Annotated

from pydantic import Discriminator, Field, Strict, Tag

from gatewayd.config.secret import CallersSecret, FullSecret, SigningKey
from gatewayd.config.table import Table
from gatewayd.config.times import Duration, QuietHoursOrNone, QuotaOrNone, Rate, Zone
from gatewayd.config.values import (
    CallbackHosts,
    Domain,
    DomainOrNone,
    EmailSenders,
    HeaderFields,
    Net,
    ReachedUrlOrNone,
    SmsSender,
    SmsSenders,
    Strings,
    Text,
    shaped,
)

SUPPRESS_FOR = 365 * 86400.0
"""Seconds for which a stop holds where the label says nothing of it."""


class SmsRoute(Table):
    """One entry of a label's sms_routes: SMSCs and providers in order for numbers that begin with `prefix`.

    `sender` is theirs whatever the request or sms_sender names; "" for none of their own.
    """

    prefix: Annotated[str, shaped(r"(\+[0-9]{0,15})?", 'is neither "" nor "+" and at most 15 digits')]
    via: Annotated[tuple[Text, ...], Strict(False), Field(min_length=1)]
    sender: SmsSender = ""


def sms_route(routes: tuple[SmsRoute, ...], number: str) -> SmsRoute | None:
    """The route for `number` (E.164 with plus): that of the longest prefix that fits."""
    fitting = [route for route in routes if number.startswith(route.prefix)]
    return max(fitting, key=lambda route: len(route.prefix), default=None)


class Dkim(Table):
    """[labels.NAME.dkim], or one of [[labels.NAME.dkim]]: sign the label's mail ourselves."""

    domain: Domain
    selector: Annotated[str, shaped(r"[A-Za-z0-9._-]+", "is not a selector: letters, digits, dot, dash and underscore")]
    private_key: SigningKey


DkimKeys = Annotated[
    Annotated[Dkim, Tag("[table]")] | Annotated[tuple[Dkim, ...], Strict(False), Tag("[tables]")],
    Discriminator(lambda raw: "[tables]" if isinstance(raw, list | tuple) else "[table]"),
]
"""One key, or several: each signs every mail (an RSA and an Ed25519 key, RFC 8463 section 3)."""


class Label(Table):
    """[labels.NAME]"""

    allow_from: Annotated[tuple[Net, ...], Strict(False)]
    authorization: Annotated[tuple[CallersSecret, ...], Strict(False), Field(min_length=1)]
    sms_authorization: bool = True
    api_key: FullSecret
    callback_url: ReachedUrlOrNone = ""
    callback_hosts: CallbackHosts
    callback_http: bool = False
    email_senders: EmailSenders = ()
    sms_senders: SmsSenders = ()
    sms_sender: SmsSender = ""
    preview_domains: Annotated[tuple[Domain, ...], Strict(False)] = ()
    preview_rate: Rate = 10 / 60
    directory: Text
    relays: Strings = ()
    im_via: Strings = ()
    sms_routes: Annotated[tuple[SmsRoute, ...], Strict(False)] = ()
    email_deadline: Duration = 86400.0
    sms_deadline: Duration = 4 * 3600.0
    im_deadline: Duration = 4 * 3600.0
    intake_rate: QuotaOrNone = None
    quiet_hours: QuietHoursOrNone = None
    quiet_timezone: Zone = "UTC"
    max_segments: Annotated[int, Field(ge=1, le=255)] = 10
    track_opens: bool = False
    report_machine_opens: bool = False
    one_click_unsubscribe: bool = False
    bounce_domain: DomainOrNone = ""
    headers: HeaderFields = {}
    complaint_address: bool = False
    transliterate: bool = False
    stop_words: Strings = ()
    suppress_for: Duration = SUPPRESS_FOR
    suppress_on_unsubscribe: bool = True
    suppress_on_complaint: bool = True
    suppress_on_hard_bounce: bool = True
    only_users: Strings | None = None
    dkim: DkimKeys | None = None

    @property
    def dkim_keys(self) -> tuple[Dkim, ...]:
        """The keys of `dkim`, none, one or several."""
        return self.dkim if isinstance(self.dkim, tuple) else () if self.dkim is None else (self.dkim,)
