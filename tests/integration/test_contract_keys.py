"""CONTRACT.md, the rest: what depends on one key of the configuration each."""

import json
import smtplib
import time
from collections.abc import Iterator

import pytest
from evenness import within
from outside import Mute, Outside, Smsc, request, until


@pytest.fixture
def world() -> Iterator[Outside]:
    """Not started yet."""
    with Outside() as world:
        yield world


def test_without_bounces_the_envelope_sender_is_from(world: Outside) -> None:
    """MAIL FROM is the From address."""
    del world.settings["bounces"]
    world.start()
    found = world.email()["ext_message_id"]
    world.until_heard(found, "accepted")
    assert world.relay.mails[0].mail_from == "noreply@amazing.co"


def test_without_public_the_optional_listeners_are_not_there(world: Outside) -> None:
    """[public] and [bounces] are optional as tables."""
    del world.settings["public"], world.settings["bounces"]
    world.start()
    for port in (world.public, world.lmtp):
        with pytest.raises(OSError):
            world.raw(b"", port=port)


def test_retention_is_how_long_it_is_known(world: Outside) -> None:
    """A finished message is known for as long as `retention` says, and forgotten soon after."""
    world.settings["gatewayd"]["retention"] = "3s"
    world.start()
    fields = world.sms_fields()
    found = world.post("/amazing/sms", fields).json["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    ended = time.time()
    assert world.state(found) == "delivered"
    until(lambda: world.message(found) == {}, 5)
    assert time.time() - ended > 2


def test_rotated_keys(world: Outside) -> None:
    """previous_secret_keys: ids stay the same, return paths stay good, nothing is sent twice."""
    world.start()
    fields = world.email_fields()
    found = world.post("/amazing/email", fields).json["ext_message_id"]
    world.until_heard(found, "accepted")
    bounce = world.relay.mails[0].mail_from
    world.daemon.terminate()
    world.settings["gatewayd"] |= {
        "secret_key": "x" * 32,
        "previous_secret_keys": [world.settings["gatewayd"]["secret_key"]],
    }
    world.start()
    assert world.post("/amazing/email", fields).json["ext_message_id"] == found
    client = smtplib.LMTP("127.0.0.1", world.lmtp)
    client.ehlo_or_helo_if_needed()
    client.mail("")
    assert client.rcpt(bounce)[0] == 250
    client.quit()
    assert len(world.relay.mails) == 1


def test_star_is_no_way_inside(world: Outside) -> None:
    """A private or loopback address is refused unless that very host is listed."""
    world.settings["labels"]["star"] = world.label | {
        "callback_hosts": ["*"],
        "callback_url": "https://api.smartico.ai/",
    }
    world.start()
    for url in (
        world.smartico.url,
        f"http://localhost:{world.smartico.port}/",
        "http://[::1]/",
        "http://10.1.2.3/",
        "http://192.168.0.1/x",
        "http://169.254.169.254/latest",
        "http://[fd00::1]/",
        "http://127.1/",
        "http://0/",
        "http://[::ffff:127.0.0.1]/",
    ):
        answer = world.post("/star/sms", world.sms_fields(callback_url=url)).json
        assert answer["error_code"] == 7, url


@pytest.mark.pace
def test_relay_rate_and_connections(world: Outside) -> None:
    """`rate` is even, `connections` are the most at once; one more is the probe."""
    world.settings["relays"]["main"] |= {"rate": "10/s", "connections": 2}
    world.start()
    before = world.relay.connections

    def measure() -> list[float]:
        world.relay.mails.clear()
        for found in [world.email()["ext_message_id"] for _ in range(25)]:
            world.until_heard(found, "accepted")
        return [mail.at for mail in world.relay.mails]

    within(measure, most=11, seconds=3.5)
    assert world.relay.connections - before <= 3


def test_two_labels_with_their_own_keys(world: Outside) -> None:
    """A label's api_key reaches its caller as it is, whatever characters it has."""
    world.settings["labels"]["other"] = world.label | {"api_key": "other-key&=?", "authorization": ["o"]}
    world.start()
    found = world.post("/other/sms", world.sms_fields(), {"Authorization": "o"}).json["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert {dict(h.query)["api_key"] for h in world.smartico.heard} == {"other-key&=?"}


def test_http_1_0_and_no_length(world: Outside) -> None:
    """HTTP/1.0, an absolute target, and a POST without any body."""
    world.start()
    body = json.dumps(world.sms_fields()).encode()
    assert b'"error_code":0' in world.raw(request("/amazing/sms", body).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b'"error_code":3' in world.raw(
        b"POST /amazing/sms HTTP/1.1\r\nHost: x\r\nAuthorization: outside-authorization\r\n\r\n"
    )
    assert b'"error_code":0' in world.raw(request("http://x/amazing/sms", json.dumps(world.sms_fields()).encode()))


def test_kill_keeps_the_order_of_reports(world: Outside) -> None:
    """What was not told before the kill is told after it, in order."""
    world.smartico.answer = lambda heard: (500, b"", {})
    world.start()
    found = world.sms()["ext_message_id"]
    until(lambda: world.state(found) == "delivered")
    world.daemon.kill()
    world.smartico.heard.clear()
    world.smartico.answer = lambda heard: (200, b'{"error_code": 0}', {})
    world.daemon.start()
    world.until_heard(found, "accepted", "delivered")


def test_uncertain_after_kill_9(world: Outside) -> None:
    """A kill between submit and answer: one SMSC's is held until a receipt resolves it, the other's goes once more."""
    again = Smsc()
    world.peers.append(again)
    hold = world.settings["smscs"]["world"] | {"uncertain_wait": "1s"}
    world.settings["smscs"] = {"world": hold, "again": hold | {"port": again.port, "on_uncertain": "resend"}}
    world.settings["labels"]["again"] = world.label | {"sms_routes": [{"prefix": "", "via": ["again"]}]}
    world.smsc.submitted = again.submitted = lambda submit: None
    world.start()
    held = world.sms()["ext_message_id"]
    until(lambda: world.smsc.submits)
    assert world.post("/again/sms", world.sms_fields(ext_user_id="ben")).json["error_code"] == 0
    until(lambda: again.submits)
    world.daemon.kill()
    world.daemon.start()
    until(lambda: len(again.submits) == 2)
    assert world.state(held) == "uncertain"
    world.smsc.receipt(world.smsc.submits[0])
    # Its id is not known: after 10 s it counts for the message that is uncertain to that number.
    world.told(held, "accepted", "delivered", seconds=25)
    assert len(world.smsc.submits) == 1


def test_a_relay_in_the_middle_of_data_when_killed(world: Outside) -> None:
    """Uncertain over a kill: sent again with the same Message-ID."""
    world.relay.dot = lambda mail: "drop" if len(world.relay.mails) == 1 else ""
    world.settings["relays"]["main"]["uncertain_wait"] = "1s"
    world.start()
    found = world.email()["ext_message_id"]
    until(lambda: world.relay.mails)
    world.daemon.kill()
    world.daemon.start()
    world.until_heard(found, "accepted", seconds=20)
    assert len(world.relay.mails) == 2
    assert len({m.parsed["Message-ID"] for m in world.relay.mails}) == 1


def test_what_is_not_in_work_waits(world: Outside) -> None:
    """An SMS stays in its queue while an email comes out of its own, where it waited for a second try."""
    world.settings["gatewayd"]["work"] = ["email", "reports"]
    tries: list[str] = []

    def busy_once(address: str) -> str:
        tries.append(address)
        return "451 4.3.0 later" if len(tries) == 1 else ""

    world.relay.mail = busy_once
    world.start()
    sms, email = world.sms()["ext_message_id"], world.email()["ext_message_id"]
    world.until_heard(email, "accepted")
    assert len(tries) == 2
    assert world.state(sms) == "queued"
    assert world.smsc.submits == []


def test_redis_prefix_and_database(world: Outside) -> None:
    """key_prefix and database: every key begins with the prefix."""
    world.settings["redis"]["key_prefix"] = "mine:"
    world.settings["redis"]["database"] = 3
    world.start()
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    _, *keys = world.redis.ask(commands=[("SELECT", "3"), ("KEYS", "*")]).split()
    assert keys
    assert all(key.startswith("mine:") for key in keys)
    assert world.redis_cli("KEYS", "*") == ""


def test_a_relay_that_never_greets_is_passed_over(world: Outside) -> None:
    """The first message waits 5 s for it, the next ones don't any more."""
    mute = Mute()
    world.peers.append(mute)
    world.settings["relays"]["mute"] = {"host": "127.0.0.1", "port": mute.port}
    world.label["relays"] = ["mute", "main"]
    world.start(ready=False)
    first = world.email()["ext_message_id"]
    world.until_heard(first, "accepted")
    for _ in range(5):
        world.until_heard(world.email()["ext_message_id"], "accepted", seconds=4.5)


def test_an_smsc_that_never_answers_a_bind_is_passed_over(world: Outside) -> None:
    """At once: it is not bound."""
    mute = Mute()
    world.peers.append(mute)
    world.settings["smscs"]["mute"] = world.settings["smscs"]["world"] | {"port": mute.port}
    world.label["sms_routes"] = [{"prefix": "", "via": ["mute", "world"]}]
    world.start(ready=False)
    until(lambda: world.smsc.links)
    world.until_heard(world.sms()["ext_message_id"], "accepted", "delivered", seconds=5)


def test_an_smsc_that_unbinds_us_is_bound_again_within_5_s(world: Outside) -> None:
    """And one that closes without a word."""
    world.start()
    for ending in ("unbind", "close"):
        count = len(world.smsc.binds)
        link = world.smsc.links[-1]
        if ending == "unbind":
            link.ask(6)
        else:
            link.close()
        until(lambda count=count: len(world.smsc.binds) > count, 5)
        world.until_heard(world.sms()["ext_message_id"], "accepted", "delivered")
