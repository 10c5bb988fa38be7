"""report.py: where a status is told, and what Smartico's answer means."""

import ipaddress
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from encoded_ways import WAYS
from gatewayd.config import Label, Secret
from gatewayd.core.encoded import decodings
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.model import Channel, ReportJob
from gatewayd.core.retry import STILL_SO
from gatewayd.core.status import Report
from gatewayd.work.report import YOUNG, Reporter

NOW = 1_800_000_000.0
ID = "a540f662-45b3-11ee-be56-0242ac120002"


class Callbacks:
    """Answers as told, and keeps what was asked."""

    def __init__(self, status: int = 200, body: bytes = b'{"error_code": 0,}') -> None:
        self.answer = (status, body)
        self.asked: list[tuple[str, bool]] = []
        self.asker = ""

    async def get(self, url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
        """Answers, or fails."""
        self.asked.append((url, allow_private))
        self.asker = asker
        return self.answer


def label(**changes: Any) -> Label:
    """A label with what a report needs."""
    values: dict[str, Any] = {
        "allow_from": (ipaddress.ip_network("203.0.113.0/24"),),
        "authorization": (Secret("x"),),
        "api_key": Secret("key &1"),
        "callback_url": "https://api.smartico.ai/xyz/callback",
        "callback_hosts": ("*.smartico.ai", "10.0.0.7"),
        "directory": "players",
    }
    return Label.model_construct(**(values | changes))


def job(**changes: Any) -> ReportJob:
    """A status that is a second old."""
    return msgspec.structs.replace(
        ReportJob(ID, "amazing", Channel.EMAIL, Report.DELIVERED, "", queued_at=NOW - 1), **changes
    )


def reporter(callbacks: Callbacks, **changes: Any) -> Reporter:
    """A reporter of one label, at NOW."""
    clock = Clock()
    clock.advance(NOW)
    return Reporter(clock, callbacks, {"amazing": label(**changes)})


def asked(told: ReportJob, **changes: Any) -> str:
    """The URL that a status is told at."""
    callbacks = Callbacks()
    Deferred.fromCoroutine(reporter(callbacks, **changes).tell(told)).addErrback(
        lambda failure: failure.raiseException()
    )
    [(url, _)] = callbacks.asked
    return url


async def failure_of(body: bytes, status: int = 200, **changes: Any) -> Exception:
    """What telling a status fails with."""
    with pytest.raises((TemporaryFailure, PermanentFailure)) as caught:
        await reporter(Callbacks(status, body)).tell(job(**changes))
    return caught.value


@pytest_twisted.ensureDeferred
async def test_exactly_the_documented_parameters() -> None:
    """A status is told at the label's URL with api_key, type, ext_message_id and status."""
    callbacks = Callbacks()
    await reporter(callbacks).tell(job())
    [(url, allow_private)] = callbacks.asked
    assert url.startswith("https://api.smartico.ai/xyz/callback?")
    assert sorted(parse_qsl(urlsplit(url).query)) == [
        ("api_key", "key &1"),
        ("ext_message_id", ID),
        ("status", "delivered"),
        ("type", "email"),
    ]
    assert not allow_private


@pytest_twisted.ensureDeferred
async def test_a_report_waits_for_its_host_in_its_messages_name() -> None:
    """The message's id is what a host that is back gives as turned away."""
    callbacks = Callbacks()
    await reporter(callbacks).tell(job())
    assert callbacks.asker == ID


@pytest_twisted.ensureDeferred
async def test_the_requests_own_url_counts_first() -> None:
    """A message's own callback_url is used; only a host that the label lists by name may be private."""
    callbacks = Callbacks()
    telling = reporter(callbacks)
    await telling.tell(job(callback_url="https://10.0.0.7:8443/cb?brand=a%20b", channel=Channel.SMS))
    await telling.tell(job(callback_url="https://eu.smartico.ai/cb"))
    assert callbacks.asked[0] == (
        f"https://10.0.0.7:8443/cb?brand=a%20b&type=sms&ext_message_id={ID}&status=delivered&api_key=key%20%261",
        True,
    )
    assert callbacks.asked[1][1] is False


@pytest.mark.parametrize(
    ("listed", "url", "may"),
    [
        ("10.0.0.7", "https://10.0.0.7/cb", True),
        ("Smartico.internal", "https://smartico.INTERNAL.:8443/cb", True),
        ("[fd00::1]", "https://[fd00::1]/cb", True),
        ("*.internal", "https://smartico.internal/cb", False),
        ("*", "https://127.0.0.1/cb", False),
        ("10.0.0.7", "https://10.0.0.8/cb", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_only_a_host_listed_by_name_may_be_private(listed: str, url: str, may: bool) -> None:
    """A pattern never opens the private network, a name does, however it is written."""
    callbacks = Callbacks()
    await reporter(callbacks, callback_hosts=(listed,)).tell(job(callback_url=url))
    assert callbacks.asked[0][1] is may


@pytest.mark.parametrize(
    ("url", "starts"),
    [
        ("https://h/cb", "https://h/cb?type="),
        ("https://h/cb?", "https://h/cb?type="),
        ("https://h/cb?a=1", "https://h/cb?a=1&type="),
        ("https://h/cb?a=1&", "https://h/cb?a=1&type="),
        ("https://h/cb?a=1#part", "https://h/cb?a=1&type="),
        ("https://h", "https://h?type="),
    ],
)
def test_the_callbacks_own_query_is_kept(url: str, starts: str) -> None:
    """Whatever query the URL brings stays in front of ours; a fragment goes."""
    made = asked(job(status=Report.OPENED), callback_url=url, api_key=Secret("k"))
    assert made.startswith(starts)
    assert made.endswith(f"type=email&ext_message_id={ID}&status=opened&api_key=k")


@given(st.text())
def test_any_key_survives_its_quoting(key: str) -> None:
    """An API key of any characters arrives as it is, and brings no parameter of its own."""
    if any("\ud800" <= char <= "\udfff" for char in key):
        return
    query = urlsplit(asked(job(), callback_url="https://h/cb", api_key=Secret(key))).query
    assert dict(parse_qsl(query, keep_blank_values=True))["api_key"] == key
    assert len(parse_qsl(query, keep_blank_values=True)) == 4


@pytest.mark.parametrize(
    ("status", "body", "changes", "kind"),
    [
        (500, b'{"error_code": 0}', {}, TemporaryFailure),
        (404, b"", {}, TemporaryFailure),
        (302, b'{"error_code": 0}', {}, TemporaryFailure),
        (200, b"<html>login</html>", {}, TemporaryFailure),
        (200, b'{"error_code": 1}', {}, TemporaryFailure),
        (200, b'{"error_code": 1}', {"queued_at": NOW - YOUNG + 1}, TemporaryFailure),
        (200, b'{"error_code": 1}', {"queued_at": NOW - 2 * YOUNG, "first_tried": NOW - YOUNG}, PermanentFailure),
        (200, b'{"error_code": 1}', {"queued_at": NOW - 2 * YOUNG}, TemporaryFailure),
        (200, b'{"error_code": 7}', {"queued_at": NOW - 9 * YOUNG, "first_tried": NOW - 9 * YOUNG}, TemporaryFailure),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_an_answer_means(status: int, body: bytes, changes: dict[str, Any], kind: type[Exception]) -> None:
    """Only "was not found" on a status told for ten minutes is for good; whatever the table lacks is temporary."""
    assert type(await failure_of(body, status, **changes)) is kind


@pytest_twisted.ensureDeferred
async def test_the_callers_words_are_kept_without_addresses() -> None:
    """The reason quotes error_message, redacted and short."""
    body = b'{"error_code": 1, "error_message": "ann@example.org (+44 7700 900123) was\\nnot found' + b"!" * 999 + b'"}'
    text = str(await failure_of(body))
    assert text.startswith("callback answered error_code 1: [redacted] ([redacted]) was not found!!")
    assert len(text) < 250


@pytest.mark.parametrize("way", WAYS)
@pytest_twisted.ensureDeferred
async def test_the_callers_words_are_kept_without_encoded_addresses(way: str) -> None:
    """Nor a number, however either is written."""
    words = f"{WAYS[way]('ann.player@example.org')} {WAYS[way]('+447700900123')}"
    text = str(await failure_of(json.dumps({"error_code": 1, "error_message": words}).encode()))
    seen = [text, *(decoded.text for decoded in decodings(text))]
    assert not [one for one in seen if "player" in one or "900123" in one]


@pytest_twisted.ensureDeferred
async def test_a_label_that_is_gone_may_come_back() -> None:
    """Without its label a report waits; once the label is configured again it is told."""
    callbacks = Callbacks()
    telling = reporter(callbacks)
    telling.reconfigure({})
    with pytest.raises(TemporaryFailure):
        await telling.tell(job())
    telling.reconfigure({"amazing": label()})
    await telling.tell(job())
    assert len(callbacks.asked) == 1


@pytest_twisted.ensureDeferred
async def test_without_any_url_a_report_waits() -> None:
    """A label whose callback_url was taken away does not lose its reports."""
    with pytest.raises(TemporaryFailure):
        await reporter(Callbacks(), callback_url="").tell(job())


@pytest_twisted.ensureDeferred
async def test_what_an_answer_quotes_of_its_request_is_not_said_again() -> None:
    """A server's error page shows the whole request line, and the reason goes into log, timeline and Redis."""
    callbacks = Callbacks()
    telling = reporter(
        callbacks, callback_url="https://api.smartico.ai/cb?token=secret-token", api_key=Secret("key &1")
    )
    callbacks.answer = (200, b"")
    await telling.tell(job())
    callbacks.answer = (200, msgspec.json.encode({"error_code": 2, "error_message": f"no: {callbacks.asked[-1][0]}"}))
    with pytest.raises(TemporaryFailure) as said:
        await telling.tell(job())
    assert "secret-token" not in said.value.reason
    assert "key" not in said.value.reason.replace("api_key", "")


@pytest_twisted.ensureDeferred
async def test_a_host_that_says_no_to_every_status_is_said_to_take_none() -> None:
    """Reachable is not enough; one status that it takes ends that."""
    callbacks = Callbacks(body=b'{"error_code": 2, "error_message": "wrong api_key"}')
    telling = reporter(callbacks)
    for _ in range(5):
        assert list(telling.degraded()) == []
        with pytest.raises(TemporaryFailure):
            await telling.tell(job())
    (said,) = telling.degraded()
    assert said.kind == "callbacks"
    assert "error_code 2" in said.text
    assert "api_key of amazing" in said.text
    assert said.name == "amazing at api.smartico.ai"
    assert list(telling.refusing()) == ["api.smartico.ai"]
    callbacks.answer = (200, b'{"error_code": 0}')
    await telling.tell(job())
    assert telling.refusing() == {}


@pytest_twisted.ensureDeferred
async def test_a_label_whose_statuses_are_refused_is_said_though_its_host_takes_those_of_others() -> None:
    """All brands have one Smartico, and one of them a wrong key; a host that answers 503 is said once for all."""
    clock = Clock()
    clock.advance(NOW)
    callbacks = Callbacks()
    telling = Reporter(clock, callbacks, {"amazing": label(), "other": label()})
    for _ in range(5):
        callbacks.answer = (401, b"")
        with pytest.raises(TemporaryFailure):
            await telling.tell(job())
        callbacks.answer = (200, b'{"error_code": 0}')
        await telling.tell(job(label="other"))
    (said,) = telling.degraded()
    assert said.name == "amazing at api.smartico.ai"
    assert said.text.startswith("Smartico at api.smartico.ai takes no status of amazing: callback answered HTTP 401")
    assert telling.refusing()["api.smartico.ai"].startswith("amazing: callback answered HTTP 401")
    await telling.tell(job())
    assert (telling.refusing(), list(telling.degraded())) == ({}, [])
    callbacks.answer = (503, b"")
    for name in ("amazing", "other", "amazing", "other", "amazing"):
        with pytest.raises(TemporaryFailure):
            await telling.tell(job(label=name))
    assert [one.name for one in telling.degraded()] == ["api.smartico.ai"]


@pytest_twisted.ensureDeferred
async def test_one_message_that_smartico_does_not_know_says_nothing_of_its_host() -> None:
    """A preview, or what was tried with curl, is told again and again in vain; five such messages are no accident.

    But all of a campaign may come before Smartico has stored their ids: what is new counts not at all.
    """
    callbacks = Callbacks(body=b'{"error_code": 1, "error_message": "email was not found"}')
    telling = reporter(callbacks)
    new = [job(message_id=f"n{number}") for number in range(20)]
    known_to_nobody = [job(message_id=f"m{number}", first_tried=NOW - 60, queued_at=NOW - 61) for number in range(5)]
    for told in (*new, *known_to_nobody[:1] * 6, *known_to_nobody[1:], known_to_nobody[4]):
        assert list(telling.degraded()) == [] or told is known_to_nobody[4]
        with pytest.raises(TemporaryFailure):
            await telling.tell(told)
    (said,) = telling.degraded()
    assert "email was not found" in said.text


@pytest_twisted.ensureDeferred
async def test_of_many_hosts_that_take_none_some_are_named() -> None:
    """Requests name them: a metric with a label for each could grow without end."""
    telling = reporter(Callbacks(404))
    for number in range(50):
        told = job(callback_url=f"https://h{number}.smartico.ai/cb")
        for _ in range(5):
            with pytest.raises(TemporaryFailure):
                await telling.tell(told)
    said = list(telling.degraded())
    assert len(said) == 21
    with pytest.raises(TemporaryFailure):
        await telling.tell(job(callback_url="https://h0.smartico.ai/cb"))
    assert [one.name for one in telling.degraded()] == [one.name for one in said]
    assert (said[-1].name, said[-1].text) == ("more", "Smartico at 30 more hosts takes no status; statuses wait")


def test_a_host_that_is_asked_no_more_is_not_said_to_take_none_for_ever() -> None:
    """The file names another key or URL now, or no status waited for it in twice the time that tries lie apart."""
    clock = Clock()
    clock.advance(NOW)
    telling = Reporter(clock, Callbacks(404), {"amazing": label(), "other": label()})

    def refused() -> list[str]:
        for _ in range(5):
            Deferred.fromCoroutine(telling.tell(job())).addErrback(lambda failure: failure.trap(TemporaryFailure))
        return [one.name for one in telling.degraded()]

    assert refused() == ["amazing at api.smartico.ai"]
    telling.reconfigure({"amazing": label(), "other": label(callback_url="https://cb.smartico.ai/")})
    assert list(telling.refusing()) == ["api.smartico.ai"]
    telling.reconfigure({"amazing": label(callback_url="https://cb.smartico.ai/"), "other": label()})
    assert (telling.refusing(), list(telling.degraded())) == ({}, [])
    assert refused() == ["amazing at cb.smartico.ai"]
    clock.advance(STILL_SO + 1)
    assert (telling.refusing(), list(telling.degraded())) == ({}, [])


def test_statuses_of_a_label_that_was_mended_do_not_wait_for_an_hour() -> None:
    """Those that a wrong key or URL kept from being taken are named at the reload that changes it; no dead letter."""
    clock = Clock()
    clock.advance(NOW)
    callbacks, mended = Callbacks(401), []
    telling = Reporter(clock, callbacks, {"amazing": label(), "other": label()}, mended.append)

    def tell(name: str, of: str = "amazing") -> None:
        telling_one = Deferred.fromCoroutine(telling.tell(job(message_id=name, label=of)))
        telling_one.addErrback(lambda failure: failure.trap(TemporaryFailure))

    for name in ("a", "b", "c", "dead"):
        tell(name)
    tell("d", "other")
    callbacks.answer = (200, b"")
    tell("b")
    callbacks.answer = (200, b'{"error_code": 1}')
    old = Deferred.fromCoroutine(telling.tell(job(message_id="dead", queued_at=NOW - YOUNG, first_tried=NOW - YOUNG)))
    old.addErrback(lambda failure: failure.trap(PermanentFailure))
    telling.reconfigure({"amazing": label(), "other": label()})
    telling.reconfigure({"other": label()})
    assert mended == []
    telling.reconfigure({"amazing": label(api_key=Secret("right")), "other": label()})
    assert mended == [{"a", "c"}]
    telling.reconfigure({"amazing": label(), "other": label()})
    assert mended == [{"a", "c"}]


@pytest.mark.parametrize(
    ("status", "body"), [(401, b""), (200, b'{"error_code": 1}'), (200, b'{"error_code": 7}'), (200, b"<html>")]
)
def test_what_was_under_way_when_its_label_was_mended_is_told_again_at_once(status: int, body: bytes) -> None:
    """Its answer is to the old key: no back-off, no dead letter, and no refusal of what the label says now."""
    clock = Clock()
    clock.advance(NOW)
    under_way: list[Deferred[None]] = []

    class Slow(Callbacks):
        async def get(self, url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
            under_way.append(Deferred())
            await under_way[-1]
            return status, body

    telling = Reporter(clock, Slow(), {"amazing": label()})
    old = {"queued_at": NOW - YOUNG, "first_tried": NOW - YOUNG}
    failed: list[Any] = []
    for number in range(10):
        telling_one = Deferred.fromCoroutine(telling.tell(job(message_id=f"m{number}", **old)))
        telling_one.addErrback(lambda failure: failed.append(failure.value))
    telling.reconfigure({"amazing": label(api_key=Secret("right"))})
    for one in under_way:
        one.callback(None)
    assert [type(failure) for failure in failed] == [TemporaryFailure] * 10
    assert {(failure.not_before, failure.counts) for failure in failed} == {(NOW, False)}
    assert telling.refusing() == {}


@pytest.mark.parametrize(
    ("status", "body", "ending"),
    [
        (200, b'{"error_code": 3}', "; is api_key of amazing right? Statuses wait"),
        (401, b"", "; is api_key of amazing right? Statuses wait"),
        (404, b"", "; is callback_url of amazing right? Statuses wait"),
        (302, b"", "; is callback_url of amazing right? Statuses wait"),
        (200, b"<html>", "; is callback_url of amazing right? Statuses wait"),
        (429, b"", "; statuses wait"),
        (500, b"", "; statuses wait"),
        (503, b"", "; statuses wait"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_only_an_answer_that_speaks_against_a_key_of_ours_names_it(status: int, body: bytes, ending: str) -> None:
    """Who is called at night because Smartico answers 500 is not sent to look at api_key."""
    callbacks = Callbacks(status, body)
    telling = reporter(callbacks)
    for _ in range(5):
        with pytest.raises(TemporaryFailure):
            await telling.tell(job())
    (said,) = telling.degraded()
    assert said.text.endswith(ending), said.text


def test_a_label_whose_statuses_have_nowhere_to_go_is_named() -> None:
    """The file has it, or its URL, no more: until it has, or nothing was tried for longer than tries lie apart."""
    clock = Clock()
    clock.advance(NOW)
    telling = Reporter(clock, Callbacks(), {"amazing": label(callback_url=""), "other": label()})

    def nowhere(told: ReportJob) -> str:
        outcome: list[Any] = []
        Deferred.fromCoroutine(telling.tell(told)).addBoth(outcome.append)
        assert isinstance(outcome[0].value, TemporaryFailure)
        return str(outcome[0].value)

    assert nowhere(job()) == "the label has no callback_url"
    (said,) = telling.degraded()
    assert (said.kind, said.name) == ("callbacks", "amazing")
    assert said.text == "amazing: Smartico hears no status: the label has no callback_url; statuses wait"
    telling.reconfigure({"amazing": label()})
    assert nowhere(job(label="other")) == "the label is not configured any more"
    assert [one.name for one in telling.degraded()] == ["other"]
    telling.reconfigure({"amazing": label()})
    assert [one.name for one in telling.degraded()] == ["other"]
    clock.advance(STILL_SO)
    assert list(telling.degraded()) == []
