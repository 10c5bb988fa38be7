"""CONTRACT.md on signals: SIGTERM drains, SIGHUP reads the configuration again, and kill -9 loses nothing."""

import json
import re
import signal
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from fair_clock import Stretch
from outside import Outside, Smsc, until
from outside_life import admin, others_go_on
from outside_ports import free_port

from certificates import Authority


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world that is not started yet."""
    with Outside() as world:
        yield world


def test_sigterm_drains(world: Outside) -> None:
    """New requests are refused or not connected; a submit on the wire gets its slow answer; then exit status 0."""
    world.smsc.submitted = lambda submit: None
    world.start()
    found = world.sms()["ext_message_id"]
    until(lambda: world.smsc.submits)
    world.daemon.signal(signal.SIGTERM)
    told = time.time()

    def refuses() -> bool:
        with suppress(OSError):
            return bool(world.sms()["error_code"] == 10)
        return True

    until(refuses)
    until(lambda: time.time() > told + 2)
    assert world.daemon.ended is None
    world.smsc.ok(world.smsc.submits[0])
    assert world.daemon.process is not None
    assert world.daemon.process.wait(5) == 0
    assert world.smsc.unbinds == 1
    world.smsc.submitted = world.smsc.deliver_at_once
    world.daemon.start()
    world.until_heard(found, "accepted")
    assert len(world.smsc.submits) == 1


def test_sigterm_does_not_wait_for_ever(world: Outside) -> None:
    """An answer that never comes: at most 20 s and a little, exit status 0; uncertain afterwards, not sent again."""
    world.smsc.submitted = lambda submit: None
    world.start()
    found = world.sms(body="only once")["ext_message_id"]
    until(lambda: world.smsc.submits)
    stretch = Stretch()
    assert world.daemon.terminate() == 0
    assert stretch.seconds() < 25
    world.smsc.submitted = world.smsc.deliver_at_once
    world.settings["labels"]["other"] = world.label | {"api_key": "other"}
    world.start()
    others_go_on(world)
    assert world.state(found) == "uncertain"
    assert world.smartico.statuses(found) == []
    assert [submit.text for submit in world.smsc.submits].count("only once") == 1


def test_sighup_reads_the_configuration_again(world: Outside) -> None:
    """Secrets, allow-lists, labels and rates change; no link is dropped; a broken file changes nothing."""
    world.start()
    assert world.sms()["error_code"] == 0
    binds = len(world.smsc.binds)
    world.settings["labels"] = {
        "amazing": world.label | {"authorization": ["new"], "email_senders": ["*@new.co"]},
        "second": world.label | {"allow_from": ["203.0.113.0/24"]},
    }
    world.settings["smscs"]["world"]["rate"] = "500/s"
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: world.sms()["error_code"] == 4, 10)
    assert world.post("/amazing/sms", world.sms_fields(), {"Authorization": "new"}).json["error_code"] == 0
    assert world.post("/amazing/email", world.email_fields(), {"Authorization": "new"}).json["error_code"] == 6
    assert world.post("/second/sms", world.sms_fields()).status == 403
    world.config.write_text("[gatewayd]\nnonsense = 1\n")
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("gatewayd.nonsense")
    found = world.post("/amazing/sms", world.sms_fields(), {"Authorization": "new"}).json["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert len(world.smsc.binds) == binds


def test_the_backlog_of_what_was_taken_out_of_the_file_waits(world: Outside) -> None:
    """A label, a relay and a route that are gone reject nothing; their messages go out once the file has them again."""
    world.start()
    world.relay.stop()
    world.smsc.stop()
    until(lambda: admin(world, "/readyz").status == 503, 10)
    waiting = [world.email()["ext_message_id"], world.sms()["ext_message_id"]]
    whole = dict(world.label)
    for less in ({"relays": [], "sms_routes": []}, None):
        world.settings["labels"] = {"amazing": whole | less} if less else {"other": whole}
        world.write()
        reloads = world.daemon.log.read_text().count("was read again")
        world.daemon.signal(signal.SIGHUP)
        until(lambda reloads=reloads: world.daemon.log.read_text().count("was read again") > reloads, 10)
        word = "has no email route" if less else "in the configuration no more"
        until(lambda word=word: word in str(world.message(waiting[0])["timeline"]), 20)
        assert [world.state(found) for found in waiting] == ["queued", "queued"]
    world.relay.start()
    world.smsc.start()
    world.settings["labels"] = {"amazing": whole}
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.until_heard(waiting[0], "accepted", seconds=15)
    world.until_heard(waiting[1], "accepted", "delivered", seconds=15)


def test_what_waits_for_a_wrong_callback_url_is_told_at_the_reload_that_mends_it(world: Outside) -> None:
    """And not with the next try, which may be an hour away."""
    right = world.label["callback_url"]
    world.label["callback_url"] = "http://127.0.0.1:1/"
    world.start()
    fields = {name: value for name, value in world.sms_fields().items() if name != "callback_url"}
    found = world.post("/amazing/sms", fields).json["ext_message_id"]
    until(lambda: re.search(r"is told again in [4-9]\.", world.daemon.log.read_text()))
    world.label["callback_url"] = right
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.until_heard(found, "accepted", "delivered")
    in_vain, told, *_ = [one for one in world.message(found)["timeline"] if one["event"] in ("tell again", "told")]
    waited = datetime.fromisoformat(told["at"]) - datetime.fromisoformat(in_vain["until"])
    assert waited.total_seconds() < 4


def test_what_waits_for_a_smsc_or_relay_is_tried_at_the_reload_that_mends_it(world: Outside) -> None:
    """And not at the end of its back-off, which may be minutes away."""
    world.smsc.submitted = lambda submit: world.smsc.ok(submit, 0x08)
    world.start()
    found = world.sms()["ext_message_id"]
    until(lambda: len(world.smsc.submits) >= 5)
    world.settings["smscs"]["world"]["service_type"] = "BULK"
    world.smsc.submitted = world.smsc.deliver_at_once
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.until_heard(found, "accepted", "delivered")
    latest = {one["event"]: datetime.fromisoformat(one["until"]) for one in world.message(found)["timeline"][1:3]}
    assert (latest["submitting"] - latest["again"]).total_seconds() < 4


def test_what_is_stored_of_a_label_that_was_taken_out_can_be_found_and_erased(world: Outside) -> None:
    """By Smartico's uid and by the player's id, while it waits for the label's return; a mistyped label is none."""
    world.start()
    assert world.ctl("pause", "amazing").returncode == 0
    fields = world.sms_fields(im_uid="left-behind")
    found = world.post("/amazing/sms", fields).json["ext_message_id"]
    world.settings["labels"] = {"other": dict(world.label)}
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("the configuration was read again")
    player = str(fields["ext_user_id"])
    assert json.loads(world.ctl("trace", "left-behind", "--json").stdout)["ext_message_id"] == found
    assert found in world.ctl("export", "amazing", player).stdout
    for words in (["suppress", "amazing", player], ["stops", "amazing"], ["pause", "amazing"], ["resume", "amazing"]):
        done = world.ctl(*words)
        assert done.returncode == 0, done.stderr
    mistyped = world.ctl("erase", "amazin", player)
    assert mistyped.returncode == 1
    assert "did you mean amazing?" in mistyped.stderr
    assert json.loads(world.ctl("erase", "amazing", player, "--json").stdout)["removed"] == 1
    assert json.loads(world.ctl("export", "amazing", player).stdout)["messages"] == []
    told = world.message(found)
    assert (told["uid"], told["ext_user_id"], told["state"]) == ("", "", "failed")
    assert world.ctl("unsuppress", "amazing", player).returncode == 0


def test_sighup_adds_ways_out_and_removes_them(world: Outside) -> None:
    """A new SMSC is bound, one that is gone is unbound, the other stays."""
    more = Smsc()
    world.peers.append(more)
    world.start()
    world.settings["smscs"]["more"] = world.settings["smscs"]["world"] | {"port": more.port}
    world.label["sms_routes"] = [{"prefix": "", "via": ["more", "world"]}]
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: more.links, 10)
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert len(more.submits) == 1
    del world.settings["smscs"]["more"]
    world.label["sms_routes"] = [{"prefix": "", "via": ["world"]}]
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: more.unbinds, 10)
    assert len(world.smsc.binds) == 1


def test_a_raised_rate_is_felt_at_once(world: Outside) -> None:
    """SIGHUP: what waits because of the old rate goes at the new one, not in half a minute."""
    world.settings["smscs"]["world"]["rate"] = "2/s"
    world.start()
    began = time.time()
    ids = [world.sms()["ext_message_id"] for _ in range(60)]
    until(lambda: len(world.smsc.submits) >= 3)
    assert len(world.smsc.submits) <= 3 + 2 * (time.time() - began)
    world.settings["smscs"]["world"]["rate"] = "500/s"
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: len(world.smsc.submits) == 60)
    for found in ids:
        world.until_heard(found, "accepted", "delivered")


def test_kill_9_and_restart(world: Outside) -> None:
    """Nothing that was answered with 0 is lost; each status at least once; the uid is remembered."""
    world.start()
    uids = [uuid.uuid4().hex for _ in range(60)]
    answers: dict[str, str] = {}

    def post(number: int) -> None:
        for uid in uids[number::4]:
            with suppress(OSError):
                fields = world.sms_fields(im_uid=uid, body=uid)
                answer = world.post("/amazing/sms", fields).json
                if answer["error_code"] == 0:
                    answers[uid] = answer["ext_message_id"]

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 20)
    world.daemon.kill()
    for thread in threads:
        thread.join()
    world.daemon.start()
    for uid, found in list(answers.items()):
        assert world.sms(im_uid=uid, body=uid)["ext_message_id"] == found
    # A receipt that the daemon had not answered when it was killed comes again, as from any SMSC.
    for submit in list(world.smsc.submits):
        world.smsc.receipt(submit)

    def is_told_or_held(found: str) -> bool:
        return set(world.smartico.statuses(found)) >= {"accepted", "delivered"} or world.state(found) == "uncertain"

    until(lambda: all(map(is_told_or_held, answers.values())), 30)
    # What was marked and is still on its way to the wire looks held as well: it is out before one that comes later.
    world.until_heard(world.sms(body="one more")["ext_message_id"], "accepted", "delivered")
    until(lambda: all(map(is_told_or_held, answers.values())), 30)
    texts = [submit.text for submit in world.smsc.submits]
    assert len(texts) == len(set(texts))


def test_a_renewed_certificate_is_shown_after_a_reload(world: Outside) -> None:
    """To new connections: who is connected goes on. A file that can't be used changes nothing, and is named."""
    authority = Authority(world.directory)
    shown, key = world.directory / "go.pem", world.directory / "go.key"
    world.settings["public"]["listen"] = [
        f"ssl:{world.public}:privateKey={key}:certKey={shown}:interface=127.0.0.1",
        f"haproxy:ssl:{free_port()}:privateKey={key}:certKey={shown}:interface=127.0.0.1",
    ]

    def renew(name: str, days: tuple[int, int]) -> None:
        for made, used in zip(authority.files(name, days), (shown, key), strict=True):
            Path(made).replace(used)

    def serves() -> bool:
        return ssl.get_server_certificate(("127.0.0.1", world.public)).strip() == shown.read_text().strip()

    def certificates() -> list[str]:
        return [text for text in admin(world, "/readyz").json["degraded"] if "certificate" in text]

    renew("old.amazing.co", (-80, 10))
    world.start()
    assert serves()
    assert re.fullmatch(r"the certificate of \[public\] expires in 10 d \(\S+Z\): .*", certificates()[0])
    kept = HTTPSConnection("127.0.0.1", world.public, context=ssl._create_unverified_context())
    kept.request("GET", "/u/x")
    kept.getresponse().read()
    renew("new.amazing.co", (-1, 90))
    assert not serves()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("[public] shows a new certificate on ssl:")
    world.daemon.logged("[public] shows a new certificate on haproxy:ssl:")
    assert serves()
    assert certificates() == []
    kept.request("GET", "/u/x")
    assert kept.getresponse().status == 200
    kept.close()
    served = shown.read_text()
    shown.write_text("-----BEGIN")
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("the configuration is kept as it was: public.listen[0]: is not a Twisted server endpoint")
    shown.write_text(served)
    assert serves()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("[public] shows the same certificate on ssl:")
    # The file names others: what is shown is read from where the daemon began, until a restart.
    other = authority.files("other.amazing.co")
    world.settings["public"]["listen"] = [f"ssl:{world.public}:privateKey={other[1]}:certKey={other[0]}"]
    world.write()
    shown.unlink()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("[public] shows the former certificate, valid until ")
    world.daemon.logged(f"can't be used: cannot read {shown}: No such file or directory")
    world.daemon.logged("[public] has changed: that takes a restart")
    shown.write_text(served)
    assert serves()


def test_who_asks_behind_a_sighup_hears_what_became_of_it(world: Outside) -> None:
    """The file was read by then, whatever comes at once: systemctl's reload waits so for the daemon's own verdict."""
    world.start()
    good = world.config.read_text()
    for number in range(20):
        world.config.write_text(good if number % 2 else "[gatewayd]\nnonsense = 1\n")
        world.daemon.signal(signal.SIGHUP)
        said = [text for text in admin(world, "/readyz").json["degraded"] if "file was refused" in text]
        assert len(said) == (number + 1) % 2
    assert "the configuration file was refused" not in world.ctl("status").stdout
    world.settings["labels"]["amazing"]["api_key"] = f"file:{world.directory}/gone"
    world.write()
    world.daemon.signal(signal.SIGHUP)
    assert "the configuration file was refused" in world.ctl("status").stdout
