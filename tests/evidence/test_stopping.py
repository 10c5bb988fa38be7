"""Who is not contacted any more: players, addresses and numbers, by what happened to a message."""

from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from at_once import run
from fakes import FakeStopList
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import (
    Channel,
    Evidence,
    Inbound,
    Receipt,
)
from gatewayd.core.status import Event, State
from track_bench import ADDRESS, ID, KEYS, NUMBER, USER, Bench, Directory


@pytest.mark.parametrize(
    ("address", "is_down", "activity_type", "stopped"),
    [
        ("other@players.example", False, "preview", False),
        ("anna@players.example", False, "EmailCustomerSupport", True),
        ("other@players.example", False, "", True),
        ("other@players.example", True, "preview", True),
        ("", False, "preview", True),
    ],
)
def test_who_complains_about_a_preview_stops_no_player(
    address: str, is_down: bool, activity_type: str, stopped: bool
) -> None:
    """It went to the operator's own staff. Where nobody knows that, or the player moved since, it counts."""
    directory = Directory()
    directory.known = address
    bench = Bench(Channel.EMAIL, directory=directory, activity_type=activity_type)
    bench.sent()
    directory.is_down = is_down
    bench.take(Event.COMPLAINED)
    assert bench.told == "adc"
    names = [KEYS.user_hashes("amazing", user)[0] for user in ("p1", "P1")]
    assert any(map(bench.stopped, names)) is stopped


@pytest.mark.parametrize("event", [Event.COMPLAINED, Event.UNSUBSCRIBED])
def test_who_complains_or_unsubscribes_is_not_contacted_for_a_while(event: Event) -> None:
    """The player goes on that label's and channel's stop list, for suppress_for."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(event)
    assert bench.told == "ad" + {"complained": "c", "unsubscribed": "u"}[event]
    assert bench.stopped(USER)
    assert not run(bench.store.stopped("amazing", Channel.SMS, [USER]))
    assert not run(bench.store.stopped("other", Channel.EMAIL, [USER]))
    bench.clock.advance(30 * 86400)
    assert not bench.stopped(USER)


def test_a_hard_bounce_stops_the_address_and_not_the_player() -> None:
    """The player may have a new address tomorrow. A soft bounce stops nobody."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.FAILED)
    assert not bench.stopped(ADDRESS)
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.BOUNCED, hard=True)
    assert bench.stopped(ADDRESS)
    assert not bench.stopped(USER)
    assert (bench.state, bench.told) == (State.FAILED, "af")


def test_a_bounce_after_a_persons_open_is_a_forwarders() -> None:
    """The address was there: it stays off the stop list, and the message stays delivered."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.clock.advance(60)
    bench.take(Event.OPENED)
    bench.take(Event.BOUNCED, hard=True)
    assert not bench.stopped(ADDRESS)
    assert (bench.state, bench.told) == (State.DELIVERED, "ado")


def test_a_relays_hard_refusal_stops_the_address() -> None:
    """5.1.1 at RCPT is as good as a bounce."""
    bench = Bench(Channel.EMAIL)
    bench.marked()
    run(bench.tracker.record_hard_failure(ID))
    assert bench.stopped(ADDRESS)
    assert bench.state is State.UNCERTAIN, "settling it is the outbox's work"


def test_an_sms_refusal_stops_no_number() -> None:
    """A number without a phone today may have one tomorrow."""
    bench = Bench()
    bench.marked()
    run(bench.tracker.record_hard_failure(ID))
    assert not bench.stopped(NUMBER)


@pytest.mark.parametrize(
    ("key", "event", "hard"),
    [
        ("suppress_on_complaint", Event.COMPLAINED, False),
        ("suppress_on_unsubscribe", Event.UNSUBSCRIBED, False),
        ("suppress_on_hard_bounce", Event.BOUNCED, True),
    ],
)
def test_a_label_may_do_without_the_stop_list(key: str, event: Event, hard: bool) -> None:
    """Each reason can be switched off; the status is reported all the same."""
    changed: dict[str, Any] = {key: False}
    bench = Bench(Channel.EMAIL, **changed)
    bench.sent()
    bench.take(event, hard=hard)
    assert bench.store.db.stop == {}
    assert len(bench.told) > 1


def test_the_stop_list_comes_before_the_report() -> None:
    """When the store goes away in between, the fact told again still does both."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.store.evidence_down = True
    with pytest.raises(StoreUnavailable):
        bench.take(Event.UNSUBSCRIBED)
    assert bench.stopped(USER)
    bench.store.evidence_down = False
    bench.take(Event.UNSUBSCRIBED)
    assert bench.told == "adu"


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", " stop. ", "Stop!", '"stop"', "\u00a0ＳＴＯＰ\r\n", "unsubscribe", "QUIT", "end", "Cancel"),
        *("STOPALL", "Stop all", "OPT-OUT", "Opt out.", "optout", "Revoke"),
    ],
)
def test_a_stop_word_unsubscribes(text: str) -> None:
    """The user of the latest message to that number, on the SMS channel of its label."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "au"
    assert bench.stopped(USER)


@pytest.mark.parametrize("text", ["", "stop it", "please don't stop", "Basta"])
def test_other_texts_do_nothing(text: str) -> None:
    """A word within a sentence is no command."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "a"
    assert bench.meter.facts == [("inbound", "text", "ignored")]


@pytest.mark.parametrize("text", ["basta", "Ne piši!", "NE PIS\u030cI", " ne  \r\npiši", "\U0001f6d1"])
def test_a_label_has_stop_words_of_its_own(text: str) -> None:
    """In its players' language, whatever the case and the form of an accent."""
    bench = Bench(stop_words=["BASTA", "Ne piši", "\U0001f6d1"])
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "au"


def test_a_stop_word_is_no_receipt() -> None:
    """An SMS is delivered by its receipts alone: it stays as it is, and they may still come."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, "STOP")))
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.FAILED)))
    assert bench.told == "auf"


def test_a_stop_word_to_a_message_from_before_a_key_rotation_counts() -> None:
    """The message is known by the number's name under the key of its day."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", "today's name", "STOP", earlier_hashes=(NUMBER,))))
    assert bench.told == "au"
    assert bench.stopped(USER)


def test_who_was_erased_can_still_unsubscribe() -> None:
    """The link itself says whose it is: what is kept of the message names nobody any more."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    run(bench.store.erase_some("0", "amazing", "p1"))
    evidence = Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)
    run(bench.tracker.record(evidence))
    assert bench.stopped(USER)


def test_a_stop_is_under_the_directorys_own_spelling() -> None:
    """A message that was taken while the directory was down has the caller's; the next one may come in another."""
    spelled = KEYS.user_hashes("amazing", "P1")[0]
    bench = Bench(directory=Directory())
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, "STOP")))
    assert bench.stopped(spelled)
    assert not bench.stopped(USER)
    bench = Bench(Channel.EMAIL, directory=Directory())
    bench.sent()
    bench.take(Event.BOUNCED, hard=True)
    assert bench.stopped(ADDRESS)
    assert run(bench.store.unsuppress("amazing", Channel.EMAIL, [spelled]))


def test_a_stop_while_the_directory_is_down_is_under_what_is_known() -> None:
    """An unsubscribe link has had its spelling since the mail left; else it is the caller's."""
    directory = Directory()
    directory.is_down = True
    spelled = KEYS.user_hashes("amazing", "P1")[0]
    bench = Bench(Channel.EMAIL, directory=directory)
    bench.sent()
    run(bench.tracker.record(Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=spelled)))
    assert bench.stopped(spelled)
    assert not bench.stopped(USER)
    bench.take(Event.COMPLAINED)
    assert bench.stopped(USER)


BY_WORLD = {"sms_routes": [{"prefix": "+4", "via": ["other"]}, {"prefix": "", "via": ["other", "world"]}]}


@pytest.mark.parametrize("word", ["Stop.", "ABMELDEN"])
def test_a_stop_word_of_who_was_erased_stops_the_number(word: str) -> None:
    """Nobody knows any more whose it is: no SMS goes there, whoever it is for, until they agree again."""
    bench = Bench(stop_words=["abmelden"], **BY_WORLD)
    bench.sent("r1")
    run(bench.store.erase_some("0", "amazing", "p1"))
    with capturedLogs() as logged:
        for _ in range(2):
            run(bench.tracker.record_inbound(Inbound("world", NUMBER, word, ("its other reading",))))
    assert [event["log_limited"] for event in logged] == [True, True]
    assert bench.stopped(NUMBER)
    assert bench.stopped("its other reading")
    assert not bench.stopped(USER)
    assert bench.told == "a"
    assert bench.meter.facts == [("inbound", "stopped", "matched")] * 2
    assert [(one.what, one.label, one.channel) for one in bench.decisions] == [("stopped", "amazing", Channel.SMS)]
    assert NUMBER not in "".join(map(formatEvent, logged))
    assert run(FakeStopList(bench.store).lift("amazing", Channel.SMS, [NUMBER], bench.clock.seconds() + 1)) == 0
    bench.clock.advance(60)
    assert run(FakeStopList(bench.store).lift("amazing", Channel.SMS, [NUMBER], bench.clock.seconds())) == 1


@pytest.mark.parametrize(
    ("smsc", "text", "changed"),
    [
        ("world", "Hello", BY_WORLD),
        ("world", "", BY_WORLD),
        ("a third one", "STOP", BY_WORLD),
        ("world", "STOP", {}),
        ("world", "STOP", BY_WORLD | {"suppress_on_unsubscribe": False}),
    ],
)
def test_no_number_is_stopped_that_did_not_ask_this_label(smsc: str, text: str, changed: dict[str, Any]) -> None:
    """Other words, the SMSC of other labels, and a label that keeps no such list."""
    bench = Bench(**changed)
    run(bench.tracker.record_inbound(Inbound(smsc, NUMBER, text)))
    run(bench.tracker.record_inbound(Inbound(smsc, "", text)))
    assert not bench.store.db.stops
    assert bench.meter.facts == [("inbound", "text", "ignored")] * 2


def test_a_stop_word_to_an_instant_message_that_is_kept_no_more_stops_the_address() -> None:
    """As of an SMS; on that channel, and of labels that send by this provider."""
    bench = Bench(im_via=["chat"], **BY_WORLD)
    with capturedLogs() as logged:
        run(bench.tracker.record_inbound(Inbound("chat", ADDRESS, "STOP", ("with its plus",))))
    stopped = [run(bench.store.stopped("amazing", Channel.IM, [one])) for one in (ADDRESS, "with its plus")]
    assert [found is not None and found.until > 0 for found in stopped] == [True, True]
    assert not bench.stopped(ADDRESS)
    assert [(one.what, one.label, one.channel) for one in bench.decisions] == [("stopped", "amazing", Channel.IM)]
    assert "no im of amazing to it any more" in "".join(map(formatEvent, logged))


def test_a_stop_word_from_a_stranger_says_nothing_of_a_message() -> None:
    """No message of ours went to that number."""
    bench = Bench(**BY_WORLD)
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", KEYS.number_hashes("+4520123456")[0], "STOP")))
    assert bench.told == "a"
    assert not bench.stopped(USER)


def test_evidence_of_a_label_that_is_gone_still_counts() -> None:
    """The status is reported, and the stop list kept: the page says so to the player, and the label may come back."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.tracker.reconfigure({})
    bench.take(Event.UNSUBSCRIBED)
    assert bench.told == "adu"
    assert bench.stopped(USER)


def test_who_unsubscribes_again_after_the_stop_was_lifted_is_in_the_audit_log() -> None:
    """By the same mail: it is no news of the message, which has its status, and it is one of the player."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    for _ in range(2):
        bench.take(Event.UNSUBSCRIBED)
    run(bench.store.unsuppress("amazing", Channel.EMAIL, [USER]))
    for _ in range(2):
        bench.take(Event.UNSUBSCRIBED)
    assert bench.stopped(USER)
    whats = [(one.what, one.reason) for one in bench.decisions if one.message_id == ID]
    assert [what for what, _ in whats if what != "sent"] == ["unsubscribed", "stop put"]
    assert whats[-1][1].startswith("unsubscribed by ")
    assert bench.told == "adu"


def test_who_unsubscribes_from_a_label_that_is_gone_stays_so_though_the_message_is_forgotten() -> None:
    """The link alone says whose it is; one that names no label says nothing."""
    bench = Bench(Channel.EMAIL)
    bench.tracker.reconfigure({})
    run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", user_hash=USER)))
    assert not bench.stopped(USER)
    with capturedLogs() as told:
        run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)))
        run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)))
    assert bench.stopped(USER)
    # Once: it is no news the second time.
    assert [(one.what, one.label, one.channel, one.message_id) for one in bench.decisions] == [
        ("unsubscribed", "amazing", Channel.EMAIL, "gone")
    ]
    # Strangers with old mails in their hands fill no log: some lines a minute, then a count.
    assert [event["log_limited"] for event in told] == [True, True]
