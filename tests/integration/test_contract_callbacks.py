"""CONTRACT.md and SMARTICO.md section 4: who may call us through proxies, and how we call Smartico."""

import itertools
import json
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from outside import API_KEY, Heard, Outside, Smartico, request, until


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """Behind proxies, with a stranger's web server beside Smartico."""
    with Outside() as world:
        label = world.label
        label["allow_from"] = ["192.0.2.7/32"]
        world.settings["labels"] = {
            "amazing": label,
            "afar": label | {"allow_from": ["203.0.113.0/24", "2001:db8::/32"]},
            "names": label | {"callback_hosts": ["localhost", "*.example"]},
            "short": label | {"email_deadline": "3s"},
        }
        world.settings["api"]["trusted_proxies"] = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]
        world.start()
        yield world


@pytest.fixture(autouse=True)
def content(world: Outside) -> None:
    """Each begins with a Smartico that takes everything."""
    world.smartico.answer = lambda heard: (200, b'{"error_code": 0,}', {})


def through(world: Outside, label: str, *forwarded: str) -> int:
    """The HTTP status with these X-Forwarded-For headers."""
    body = json.dumps(world.sms_fields()).encode()
    heads = [f"X-Forwarded-For: {value}" for value in forwarded]
    return int(world.raw(request(f"/{label}/sms", body, "Connection: close", *heads)).split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("label", "forwarded", "status"),
    [
        ("afar", ["203.0.113.9"], 200),
        ("afar", ["2001:db8::1"], 200),
        ("afar", ["[2001:db8::1]"], 200),
        ("afar", ["[2001:db8::1]:4711"], 200),
        ("afar", ["203.0.113.9:4711"], 200),
        ("afar", ["198.51.100.1"], 403),
        ("afar", [], 403),
        ("afar", [""], 403),
        ("afar", ["unknown"], 403),
        ("afar", ["203.0.113.9, 198.51.100.1"], 403),
        ("afar", ["198.51.100.1, 203.0.113.9"], 200),
        ("afar", ["203.0.113.9, 10.0.0.1"], 200),
        ("afar", ["203.0.113.9, 10.0.0.1, 127.0.0.1, fd00::7"], 200),
        ("afar", ["203.0.113.9", "198.51.100.1"], 403),
        ("afar", ["198.51.100.1", "203.0.113.9"], 200),
        ("afar", ["198.51.100.1, 203.0.113.9", "10.1.2.3"], 200),
        ("afar", ["203.0.113.9, garbage"], 403),
        ("afar", ["10.0.0.1"], 403),
        ("afar", ["::ffff:203.0.113.9"], 200),
        ("afar", ["203.0.113.9,"], 403),
        ("amazing", ["192.0.2.7"], 200),
        ("amazing", ["192.0.2.8"], 403),
    ],
)
def test_the_last_forwarded_entry_that_is_no_trusted_proxy_counts(
    world: Outside, label: str, forwarded: list[str], status: int
) -> None:
    """Missing or unreadable: 403."""
    assert through(world, label, *forwarded) == status


def test_an_unknown_label_is_403_only_off_every_list(world: Outside) -> None:
    """A peer on some label's list gets 200."""
    assert through(world, "nothing", "203.0.113.9") == 200
    assert through(world, "nothing", "192.0.2.7") == 200
    assert through(world, "nothing", "198.51.100.1") == 403


FROM = {"X-Forwarded-For": "192.0.2.7"}


def send_sms(world: Outside, label: str = "amazing", **fields: str) -> str:
    """Take an SMS; its id."""
    answer = world.post(f"/{label}/sms", world.sms_fields(**fields), FROM | {"X-Forwarded-For": "192.0.2.7"}).json
    assert answer["error_code"] == 0, answer
    return str(answer["ext_message_id"])


def test_the_query_has_exactly_the_four_parameters(world: Outside) -> None:
    """A GET; api_key, type, ext_message_id and status."""
    found = send_sms(world)
    world.until_heard(found, "accepted", "delivered")
    for heard in world.smartico.heard:
        if heard.message_id == found:
            assert heard.method == "GET"
            assert sorted(name for name, _ in heard.query) == ["api_key", "ext_message_id", "status", "type"]
            assert dict(heard.query)["api_key"] == API_KEY
            assert dict(heard.query)["type"] == "sms"
    answer = world.post("/amazing/email", world.email_fields(), FROM).json
    world.until_heard(answer["ext_message_id"], "accepted")
    assert dict(world.smartico.heard[-1].query)["type"] == "email"
    instant = world.post("/amazing/im", world.sms_fields(), FROM).json
    world.until_heard(instant["ext_message_id"], "accepted", "delivered")
    assert {dict(h.query)["type"] for h in world.smartico.heard if h.message_id == instant["ext_message_id"]} == {"sms"}


@pytest.mark.parametrize(
    "query", ["?a=1", "?a=1&b=%20x%26y&b=2", "?", "?status=mine&x", "?a=b%3Dc&utm=%C3%A4", "?x=1&"]
)
def test_a_query_of_its_own_is_kept(world: Outside, query: str) -> None:
    """Ours is added; what was there stays as it was, byte for byte."""
    found = send_sms(world, callback_url=world.smartico.url + query)
    until(lambda: any(found in h.target and "status=delivered" in h.target for h in world.smartico.heard))
    heard = next(h for h in world.smartico.heard if found in h.target)
    assert heard.target.startswith("/cb" + query), heard.target
    own = parse_qsl(urlsplit(query).query, keep_blank_values=True)
    ours = [pair for pair in heard.query if pair not in own]
    assert sorted(name for name, _ in ours) == ["api_key", "ext_message_id", "status", "type"]


def test_no_status_leaves_before_our_answer_was_read(world: Outside) -> None:
    """When a call is heard, the answer's bytes are here, though nobody has read them yet: a hundred times."""
    usual = world.smartico.answer
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", world.api), timeout=5) as connection:
            here: list[bool] = []

            def answer(heard: Heard, here: list[bool] = here, connection: socket.socket = connection) -> Any:
                if not here:
                    here.append(bool(select.select([connection], [], [], 0)[0]))
                return usual(heard)

            world.smartico.answer = answer
            body = json.dumps(world.sms_fields()).encode()
            connection.sendall(request("/amazing/sms", body, "X-Forwarded-For: 192.0.2.7"))
            until(lambda here=here: here)
            assert here[0]
            found = json.loads(connection.recv(4096).partition(b"\r\n\r\n")[2])["ext_message_id"]
        # The next one's first call is then the first that comes.
        until(lambda found=found: len(world.smartico.statuses(found)) == 2)
    world.smartico.answer = usual


@pytest.mark.parametrize(
    "body",
    [
        b'{"error_code": 0,}',
        b'{"error_code": 0}',
        b'{"error_code":"0"}',
        b'\xef\xbb\xbf{"error_code": 0}',
        b'{"error_code": 0, "error_message": ""}',
        b' \r\n{"error_code" : 0 , }\r\n',
    ],
)
def test_lenient_answers_are_final(world: Outside, body: bytes) -> None:
    """Each status is heard once."""
    world.smartico.answer = lambda heard: (200, body, {})
    found = send_sms(world)
    world.told(found, "accepted", "delivered")


def flaky(world: Outside, times: int, *answer: object) -> dict[str, list[float]]:
    """Answer so the first `times` times a status is told; when each came, by id and status."""
    seen: dict[str, list[float]] = {}

    def reply(heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        calls = seen.setdefault(heard.message_id + heard.status, [])
        calls.append(heard.at)
        if len(calls) <= times:
            return answer  # type: ignore[return-value]
        return 200, b'{"error_code": 0,}', {}

    world.smartico.answer = reply
    return seen


@pytest.mark.parametrize(
    "answer",
    [
        (200, b'{"error_code": 1, "error_message": "email was not found"}', {}),
        (500, b"oops", {}),
        (503, b"", {}),
        (404, b"", {}),
        (200, b"<html>captive portal</html>", {}),
        (302, b"", {"Location": "/elsewhere?x"}),
        (401, b"", {}),
        (200, b'{"error_code": 99, "error_message": "x"}', {}),
    ],
)
def test_what_is_not_error_code_0_is_told_again_within_5_s_and_in_order(
    world: Outside, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    """First retry within 5 s; `delivered` never overtakes `accepted`; redirects are not followed."""
    seen = flaky(world, 1, *answer)
    found = send_sms(world)
    until(lambda: len(seen.get(found + "delivered", [])) == 2, 15)
    accepted, delivered = seen[found + "accepted"], seen[found + "delivered"]
    assert len(accepted) == 2
    assert accepted[1] - accepted[0] < 5.2
    assert delivered[0] > accepted[1]
    assert delivered[1] - delivered[0] < 5.2
    assert not any(h.target.startswith("/elsewhere") for h in world.smartico.heard)


def test_a_call_that_hangs_or_closes_is_made_again(world: Outside) -> None:
    """Closed without an answer: again within 5 s."""

    def closing(heard: Heard) -> tuple[int, bytes, dict[str, str]]:
        if len(world.smartico.statuses(heard.message_id)) == 1:
            raise ConnectionError
        return 200, b'{"error_code": 0,}', {}

    world.smartico.answer = closing
    found = send_sms(world)
    world.until_heard(found, "accepted", "accepted", "delivered")


def test_a_name_of_loopback_is_called_where_that_very_name_is_listed(world: Outside) -> None:
    """`localhost` stands in the list itself; what a pattern lets through is refused once it is resolved."""
    found = send_sms(world, "names", callback_url=f"http://localhost:{world.smartico.port}/cb")
    world.until_heard(found, "accepted", "delivered")


def test_concurrent_messages_each_keep_their_order(world: Outside) -> None:
    """Two hundred: accepted before delivered, once each."""
    ids: list[str] = []
    lock = threading.Lock()

    def some() -> None:
        for _ in range(25):
            found = send_sms(world)
            with lock:
                ids.append(found)

    threads = [threading.Thread(target=some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: all(len(world.smartico.statuses(found)) >= 2 for found in ids), 60)
    world.idle("reports", seconds=60)
    for found in ids:
        assert world.smartico.statuses(found) == ["accepted", "delivered"]


def test_a_slow_host_does_not_hold_up_another(world: Outside) -> None:
    """One callback host hangs; the other's statuses come."""
    slow, let_go = Smartico(), threading.Event()
    world.peers.append(slow)
    slow.answer = lambda heard: (let_go.wait(60), (200, b'{"error_code": 0}', {}))[1]
    for _ in range(40):
        send_sms(world, callback_url=slow.url)
    found = send_sms(world)
    # Each call to the slow one ends after 10 s: whoever waited for one would be told later.
    world.until_heard(found, "accepted", "delivered", seconds=9)
    assert slow.heard
    let_go.set()


def test_back_off_stays_under_10_s_in_the_first_minute(world: Outside) -> None:
    """And grows; jitter keeps it from being even."""
    seen = flaky(world, 100, 500, b"", {})
    found = send_sms(world)
    until(lambda: len(seen.get(found + "accepted", [])) >= 5, 40)
    times = seen[found + "accepted"]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] < 5.2
    assert max(gaps) < 10.3
    assert gaps[3] > gaps[0]
