"""CONTRACT.md, email: what a relay's every answer becomes, and what comes back by LMTP and the public listener."""

import re
import smtplib
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from outside import Mail, Outside, Relay, until


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """Labels for each way out."""
    with Outside() as world:
        label = world.label
        backup = Relay()
        world.peers.append(backup)
        world.backup = backup  # type: ignore[attr-defined]
        world.settings["relays"] = {
            "main": {"host": "127.0.0.1", "port": world.relay.port, "uncertain_wait": "2s"},
            "backup": {"host": "127.0.0.1", "port": backup.port},
            "holding": {"host": "127.0.0.1", "port": world.relay.port, "on_uncertain": "hold", "uncertain_wait": "1s"},
            "ses": {"host": "127.0.0.1", "port": world.relay.port, "provider": "ses"},
        }
        world.settings["labels"] = {
            "amazing": label,
            "both": label | {"relays": ["main", "backup"]},
            "short": label | {"email_deadline": "4s"},
            "holding": label | {"relays": ["holding"], "email_deadline": "5s"},
            "tracking": label | {"track_opens": True, "one_click_unsubscribe": True, "bounce_domain": "b.tracking.co"},
            "unstopped": label
            | {"one_click_unsubscribe": True, "suppress_on_unsubscribe": False, "suppress_on_hard_bounce": False},
        }
        world.settings["directories"]["players"]["cache"] = "1ms"
        world.start()
        yield world


@pytest.fixture(autouse=True)
def quiet(world: Outside) -> Iterator[None]:
    """Each begins with relays that take everything."""
    for relay in (world.relay, world.backup):  # type: ignore[attr-defined]
        relay.mail = relay.rcpt = relay.dot = lambda _: ""
    return


def send(world: Outside, label: str = "amazing", **fields: Any) -> tuple[str, str]:
    """Take an email; its id and subject."""
    subject = f"subject {uuid.uuid4().hex}"
    answer = world.post(f"/{label}/email", world.email_fields(subject=subject, **fields)).json
    assert answer["error_code"] == 0, answer
    return answer["ext_message_id"], subject


def mails(world: Outside, subject: str, relay: Relay | None = None) -> list[Mail]:
    """What a relay has of it."""
    return [mail for mail in list((relay or world.relay).mails) if mail.parsed["Subject"] == subject]


def mail(world: Outside, subject: str) -> Mail:
    """The first of it."""
    return until(lambda: mails(world, subject))[0]  # type: ignore[no-any-return]


def test_a_relays_250_is_accepted_and_no_more(world: Outside) -> None:
    """`accepted`, state sent; without evidence it stays so; content is out of Redis."""
    found, subject = send(world, body="<p>canary-body-8841</p>", text_body="canary-text-8841")
    world.told(found, "accepted")
    assert world.state(found) == "sent"
    stored = world.everything_in_redis()
    assert found in stored
    assert "canary-body-8841" not in stored
    assert "canary-text-8841" not in stored
    assert subject not in stored
    assert "anna@players.example" not in stored


def test_what_the_mail_looks_like(world: Outside) -> None:
    """One recipient, a signed return path, both parts; nothing of Smartico's ids."""
    found, subject = send(world, email_uid="uid-canary-771")
    taken = mail(world, subject)
    assert taken.rcpt == ["anna@players.example"]
    assert re.fullmatch(r"b\+[A-Za-z0-9]+@bounces\.amazing\.co", taken.mail_from)
    parsed = taken.parsed
    assert parsed["From"] == "Amazing <noreply@amazing.co>"
    assert parsed["Reply-To"] == "Amazing <help@amazing.co>"
    assert parsed["To"] == "anna@players.example"
    assert parsed.get_body(("plain",)).get_content().strip() == "Hello"  # type: ignore[union-attr]
    assert "Hello" in parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert b"uid-canary-771" not in taken.raw
    world.until_heard(found, "accepted")


@pytest.mark.parametrize("stage", ["mail", "rcpt", "dot"])
@pytest.mark.parametrize("reply", ["550 5.1.1 no", "554 5.7.1 no", "552 5.3.4 too big"])
def test_a_permanent_refusal_is_rejected(world: Outside, stage: str, reply: str) -> None:
    """At each stage: one try, `rejected`, nothing else."""
    tries: list[object] = []

    def refuse(what: object) -> str:
        tries.append(what)
        return reply

    setattr(world.relay, stage, refuse)
    found, _ = send(world, "unstopped")
    world.told(found, "rejected")
    assert world.state(found) == "rejected"
    world.idle("email")
    assert len(tries) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "dot"])
@pytest.mark.parametrize("reply", ["450 4.2.1 later", "451 4.7.1 greylisted", "421 4.3.2 bye", "452 4.2.2 full"])
def test_a_temporary_refusal_is_tried_again_within_5_s(world: Outside, stage: str, reply: str) -> None:
    """At each stage: `accepted` at the next try."""
    tries: list[float] = []

    def once(_: object) -> str:
        tries.append(time.time())
        return reply if len(tries) == 1 else ""

    setattr(world.relay, stage, once)
    found, _ = send(world)
    world.until_heard(found, "accepted", seconds=10)
    assert tries[1] - tries[0] < 5.2


def test_a_connection_lost_after_the_dot_is_sent_again_with_the_same_message_id(world: Outside) -> None:
    """After uncertain_wait, not before; `accepted` once."""
    world.relay.dot = lambda mail: "drop" if len(mails(world, str(mail.parsed["Subject"]))) == 1 else ""
    found, subject = send(world)
    until(lambda: len(mails(world, subject)) == 2, 10)
    first, second = mails(world, subject)
    assert second.at - first.at > 1.9
    assert first.parsed["Message-ID"] == second.parsed["Message-ID"]
    assert first.mail_from == second.mail_from
    world.until_heard(found, "accepted")


def test_hold_does_not_send_again_and_fails_at_the_deadline(world: Outside) -> None:
    """on_uncertain = hold."""
    world.relay.dot = lambda mail: "drop"
    found, subject = send(world, "holding")
    until(lambda: world.state(found) == "uncertain", 5)
    world.until_heard(found, "failed", seconds=12)
    assert len(mails(world, subject)) == 1


def test_evidence_resolves_what_is_held(world: Outside) -> None:
    """A DSN proves that it was taken: accepted, delivered."""
    world.relay.dot = lambda mail: "drop"
    found, subject = send(world, "holding")
    taken = mail(world, subject)
    until(lambda: world.state(found) == "uncertain", 5)
    lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))
    world.until_heard(found, "accepted", "delivered")


def test_the_deadline_ends_it_as_failed(world: Outside) -> None:
    """Never handed over: `failed` alone."""
    world.relay.rcpt = lambda address: "451 4.0.0 later"
    found, _ = send(world, "short")
    began = time.time()
    world.until_heard(found, "failed", seconds=10)
    assert time.time() - began > 3
    assert world.state(found) == "failed"


def test_a_relay_that_is_down_is_passed_over(world: Outside) -> None:
    """The next in the list takes it; later the first is used again within 5 minutes, here seconds."""
    world.relay.stop()
    try:
        found, subject = send(world, "both")
        world.until_heard(found, "accepted", seconds=10)
        assert len(mails(world, subject, world.backup)) == 1  # type: ignore[attr-defined]
        waiting, other = send(world)
    finally:
        world.relay.start()
    world.until_heard(waiting, "accepted", seconds=15)
    assert len(mails(world, other)) == 1


def test_a_relay_that_says_421_is_passed_over(world: Outside) -> None:
    """Temporary trouble at the first: the second has it at once or at the next try."""
    world.relay.mail = lambda address: "421 4.3.2 shutting down"
    found, subject = send(world, "both")
    world.until_heard(found, "accepted", seconds=10)
    assert len(mails(world, subject, world.backup)) == 1  # type: ignore[attr-defined]


def test_ways_that_only_delivery_finds_end_it_as_rejected(world: Outside) -> None:
    """The player goes away between acceptance and delivery: nothing is sent."""
    world.relay.rcpt = lambda address: "451 4.0.0 later"
    taken = []
    for player, change in {
        "ben": "DELETE FROM players WHERE id = 'ben'",
        "national": "UPDATE players SET email_opted_out = 1 WHERE id = 'national'",
        "abroad": "UPDATE players SET email = NULL WHERE id = 'abroad'",
    }.items():
        found, subject = send(world, ext_user_id=player)
        taken.append((found, subject))
        until(lambda found=found: world.message(found)["timeline"][-1]["event"] not in ("taken", "submitting"), 5)
        with closing(sqlite3.connect(world.database)) as players, players:
            players.execute(change)
        players.close()
    world.relay.rcpt = lambda address: ""
    for found, subject in taken:
        world.told(found, "rejected", seconds=15)
        assert mails(world, subject) == []


# ── LMTP ──


def dsn(taken: Mail, action: str, status: str, *, headers: str = "") -> bytes:
    """A DSN as RFC 3464 wants it."""
    return (
        f"From: MAILER-DAEMON@relay.example\r\nTo: {taken.mail_from}\r\nSubject: Delivery Status\r\n{headers}"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b1\r\n\r\n"
        "--b1\r\nContent-Type: text/plain\r\n\r\nThis is the mail system.\r\n"
        "--b1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        f"Final-Recipient: rfc822; {taken.rcpt[0]}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; as it is\r\n\r\n--b1--\r\n"
    ).encode()


def lmtp(world: Outside, to: str, content: bytes) -> tuple[int, bytes]:
    """Hand one mail back; the final reply."""
    client = smtplib.LMTP("127.0.0.1", world.lmtp)
    try:
        client.ehlo_or_helo_if_needed()
        assert client.mail("")[0] == 250
        code, words = client.rcpt(to)
        if code != 250:
            return code, words
        return client.data(content)
    finally:
        with suppress(smtplib.SMTPException):
            client.quit()


def sent(world: Outside, label: str = "amazing", **fields: Any) -> tuple[str, Mail]:
    """An email that a relay has taken."""
    found, subject = send(world, label, **fields)
    world.until_heard(found, "accepted")
    return found, mail(world, subject)


def test_the_listener_refuses_what_is_not_ours(world: Outside) -> None:
    """550 at RCPT for a bad token, a changed one, another domain, no token; SIZE is advertised."""
    _, taken = sent(world)
    good = taken.mail_from
    client = smtplib.LMTP("127.0.0.1", world.lmtp)
    client.ehlo_or_helo_if_needed()
    assert client.esmtp_features["size"] == "5242880"
    assert client.mail("")[0] == 250
    last = "b" if good.partition("@")[0][-1] != "b" else "c"
    for wrong in (
        "b+abc@bounces.amazing.co",
        "postmaster@bounces.amazing.co",
        "b+@bounces.amazing.co",
        "anna@players.example",
        good.partition("@")[0][:-1] + last + "@bounces.amazing.co",
        good.replace("bounces.amazing.co", "evil.co"),
        good.replace("b+", "u+"),
    ):
        assert client.rcpt(wrong)[0] == 550, wrong
    assert client.rcpt(good.upper())[0] == 250
    assert client.rcpt(good)[0] == 452
    client.rset()
    assert client.docmd(f"MAIL FROM:<> SIZE={5242881}")[0] == 552
    client.quit()


def test_a_mail_over_the_limit_is_552(world: Outside) -> None:
    """Without SIZE it is counted."""
    _, taken = sent(world)
    code, _ = lmtp(world, taken.mail_from, b"Subject: x\r\n\r\n" + b"x" * 70 * 10 + (b"y" * 70 + b"\r\n") * 80_000)
    assert code == 552


@pytest.mark.parametrize("action", ["delivered", "relayed"])
def test_a_dsn_of_delivery_is_delivered(world: Outside, action: str) -> None:
    """Once, whatever comes twice."""
    found, taken = sent(world)
    for _ in range(2):
        assert lmtp(world, taken.mail_from, dsn(taken, action, "2.0.0"))[0] == 250
    world.told(found, "accepted", "delivered")
    assert world.state(found) == "delivered"


def test_a_dsn_of_failure_is_failed(world: Outside) -> None:
    """And its evidence was stored before the 250."""
    found, taken = sent(world, "unstopped")
    assert lmtp(world, taken.mail_from, dsn(taken, "failed", "5.1.1"))[0] == 250
    assert world.state(found) == "failed"
    world.until_heard(found, "accepted", "failed")


def test_a_delay_is_nothing(world: Outside) -> None:
    """Nor is an out-of-office answer."""
    found, taken = sent(world)
    assert lmtp(world, taken.mail_from, dsn(taken, "delayed", "4.4.1"))[0] == 250
    reply = (
        b"From: anna@players.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nOn holiday.\r\n"
    )
    assert lmtp(world, taken.mail_from, reply)[0] == 250
    world.told(found, "accepted")
    assert world.state(found) == "sent"


def test_a_late_bounce_follows_delivered(world: Outside) -> None:
    """`failed` may follow `delivered` for email; `delivered` never follows `failed`."""
    found, taken = sent(world, "unstopped")
    lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))
    world.until_heard(found, "accepted", "delivered")
    lmtp(world, taken.mail_from, dsn(taken, "failed", "5.1.1"))
    world.until_heard(found, "accepted", "delivered", "failed")
    lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))
    world.told(found, "accepted", "delivered", "failed")


def test_a_hard_bounce_puts_the_user_on_the_stop_list(world: Outside) -> None:
    """Of this label and channel."""
    found, taken = sent(world, ext_user_id="outsms")
    lmtp(world, taken.mail_from, dsn(taken, "failed", "5.1.1"))
    world.until_heard(found, "accepted", "failed")
    until(lambda: world.email(ext_user_id="outsms")["error_code"] == 5, 5)
    assert world.post("/both/email", world.email_fields(ext_user_id="outsms")).json["error_code"] == 0
    assert world.ctl("unsuppress", "amazing", "outsms", "--channel", "email").returncode == 0
    assert world.email(ext_user_id="outsms")["error_code"] == 0


def test_a_complaint_is_complained(world: Outside) -> None:
    """An ARF report to the return path, RFC 5965."""
    found, taken = sent(world, ext_user_id="42")
    arf = (
        b"From: fbl@isp.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b1\r\n\r\n--b1\r\n\r\nA complaint.\r\n"
        b"--b1\r\nContent-Type: message/feedback-report\r\n\r\n"
        b"Feedback-Type: abuse\r\nVersion: 1\r\nUser-Agent: x/1\r\n\r\n"
        b"--b1\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--b1--\r\n"
    )
    assert lmtp(world, taken.mail_from, arf)[0] == 250
    world.until_heard(found, "accepted", "delivered", "complained")
    until(lambda: world.email(ext_user_id="42")["error_code"] == 5, 5)


def test_a_labels_own_return_domain(world: Outside) -> None:
    """bounce_domain, and the listener takes it."""
    found, taken = sent(world, "tracking")
    assert taken.mail_from.endswith("@b.tracking.co")
    assert lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))[0] == 250
    world.until_heard(found, "accepted", "delivered")


def test_no_250_where_redis_is_down(world: Outside) -> None:
    """451: the operator's mail server keeps it and comes again."""
    found, taken = sent(world)
    world.redis_cli("CLIENT", "PAUSE", "6000", "ALL")
    assert lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))[0] == 451
    until(lambda: world.http("GET", "/readyz", port=world.admin).status == 200, 15)
    assert lmtp(world, taken.mail_from, dsn(taken, "delivered", "2.0.0"))[0] == 250
    world.until_heard(found, "accepted", "delivered")


# ── the public listener ──


def links(taken: Mail) -> tuple[str, str]:
    """The pixel's and the unsubscribe page's path."""
    html = taken.parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]
    pixel = re.search(r"https://go\.amazing\.co(/o/[^\"'>\s]+\.gif)", html)
    header = re.search(r"<https://go\.amazing\.co(/u/[^>]+)>", taken.parsed["List-Unsubscribe"])
    assert pixel is not None
    assert header is not None
    return pixel[1], header[1]


BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}


def test_an_open_by_a_person_is_opened_once(world: Outside) -> None:
    """Later than 5 s after accepted; a fetch before that is a machine's."""
    found, taken = sent(world, "tracking")
    other, machine = sent(world, "tracking", ext_user_id="outsms")
    pixel, _ = links(taken)
    accepted = time.time()
    first = world.http("GET", links(machine)[0], headers=BROWSER, port=world.public)
    assert first.status == 200
    until(lambda: time.time() > accepted + 5.1)
    for _ in range(2):
        reply = world.http("GET", pixel, headers=BROWSER, port=world.public)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "image/gif"
        assert reply.body.startswith(b"GIF89a")
    world.told(found, "accepted", "delivered", "opened")
    assert "opened" not in world.smartico.statuses(other)


def test_a_bad_token_gets_the_same_answer(world: Outside) -> None:
    """Status, headers and body, for the pixel and the page; for a POST see below."""
    _, taken = sent(world, "tracking")
    pixel, page = links(taken)
    for path in (pixel, page):
        good = world.http("GET", path, None, BROWSER, world.public)
        ends = ".gif" if path.endswith(".gif") else ""
        wrong = path.removesuffix(".gif")[:-4] + "aaaa" + ends
        for bad in (wrong, path[:3] + "x" + ends, path[:3] + "A" * 300 + ends):
            reply = world.http("GET", bad, None, BROWSER, world.public)
            assert reply.status == good.status
            skip = {"Date"}
            assert {k: v for k, v in reply.headers.items() if k not in skip} == {
                k: v for k, v in good.headers.items() if k not in skip
            }
            assert reply.body.replace(bad.encode(), b"") == good.body.replace(path.encode(), b"")


def test_getting_the_page_changes_nothing_and_posting_unsubscribes(world: Outside) -> None:
    """RFC 8058: a POST with List-Unsubscribe=One-Click; once; the user is on the label's stop list."""
    found, taken = sent(world, "tracking", ext_user_id="nophone")
    assert taken.parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    _, page = links(taken)
    assert world.http("GET", page, port=world.public).status == 200
    assert world.http("HEAD", page, port=world.public).status == 200
    world.told(found, "accepted")
    heads = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(2):
        reply = world.http("POST", page, b"List-Unsubscribe=One-Click", heads, world.public)
        assert reply.status == 200
    bad = world.http("POST", page[:-4] + "aaaa", b"List-Unsubscribe=One-Click", heads, world.public)
    assert (bad.status, bad.body.replace(page[:-4].encode(), b"")) == (
        reply.status,
        reply.body.replace(page[:-4].encode(), b""),
    )
    world.until_heard(found, "accepted", "delivered", "unsubscribed")
    fields = world.email_fields(ext_user_id="nophone")
    until(lambda: world.post("/tracking/email", fields | {"email_uid": uuid.uuid4().hex}).json["error_code"] == 5, 5)
    special = fields | {"activity_type": "EmailCustomerSupport", "email_uid": uuid.uuid4().hex, "subject": "special"}
    assert world.post("/tracking/email", special).json["error_code"] == 0
    plain = mail(world, "special")
    assert plain.parsed["List-Unsubscribe"] is None
    assert b"/o/" not in plain.raw


def test_a_multipart_form_unsubscribes_too(world: Outside) -> None:
    """RFC 8058 allows both encodings; without the list of the label nothing is stopped."""
    found, taken = sent(world, "unstopped", ext_user_id="nophone")
    header = re.search(r"<https://go\.amazing\.co(/u/[^>]+)>", taken.parsed["List-Unsubscribe"])
    assert header is not None
    body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    assert (
        world.http("POST", header[1], body, {"Content-Type": "multipart/form-data; boundary=x"}, world.public).status
        == 200
    )
    world.until_heard(found, "accepted", "delivered", "unsubscribed")
    assert world.post("/unstopped/email", world.email_fields(ext_user_id="nophone")).json["error_code"] == 0


def test_other_public_paths_are_404(world: Outside) -> None:
    """Neither the api nor the admin listener's."""
    for path in ("/", "/metrics", "/healthz", "/amazing/email", "/esp/ses/wrong", "/esp/nothing/x", "/messages/x"):
        assert world.http("GET", path, port=world.public).status in (404, 405), path
    for port in (world.api, world.public):
        assert world.http("GET", "/metrics", port=port).status == 404


def test_silence_is_kept_open_for_nobody(world: Outside) -> None:
    """A caller that says nothing costs one socket and no answer."""
    with socket.create_connection(("127.0.0.1", world.public), timeout=2) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
