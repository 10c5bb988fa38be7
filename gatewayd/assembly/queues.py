"""What is done with stored messages and reports, as [gatewayd] work says, and who keeps the leases."""

import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from gatewayd.assembly.shared import Shared
from gatewayd.assembly.ways import Ways
from gatewayd.core.interfaces import IChannel
from gatewayd.core.model import Channel
from gatewayd.core.retry import RELAY, SMSC
from gatewayd.evidence.track import Tracker
from gatewayd.operators.daemon import end
from gatewayd.reload import policies
from gatewayd.store.working import Working
from gatewayd.work.attempts import MessageWork
from gatewayd.work.deliver import Deliverer
from gatewayd.work.keeper import Keeper
from gatewayd.work.outbox import Outbox
from gatewayd.work.report import Reporter
from gatewayd.work.report_attempts import ReportWork

WINDOWS = {Channel.EMAIL: 256, Channel.SMS: 512, Channel.IM: 256}
REPORT_WINDOW = 128
"""Items in work at a time, for each kind."""


class Queues(Struct, frozen=True, kw_only=True):
    """What is done with stored messages: how one is delivered, and the queues by name, reports among them."""

    deliverer: Deliverer
    messages: Mapping[Channel, MessageWork]
    outboxes: Mapping[str, Outbox[Any]]

    def pause(self, paused: frozenset[tuple[str, Channel]]) -> None:
        """Let these labels' channels wait, and no others."""
        for work in self.messages.values():
            work.paused = paused


def make_queues(shared: Shared, ways: Ways, tracker: Tracker, reporter: Reporter) -> Queues:
    """What this process works on, as [gatewayd] work says."""
    reactor, config, store = shared.reactor, shared.config, shared.store
    channels = ways.by_channel
    deliverer = Deliverer(
        reactor,
        store,
        channels,
        shared.recipients,
        shared.keys,
        marks=shared.marks,
        segments=ways.fit.segments,
        labels=config.labels,
        consent=shared.consent,
        wall=time.time,
    )
    messages = {
        channel: MessageWork(
            reactor,
            store,
            channel,
            deliverer.deliver,
            marks=shared.marks,
            statuses=shared.statuses,
            evidence=tracker,
            retry=RELAY if channel is Channel.EMAIL else SMSC,
            policies=policies(config, channel),
            jitter=shared.jitter,
            meter=shared.metrics,
            heard_since=channels[channel].heard_since,
            tells_later=channels[channel].tells_later,
            why_not=partial(_why_not, channels[channel]),
            decided=shared.decided,
        )
        for channel in Channel
        if _works_on(config.gatewayd.work, channel)
    }
    outboxes: dict[str, Outbox[Any]] = {
        channel: Outbox(reactor, work, WINDOWS[channel]) for channel, work in messages.items()
    }
    if "reports" in config.gatewayd.work:
        reports = ReportWork(
            reactor, store, reporter.tell, statuses=shared.statuses, jitter=shared.jitter, meter=shared.metrics
        )
        outboxes["reports"] = outbox = Outbox(reactor, reports, REPORT_WINDOW)
        store.feed_reports(outbox.room, outbox.offer)
    return Queues(deliverer=deliverer, messages=messages, outboxes=outboxes)


def make_working(shared: Shared, queues: Queues) -> Working:
    """Who tells the other processes what this one works on."""
    return Working(shared.link, tuple(queues.outboxes))


def make_keeper(shared: Shared, queues: Queues, tracker: Tracker) -> Keeper:
    """Who keeps this process's leases; where another has taken its name, the process ends."""
    return Keeper(
        shared.reactor,
        shared.store,
        queues.outboxes,
        on_paused=queues.pause,
        evidence=tracker,
        marks=shared.marks,
        statuses=shared.statuses,
        last_words=shared.last_words,
        on_usurped=lambda: end(shared.reactor),
        instance=shared.config.gatewayd.instance,
    )


def _works_on(work: Collection[str], channel: Channel) -> bool:
    """Who works on SMS works on instant messages, too: CONTRACT.md has no word of their own for these."""
    return channel in work or (channel is Channel.IM and Channel.SMS in work)


def _why_not(channel: IChannel) -> str:
    """Why nothing can go out by any way of the channel."""
    return channel.why_not(tuple(channel.routes()))
