"""A message on its way to its channel: the recipient looked up anew, the route chosen, the mark set before the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from zope.interface import implementer

import labels
from at_once import run
from fakes import FakeStopList, FakeStore
from gatewayd.config import Label, Secret, Smsc, SmsRoute
from gatewayd.config.labels import sms_route
from gatewayd.core.consent import Consent
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import BeforeWire, IChannel, IRecipientDirectory
from gatewayd.core.model import Channel, Decision, Email, Handed, Leased, Message, Order, Recipient, Sms
from gatewayd.core.status import State
from gatewayd.core.tokens import Keys
from gatewayd.smpp.fit import Fit
from gatewayd.work.deliver import SIMULATED, Deliverer
from gatewayd.work.marks import Marks
from intake_world import recipients_of

KEYS = Keys(b"k" * 32)
ID = "00000000-0000-4000-8000-000000000001"
PLAYER = Recipient(email="anna@players.example", phone="07700 900123")
WAYS: dict[str, Any] = {
    "relays": ["main", "backup"],
    "sms_routes": [{"prefix": "+44", "via": ["uk", "world"]}, {"prefix": "", "via": ["world"]}],
}


def label(**changed: Any) -> Label:
    """[labels.amazing]"""
    return labels.label(**WAYS | changed)


@implementer(IRecipientDirectory)
class Directory:
    """A directory that says what the test wants."""

    def __init__(self) -> None:
        self.player: Recipient | None = PLAYER
        self.failure: Exception | None = None
        self.asked: list[tuple[str, str, bool]] = []

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """What the test set."""
        self.asked.append((label, ext_user_id, fresh))
        if self.failure:
            raise self.failure
        return self.player

    async def close(self) -> None:
        """Nothing is open."""


@implementer(IChannel)
class Way:
    """A channel that takes everything, after the mark."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.written = 0
        self.trouble = ""
        self.asked_for: tuple[str, ...] = ()

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """As IChannel promises."""
        self.orders.append(order)
        await before_wire(order.routes[0])
        self.written += 1
        return Handed(order.routes[0], ("r1",))

    def routes(self) -> Mapping[str, bool]:
        """Not asked for here."""
        return {}

    def why_not(self, routes: Sequence[str]) -> str:
        """What the test says."""
        self.asked_for = tuple(routes)
        return self.trouble

    def heard_since(self, route: str) -> float:
        """Not asked for here."""
        return 0.0

    def tells_later(self, route: str) -> bool:
        """Not asked for here."""
        return True


SMSC = Smsc(host="127.0.0.1", system_id="gw", password=Secret("secret"))


class Bench:
    """A deliverer over a fake store with one message of each channel leased."""

    def __init__(self, **changed: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.wall_ahead = 0.0
        self.store = FakeStore(self.clock)
        self.directory = Directory()
        self.channels = {Channel.EMAIL: Way(), Channel.SMS: Way()}
        labels = {"amazing": label(**changed)}
        self.decisions: list[Decision] = []
        self.deliverer = Deliverer(
            self.clock,
            self.store,
            self.channels,
            recipients_of(labels, players=self.directory),
            KEYS,
            marks=Marks(self.clock, self.store),
            segments=Fit({"uk": SMSC}).segments,
            labels=labels,
            consent=Consent(FakeStopList(self.store), self.decisions.append),
            wall=lambda: self.clock.seconds() + self.wall_ahead,
        )

    def leased(self, content: Email | Sms | None = None, **changed: Any) -> Leased:
        """A message that was accepted just now and is ours."""
        now = self.clock.seconds()
        content = content or Sms("Amazing", "Hello")
        message = replace(Message(ID, "u1", "amazing", "p1", content, now, now + 3600), **changed)
        run(self.store.accept(message, "f", lease=True))
        return Leased(message)

    def deliver(self, leased: Leased) -> Any:
        """Deliver it."""
        return run(self.deliverer.deliver(leased))

    def fails(self, leased: Leased, kind: type[Exception]) -> Any:
        """The exception with which it does not go out."""
        with pytest.raises(kind) as failed:
            self.deliver(leased)
        assert [way.written for way in self.channels.values()] == [0, 0]
        return failed.value


EMAIL = Email("Amazing <noreply@amazing.co>", "Subject", text_body="Hello")


def test_an_sms_goes_to_the_number_in_e164_by_the_routes_of_its_prefix() -> None:
    """A number stored in national form is read with the directory's region; the longest prefix chooses the SMSCs."""
    bench = Bench()
    assert bench.deliver(bench.leased()).route == "uk"
    [order] = bench.channels[Channel.SMS].orders
    assert (order.address, order.routes, order.attempt) == ("+447700900123", ("uk", "world"), 1)


def test_an_email_goes_to_the_address_by_the_labels_relays() -> None:
    """In the label's order of preference."""
    bench = Bench()
    bench.deliver(bench.leased(EMAIL))
    [order] = bench.channels[Channel.EMAIL].orders
    assert (order.address, order.routes) == ("anna@players.example", ("main", "backup"))


def test_no_player_is_looked_up_while_nothing_can_go_out() -> None:
    """All relays or SMSCs of the label are down: it is tried again, with what was achieved, and nobody is asked."""
    for content, ways in ((EMAIL, ("main", "backup")), (Sms("Amazing", "Hello"), ("uk", "world"))):
        bench = Bench()
        leased = bench.leased(content)
        channel = bench.channels[leased.message.channel]
        channel.trouble = "all are down"
        failure = bench.fails(replace(leased, progress=("r1",)), TemporaryFailure)
        assert (failure.reason, failure.progress, failure.counts) == ("all are down", ("r1",), True)
        assert channel.asked_for == ways
        assert bench.directory.asked == []
        channel.trouble = ""
        bench.deliver(leased)
        assert len(bench.directory.asked) == 1


def test_an_attempt_knows_what_earlier_ones_achieved() -> None:
    """The order carries the segments that were taken, by whom, and which attempt it is."""
    bench = Bench()
    leased = replace(bench.leased(), attempts=2, progress=("r1", "r2"), route="uk")
    bench.deliver(leased)
    [order] = bench.channels[Channel.SMS].orders
    assert (order.progress, order.begun_on, order.attempt) == (("r1", "r2"), "uk", 3)


@pytest.mark.parametrize(("begun_for", "progress"), [("+447700900123", ("r1", "r2")), ("+447700900999", ())])
def test_a_number_that_is_new_meanwhile_gets_the_whole(begun_for: str, progress: tuple[str, ...]) -> None:
    """It has none of the segments that went to the former one; told as delivered, the message would be with nobody."""
    bench = Bench()
    begun = KEYS.number_hashes(begun_for)[0]
    bench.deliver(replace(bench.leased(), progress=("r1", "r2"), route="uk", address_hash=begun))
    [order] = bench.channels[Channel.SMS].orders
    assert order.progress == progress
    assert bench.store.db.rows[ID].address == KEYS.number_hashes("+447700900123")[0]


def test_the_mark_is_set_before_the_wire_with_a_hash_for_an_address() -> None:
    """The store learns the route and the keyed hash, the number of segments, and never the number itself."""
    bench = Bench()
    bench.deliver(bench.leased(Sms("Amazing", "a" * 200)))
    row = bench.store.db.rows[ID]
    assert (row.state, row.route, row.segments) == (State.UNCERTAIN, "uk", "..")
    assert row.address == KEYS.number_hashes("+447700900123")[0]
    assert bench.store.db.latest == {row.address: ID}


@pytest.mark.parametrize(
    ("player", "content", "reason"),
    [
        (None, EMAIL, "does not know"),
        (Recipient(), EMAIL, "no address"),
        (Recipient(email="not an address"), EMAIL, "no address"),
        (Recipient(email="a@b.example"), Sms("A", "b"), "no address"),
        (replace(PLAYER, opted_out=True), EMAIL, "may not be contacted"),
        (replace(PLAYER, excluded=True), Sms("A", "b"), "may not be contacted"),
        (replace(PLAYER, email_opted_out=True), EMAIL, "may not be contacted"),
        (replace(PLAYER, sms_opted_out=True), Sms("A", "b"), "may not be contacted"),
    ],
)
def test_who_must_not_or_cannot_be_reached_by_now_is_rejected(
    player: Recipient | None, content: Email | Sms, reason: str
) -> None:
    """What the directory says at delivery counts, whatever it said at acceptance."""
    bench = Bench()
    bench.directory.player = player
    failure = bench.fails(bench.leased(content), PermanentFailure)
    assert reason in failure.reason
    assert not failure.hard


def test_an_opt_out_of_one_channel_leaves_the_other() -> None:
    """A player without email still gets SMS."""
    bench = Bench()
    bench.directory.player = replace(PLAYER, email_opted_out=True)
    assert bench.deliver(bench.leased()).route == "uk"


def test_a_directory_that_is_down_is_temporary_and_asked_again_soon() -> None:
    """Its trouble is not the relay's: it is asked again after 5 s, or when it says."""
    bench = Bench()
    bench.directory.failure = TemporaryFailure("no answer")
    assert bench.fails(bench.leased(), TemporaryFailure).not_before == 1005.0
    bench.directory.failure = TemporaryFailure("busy", not_before=1060.0)
    assert bench.fails(Leased(bench.store.db.rows[ID].message), TemporaryFailure).not_before == 1060.0  # type: ignore[arg-type]


def test_only_a_message_that_waited_asks_for_what_is_true_now() -> None:
    """Right after acceptance the answer of that moment will do; later a remembered one will not."""
    bench = Bench()
    leased = bench.leased()
    bench.deliver(leased)
    bench.clock.advance(10)
    bench.deliver(leased)
    assert bench.directory.asked == [("amazing", "p1", False), ("amazing", "p1", True)]


@pytest.mark.parametrize("kind", ["user", "address"])
def test_the_stop_list_counts_until_the_last_moment(kind: str) -> None:
    """A player or an address that came onto the list after acceptance is not written to."""
    bench = Bench()
    leased = bench.leased(EMAIL)
    names = KEYS.user_hashes("amazing", "p1") if kind == "user" else KEYS.address_hashes("anna@players.example")
    run(FakeStopList(bench.store).put("amazing", Channel.EMAIL, names[0], 60))
    assert "stop list" in bench.fails(leased, PermanentFailure).reason


def test_a_newer_consent_lifts_an_older_stop_right_before_the_wire() -> None:
    """Of the player by either spelling, and of the address; it is said in the audit log."""
    bench = Bench()
    leased = bench.leased(EMAIL)
    for name in (*KEYS.user_hashes("amazing", "1001"), *KEYS.address_hashes("anna@players.example")):
        run(FakeStopList(bench.store).put("amazing", Channel.EMAIL, name, 60))
    bench.directory.player = replace(PLAYER, id="1001", consented_at=999.0)
    assert "stop list" in bench.fails(leased, PermanentFailure).reason
    assert bench.decisions == []
    bench.clock.advance(10)
    bench.directory.player = replace(PLAYER, id="1001", consented_at=1005.0)
    bench.deliver(leased)
    assert [decision.what for decision in bench.decisions] == ["stop lifted"]
    [order] = bench.channels[Channel.EMAIL].orders[-1:]
    assert order.message.ext_user_id == "1001"


def test_a_preview_passes_the_stop_list_and_goes_to_its_own_address() -> None:
    """activity_type: the sealed address is opened for this message, the directory is not asked."""
    bench = Bench()
    run(FakeStopList(bench.store).put("amazing", Channel.EMAIL, KEYS.user_hashes("amazing", "p1")[0], 60))
    sealed = KEYS.seal("boss@amazing.co", ID)
    bench.deliver(bench.leased(EMAIL, activity_type="preview", sealed_to=sealed))
    [order] = bench.channels[Channel.EMAIL].orders
    assert order.address == "boss@amazing.co"
    assert bench.directory.asked == []


def test_quiet_hours_keep_what_is_late() -> None:
    """Not within 5 minutes of acceptance, not with activity_type, not half an SMS; the reason and the time are told."""
    bench = Bench(quiet_hours="00:00-08:00")
    leased = bench.leased()
    bench.clock.advance(300)
    assert bench.deliver(leased).route == "uk"
    bench.clock.advance(1)
    with pytest.raises(TemporaryFailure) as waiting:
        bench.deliver(leased)
    assert (waiting.value.not_before, waiting.value.counts) == (8 * 3600.0, False)
    assert waiting.value.reason == "quiet hours of amazing (00:00-08:00 UTC): it waits until they end"
    assert bench.deliver(replace(leased, progress=("r1",), route="uk")).route == "uk"
    assert bench.deliver(Leased(replace(leased.message, activity_type="password"))).route == "uk"
    bench.clock.advance(8 * 3600)
    assert bench.deliver(leased).route == "uk"


def test_quiet_hours_keep_what_the_shared_clock_calls_late() -> None:
    """The host slept, or its clock was set on: nobody is woken by what was accepted long ago by either clock."""
    bench = Bench(quiet_hours="00:00-08:00")
    bench.clock.advance(3600)
    fresh = bench.leased()
    now = bench.clock.seconds()
    older = replace(fresh.message, accepted_at=now - 301)
    for late in (replace(fresh, taken_at=now - 301), Leased(older), Leased(older, taken_at=now + 3600)):
        waiting = bench.fails(late, TemporaryFailure)
        assert (waiting.not_before, waiting.counts) == (8 * 3600.0, False)
    for taken_at in (0.0, now - 300, now + 3600):
        assert bench.deliver(replace(fresh, taken_at=taken_at)).route == "uk"


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_quiet_hours_go_by_the_time_of_day(ahead: float) -> None:
    """Where it was set, our own clock takes a day to follow: they end when the host's clock says so."""
    bench = Bench(quiet_hours="00:00-08:00")
    leased = bench.leased()
    bench.clock.advance(8 * 3600 - ahead - 1001)
    bench.wall_ahead = ahead
    waiting = bench.fails(leased, TemporaryFailure)
    assert waiting.not_before == bench.clock.seconds() + 1
    bench.clock.advance(1)
    assert bench.deliver(leased).route == "uk"


def test_an_address_sealed_for_another_message_is_rejected() -> None:
    """What cannot be opened is not guessed."""
    bench = Bench()
    sealed = KEYS.seal("boss@amazing.co", ID.replace("1", "2"))
    failure = bench.fails(bench.leased(EMAIL, activity_type="preview", sealed_to=sealed), PermanentFailure)
    assert "boss" not in failure.reason


def _waits(bench: Bench, leased: Leased) -> str:
    """Why it waits: no try of its own is used up, and it is looked at again."""
    failure = bench.fails(leased, TemporaryFailure)
    assert not failure.counts
    assert failure.not_before
    return str(failure.reason)


def test_configuration_that_went_away_may_come_back() -> None:
    """A label that is gone, or has no route for the message any more: a slip of the editor rejects no backlog."""
    bench = Bench(relays=[], sms_routes=[{"prefix": "+45", "via": ["dk"]}])
    leased = bench.leased(EMAIL)
    assert "no email route" in _waits(bench, leased)
    bench.deliverer.reconfigure({})
    assert "label" in _waits(bench, leased)


def test_a_number_without_a_route_waits_for_one() -> None:
    """No prefix fits the player's number."""
    bench = Bench(sms_routes=[{"prefix": "+45", "via": ["dk"]}])
    assert "no sms route" in _waits(bench, bench.leased())


def test_in_test_mode_only_the_listed_users_are_really_sent_to() -> None:
    """The others count as handed over to nobody, without a mark; their directory entry is not even read."""
    bench = Bench(only_users=["tester"])
    leased = bench.leased()
    handed = bench.deliver(leased)
    assert bench.store.db.rows[leased.message.id].state is State.QUEUED
    assert handed.route == SIMULATED
    assert handed.detail.startswith("simulated")
    assert bench.directory.asked == []
    assert bench.channels[Channel.SMS].orders == []
    bench = Bench(only_users=["tester"])
    assert bench.deliver(bench.leased(ext_user_id="tester")).route == "uk"


def test_a_route_of_registered_senders_has_its_own() -> None:
    """For numbers of its prefix, whatever the request named; other numbers get what it named."""
    routes = [{"prefix": "+447700", "via": ["world"], "sender": "AMAZING-GB"}, {"prefix": "", "via": ["world"]}]
    for phone, sender in (("+447700900123", "AMAZING-GB"), ("+447911123456", "Amazing")):
        bench = Bench(sms_routes=routes)
        bench.directory.player = replace(PLAYER, phone=phone)
        bench.deliver(bench.leased())
        (order,) = bench.channels[Channel.SMS].orders
        assert isinstance(order.message.content, Sms)
        assert (order.message.content.from_number, order.message.content.body) == (sender, "Hello")


@pytest.mark.parametrize(
    ("number", "via"),
    [
        ("+447700900123", ("uk", "world")),
        ("+447911", ("mobile",)),
        ("+4520123456", ("world",)),
        ("+1", ("world",)),
    ],
)
def test_the_longest_prefix_wins(number: str, via: tuple[str, ...]) -> None:
    """Whatever the order in the configuration."""
    routes = (
        SmsRoute(prefix="", via=("world",)),
        SmsRoute(prefix="+4479", via=("mobile",)),
        SmsRoute(prefix="+44", via=("uk", "world")),
    )
    for ordered in (routes, routes[::-1]):
        found = sms_route(ordered, number)
        assert (found.via if found else ()) == via
    assert sms_route((), number) is None
