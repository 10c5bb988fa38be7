"""What does not work for somebody: the list that /readyz, the dashboard, status and the metric share."""

from collections.abc import Iterable, Iterator, Mapping

from twisted.logger import capturedLogs

from gatewayd.config import Label, SmsRoute
from gatewayd.core.model import BindState, Channel, Degraded, QueueState, WayState, some_names
from gatewayd.operators.degraded import DegradedNow, WaysOut
from gatewayd.operators.degraded_figures import full, left_behind, unworked, whom_it_hits


class Ways:
    """A channel whose ways out a test switches, each down one with its reason."""

    def __init__(self, **why_down: str) -> None:
        self.why_down = why_down
        self.refuses: dict[str, str] = {}
        self.refuses_of: dict[str, tuple[str, ...]] = {}
        self.binds: tuple[BindState, ...] = ()
        self.receipts: dict[str, str] = {}

    def routes(self) -> Mapping[str, bool]:
        """As IChannel."""
        return {name: not why for name, why in self.why_down.items()}

    def states(self) -> Mapping[str, WayState]:
        """As the channels' optional method."""
        return {
            name: WayState(
                not why,
                reason=why,
                refuses=self.refuses.get(name, ""),
                refuses_of=self.refuses_of.get(name, ()),
                binds=self.binds,
                receipts=self.receipts.get(name, ""),
            )
            for name, why in self.why_down.items()
        }


def label(relays: tuple[str, ...], *routes: tuple[str, tuple[str, ...]]) -> Label:
    """A label with these ways out, and nothing else."""
    return Label.model_construct(
        relays=relays, sms_routes=tuple(SmsRoute(prefix=prefix, via=via) for prefix, via in routes)
    )


def said(ways: WaysOut) -> dict[tuple[str, str], str]:
    """What they say, by kind and name."""
    return {(one.kind, one.name): one.text for one in ways.degraded()}


def kind_of(channel: Channel, name: str) -> str:
    """As service.py names them."""
    return "relay" if channel is Channel.EMAIL else "smsc"


def test_a_label_whose_only_relay_is_down_is_named_though_others_have_a_way_out() -> None:
    """The label, the way and its reason; the other label is not said to be hit."""
    ways = WaysOut(
        {Channel.EMAIL: Ways(main="refused", backup="")},
        {"amazing": label(("main",)), "other": label(("backup",))},
        kind_of,
    )
    assert said(ways) == {
        ("label", "amazing/email"): "amazing: no email can go out (main: refused); it waits",
        ("relay", "main"): "relay main is down: refused; it carries email of amazing",
    }


def test_a_way_that_is_up_and_refuses_everything_is_named() -> None:
    """No label is without a way out for that; a way that no label uses hits nobody."""
    ways = Ways(uk="", world="", spare="")
    ways.refuses = {"uk": "it refuses every submit", "spare": "it refuses every submit"}
    assert said(WaysOut({Channel.SMS: ways}, {"amazing": label((), ("", ("uk", "world")))}, kind_of)) == {
        ("smsc", "uk"): "smsc uk takes nothing: it refuses every submit; it carries sms of amazing"
    }
    ways = Ways(uk="")
    ways.refuses, ways.refuses_of = {"uk": "it rejects one submit after the other"}, {"uk": ("other",)}
    labels = {name: label((), ("", ("uk",))) for name in ("amazing", "other")}
    text = "smsc uk takes nothing of other: it rejects one submit after the other; it carries sms of amazing, other"
    assert said(WaysOut({Channel.SMS: ways}, labels, kind_of)) == {("smsc", "uk"): text}


def test_an_smsc_by_which_no_receipt_can_come_is_named() -> None:
    """It takes what is sent by its transmitter; statuses and STOP are waited for in vain."""
    world = Ways(world="")
    ways = WaysOut({Channel.SMS: world}, {"amazing": label((), ("", ("world",)))}, kind_of)

    def bind(mode: str, phase: str, error: str = "", number: int = 0) -> BindState:
        return BindState("world", number, mode, phase, 0.0, last_error=error)

    refused = bind("receiver", "waiting", "bind refused, ESME_RBINDFAIL")
    world.binds = (bind("transmitter", "bound"), refused)
    text = "smsc world has no bind that receives: it brings no receipts and no STOP (bind refused, ESME_RBINDFAIL)"
    assert said(ways) == {("smsc", "world"): f"{text}; it carries sms of amazing"}
    world.binds = (*world.binds, bind("receiver", "bound", number=1))
    assert said(ways) == {}
    world.binds = (bind("transceiver", "bound"),)
    assert said(ways) == {}


def test_a_way_whose_receipts_nobody_understands_is_named() -> None:
    """Messages go out, and no status comes back."""
    ways = Ways(world="")
    ways.receipts = {"world": "3 receipts of an unknown state"}
    assert said(WaysOut({Channel.SMS: ways}, {"amazing": label((), ("", ("world",)))}, kind_of)) == {
        ("smsc", "world"): "smsc world brought 3 receipts of an unknown state; it carries sms of amazing"
    }


def test_numbers_without_a_way_out_are_named_by_their_prefix() -> None:
    """Of several routes the one that is down; a way that no label uses hits nobody, and is not named."""
    ways = WaysOut(
        {Channel.SMS: Ways(uk="no bind", world="", spare="no bind")},
        {"amazing": label((), ("+44", ("uk",)), ("", ("world", "uk")))},
        kind_of,
    )
    assert said(ways) == {
        ("label", "amazing/sms +44"): (
            "amazing: no SMS to numbers that begin with +44 can go out (uk: no bind); it waits"
        ),
        ("smsc", "uk"): "smsc uk is down: no bind; it carries sms of amazing",
    }


def test_numbers_of_no_prefix_are_not_all_numbers() -> None:
    """The last route's way is down and another prefix has its own: SMS go out, but not to the others."""
    ways = WaysOut(
        {Channel.SMS: Ways(uk="", world="no bind")},
        {"amazing": label((), ("+44", ("uk",)), ("", ("world",))), "other": label((), ("", ("world",)))},
        kind_of,
    )
    found = said(ways)
    text = "amazing: no SMS to numbers of no other prefix can go out (world: no bind); it waits"
    assert found["label", "amazing/sms"] == text
    assert found["label", "other/sms"] == "other: no SMS can go out (world: no bind); it waits"


def test_a_reload_changes_whom_a_way_hits() -> None:
    """The labels of the new configuration count."""
    ways = WaysOut({Channel.EMAIL: Ways(main="refused")}, {"amazing": label(("main",))}, kind_of)
    ways.reconfigure({"fresh": label(("main",))})
    assert ("label", "fresh/email") in said(ways)
    assert ("label", "amazing/email") not in said(ways)


def test_all_parts_are_asked_and_one_that_fails_hides_no_other() -> None:
    """In order of kind and name; the failure itself is said, and logged with its traceback."""

    def good() -> Iterable[Degraded]:
        return [Degraded("redis", "eviction", "two"), Degraded("directory", "players", "one")]

    def broken() -> Iterator[Degraded]:
        yield Degraded("clock", "gw1", "never seen")
        raise ValueError("a bug")

    every = DegradedNow()
    assert every.now() == ()
    every.ask(broken)
    every.ask(good)
    with capturedLogs() as events:
        found = every.now()
    assert [one.kind for one in found] == ["directory", "gatewayd", "redis"]
    assert any("log_failure" in event for event in events)


def test_a_text_names_a_few_labels_and_how_many_more() -> None:
    """A hundred labels do not make a line of a thousand characters."""
    assert some_names(["a", "b"]) == "a, b"
    assert some_names(f"l{number}" for number in range(100)) == "l0, l1, l2, l3, l4 and 95 more"
    assert some_names([]) == "no label"


def test_a_label_that_was_taken_out_with_messages_in_its_queue_is_named() -> None:
    """Nobody else would say why they wait; a label without any, and one that is there, are not."""
    counts = {
        ("gone", Channel.EMAIL, "in_flight"): 7,
        ("gone", Channel.SMS, "in_flight"): 0,
        ("gone", Channel.EMAIL, "accepted"): 9,
        ("amazing", Channel.EMAIL, "in_flight"): 3,
    }
    (found,) = left_behind(counts, WaysOut({}, {"amazing": label(("main",))}, kind_of).why_left)
    assert (found.kind, found.name) == ("label", "gone/email")
    assert "7 of its messages (email) wait for its return" in found.text


def test_a_channel_whose_ways_were_taken_out_with_messages_in_its_queue_is_named() -> None:
    """relays, sms_routes or im_via that a reload emptied: the label is there, and its messages wait all the same."""
    ways = WaysOut({}, {"amazing": label((), ("", ("world",)))}, kind_of)
    counts = {("amazing", channel, "in_flight"): 3 for channel in Channel}
    found = {one.name: one.text for one in left_behind(counts, ways.why_left)}
    assert sorted(found) == ["amazing/email", "amazing/im"]
    said = "amazing has no way out for im in the configuration any more: 3 of its messages (im) wait for its return"
    assert found["amazing/im"].startswith(said)
    ways.reconfigure({"amazing": label(("main",))})
    assert {one.name for one in left_behind(counts, ways.why_left)} == {"amazing/sms", "amazing/im"}


def test_as_many_messages_as_may_wait_are_said_to_keep_all_others_out() -> None:
    """max_queued counts messages of all queues, held ones too, and no statuses; said until there is room for good."""

    def names(waiting: int, leased: int, *, was_full: bool) -> list[str]:
        queues = {
            "email": QueueState(waiting, 0, 0.0),
            "sms": QueueState(0, leased, 0.0),
            "reports": QueueState(5000, 9, 0.0),
        }
        return [one.text for one in full(queues, 1000, was_full=was_full)]

    text = "messages wait, and 1000 may (max_queued): requests of all labels are refused with code 10"
    assert names(990, 10, was_full=False) == [f"1000 {text}"]
    assert names(989, 10, was_full=False) == []
    assert names(985, 10, was_full=True) == [f"995 {text}"]
    assert names(980, 10, was_full=True) == []
    assert list(full({}, 1000, was_full=False)) == []


def test_what_waits_and_nobody_works_on_is_named() -> None:
    """By the queue; one in which nothing waits hits nobody."""
    queues = {"email": QueueState(3, 1, 9.0), "sms": QueueState(0, 0, 0.0), "reports": QueueState(2, 0, 9.0)}
    assert [(one.kind, one.name, one.text) for one in unworked(queues, {"email", "sms", "im", "reports"})] == [
        (
            "work",
            "email",
            "no running process works on email (work of [gatewayd]): 4 messages wait, of whatever label",
        ),
        (
            "work",
            "reports",
            "no running process works on reports (work of [gatewayd]): 2 statuses wait, of whatever label",
        ),
    ]
    assert list(unworked(queues, ())) == []


def test_whatever_makes_us_not_ready_is_degraded() -> None:
    """Redis, and a channel that no label was named for; of one with a name of its own, that is enough."""
    dead = {Channel.EMAIL: {"main": WayState(False, reason="refused")}, Channel.SMS: {"world": WayState(False)}}
    named = [Degraded("label", "amazing/email", "amazing: no email can go out (main: refused); it waits")]
    found = {(one.kind, one.name): one.text for one in whom_it_hits("Redis cannot be reached: refused.", dead, named)}
    assert found == {
        ("redis", "down"): "Redis: cannot be reached: refused; nothing can be accepted or sent, for any label",
        ("channel", "sms"): "sms: no SMSC or provider is up (world); no label's messages go out by it",
    }
    of_prefix = [Degraded("label", "amazing/sms +44", "amazing: no SMS to numbers that begin with +44 can go out")]
    assert [one.name for one in whom_it_hits("", dead, [*named, *of_prefix])] == []
    (full,) = whom_it_hits("Redis says OOM command not allowed", {}, [])
    assert full.text == "Redis: says OOM command not allowed; nothing can be accepted, for any label"
