"""One message to a phone of the operator's own: how a vendor answers, as lines to paste (`gatewayctl provider-probe`).

Sends what the daemon would send, and reads the answer by the same table. It keeps nothing, and shows a number and the
vendor's words only to its asker.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gatewayd.check.probes import MESSAGE
from gatewayd.check.providers import ask, vendor_of
from gatewayd.config import Provider
from gatewayd.config.providers import leaves
from gatewayd.core import half_pairs, paths
from gatewayd.core.errors import Down, NotWritten, TemporaryFailure, Unanswered
from gatewayd.core.lesson import Learned
from gatewayd.core.tokens import shortened
from gatewayd.providers.answers import Verdict, read
from gatewayd.providers.exchange import Answered

TEXT = "gatewayd test"
_SHOWN = 2_000  # characters of an answer

_MEANINGS = {
    Verdict.TAKEN: "taken: the message would be accepted",
    Verdict.REJECTED: "rejected: the message would end as rejected",
    Verdict.THROTTLED: "throttled: it would be tried again, as late as the vendor asks",
    Verdict.TEMPORARY: "it fits no match: it would be tried again",
    Verdict.UNREADABLE: "it is no JSON, so that no path of `taken` finds anything: the message would be uncertain",
}

# Under which key to paste a status that no match knows, by itself or its first digit, and what must be so. Under none a
# wrong key, or a vendor that is out: that such a message is tried again is right.
_LINES = {
    "2": ("taken", "if the message arrived"),
    "3": ("taken", "if the message arrived"),
    "400": ("rejected", "if it refuses this number or text; better with the path of its code"),
    "422": ("rejected", "if it refuses this number or text; better with the path of its code"),
    "429": ("throttled", "if it comes where many are sent"),
    "503": ("throttled", "if it comes where many are sent"),
}


async def provider_probe(
    reactor: Any,
    name: str,
    table: Provider,
    number: str,
    *,
    sender: str = "",
    report_url: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> Learned:
    """Send one message to `number` (any address, for a provider of instant messages), and say what was learned.

    `tell` gets each line of the story as it happens. Never tries again.
    """
    story: list[str] = []

    def say(line: str) -> None:
        story.append(line)
        tell(line)

    vendor = vendor_of(reactor, name, table)
    try:
        answer = await ask(vendor, table, _words(table, number, sender, report_url))
    except (Down, NotWritten, TemporaryFailure) as trouble:
        say(f"nothing was sent: {trouble}")
        return Learned(False, tuple(story))
    except Unanswered as trouble:
        say(f"sent, and {trouble}: whether it was taken nobody knows (on_uncertain says what becomes of such messages)")
        return Learned(False, tuple(story))
    finally:
        await vendor.stop()
    say(f"answered {answer.status} after {answer.seconds * 1000:.0f} ms")
    if answer.body is None:
        say("  more than is read of an answer: its status is all that counts")
    for line in _shown(answer.body or b""):
        say(f"  {line}")
    reading = read(table.answer, answer.status, answer.body)
    say(_MEANINGS[reading.verdict] + (f" ({reading.why})" if reading.why else ""))
    if reading.ids:
        say(f"ids: {', '.join(reading.ids)}")
    if report_url:
        say("its reports go to the running daemon, which knows no such message and counts them as orphaned")
    return Learned(reading.verdict is Verdict.TAKEN, tuple(story), tuple(_lines(table, answer, reading.ids)))


def _words(table: Provider, number: str, sender: str, report_url: str) -> dict[str, str]:
    return {
        "to": number if table.carries == "im" or number.startswith("+") else f"+{number}",
        "to_digits": number.removeprefix("+"),
        "address": number,
        "sender": sender,
        "text": TEXT,
        "message_id": MESSAGE,
        "uid": "provider-probe",
        "label": "provider-probe",
        "ext_user_id": "provider-probe",
        "report_url": report_url,
        "report_token": report_url.rpartition("/")[2],
        "short_token": shortened(report_url.rpartition("/")[2]),
        "username": table.username,
        "password": table.password.reveal(),
        "seconds_left": "3600",
    }


def _shown(body: bytes) -> list[str]:
    """The vendor's words, for the asker's eyes."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")
    return ["".join(char if char.isprintable() else " " for char in line) for line in text[:_SHOWN].splitlines()]


def _lines(table: Provider, answer: Answered, ids: tuple[str, ...]) -> Iterator[str]:
    """What the table could say that it does not say."""
    status = str(answer.status)
    if not any(match.has_status(status) for match in _all(table)):
        key, when = _LINES.get(status) or _LINES.get(status[0], ("", ""))
        if key:
            yield f'{key} = [{{status = "{status}"}}]    # {when}'
    if not ids:
        try:
            data = half_pairs.decoded_anyway(answer.body or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        for at, value in leaves("", data):
            path = re.sub(r"\[(\d+)\]", r".\1", at).strip(".")
            if _looks_like_an_id(path) and paths.text_of(value):
                yield f'ids = "{path}"    # {value}, if that is the message\'s id'


def _looks_like_an_id(path: str) -> bool:
    """By its last word: id, messageId, uuid, sid, reference."""
    last = re.split("[._-]", path)[-1].lower()
    return last.endswith("id") or last == "reference"


def _all(table: Provider) -> Iterator[Any]:
    for matches in (table.answer.taken, table.answer.rejected, table.answer.throttled):
        yield from matches
