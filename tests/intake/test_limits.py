"""Previews, the segment limit, and the guard: how much, and to where."""

import pytest_twisted
from twisted.logger import LogLevel, capturedLogs, formatEvent

from gatewayd.core.model import Recipient
from gatewayd.core.regularly import Regularly
from gatewayd.intake.guard import LOOK_FOR_LIFTED
from intake_requests import PREVIEW, code, mail, stored, text
from intake_world import KEYS, SMS, Intake, label


@pytest_twisted.ensureDeferred
async def test_an_sms_over_the_segment_limit_is_too_large() -> None:
    """max_segments by the counter that the SMSC side counts with."""
    intake = Intake(amazing=label(max_segments=2))
    assert await code(intake, text(body="x" * 320)) == 0
    assert await code(intake, text(uid="2", body="x" * 321)) == 8
    assert await code(intake, text(uid="2", body="x" * 100_000)) == 8


@pytest_twisted.ensureDeferred
async def test_an_sms_of_which_nothing_could_be_sent_is_invalid() -> None:
    """The caller hears of it, instead of a message that is taken and rejected later."""
    intake = Intake()
    assert await code(intake, text(body="*")) == 3
    assert await code(intake, text(body="* at")) == 0


@pytest_twisted.ensureDeferred
async def test_a_preview_goes_only_to_the_labels_domains() -> None:
    """to_email_address: an allowed domain, with an activity_type; it is stored sealed, and the stop list is passed."""
    assert await code(Intake(), mail(**PREVIEW)) == 3
    intake = Intake(amazing=label(preview_domains=["office.example"]))
    for to in (
        "tester@evil.example",
        "tester@sub.office.example",
        "office.example",
        "a@office.example, b@evil.example",
        "tester%evil.example@office.example",
        "evil.example!tester@office.example",
    ):
        assert await code(intake, mail(**(PREVIEW | {"to_email_address": to}))) == 3, to
    assert await code(intake, mail(to_email_address="tester@office.example")) == 3
    assert await code(intake, mail(**PREVIEW)) == 0
    message = stored(intake)
    assert "tester" not in repr(intake.store.db.rows)
    assert KEYS.unseal(message.sealed_to, message.id) == "tester@office.example"


@pytest_twisted.ensureDeferred
async def test_a_preview_does_not_ask_for_the_players_address() -> None:
    """With to_email_address it does not matter what the player has or allows, but that the directory knows them."""
    intake = Intake(amazing=label(preview_domains=["office.example"]))
    intake.players.players["hhu234556"] = Recipient(opted_out=True)
    assert await code(intake, mail(**PREVIEW)) == 0
    assert await code(intake, mail(uid="2", activity_type="Unknown")) == 5
    assert await code(intake, mail(uid="3", ext_user_id="nobody", **PREVIEW)) == 1


@pytest_twisted.ensureDeferred
async def test_previews_have_a_low_rate_of_their_own() -> None:
    """preview_rate a label, a minute's worth at once; a repeated uid still gets its id; other mail is not slowed."""
    intake = Intake(amazing=label(preview_domains=["office.example"], preview_rate="3/min"))
    codes = [await code(intake, mail(uid=str(n), **PREVIEW)) for n in range(4)]
    assert codes == [0, 0, 0, 10]
    assert await code(intake, mail(uid="2", **PREVIEW)) == 0
    assert await code(intake, mail(uid="x")) == 0
    intake.clock.advance(20)
    assert await code(intake, mail(uid="3", **PREVIEW)) == 0


@pytest_twisted.ensureDeferred
async def test_a_label_takes_so_many_messages_and_no_more() -> None:
    """Of the twice as many that come at once the rest is told to try again; a duplicate gets its id all the same."""
    intake = Intake(amazing=label(intake_rate="5/m"), other=label())
    with capturedLogs() as events:
        codes = [await code(intake, mail(uid=f"uid-{number}")) for number in range(10)]
    assert codes == [0] * 5 + [10] * 5
    warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
    assert warnings == [
        "amazing is asked for more than 5/m (intake_rate): refused with code 10 until it is less;"
        " gatewayctl guard amazing --lift 1h takes them"
    ]
    assert await code(intake, mail(uid="uid-1")) == 0
    assert await code(intake, mail(), "other") == 0
    [degraded] = intake.guard.degraded()
    assert (degraded.kind, degraded.name) == ("guard", "amazing")
    assert "6 messages were refused" in degraded.text
    intake.clock.advance(12)
    assert [await code(intake, mail(uid=f"later-{number}")) for number in range(2)] == [0, 10]
    intake.clock.advance(61)
    assert not list(intake.guard.degraded())


@pytest_twisted.ensureDeferred
async def test_a_guard_that_an_operator_lifted_takes_all() -> None:
    """Within seconds of its being lifted, and until it stands again."""
    intake = Intake(amazing=label(intake_rate="1/m"))
    assert [await code(intake, mail(uid=f"a{number}")) for number in range(3)] == [0, 10, 10]
    assert list(intake.guard.degraded())
    intake.lifted.seconds["amazing"] = 3600
    intake.clock.advance(5)
    assert [await code(intake, mail(uid=f"b{number}")) for number in range(3)] == [0, 0, 0]
    assert not list(intake.guard.degraded())
    intake.lifted.seconds.clear()
    intake.clock.advance(5)
    assert await code(intake, mail(uid="c")) == 10


@pytest_twisted.ensureDeferred
async def test_a_guard_that_another_process_lifted_is_not_said_any_more() -> None:
    """Within ten seconds, though no request comes; while the store is away nothing changes, and the next look sees."""
    intake = Intake(amazing=label(intake_rate="1/m"), other=label(intake_rate="1/m"))
    watch = Regularly(intake.clock, LOOK_FOR_LIFTED, intake.guard.forget_lifted, "looking at guards")
    watch.startService()
    for name in ("amazing", "other"):
        assert [await code(intake, mail(uid=f"{name}{number}"), name) for number in range(2)] == [0, 10]
    intake.lifted.seconds["amazing"] = 3600
    intake.lifted.down = True
    intake.clock.advance(5)
    assert [one.name for one in intake.guard.degraded()] == ["amazing", "other"]
    intake.lifted.down = False
    intake.clock.advance(5)
    assert [one.name for one in intake.guard.degraded()] == ["other"]
    watch.stopService()
    assert not intake.clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_guard_that_is_lifted_here_takes_all_at_once() -> None:
    """By this process's own listener nothing is believed, or said, any longer; nor once it stands again."""
    intake = Intake(amazing=label(intake_rate="1/m"))
    assert [await code(intake, mail(uid=f"a{number}")) for number in range(2)] == [0, 10]
    assert list(intake.guard.degraded())
    await intake.guard.lift("amazing", 3600)
    assert not list(intake.guard.degraded())
    assert [await code(intake, mail(uid=f"b{number}")) for number in range(3)] == [0, 0, 0]
    await intake.guard.lift("amazing", 0)
    assert await code(intake, mail(uid="c")) == 10
    assert list(intake.guard.degraded())


@pytest_twisted.ensureDeferred
async def test_preview_fields_mean_nothing_in_an_sms() -> None:
    """They are not fields of that request."""
    intake = Intake()
    assert await intake.code("/amazing/sms", SMS | {"activity_type": 5, "to_email_address": "x@y.z"}) == 0
