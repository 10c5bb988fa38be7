"""Who a message is for: an address or why not, and that a reload in the middle of a look-up harms nobody."""

from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.model import Channel, Recipient, Resolved, WhyNot
from gatewayd.directories import Directories
from gatewayd.directories.recipients import Recipients
from intake_world import ANNA, TABLE, Players, label, recipients_of

LABELS = {"amazing": label()}


def asked(
    recipients: Recipients, channel: Channel = Channel.EMAIL, name: str = "amazing", user: str = "hhu234556"
) -> list[Resolved]:
    """What a look-up gives, once it does."""
    given: list[Resolved] = []
    Deferred.fromCoroutine(recipients.address(name, user, channel)).addCallback(given.append)
    return given


@pytest.mark.parametrize(
    ("player", "email", "sms"),
    [
        (ANNA, "anna@players.example", "+447700900123"),
        (None, WhyNot.UNKNOWN, WhyNot.UNKNOWN),
        (Recipient(phone="07700 900123"), WhyNot.NO_ADDRESS, "+447700900123"),
        (replace(ANNA, email="nobody"), WhyNot.NO_ADDRESS, "+447700900123"),
        (replace(ANNA, sms_opted_out=True), "anna@players.example", WhyNot.MAY_NOT),
        (replace(ANNA, excluded=True), WhyNot.MAY_NOT, WhyNot.MAY_NOT),
    ],
)
def test_an_address_or_why_not(player: Recipient | None, email: str, sms: str) -> None:
    """The directory's answer, as each channel sees it."""
    recipients = recipients_of(LABELS, players=Players({"hhu234556": player} if player else {}))
    for channel, wanted in ((Channel.EMAIL, email), (Channel.SMS, sms)):
        [given] = asked(recipients, channel)
        assert (given.why_not or given.address) == wanted
        assert given.user == "hhu234556"
        assert "anna" not in repr(given)
        assert "900123" not in repr(given)


def test_a_directory_in_trouble_is_unavailable() -> None:
    """With its reason and the time at which it may be asked again; a bug of a plug-in's is logged, too."""
    players = Players()
    recipients = recipients_of(LABELS, players=players)
    players.failure = TemporaryFailure("busy", not_before=5.0)
    assert asked(recipients) == [Resolved("hhu234556", why_not=WhyNot.UNAVAILABLE, reason="busy", not_before=5.0)]
    players.failure = RuntimeError("anna@players.example")
    with capturedLogs() as events:
        [given] = asked(recipients)
    assert (given.why_not, given.reason) == (WhyNot.UNAVAILABLE, "the directory players failed unexpectedly")
    assert [event["log_level"] for event in events] == [LogLevel.critical]
    [given] = asked(recipients, name="gone")
    assert given.why_not is WhyNot.UNAVAILABLE


@pytest.mark.parametrize("labels", [{"amazing": label(directory="pam")}, {}])
def test_a_directory_is_renamed_in_the_middle_of_a_look_up(labels: dict[str, config.Label]) -> None:
    """The look-up ends with the answer of the directory that was asked, read with that one's region."""
    answer: Deferred[Any] = Deferred()

    class Slow(Players):
        async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
            """Waits for the test."""
            await answer
            return ANNA

    opened = Directories(None, {"players": TABLE}, lambda reactor, name, table: Slow())  # type: ignore[arg-type,return-value]
    recipients = Recipients(Clock(), opened, LABELS)
    given = asked(recipients, Channel.SMS)
    recipients.reconfigure({"pam": config.PluginDirectory(type="fake", default_region="DK")}, labels)
    answer.callback(None)
    assert [one.address for one in given] == ["+447700900123"]


def test_a_directory_that_knows_nobody_is_degraded() -> None:
    """Of twenty different players in a row, whoever comes again; one that it knows ends that, a reload, and an hour.

    Each label by itself: that it knows another brand's players says nothing of this one's.
    """
    clock = Clock()
    labels = {**LABELS, "other": label(directory="players")}
    recipients = recipients_of(labels, clock, players=Players({"hhu234556": ANNA}))

    def unknown(*users: int) -> list[str]:
        for user in users:
            Deferred.fromCoroutine(recipients.address("amazing", f"nobody{user}", Channel.SMS))
            Deferred.fromCoroutine(recipients.address("other", "hhu234556", Channel.SMS))
        return [one.text for one in recipients.degraded()]

    text = "directory players knows none of the latest 20 players that it was asked for"
    said = [f"{text}: is it empty, or asked for another id? Labels: amazing"]
    assert unknown(*range(19), *range(19)) == []
    assert unknown(19) == said
    asked(recipients)
    assert unknown() == []
    assert unknown(*range(30)) == said
    clock.advance(3600)
    assert unknown() == said
    clock.advance(1)
    assert unknown() == []
    assert unknown(*range(30)) == said
    recipients.reconfigure({"players": TABLE}, LABELS)
    assert unknown() == []


@pytest.mark.parametrize(
    ("phone", "is_said"), [("000 999 999 999 999", True), ("anna@players.example", False), ("n/a", False), ("", False)]
)
def test_a_directory_whose_numbers_can_not_be_read_is_degraded(phone: str, is_said: bool) -> None:
    """Twenty players in a row whose numbers lack their country, as where default_region is not set.

    Who has none says nothing, nor does one address that can be read of another channel.
    """
    players = {f"p{number}": replace(ANNA, phone=phone) for number in range(20)} | {"hhu234556": ANNA}
    recipients = recipients_of(LABELS, Clock(), players=Players(players))
    for number in range(20):
        assert list(recipients.degraded()) == []
        for channel in (Channel.SMS, Channel.SMS, Channel.EMAIL):
            asked(recipients, channel, user=f"p{number}")
    said = [(one.kind, one.name, one.text) for one in recipients.degraded()]
    text = (
        "directory players gives one player after the other a phone number that can't be read: is default_region right?"
    )
    assert said == ([("directory", "players/sms", f"{text} Labels: amazing")] if is_said else [])
    asked(recipients, Channel.SMS)
    assert list(recipients.degraded()) == []


def test_a_directory_that_bars_everybody_is_degraded() -> None:
    """A hundred players in a row of whom a flag says more than no, as where `opted_out` holds words of its own."""
    players = {f"p{number}": replace(ANNA, sms_opted_out=True) for number in range(100)} | {"hhu234556": ANNA}
    recipients = recipients_of(LABELS, Clock(), players=Players(players))
    for number in range(100):
        assert list(recipients.degraded()) == []
        asked(recipients, Channel.SMS, user=f"p{number}")
        asked(recipients, Channel.EMAIL, user=f"p{number}")
    [said] = recipients.degraded()
    assert (said.kind, said.name) == ("directory", "players/sms")
    assert said.text.startswith("directory players says of one player after the other that they may not be contacted")
    asked(recipients, Channel.SMS)
    assert list(recipients.degraded()) == []
