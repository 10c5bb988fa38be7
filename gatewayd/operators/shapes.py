"""The JSON that the admin listener tells, as CONTRACT.md ("Shapes") fixes it. Pure.

Times are ISO 8601 in UTC with milliseconds; what has not happened yet is null.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from gatewayd.core.model import BindState, Channel, DeadLetter, Json, Kept, Known, Stopped, Trace
from gatewayd.operators.figures import Sample, Snapshot, rate_of
from gatewayd.operators.metrics import STATES, Counts, waiting


def without_way_out(channels: Sequence[Channel]) -> Json:
    """What is said besides where an order was about a channel by which nothing goes out."""
    return {"without_way_out": channels} if channels else {}


def iso(at: float) -> str | None:
    """`at` (seconds since the epoch) as 2026-01-31T12:00:00.000Z; None for 0, which is "not yet"."""
    if not at:
        return None
    # Whole milliseconds first: fromtimestamp would round a float's last bits to another one.
    whole, milliseconds = divmod(round(at * 1000), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def trace_json(trace: Trace, namesakes: Iterable[Known] = ()) -> Json:
    """`/messages/<id>`; `namesakes` are other messages of the uid that was asked for, if it has some."""
    others = [
        {"ext_message_id": one.message_id, "label": one.label, "channel": one.channel, "state": one.state}
        for one in namesakes
    ]
    told: Json = {
        "ext_message_id": trace.ext_message_id,
        "uid": trace.uid,
        "label": trace.label,
        "channel": trace.channel,
        "ext_user_id": trace.ext_user_id,
        "state": trace.state,
        "reports": [
            {"status": report.status, "at": iso(report.at), "answered_at": iso(report.answered_at)}
            for report in trace.reports
        ],
        "timeline": [
            {"at": iso(event.at), "event": event.event}
            | ({"detail": event.detail} if event.detail else {})
            | ({"until": iso(event.until), "times": event.times} if event.times > 1 else {})
            for event in trace.timeline
        ],
    }
    return told | ({"same_uid": others} if others else {})


def kept_json(kept: Kept) -> Json:
    """One message in an export: its timeline, what else is stored of it, and its content while it waits."""
    answer: Json = trace_json(kept.trace) | {
        "accepted_at": iso(kept.accepted_at),
        "deadline": iso(kept.deadline),
        "sent_at": iso(kept.sent_at),
        "activity_type": kept.activity_type,
        "address_hash": kept.address_hash,
        "route": kept.route,
        "attempts": kept.attempts,
        "callback_url": kept.callback_url.partition("?")[0],
    }
    if kept.waiting is not None:
        answer["content"] = msgspec.to_builtins(kept.waiting.content)
        answer["content"].pop("type", None)
    return answer


def stopped_json(stopped: Stopped | None) -> Json | None:
    """A player's place on one stop list; null where they are not on it."""
    if stopped is None:
        return None
    return {"player_until": iso(stopped.until), "addresses": stopped.addresses}


def dead_json(letter: DeadLetter) -> Json:
    """One dead letter."""
    return {
        "ext_message_id": letter.message_id,
        "label": letter.label,
        "status": letter.status,
        "given_up_at": iso(letter.given_up_at),
        "waited_seconds": letter.waited,
        "tries": letter.tries,
        "reason": letter.reason,
    }


def status_json(
    snapshot: Snapshot,
    history: Sequence[Sample],
    labels: Iterable[str],
    *,
    instance: str,
    version: str,
    reasons: Iterable[str],
) -> Json:
    """`/verbs/status`: what the dashboard shows. Queues and labels are empty while Redis is silent."""
    past = [*history, snapshot.sample()]
    return {
        "instance": instance,
        "version": version,
        "at": iso(snapshot.at),
        "reasons": list(reasons),
        "degraded": [{"kind": one.kind, "name": one.name, "text": one.text} for one in snapshot.degraded],
        "redis": {
            "up": not snapshot.redis_trouble,
            "seconds": snapshot.redis_seconds,
            "trouble": snapshot.redis_trouble,
        },
        "queues": {
            name: {"waiting": queue.waiting, "leased": queue.leased, "oldest_age_seconds": round(queue.oldest_age, 3)}
            for name, queue in snapshot.queues.items()
        },
        "labels": {} if snapshot.redis_trouble else labels_json(snapshot, labels),
        "routes": [
            {
                "channel": channel,
                "name": name,
                "up": way.up,
                "word": way.word,
                "reason": way.reason,
                "since": iso(way.since),
                "in_flight": way.in_flight,
                "window": way.window,
                "rate": round(rate_of(past, channel, name), 2),
                "rate_limit": way.rate,
                "handed": way.handed,
                "throttled": way.throttled,
                "binds": [bind_json(bind) for bind in way.binds],
            }
            for channel, ways in snapshot.ways.items()
            for name, way in ways.items()
        ],
        "callback_hosts": [
            {"host": host, "up": not reason, "reason": reason}
            for host, reason in sorted(snapshot.callback_hosts.items())
        ],
        "directories": [
            {"name": name, "up": not reason, "reason": reason} for name, reason in sorted(snapshot.directories.items())
        ],
        "dead_letters": {"count": snapshot.dead, "more": snapshot.dead_is_more},
    }


def bind_json(bind: BindState) -> Json:
    """One bind of an SMSC."""
    return {
        "number": bind.number,
        "mode": bind.mode,
        "state": bind.phase,
        "since": iso(bind.since),
        "in_flight": bind.in_flight,
        "window": bind.window,
        "handed": bind.handed,
        "unanswered": bind.unanswered,
        "reconnects": bind.reconnects,
        "answer_seconds": round(bind.latency, 4),
        "last_error": bind.last_error,
    }


def labels_json(snapshot: Snapshot, labels: Iterable[str]) -> Json:
    """For each label and channel the messages accepted, those in each state, and whether it is paused."""
    return {
        label: {
            channel: state_counts(snapshot.counts, label, channel) | {"paused": (label, channel) in snapshot.paused}
            for channel in Channel
        }
        for label in labels
    }


def state_counts(counts: Counts, label: str, channel: Channel) -> dict[str, int]:
    """Messages ever accepted of one label and channel, those that wait, and those in each later state."""
    numbers: Mapping[str, int] = {state: counts.get((label, channel, state), 0) for state in ("accepted", *STATES)}
    return {**numbers, "waiting": waiting(counts, label, channel)}
