"""What does not work for somebody, though the process does its work: each part says so, and one place asks them all.

/readyz, the dashboard, `gatewayctl status` and the metric show the same list. Owns the words for what nobody else can
say: which label has no way out, and whom a neighbour that is down hits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from twisted.logger import Logger

from gatewayd.config import Label
from gatewayd.core.interfaces import IChannel, SaysDegraded
from gatewayd.core.model import Channel, Degraded, WayState, some_names

log = Logger()


class DegradedNow:
    """All parts that were named to `ask`, and what they say."""

    def __init__(self) -> None:
        self._parts: list[SaysDegraded] = []

    def ask(self, says: SaysDegraded) -> None:
        """Ask this part too, from now on."""
        self._parts.append(says)

    def now(self) -> tuple[Degraded, ...]:
        """Everything, in order of kind and name; one text for each."""
        found: dict[tuple[str, str], Degraded] = {}
        for says in self._parts:
            try:
                found |= {(one.kind, one.name): one for one in says()}
            except Exception:
                # A part that can't speak must not hide what the others say, and is itself something to say.
                log.failure("a bug: a part could not say what is degraded")
                found["gatewayd", "degraded"] = Degraded(
                    "gatewayd", "degraded", "a part could not say what is degraded; the log has the traceback"
                )
        return tuple(sorted(found.values()))


class WaysOut:
    """Which labels have no way out, and which ways are down or take nothing.

    `kind_of` names the kind of a way: relay, smsc, provider.
    """

    def __init__(
        self,
        channels: Mapping[Channel, IChannel],
        labels: Mapping[str, Label],
        kind_of: Callable[[Channel, str], str],
    ) -> None:
        self._channels = channels
        self._labels = labels
        self._kind_of = kind_of

    def reconfigure(self, labels: Mapping[str, Label]) -> None:
        """Look at these labels from now on."""
        self._labels = labels

    def why_left(self, label: str, channel: Channel) -> str:
        """That the file has no such label any more, or no way out of it by this channel; "" where it has one."""
        table = self._labels.get(label)
        if table is None:
            return "is in the configuration no more"
        if any(of is channel for of, _, _ in _ways_of(table)):
            return ""
        return f"has no way out for {channel} in the configuration any more"

    def degraded(self) -> Iterator[Degraded]:
        """A label's channel, or those of its numbers, that no way is up for; then each used way that takes nothing."""
        up = {channel: way.routes() for channel, way in self._channels.items()}
        reasons = {channel: self._reasons(channel) for channel in self._channels}
        for label, table in self._labels.items():
            for channel, whose, names in _ways_of(table):
                if channel in up and not any(up[channel].get(name) for name in names):
                    why = "; ".join(f"{name}: {reasons[channel].get(name) or 'down'}" for name in names)
                    scope = f"{label}/{channel}{whose and ' ' + whose}"
                    to = _to(whose, table) if channel is Channel.SMS else ""
                    yield Degraded("label", scope, f"{label}: no {_WHAT[channel]}{to} can go out ({why}); it waits")
        used_by = self._used_by()
        for channel, routes in up.items():
            states = self._channels[channel].states()
            for name, is_up in routes.items():
                if (channel, name) not in used_by:
                    continue
                kind, reason = self._kind_of(channel, name), reasons[channel].get(name)
                hit = f"it carries {channel} of {some_names(used_by[channel, name])}"
                if not is_up:
                    yield Degraded(kind, name, f"{kind} {name} is down{reason and ': ' + reason}; {hit}")
                elif name in states and (own := states[name].refuses):
                    of = f" of {some_names(states[name].refuses_of)}" if states[name].refuses_of else ""
                    yield Degraded(kind, name, f"{kind} {name} takes nothing{of}: {own}; {hit}")
                elif name in states and (why := _why_deaf(states[name])):
                    lost = f"it brings no receipts and no STOP ({why})"
                    yield Degraded(kind, name, f"{kind} {name} has no bind that receives: {lost}; {hit}")
                elif name in states and (receipts := states[name].receipts):
                    yield Degraded(kind, name, f"{kind} {name} brought {receipts}; {hit}")

    def _used_by(self) -> dict[tuple[Channel, str], list[str]]:
        """The labels that each way carries something of."""
        found: dict[tuple[Channel, str], list[str]] = {}
        for label, table in self._labels.items():
            for way in {(channel, name) for channel, _, names in _ways_of(table) for name in names}:
                found.setdefault(way, []).append(label)
        return found

    def _reasons(self, channel: Channel) -> dict[str, str]:
        return {name: state.reason for name, state in self._channels[channel].states().items()}


def _why_deaf(state: WayState) -> str:
    """Why an SMSC that takes SMS has nothing to bring its receipts by; "" where it has, or is no SMSC."""
    receiving = [bind for bind in state.binds if bind.mode != "transmitter"]
    if not receiving or any(bind.phase == "bound" for bind in receiving):
        return ""
    return next((bind.last_error for bind in receiving if bind.last_error), "") or receiving[0].phase


_WHAT = {Channel.EMAIL: "email", Channel.SMS: "SMS", Channel.IM: "instant message"}


def _to(prefix: str, label: Label) -> str:
    """Which numbers a route is for, as the end of "no SMS"."""
    if prefix:
        return f" to numbers that begin with {prefix}"
    return " to numbers of no other prefix" if len(label.sms_routes) > 1 else ""


def _ways_of(label: Label) -> Iterator[tuple[Channel, str, Sequence[str]]]:
    """What a label sends by which ways: channel, the prefix of the numbers ("" for all, or all others), names."""
    if label.relays:
        yield Channel.EMAIL, "", label.relays
    for route in label.sms_routes:
        yield Channel.SMS, route.prefix, route.via
    if label.im_via:
        yield Channel.IM, "", label.im_via
