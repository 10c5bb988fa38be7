"""log.py: one event, one line; no flood; no address out of an exception."""

import io
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure

from encoded_ways import WAYS
from gatewayd.config import Gatewayd
from gatewayd.core.encoded import decodings
from gatewayd.core.redact import redact
from gatewayd.operators.log import REPEATS, WINDOW, Observer, observer, under_journal

ID = "a540f662-45b3-11ee-be56-0242ac120002"


class Written:
    """A logger whose lines are kept."""

    def __init__(self, **options: Any) -> None:
        self._stream = io.StringIO()
        self.clock = Clock()
        self.clock.advance(1_800_000_000.25)
        self.observer = Observer(self._stream, self.clock, **options)
        self.log = Logger(namespace="gatewayd.work.deliver", observer=self.observer)

    @property
    def lines(self) -> list[str]:
        """What was written."""
        return self._stream.getvalue().splitlines(keepends=True)

    def event(self, **event: Any) -> str:
        """The line of a bare event at a fixed time."""
        before = len(self._stream.getvalue())
        self.observer({"log_time": 1_800_000_000.25, "log_namespace": "x", "log_level": LogLevel.info} | event)
        return self._stream.getvalue()[before:]


def raised(error: Exception) -> Failure:
    """A failure with a traceback."""
    try:
        raise error
    except Exception:
        return Failure()


def test_a_text_line() -> None:
    """Time, level, place, the words, and the fields that the words leave out."""
    line = Written().event(log_format="sent {message_id}", message_id=ID, relay="main")
    assert line == f"2027-01-15T08:00:00.250Z info     x: sent {ID} relay=main\n"


def test_a_json_line() -> None:
    """The same as one JSON object with the fields under their names."""
    line = Written(json=True).event(log_format="sent {message_id}", message_id=ID, tries=2, via=LogLevel.warn)
    assert msgspec.json.decode(line) == {
        "at": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "place": "x",
        "message": f"sent {ID}",
        "message_id": ID,
        "tries": 2,
        "via": str(LogLevel.warn),
    }


def test_a_closed_output_is_a_log_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some that start programs close it: that is no reason not to start."""
    monkeypatch.setattr(sys, "stdout", None)
    found = observer(Clock(), {"nodaemon": True}, {}, Gatewayd(secret_key="k" * 32, instance="gw1"))  # type: ignore[arg-type]
    Logger(namespace="x", observer=found).info("said")
    found._stream._stream.close()


def test_levels_below_are_dropped() -> None:
    """Debug is silent by default; a higher level silences more."""
    written = Written()
    written.log.debug("no")
    written.log.info("yes")
    assert len(written.lines) == 1
    strict = Written(level=LogLevel.error)
    strict.log.warn("no")
    strict.log.error("yes")
    assert len(strict.lines) == 1


def test_the_journal_reads_priorities() -> None:
    """Under the journal a line begins with its priority and leaves the time to it."""
    written = Written(journal=True)
    assert written.event(log_format="up") == "<6>x: up\n"
    assert written.event(log_format="down", log_level=LogLevel.critical) == "<2>x: down\n"
    assert Written(journal=True, json=True).event(log_format="up").startswith('<6>{"at":')


@pytest.mark.parametrize(("named", "is_it"), [("8:123", True), ("8:124", False), ("", False)])
def test_whether_it_is_the_journal(named: str, is_it: bool) -> None:
    """$JOURNAL_STREAM counts only for the very stream that we write to."""
    assert under_journal(named, 8, 123) is is_it


@pytest.mark.parametrize("json", [False, True])
def test_an_exception_is_told_without_addresses(json: bool) -> None:
    """The traceback is there, on the same line, and what it quotes of addresses and numbers is not."""
    written = Written(json=json)
    failure = raised(ValueError("no such mailbox: ann.lee@example.org, tel +44 (7700) 900-123 or 447700900123"))
    written.log.failure("{message_id} broke: {log_failure.value}", failure, message_id=ID)
    [line] = written.lines
    assert line.count("\n") == 1
    assert "ValueError" in line
    assert "Traceback" in line
    assert "test_log.py" in line
    assert ID in line
    for secret in ("ann", "example.org", "7700", "900-123", "900123"):
        assert secret not in line.replace(ID, "")


@pytest.mark.parametrize("way", WAYS)
def test_an_exception_is_told_without_encoded_addresses(way: str) -> None:
    """Neither its text nor its traceback has them in a form that can be decoded."""
    written = Written()
    failure = raised(ValueError(f"{WAYS[way]('ann.player@example.org')} {WAYS[way]('+447700900123')}"))
    written.log.failure("it broke: {log_failure.value}", failure)
    [line] = written.lines
    seen = [line, *(decoded.text for decoded in decodings(line))]
    assert not [one for one in seen if "ann.player" in one or "900123" in one]


@given(json=st.booleans(), words=st.text())
def test_one_event_is_one_line(json: bool, words: str) -> None:
    """Whatever the words: one line, that an attacker cannot split or colour."""
    line = Written(json=json).event(log_format="{words}", words=words)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_field_that_is_to_be_called_is_called() -> None:
    """Parentheses around a field are words; behind its name they are Twisted's way to have it called."""
    assert " one (two)\n" in Written().event(log_format="{x()} ({y})", x=lambda: "one", y="two")


class Nasty:
    """Breaks when printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.parametrize(
    "event",
    [
        {"log_format": "{gone} {x"},
        {"log_format": "{x}", "x": Nasty()},
        {"log_format": "{x.y[3]!r:>5}", "x": 1},
        {"log_format": None},
        {"log_format": "{x()}", "x": lambda: "called"},
        {"log_format": "x", "y": Nasty()},
        {"log_format": "\ud800"},
        {"log_format": "x", "log_level": None},
        {"log_format": "x", "log_failure": Failure(ValueError(Nasty()))},
    ],
)
def test_no_event_breaks_who_logs(json: bool, event: dict[str, Any]) -> None:
    """An event that cannot be rendered still gives a line, and no exception."""
    assert Written(json=json).event(**event).endswith("\n")


def test_repeats_are_counted_and_not_written() -> None:
    """The same warning is written twenty times in a minute, then once more with a count; information is never cut."""
    written = Written()
    for number in range(REPEATS + 30):
        written.log.warn("relay {relay} refused {message_id}", relay="main", message_id=number)
        written.log.info("taken {message_id}", message_id=number)
    assert sum("refused" in line for line in written.lines) == REPEATS
    assert sum("taken" in line for line in written.lines) == REPEATS + 30
    written.observer.flush()
    assert not any("repeated" in line for line in written.lines)
    written.clock.advance(WINDOW)
    written.log.debug("anything")
    assert written.lines[-1].endswith("repeated 30 times more: relay main refused (various)\n")
    assert " warn " in written.lines[-1]
    written.log.warn("relay {relay} refused {message_id}", relay="main", message_id=1)
    assert written.lines[-1].endswith("relay main refused 1\n")


def test_what_many_messages_say_in_an_outage_is_counted() -> None:
    """Information that its place marks so is written twenty times a minute, then counted; at debug all of it is."""
    usual, debug = Written(), Written(level=LogLevel.debug)
    for written in (usual, debug):
        for number in range(REPEATS + 50_000):
            written.log.info("message {message_id} is tried again", message_id=number, log_limited=True)
    assert len(usual.lines) == REPEATS
    assert len(debug.lines) == REPEATS + 50_000
    usual.clock.advance(WINDOW)
    usual.log.info("anything")
    assert usual.lines[-2].endswith("repeated 50000 times more: message (various) is tried again\n")
    assert " info " in usual.lines[-2]


@pytest.mark.parametrize(
    ("template", "events", "words"),
    [
        ("to {label}: {code} {reason}", [{"label": "a", "code": 10, "reason": "full"}] * 3, "to a: 10 full"),
        (
            "to {label}: {code} {reason}",
            [{"label": "a", "code": 10, "reason": "full"}, {"label": "a", "code": 10, "reason": "down"}],
            "to a: 10 (various)",
        ),
        ("in {seconds:.1f} s, {name!r:>9}", [{"seconds": 1.25, "name": "x"}] * 2, "in 1.2 s,       'x'"),
        (
            "in {seconds:.1f} s, {name!r:>9}",
            [{"seconds": 1, "name": "x"}, {"seconds": 2, "name": "y"}],
            "in (various) s, (various)",
        ),
        ("{x.y[3]} {z()}", [{"x": 1, "z": len}, {"x": 2, "z": max}], "(various) (various)"),
        ("{there}", [{"there": 1}, {}], "(various)"),
        ("a {brace", [{}, {}], "a {brace"),
        ("{{}} {a}", [{"a": "{b}"}] * 2, "{} {b}"),
        ("{x}", [{"x": Nasty()}, {"x": Nasty()}], "(various)"),
    ],
)
@pytest.mark.parametrize("json", [False, True])
def test_a_count_says_what_all_that_it_counts_had_in_common(
    json: bool, template: str, events: list[dict[str, Any]], words: str
) -> None:
    """What was written already does not matter; nothing of the template is left raw, but where it is no template."""
    written = Written(json=json)
    for event in [{"label": "first", "code": 1, "reason": "r", "seconds": 0, "name": "n", "x": 0}] * REPEATS + events:
        written.event(log_level=LogLevel.warn, log_format=template, **event)
    written.observer.close()
    assert f"repeated {len(events)} times more: {words}" in (
        msgspec.json.decode(written.lines[-1])["message"] if json else written.lines[-1].rstrip("\n")
    )


def test_a_count_of_exceptions_quotes_no_address() -> None:
    """Its words name the type; what a field holds is redacted as in the lines that were written."""
    written = Written()
    for _ in range(REPEATS + 2):
        written.log.failure("b {text}", raised(ValueError("to joe@example.com")), text="to joe@example.com")
    written.observer.close()
    assert "repeated 2 times more: b to " in written.lines[-1]
    assert written.lines[-1].endswith(" ValueError\n")
    assert "joe@example" not in written.lines[-1]


def test_other_warnings_are_not_silenced() -> None:
    """The limit is per kind: another format, another place or another exception is written still."""
    written = Written()
    for _ in range(REPEATS * 2):
        written.log.error("a")
        written.log.failure("b", raised(ValueError()))
    written.log.error("c")
    written.log.failure("b", raised(KeyError()))
    Logger(namespace="other", observer=written.observer).error("a")
    assert ["c" in written.lines[-3], "KeyError" in written.lines[-2], "other" in written.lines[-1]] == [True] * 3
    assert len(written.lines) == 2 * REPEATS + 3


@pytest.mark.parametrize("json", [False, True])
def test_a_neighbours_bad_certificate_is_a_warning_in_one_sentence(json: bool) -> None:
    """Twisted tells it as critical and with a traceback, at each try to connect."""
    words = {"log_format": "while verifying certificate", "log_level": LogLevel.critical}
    failure = raised(ValueError("it is for other.example"))
    line = Written(json=json).event(log_namespace="twisted.internet._sslverify", log_failure=failure, **words)
    assert "while verifying certificate (ValueError: it is for other.example)" in line
    assert "warn" in line
    assert "Traceback" not in line


def test_a_printed_traceback_is_not_cut_short() -> None:
    """Twistd prints why it could not start, a line an event: the last line, which says why, is there."""
    written = Written()
    for number in range(REPEATS + 10):
        written.observer(
            {
                "log_namespace": "stderr",
                "log_level": LogLevel.error,
                "log_format": "{log_io}",
                "log_io": f"line {number}",
            }
        )
    assert written.lines[-1].endswith(f"line {REPEATS + 9}\n")


def test_a_new_window_tells_what_the_last_one_kept() -> None:
    """Without any flush the count is written before the first warning of the next minute, and at the end."""
    written = Written()
    for _ in range(REPEATS + 2):
        written.log.error("a")
    written.clock.advance(WINDOW)
    written.log.error("a")
    assert "repeated 2 times more: a" in written.lines[-2]
    for _ in range(REPEATS):
        written.log.error("a")
    written.observer.close()
    assert "repeated 1 times more: a" in written.lines[-1]


def test_what_twisted_logs_the_old_way() -> None:
    """Messages and errors of twisted.python.log become lines like others, without its own bookkeeping."""
    written = Written()
    publisher = LogPublisher(written.observer)
    old = legacy.LogPublisher(publisher, publisher)
    old.msg("an old message", system="-")
    old.msg(isError=1, failure=raised(ValueError("to ann@example.org")), why="because")
    assert "an old message" in written.lines[0]
    assert "isError" not in "".join(written.lines)
    assert "Traceback" in written.lines[1]
    assert "because (ValueError: to [redacted])" in written.lines[1]
    assert "ann@" not in written.lines[1]


def test_twisted_is_quiet_about_itself() -> None:
    """Its factories and ports begin and end without a line; what others say in the old way stays."""
    written = Written()
    publisher = LogPublisher(written.observer)
    old = legacy.LogPublisher(publisher, publisher)
    for words in ("Site starting on 8080", "(TCP Port 8080 Closed)", "(Port '/run/x' Closed)"):
        old.msg(words)
    Logger(namespace="twisted.web.client._HTTP11ClientFactory", observer=written.observer).info(
        "Starting factory {factory!r}", factory="x"
    )
    Logger(namespace="twisted.internet.base", observer=written.observer).info("Main loop terminated.")
    parser = Logger(namespace="twisted.web._newclient.HTTPClientParser", observer=written.observer)
    parser.info("Ignoring unexpected {code} response", code=100)
    assert written.lines == []
    old.msg("a plugin starting on its own")
    Logger(namespace="twisted.internet.base", observer=written.observer).error("it broke")
    assert [line.endswith(end) for line, end in zip(written.lines, ("its own\n", "it broke\n"), strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("550 5.1.1 <ann@example.org>: unknown", "550 5.1.1 <[redacted]>: unknown"),
        ("rcpt ann%40example.org, size=40", "rcpt [redacted], size=40"),
        ("to +44 7700 900123.", "to [redacted]."),
        ("to 00447700900123", "to [redacted]"),
        ("250 2.0.0 Ok: queued as 257A2484009", "250 2.0.0 Ok: queued as 257A2484009"),
        ("250 queued as 447700900123", "250 queued as [redacted]"),
        ("250 queued as ann0@example.org", "250 queued as [redacted]"),
        ("to 07700 900 123", "to [redacted]"),
        ('<"john doe"@example.org>: unknown', "<[redacted]>: unknown"),
        ('"a\\"b"@example.org, no', "[redacted], no"),
        ("jane@[192.0.2.1] is unknown", "[redacted] is unknown"),
        ("<o'brien@example.org>", "<[redacted]>"),
        ("bounces+jane=player.test@example.org", "[redacted]"),
        (f"<{ID}@example.org>", "<[redacted]>"),
        (f"id {ID}", f"id {ID}"),
        (f"250 Ok 0100018c2c3b1f2a-{ID}-000000", f"250 Ok 0100018c2c3b1f2a-{ID}-000000"),
        ("queued as d41d8cd98f00b204e9800998", "queued as d41d8cd98f00b204e9800998"),
        ("d41d8cd98f00b204e9800998@example.org", "[redacted]"),
        ('said "hello" @ noon', 'said "hello" @ noon'),
        ("250 2.0.0 Ok: queued as 4F2B", "250 2.0.0 Ok: queued as 4F2B"),
        ("at 0x7f1234567890", "at 0x7f1234567890"),
        ("line 123456", "line 123456"),
    ],
)
def test_what_counts_as_an_address(text: str, clean: str) -> None:
    """Addresses and numbers go; codes, ids and line numbers stay."""
    assert redact(text) == clean


@given(st.text(), st.from_regex(r"[a-z0-9.+_'=-]{1,24}@[a-z0-9-]{1,20}\.(com|org)", fullmatch=True), st.text())
def test_no_address_survives(before: str, address: str, after: str) -> None:
    """Whatever surrounds it, an address is gone."""
    assert address not in redact(f"{before} {address} {after}")
    assert len(redact(before + address, 10)) <= 10
