"""The ways out, as one value, and how they are made from the configuration."""

from typing import Any

from msgspec import Struct

from gatewayd.assembly.shared import Shared
from gatewayd.core.model import Channel
from gatewayd.core.tokens import Purpose
from gatewayd.evidence.track import Tracker
from gatewayd.providers.channel import HttpChannel
from gatewayd.reload import carrying
from gatewayd.smpp.channel import SmppChannel
from gatewayd.smpp.fit import Fit
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.smtp.own_name import HostsOwnName
from gatewayd.work.shared_routes import SharedRoutes


class Ways(Struct, frozen=True, kw_only=True):
    """The ways out. `fit` says into how many segments an SMS falls by the SMSCs that it may take.

    `sms` are SMSCs and providers together, in each route's order.
    """

    smtp: SmtpChannel
    smpp: SmppChannel
    http: HttpChannel
    im: HttpChannel
    sms: SharedRoutes
    fit: Fit

    @property
    def by_channel(self) -> dict[Channel, Any]:
        """The way out of each channel."""
        return {Channel.EMAIL: self.smtp, Channel.SMS: self.sms, Channel.IM: self.im}

    def kind_of(self, channel: Channel, name: str) -> str:
        """What a way out is called in what operators read."""
        if channel is Channel.EMAIL:
            return "relay"
        return "provider" if channel is Channel.IM or self.http.knows(name) else "smsc"


def make_ways(shared: Shared, tracker: Tracker) -> Ways:
    """From the configuration; what comes back over them is `tracker`'s."""
    config, keys, store = shared.config, shared.keys, shared.store
    base_url = config.public.base_url.rstrip("/") if config.public else ""
    smpp = SmppChannel(
        shared.reactor,
        config.smscs,
        config.labels,
        number_hashes=keys.number_hashes,
        reserve=store.reserve,
        evidence=tracker,
        on_segment=store.record_segments,
        on_answer=shared.metrics.submit_answered,
        jitter=shared.jitter,
    )

    def report_url(provider: str, message_id: str) -> str:
        return f"{base_url}/dlr/{provider}/{keys.token(Purpose.REPORT, message_id)}" if base_url else ""

    def by_http(carries: str) -> HttpChannel:
        return HttpChannel(
            shared.reactor,
            carrying(config, carries),
            report_url=report_url,
            reserve=store.reserve,
            jitter=shared.jitter,
            on_answer=shared.metrics.provider_answered,
        )

    http = by_http("sms")
    return Ways(
        smtp=SmtpChannel(
            shared.reactor,
            config.relays,
            config.labels,
            keys=keys,
            return_domain=config.bounces.domain if config.bounces else "",
            base_url=base_url,
            own_name=HostsOwnName(shared.reactor),
            jitter=shared.jitter,
            reserve=store.reserve_soon,
        ),
        smpp=smpp,
        http=http,
        im=by_http("im"),
        sms=SharedRoutes([smpp, http]),
        fit=Fit(config.smscs),
    )
