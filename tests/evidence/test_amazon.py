"""Amazon's certificates and confirmations: fetched once, from its own addresses."""

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from esp_requests import (
    ARN,
    CERTIFICATE_URL,
    PEM,
    SES_SETTINGS,
    sns,
)
from gatewayd.config import Secret
from gatewayd.core.errors import TemporaryFailure
from public_world import PATH, Reply, World, esp, token

DELIVERY = {"eventType": "Delivery", "mail": {"tags": {"gw": [token()]}}}


def amazon(**values: Any) -> World:
    """A world with [esp.ses]."""
    return World(ses=esp(topic_arns=SES_SETTINGS.topic_arns, **values))


def test_the_certificate_is_fetched_once() -> None:
    """From the pinned address; later notifications use the kept one."""
    world = amazon()
    for number in range(3):
        assert world.post("ses", sns(DELIVERY, MessageId=f"M-{number}")).status == 200
    assert world.fetched == [CERTIFICATE_URL]
    assert len(world.took) == 3


@pytest.mark.parametrize(
    ("answer", "status"),
    [((404, b""), 503), ((200, b"<html>"), 503), ((200, PEM + b"\n" * 70_000), 503), ((302, PEM), 503)],
)
def test_without_a_certificate_amazon_comes_again(answer: tuple[int, bytes], status: int) -> None:
    """Nothing is taken on trust, and nothing that was no certificate is kept."""
    world = amazon()
    world.answer = lambda url: answer
    assert (world.post("ses", sns(DELIVERY)).status, world.took) == (status, [])
    world.answer = lambda url: (200, PEM)
    assert (world.post("ses", sns(DELIVERY)).status, len(world.took)) == (200, 1)


def test_a_fetch_that_hangs_ends_after_five_seconds() -> None:
    """Nobody can make us wait longer."""
    world = amazon()
    world.answer = lambda url: Deferred()
    transport = world.send("POST", f"/esp/ses/{PATH}", json.dumps(sns(DELIVERY)).encode())
    world.clock.advance(4.9)
    assert transport.value() == b""
    world.clock.advance(0.2)
    assert Reply(transport.value()).status == 503


def test_a_strangers_topic_is_not_asked_about() -> None:
    """His notification may well be signed by Amazon: nothing is fetched for it."""
    world = amazon()
    assert world.post("ses", sns(DELIVERY, TopicArn=ARN + "-x")).status == 403
    assert world.fetched == []


def test_our_topics_subscription_is_confirmed_at_amazons_own_address() -> None:
    """Once its signature was checked; the body's SubscribeURL is never asked."""
    world = amazon()
    asked = sns("", Type="SubscriptionConfirmation", Token="T", SubscribeURL="https://evil.example/")
    assert world.post("ses", asked | {"Token": "forged"}).status == 403
    assert world.fetched == [CERTIFICATE_URL]
    assert world.post("ses", asked).status == 200
    assert world.fetched[1].startswith("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=")
    assert not any("evil" in url for url in world.fetched)


def test_confirmation_can_be_switched_off_and_a_failed_one_is_asked_for_again() -> None:
    """confirm = false answers 200 and asks nobody; an error of Amazon's makes it send the question again."""
    asked = sns("", Type="SubscriptionConfirmation", Token="T", SubscribeURL="https://evil.example/")
    world = amazon(confirm=False)
    assert (world.post("ses", asked).status, world.fetched) == (200, [CERTIFICATE_URL])
    world = amazon(public_key=Secret(PEM.decode()))
    world.answer = lambda url: (500, b"")
    assert world.post("ses", asked).status == 503
    assert len(world.fetched) == 1


def test_a_failure_of_the_fetch_is_temporary() -> None:
    """As the client reports it."""

    def refuse(url: str) -> Any:
        raise TemporaryFailure("no connection")

    world = amazon()
    world.answer = refuse
    assert world.post("ses", sns(DELIVERY)).status == 503


def test_an_ended_subscription_is_said() -> None:
    """Whoever has its link can end it, and no event would come any more: it is in the log and in degraded."""
    world = amazon()
    words = "the subscription of an SNS topic has ended; no events of it come until it is subscribed again"
    with capturedLogs() as logs:
        ended = sns("", Type="UnsubscribeConfirmation", Token="T", SubscribeURL="https://sns.example/")
        assert world.post("ses", ended).status == 200
    assert [formatEvent(event) for event in logs] == [f"esp.ses: {words}"]
    text = f"esp.ses: {words}; what became of its messages nobody hears"
    assert [(one.kind, one.name, one.text) for one in world.public.degraded()] == [("events", "esp.ses", text)]
    assert world.fetched == [CERTIFICATE_URL]
    assert world.post("ses", ended | {"Token": "forged"}).status == 403
    assert world.post("ses", sns(DELIVERY)).status == 200
    assert list(world.public.degraded()) == []
