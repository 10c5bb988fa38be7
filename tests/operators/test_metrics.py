"""Metrics: what is counted shows on the page, under names and units by convention, and without an address."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from zope.interface.verify import verifyObject

import labels
from gatewayd.core.errors import ErrorCode
from gatewayd.core.interfaces import IMeter
from gatewayd.core.model import BindState, Channel, Degraded, QueueState, WayState
from gatewayd.core.status import Report
from gatewayd.operators.metrics import Metrics, unreconciled, waiting

EMAIL, SMS, IM = Channel
LABEL = labels.label(relays=["main"], sms_routes=[{"prefix": "", "via": ["world"]}])


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty one."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """All metrics on it."""
    return Metrics(registry, instance="gw1", version="1.2")


def page(metrics: Metrics) -> str:
    """What Prometheus would read."""
    return generate_latest(metrics.registry).decode()


def test_it_is_a_meter(metrics: Metrics) -> None:
    """The verbs can count with it."""
    assert verifyObject(IMeter, metrics)


def test_requests_count_by_label_channel_and_result(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Each answer counts once, under its error code's public name, and its time is seen."""
    metrics.intake("amazing", EMAIL, ErrorCode.TAKEN, 0.002)
    metrics.intake("amazing", EMAIL, ErrorCode.TAKEN, 0.002)
    metrics.intake("amazing", SMS, ErrorCode.USER_NOT_FOUND, 0.1)

    def total(channel: str, result: str) -> float | None:
        return registry.get_sample_value(
            "gatewayd_intake_total", {"label": "amazing", "channel": channel, "result": result}
        )

    assert total("email", "taken") == 2
    assert total("sms", "user_not_found") == 1
    assert registry.get_sample_value("gatewayd_intake_seconds_sum", {"label": "amazing", "channel": "sms"}) == 0.1


def test_the_first_complaint_is_an_increase(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Who may send has both counts from the start, at 0: else Prometheus would see the second complaint at first."""
    where = {"label": "amazing", "route": "main"}
    metrics.expect({"amazing": LABEL})
    names = ("gatewayd_mails_total", "gatewayd_complaints_total")
    assert [registry.get_sample_value(name, where) for name in names] == [0, 0]
    metrics.mailed("amazing", "main")
    metrics.complained("amazing", "main")
    metrics.expect({"amazing": LABEL})
    assert [registry.get_sample_value(name, where) for name in names] == [1, 1]


def test_what_alerts_count_begins_with_nought(metrics: Metrics, registry: CollectorRegistry) -> None:
    """A burst that is the first of its kind is an increase: uncertain, failed, refused for our own reasons."""
    metrics.expect({"amazing": LABEL})
    for channel, counted in (("email", 0), ("sms", 0), ("im", None)):
        where = {"label": "amazing", "channel": channel}
        for outcome in ("sent", "uncertain", "failed", "rejected"):
            assert registry.get_sample_value("gatewayd_attempts_total", where | {"outcome": outcome}) == counted
        for result in ("try_again", "internal", "not_authorised"):
            assert registry.get_sample_value("gatewayd_intake_total", where | {"result": result}) == counted
    metrics.settled("amazing", SMS, "uncertain", 1.0)
    metrics.expect({"amazing": LABEL})
    of_sms = {"label": "amazing", "channel": "sms", "outcome": "uncertain"}
    assert registry.get_sample_value("gatewayd_attempts_total", of_sms) == 1


def test_alerts_and_board_look_at_every_queue() -> None:
    """Whatever names queues of messages names each channel's: one that is left out may wait for ever unseen."""
    for expressions in (alert_expressions(), dashboard_expressions()):
        for named in re.findall(r'queue=~"([a-z|]+)"', expressions):
            assert set(named.split("|")) == set(Channel)


def test_what_redis_counts_never_goes_back_a_little(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Prometheus would take all of a million for new where one acceptance is undone; a new Redis begins anew."""
    shown = []
    for number in (1_000_000, 999_999, 1_000_001, 900_000, 1_000_002, 3, 2, 4):
        metrics.show_messages({("amazing", SMS, "accepted"): number, ("amazing", SMS, "delivered"): 1}, {})
        where = {"label": "amazing", "channel": "sms"}
        shown.append(registry.get_sample_value("gatewayd_messages_accepted_total", where))
    assert shown == [1_000_000, 1_000_000, 1_000_001, 1_000_001, 1_000_002, 3, 3, 4]


def test_attempts_callbacks_and_evidence_count(metrics: Metrics, registry: CollectorRegistry) -> None:
    """The three later stages of a message's life have a counter each."""
    metrics.settled("amazing", SMS, "uncertain", 3.0)
    metrics.reported("amazing", Report.DELIVERED, "again", 7.0)
    metrics.evidence("world", "delivered", "parked")
    for name, where in (
        ("gatewayd_attempts_total", {"label": "amazing", "channel": "sms", "outcome": "uncertain"}),
        ("gatewayd_callbacks_total", {"label": "amazing", "status": "delivered", "result": "again"}),
        ("gatewayd_evidence_total", {"source": "world", "event": "delivered", "result": "parked"}),
    ):
        assert registry.get_sample_value(name, where) == 1
    assert registry.get_sample_value("gatewayd_callback_age_seconds_sum", {"result": "again"}) == 7.0


def test_what_redis_told_is_not_shown_once_it_is_silent(metrics: Metrics, registry: CollectorRegistry) -> None:
    """A queue's depth of an hour ago must not look like one of now."""
    metrics.redis_answered(0.001)
    metrics.show_messages({("amazing", SMS, "accepted"): 3}, {"sms": QueueState(2, 1, 5.0)})
    queue = {"queue": "sms", "state": "waiting"}
    assert registry.get_sample_value("gatewayd_queue_messages", queue) == 2
    assert registry.get_sample_value("gatewayd_queue_oldest_age_seconds", {"queue": "sms"}) == 5.0
    metrics.redis_silent()
    assert registry.get_sample_value("gatewayd_queue_messages", queue) is None
    assert registry.get_sample_value("gatewayd_redis_up") == 0


def test_a_way_out_shows_its_state_window_and_totals(metrics: Metrics, registry: CollectorRegistry) -> None:
    """An SMSC's link can be watched: up, window use, limit, what it took, how often it throttled."""
    metrics.show_ways(SMS, {"world": WayState(True, in_flight=3, window=20, rate=100.0, handed=7, throttled=2)})
    labels = {"channel": "sms", "route": "world"}
    for name, value in (
        ("gatewayd_route_up", 1),
        ("gatewayd_route_in_flight", 3),
        ("gatewayd_route_window", 20),
        ("gatewayd_route_rate_limit_per_second", 100),
        ("gatewayd_route_handed_total", 7),
        ("gatewayd_route_throttled_total", 2),
    ):
        assert registry.get_sample_value(name, labels) == value, name


def test_every_name_begins_with_gatewayd(metrics: Metrics) -> None:
    """CONTRACT.md: metric names begin with gatewayd_."""
    metrics.intake("amazing", EMAIL, ErrorCode.TAKEN, 0.002)
    names = {line.split("{")[0].split(" ")[0] for line in page(metrics).splitlines() if not line.startswith("#")}
    assert names
    assert all(name.startswith("gatewayd_") for name in names)


def test_counters_and_times_are_named_by_convention(metrics: Metrics) -> None:
    """Counters end in _total, histograms in _seconds."""
    for line in page(metrics).splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split(" ")
            assert kind != "counter" or name.endswith("_total"), name
            assert kind != "histogram" or name.endswith("_seconds"), name


def test_a_message_lost_by_the_queue_is_seen() -> None:
    """Accepted 5, delivered 2, queued 2: one is nowhere, and the reconciliation says so."""
    counts = {("amazing", SMS, "accepted"): 5, ("amazing", SMS, "delivered"): 2}
    assert waiting(counts, "amazing", SMS) == 3
    assert unreconciled(counts, {"sms": QueueState(1, 1, 0.0)}) == {EMAIL: 0, SMS: 1, IM: 0}


def test_a_message_lost_by_its_label_is_seen(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Accepted 5, delivered 2, in flight 2: one is nowhere, and its label and channel are named."""
    counts = {("amazing", SMS, "accepted"): 5, ("amazing", SMS, "delivered"): 2, ("amazing", SMS, "in_flight"): 2}
    counts |= {("other", SMS, "accepted"): 1, ("other", SMS, "in_flight"): 1}
    metrics.show_messages(counts, {"sms": QueueState(2, 1, 0.0)})
    name = "gatewayd_unaccounted_messages"
    assert registry.get_sample_value(name, {"label": "amazing", "channel": "sms"}) == 1
    assert registry.get_sample_value(name, {"label": "other", "channel": "sms"}) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from([EMAIL, SMS, IM]),
            st.sampled_from(["waiting", "sent", "delivered", "failed", "rejected"]),
        )
    )
)
def test_messages_that_are_all_somewhere_reconcile(lives: list[tuple[str, Channel, str]]) -> None:
    """Whatever states the messages are in, the difference is 0 while each of them is in one."""
    counts: dict[tuple[str, Channel, str], int] = {}
    queued = {EMAIL: 0, SMS: 0, IM: 0}
    for label, channel, state in lives:
        counts[label, channel, "accepted"] = counts.get((label, channel, "accepted"), 0) + 1
        if state == "waiting":
            queued[channel] += 1
        else:
            counts[label, channel, state] = counts.get((label, channel, state), 0) + 1
    queues = {str(channel): QueueState(number, 0, 0.0) for channel, number in queued.items()}
    assert unreconciled(counts, queues) == {EMAIL: 0, SMS: 0, IM: 0}


ETC = Path(__file__).resolve().parent.parent.parent / "etc"


def named_in(text: str) -> set[str]:
    """The metrics that an expression reads."""
    return set(re.findall(r"\bgatewayd_[a-z_]+\b", text))


def alert_expressions() -> str:
    """The `expr` lines of the alert rules, with those that follow on deeper lines."""
    rules = (ETC / "prometheus-alerts.yml").read_text()
    return "\n".join(re.findall(r"^        expr:(.*(?:\n {10,}.*)*)", rules, re.MULTILINE))


def dashboard_expressions() -> str:
    """The queries of the Grafana dashboard, and of its variables."""
    board = json.loads((ETC / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return "\n".join(queries + [json.dumps(one.get("query", "")) for one in board["templating"]["list"]])


@pytest.mark.parametrize("expressions", [alert_expressions(), dashboard_expressions()], ids=["alerts", "dashboard"])
def test_what_etc_watches_is_there(metrics: Metrics, expressions: str) -> None:
    """Alerts and dashboard read only metrics that a process which did everything once shows."""
    metrics.intake("amazing", EMAIL, ErrorCode.TAKEN, 0.002)
    metrics.settled("amazing", EMAIL, "sent", 1.0)
    metrics.reported("amazing", Report.ACCEPTED, "told", 1.0)
    metrics.evidence("dsn", "delivered", "matched")
    metrics.redis_answered(0.001)
    metrics.reactor_late(0.001)
    metrics.show_messages({("amazing", EMAIL, "accepted"): 1}, {"email": QueueState(1, 0, 1.0)})
    metrics.show_dead(1)
    metrics.mailed("amazing", "main")
    metrics.complained("amazing", "main")
    metrics.show_degraded([Degraded("label", "amazing/email", "no way out")])
    metrics.show_paused([("amazing", EMAIL)])
    metrics.provider_answered("vendor", "200", 0.02)
    metrics.submit_answered("world", "ESME_ROK", 0.02)
    bind = BindState("world", 0, "transceiver", "bound", 1.0)
    metrics.show_ways(SMS, {"world": WayState(True, binds=(bind,))})
    metrics.show_ways(EMAIL, {"main": WayState(True)})
    shown = {re.split(r"[{ ]", line)[0] for line in page(metrics).splitlines() if not line.startswith("#")}
    assert len(named_in(expressions)) > 10
    assert named_in(expressions) <= shown


def test_the_board_shows_whatever_an_alert_looks_at() -> None:
    """Who is called by an alert, and by what does not work for somebody above all, finds its course on the board."""
    assert named_in(alert_expressions()) <= named_in(dashboard_expressions())


def test_a_relay_and_an_smsc_of_one_name_are_two_lines_of_the_board() -> None:
    """Names are unique among those of a channel only."""
    for expression in re.findall(r"by \(([a-z,]+)\)\([^\n]*?\bgatewayd_route_", dashboard_expressions()):
        assert {"channel", "route"} <= set(expression.split(","))


def test_expressions_are_balanced() -> None:
    """No bracket or quote was left open."""
    for expression in [*dashboard_expressions().splitlines(), alert_expressions()]:
        assert expression.count("(") == expression.count(")")
        assert expression.count("{") == expression.count("}")
        assert expression.count("[") == expression.count("]")


def test_binds_and_answers_of_an_smsc() -> None:
    """Answers by status with their time; each bind's state, window and reconnects; a bind that is gone is not shown."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.submit_answered("world", "ESME_ROK", 0.02)
    metrics.submit_answered("world", "ESME_RTHROTTLED", 0.03)

    def bind(mode: str, phase: str) -> BindState:
        return BindState("world", 0, mode, phase, 1.0, window=20, in_flight=3, reconnects=2, unanswered=1)

    binds = (bind("transmitter", "bound"), bind("receiver", "waiting"))
    metrics.show_ways(SMS, {"world": WayState(True, binds=binds), "uk": WayState(True)})

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"gatewayd_{name}", labels)

    assert value("smpp_answers_total", smsc="world", status="ESME_RTHROTTLED") == 1
    assert value("smpp_answer_seconds_count", smsc="world") == 2
    for name, expected in (("up", 1), ("window", 20), ("in_flight", 3)):
        assert value(f"smpp_bind_{name}", smsc="world", bind="transmitter 0") == expected
    assert value("smpp_bind_up", smsc="world", bind="receiver 0") == 0
    assert value("smpp_bind_window", smsc="world", bind="receiver 0") is None
    assert value("smpp_bind_reconnects_total", smsc="world", bind="receiver 0") == 2
    assert value("smpp_bind_unanswered_total", smsc="world", bind="transmitter 0") == 1
    metrics.show_ways(SMS, {"world": WayState(True)})
    assert value("smpp_bind_up", smsc="world", bind="receiver 0") is None
    assert value("route_up", channel="sms", route="uk") is None
    assert value("route_up", channel="sms", route="world") == 1
