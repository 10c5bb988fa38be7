"""Every metric, declared once, on the registry that is passed in.

Owns names, units, label names and histogram bounds. Knows nothing of who asks for the page: admin.py serves it, and
figures.py brings the numbers that only Redis and the channels know. On the hot path a metric's child is looked up once
and kept: the registry's own look-up costs more than the counting.

Values of metric labels come from the configuration or from closed vocabularies, never from a request: whoever can
choose one could grow this process without end.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from zope.interface import implementer

from gatewayd.config import Label
from gatewayd.core.errors import ErrorCode
from gatewayd.core.interfaces import IMeter
from gatewayd.core.model import Channel, Degraded, QueueState, WayState
from gatewayd.core.status import WAITING, Report, State
from gatewayd.operators.flow import Flow

_ANSWER = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LIFE = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0)
_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

RESULTS: dict[ErrorCode, str] = {code: code.name.lower() for code in ErrorCode}
"""The words for `result` in gatewayd_intake_total: the names in the public table of error codes."""

_WATCHED_OUTCOMES = ("sent", "uncertain", "failed", "rejected")
_WATCHED_RESULTS = (ErrorCode.TRY_AGAIN, ErrorCode.INTERNAL, ErrorCode.NOT_AUTHORISED)

Counts = Mapping[tuple[str, Channel, str], int]
"""As IStore.counts: label, channel and state to a number."""


@implementer(IMeter)
class Metrics:
    """The meter of one process. All times are seconds; names end in their unit, counters in `_total`."""

    def __init__(self, registry: CollectorRegistry, *, instance: str = "", version: str = "") -> None:
        self.registry = registry
        Info("gatewayd_build", "Version and instance of this process.", registry=registry).info(
            {"version": version, "instance": instance}
        )
        ProcessCollector(namespace="gatewayd", registry=registry)
        self._declare_flow(registry)
        self._declare_state(registry)

    def _declare_flow(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gatewayd_{name}", text, labels, registry=registry)

        def times(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"gatewayd_{name}", text, labels, buckets=buckets, registry=registry)

        def flow(
            total: tuple[str, str], time: tuple[str, str], bounds: Sequence[float], **labels: Sequence[str]
        ) -> Flow:
            made = Flow((f"gatewayd_{total[0]}", total[1]), (f"gatewayd_{time[0]}", time[1]), bounds, **labels)
            registry.register(made)
            return made

        self._intake = flow(
            ("intake_total", "Requests answered; result is the name of the answer's error_code."),
            ("intake_seconds", "From a request's arrival to its answer."),
            _ANSWER,
            labels=("label", "channel", "result"),
            timed_by=("label", "channel"),
        )
        self._attempts = flow(
            (
                "attempts_total",
                "Attempts to hand a message to a next hop: sent, again, uncertain, failed, rejected, set_aside.",
            ),
            ("attempt_age_seconds", "Age of a message, since its acceptance, when an attempt ended."),
            _LIFE,
            labels=("label", "channel", "outcome"),
            timed_by=("channel", "outcome"),
        )
        self._callbacks = flow(
            ("callbacks_total", "Callbacks to the caller: told, again, dead."),
            ("callback_age_seconds", "Age of a status, since it was queued, when a callback ended."),
            _LIFE,
            labels=("label", "status", "result"),
            timed_by=("result",),
        )
        self._evidence: dict[tuple[str, str, str], Counter] = {}
        self._evidence_total = counter(
            "evidence_total",
            "Receipts, bounces and other evidence: matched, parked, orphaned, ignored.",
            *("source", "event", "result"),
        )
        self._mails = counter("mails_total", "Emails that a relay took.", "label", "route")
        self._complaints = counter(
            "complaints_total",
            "Emails that a recipient complained about: 0.1 % of the mails is too many, 0.3 % stops delivery.",
            *("label", "route"),
        )
        self._smpp_answers = flow(
            (
                "smpp_answers_total",
                "Answers to submit_sm by command_status; other is what neither SMPP 3.4 nor its vendors' range names.",
            ),
            ("smpp_answer_seconds", "From a submit_sm on the wire to its answer."),
            _ANSWER,
            labels=("smsc", "status"),
            timed_by=("smsc",),
        )
        self._provider_answers = flow(
            (
                "provider_answers_total",
                "Answers of providers by HTTP status; none is a request that got no answer.",
            ),
            ("provider_answer_seconds", "From a request on the wire to the provider's answer."),
            _ANSWER,
            labels=("provider", "status"),
            timed_by=("provider",),
        )
        self._redis_time = times("redis_seconds", "Time that Redis took to answer.", _FAST)
        self._reactor_time = times("reactor_delay_seconds", "How late the reactor ran a call that was due.", _FAST)

    def _declare_state(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"gatewayd_{name}", text, labels, registry=registry)

        self._redis_up = gauge("redis_up", "1 while Redis answers.")
        self._messages = gauge(
            "messages", "Messages in each state; waiting ones are in flight to a next hop.", "label", "channel", "state"
        )
        self._difference = gauge(
            "unreconciled_messages", "Waiting by counts minus those in the queue: lastingly not 0 is a loss.", "channel"
        )
        self._unaccounted = gauge(
            "unaccounted_messages",
            "Accepted minus those sent or final and those whose content is kept: lastingly not 0 is a loss.",
            "label",
            "channel",
        )
        self._queue = gauge("queue_messages", "Members of a queue: waiting, leased.", "queue", "state")
        self._queue_age = gauge("queue_oldest_age_seconds", "Age of a queue's oldest, without what is held.", "queue")
        self._dead = gauge("dead_letters", "Statuses given up and kept for a person (counted up to a limit).")
        self._paused = gauge("paused", "1 while a label's channel is paused.", "label", "channel")
        self._degraded = gauge("degraded", "1 for each thing that does not work for somebody.", "kind", "name")
        way = ("channel", "route")
        self._way_up = gauge("route_up", "1 while a relay, SMSC or provider is up.", *way)
        self._way_window = gauge("route_window", "How many may be unanswered at once.", *way)
        self._way_in_flight = gauge("route_in_flight", "How many are unanswered now.", *way)
        self._way_limit = gauge("route_rate_limit_per_second", "Configured rate; 0 for no limit.", *way)
        self._totals = _Totals()
        registry.register(self._totals)

    def intake(self, label: str, channel: Channel, result: ErrorCode, seconds: float) -> None:
        """A request was answered; `label` is empty where the request named none of ours."""
        self._intake.ended(seconds, label, channel, RESULTS[result])

    def settled(self, label: str, channel: Channel, outcome: str, seconds: float) -> None:
        """An attempt ended; `seconds` since acceptance."""
        self._attempts.ended(seconds, label, channel, outcome)

    def reported(self, label: str, status: Report, result: str, seconds: float) -> None:
        """A callback ended; `seconds` since the status was queued."""
        self._callbacks.ended(seconds, label, status, result)

    def expect(self, labels: Mapping[str, Label]) -> None:
        """Show with 0 what alerts watch and has not happened yet.

        Prometheus sees no increase where a count begins: a label's first complaint, or the first burst of uncertain
        messages, would raise no alarm.
        """
        for name, label in labels.items():
            for relay in label.relays:
                self._mails.labels(name, relay)
                self._complaints.labels(name, relay)
            ways = ((Channel.EMAIL, label.relays), (Channel.SMS, label.sms_routes), (Channel.IM, label.im_via))
            for channel in (channel for channel, out in ways if out):
                for outcome in _WATCHED_OUTCOMES:
                    self._attempts.expect(name, channel, outcome)
                for result in _WATCHED_RESULTS:
                    self._intake.expect(name, channel, RESULTS[result])

    def mailed(self, label: str, route: str) -> None:
        """A relay took an email of this label."""
        self._mails.labels(label, route).inc()

    def complained(self, label: str, route: str) -> None:
        """A recipient complained about one of them, for the first time."""
        self._complaints.labels(label, route).inc()

    def evidence(self, source: str, event: str, result: str) -> None:
        """Evidence came."""
        counter = self._evidence.get((source, event, result))
        if counter is None:
            counter = self._evidence[source, event, result] = self._evidence_total.labels(source, event, result)
        counter.inc()

    def provider_answered(self, provider: str, status: str, seconds: float) -> None:
        """A provider answered a request with this HTTP status, or "none" where it did not."""
        self._provider_answers.ended(seconds, provider, status)

    def submit_answered(self, smsc: str, status: str, seconds: float) -> None:
        """An SMSC answered a submit, well or not, `seconds` after it was written; `status` by its name."""
        self._smpp_answers.ended(seconds, smsc, status)

    def redis_answered(self, seconds: float) -> None:
        """Redis answered a question in `seconds`."""
        self._redis_up.set(1)
        self._redis_time.observe(seconds)

    def redis_silent(self) -> None:
        """Redis does not answer: what it told before is not shown as if it were still true."""
        self._redis_up.set(0)
        self._totals.counts = {}
        for gauge in (self._messages, self._difference, self._unaccounted, self._queue, self._queue_age, self._paused):
            gauge.clear()

    def reactor_late(self, seconds: float) -> None:
        """A call ran `seconds` after it was due."""
        self._reactor_time.observe(seconds)

    def show_messages(self, counts: Counts, queues: Mapping[str, QueueState]) -> None:
        """Set the gauges of messages, of the queues, and of the reconciliation of the two."""
        self._totals.counts = counts
        for label, channel in {(label, channel) for label, channel, _ in counts}:
            self._messages.labels(label, channel, "waiting").set(waiting(counts, label, channel))
            self._unaccounted.labels(label, channel).set(unaccounted(counts, label, channel))
            for state in STATES:
                self._messages.labels(label, channel, state).set(counts.get((label, channel, state), 0))
        for channel, number in unreconciled(counts, queues).items():
            self._difference.labels(channel).set(number)
        for name, queue in queues.items():
            self._queue.labels(name, "waiting").set(queue.waiting)
            self._queue.labels(name, "leased").set(queue.leased)
            self._queue_age.labels(name).set(queue.oldest_age)

    def show_dead(self, number: int) -> None:
        """Set the gauge of dead letters."""
        self._dead.set(number)

    def show_paused(self, paused: Iterable[tuple[str, Channel]]) -> None:
        """Set the gauge of what is paused."""
        self._paused.clear()
        for label, channel in paused:
            self._paused.labels(label, channel).set(1)

    def show_degraded(self, degraded: Iterable[Degraded]) -> None:
        """Set the gauge of what does not work for somebody; what works again is shown no more."""
        self._degraded.clear()
        for one in degraded:
            self._degraded.labels(one.kind, one.name).set(1)

    def show_ways(self, channel: Channel, ways: Mapping[str, WayState]) -> None:
        """Set the gauges of the relays or SMSCs of one channel; one that a reload took away is shown no more."""
        for gone in [name for of, name in self._totals.ways if of is channel and name not in ways]:
            del self._totals.ways[channel, gone]
            for gauge in (self._way_up, self._way_window, self._way_in_flight, self._way_limit):
                gauge.remove(channel, gone)
        for name, way in ways.items():
            self._way_up.labels(channel, name).set(way.up)
            self._way_window.labels(channel, name).set(way.window)
            self._way_in_flight.labels(channel, name).set(way.in_flight)
            self._way_limit.labels(channel, name).set(way.rate)
            self._totals.ways[channel, name] = way


class _Totals(Collector):
    """What is counted elsewhere, in Redis and in the channels, shown as the counters that it is."""

    def __init__(self) -> None:
        self.counts: Counts = {}
        self.ways: dict[tuple[Channel, str], WayState] = {}
        self._shown: dict[tuple[str, Channel, str], int] = {}

    def _never_back(self, key: tuple[str, Channel, str], number: int) -> int:
        """`number`, or what was shown before where that is a little more.

        An acceptance that is undone, and a Redis that comes back with an older dataset, take something from what Redis
        counts, and Prometheus would read the whole number as new. With less than half of it left, it did begin anew.
        """
        before = self._shown.get(key, 0)
        shown = self._shown[key] = before if before / 2 < number < before else number
        return shown

    def collect(self) -> Iterator[Metric]:
        for what, text in (("accepted", "Messages accepted."), ("handed", "Messages that a next hop took.")):
            messages = CounterMetricFamily(f"gatewayd_messages_{what}", text, labels=("label", "channel"))
            for key, number in self.counts.items():
                if key[2] == what:
                    messages.add_metric(key[:2], self._never_back(key, number))
            yield messages
        way = ("channel", "route")
        handed = CounterMetricFamily("gatewayd_route_handed", "What a next hop took of this process.", labels=way)
        throttled = CounterMetricFamily("gatewayd_route_throttled", "Times a next hop said slow down.", labels=way)
        unreadable = CounterMetricFamily(
            "gatewayd_smpp_unreadable", "Receipts and texts that could not be read in whole.", labels=("smsc",)
        )
        for (channel, name), state in self.ways.items():
            handed.add_metric((channel, name), state.handed)
            throttled.add_metric((channel, name), state.throttled)
            if state.binds:
                unreadable.add_metric((name,), state.unreadable)
        yield handed
        yield throttled
        yield unreadable
        yield from self._binds()

    def _binds(self) -> Iterator[Metric]:
        bind = ("smsc", "bind")
        up = GaugeMetricFamily("gatewayd_smpp_bind_up", "1 while a bind is bound.", labels=bind)
        window = GaugeMetricFamily("gatewayd_smpp_bind_window", "Submits that may be unanswered at once.", labels=bind)
        in_flight = GaugeMetricFamily("gatewayd_smpp_bind_in_flight", "Submits unanswered now.", labels=bind)
        reconnects = CounterMetricFamily("gatewayd_smpp_bind_reconnects", "Times it was bound anew.", labels=bind)
        silent = CounterMetricFamily("gatewayd_smpp_bind_unanswered", "Submits never answered in time.", labels=bind)
        for (_, name), way in self.ways.items():
            for state in way.binds:
                key = (name, f"{state.mode} {state.number}")
                up.add_metric(key, state.phase == "bound")
                if state.mode != "receiver":
                    window.add_metric(key, state.window)
                    in_flight.add_metric(key, state.in_flight)
                reconnects.add_metric(key, state.reconnects)
                silent.add_metric(key, state.unanswered)
        yield from (up, window, in_flight, reconnects, silent)


STATES = tuple(str(state) for state in State if state not in WAITING)
"""The states that the store counts; what was accepted and is in none of them waits."""


def waiting(counts: Counts, label: str, channel: Channel) -> int:
    """Messages of one label and channel that were accepted and that no next hop has taken: accepted minus the rest."""
    rest = sum(counts.get((label, channel, state), 0) for state in STATES)
    return counts.get((label, channel, "accepted"), 0) - rest


def unaccounted(counts: Counts, label: str, channel: Channel) -> int:
    """Accepted minus what is sent or final and what is in flight, of one label and channel."""
    return waiting(counts, label, channel) - counts.get((label, channel, "in_flight"), 0)


def unreconciled(counts: Counts, queues: Mapping[str, QueueState]) -> dict[Channel, int]:
    """For each channel: accepted minus all that is final, sent, or in its queue. Anything lastingly not 0 is a fault.

    The store counts states when they change, and a queue's members are what they are: the two are independent.
    """
    found = {}
    for channel in Channel:
        labels = {label for label, of_channel, _ in counts if of_channel is channel}
        queue = queues.get(channel, QueueState(0, 0, 0.0))
        found[channel] = sum(waiting(counts, label, channel) for label in labels) - queue.waiting - queue.leased
    return found
