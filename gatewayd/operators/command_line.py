"""The words of gatewayctl: its verbs, what each takes, how times are given, and what --help and a wrong use say.

Knows not what a verb does: that is given as a function for each.
"""

import argparse
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import NoReturn

from gatewayd import __version__
from gatewayd.core.ids import CONTROL
from gatewayd.operators.orders import LONGEST_LIFT, MOST_DEAD_LETTERS

DEFAULT_CONFIG = "/etc/gatewayd/gatewayd.toml"

Verb = Callable[[argparse.Namespace], int]
"""Does one verb as the command line has it, and returns the exit status."""


class _WordsParser(argparse.ArgumentParser):
    """Says of a word that it does not know which one was perhaps meant."""

    def error(self, message: str) -> NoReturn:
        """Leave with 2, as argparse does."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            known = re.findall(r"[\w-]+", choice[2])
            close = get_close_matches(choice[1], known, 1)
            message = f"there is no {choice[1]!r} here; " + (
                f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
            )
        if re.search(r"arguments are required:.*\bID\b|_ID\b", message):
            message += " (an id that begins with a hyphen goes behind --: trace -- -id)"
        super().error(message)


def command_line(does: Mapping[str, Verb], now: float) -> argparse.ArgumentParser:
    """The parser; its `verb` is what `does` has for the verb that was named. `now` in seconds since the epoch."""
    parser = _WordsParser(
        prog="gatewayctl",
        description="Look after gatewayd, the email and SMS gateway.",
        epilog="Exit status: 0 done, 1 it failed, 2 used wrongly. Every verb has its own --help.",
    )
    parser.add_argument("--config", metavar="FILE", default=DEFAULT_CONFIG, help="configuration (default: %(default)s)")
    parser.add_argument("--instance", metavar="NAME", default="", help="which process, where several share the file")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(operator="")
    parser.add_argument("--version", action="version", version=f"gatewayctl {__version__}")
    ago = partial(moment, now=now)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for programs")
        one.set_defaults(verb=does[name], name=name)
        return one

    verb("check", "read the configuration, connect to everything in it, print a line each")
    verb("status", "queues, relays and SMSCs, rates, oldest waiting message, dead letters")
    one = verb("trace", "the timeline of one message")
    one.add_argument("id", metavar="ID", help="ext_message_id, or Smartico's uid")
    one.add_argument("--record", action="store_true", help="print each field that Redis keeps of it, by name, as JSON")
    _dead_letter_verb(verb("dead-letters", "statuses that Smartico did not take, and why"), ago)
    for name, text in (
        ("suppress", "put a player on a label's stop list"),
        ("unsuppress", "take a player off a label's stop list"),
        ("erase", "remove all that is stored of one player"),
        ("export", "print all that is stored of one player, as JSON"),
    ):
        one = verb(name, text)
        one.add_argument("label", metavar="LABEL")
        one.add_argument("ext_user_id", metavar="EXT_USER_ID")
        if name in ("suppress", "unsuppress"):
            _channel(one)
    for name, text in (
        ("pause", "kill switch: a label's accepted messages wait"),
        ("resume", "a label's messages go on"),
    ):
        one = verb(name, text)
        one.add_argument("label", metavar="LABEL")
        _channel(one)
    stops = verb("stops", "a label's stop list, by player id where that is known")
    stops.add_argument("label", metavar="LABEL")
    _channel(stops)
    text = "only what began then or later: 2026-01-31T12:00 (UTC), or 7d"
    stops.add_argument("--since", metavar="TIME", type=ago, default=0.0, help=text)
    way = stops.add_mutually_exclusive_group()
    way.add_argument("--export", metavar="FILE", dest="export_file", type=_file, help="write it as CSV (-: print it)")
    way.add_argument("--import", metavar="FILE", dest="import_file", type=_file, help="put on it what a CSV file says")
    text = "with --import: put each player on it as the directory spells the id, as suppress does"
    stops.add_argument("--look-up", action="store_true", help=text)
    stops.set_defaults(used_wrongly=stops.error)
    guard = verb("guard", "let more than a label's intake_rate in for a time")
    guard.add_argument("label", metavar="LABEL")
    guard.add_argument(
        "--lift", metavar="TIME", type=length, required=True, help="for how long: 30m, 1h; 0s: it stands again"
    )
    replay = verb("replay", "tell Smartico again what it heard in a range of time, and lost")
    same = "The same range gives the same statuses each time; one that a replay told is in the range of either telling."
    replay.description = f"{replay.description} {same}"
    from_then = "from then: 2026-01-31T12:00 (UTC), or 6h"
    replay.add_argument("--since", metavar="TIME", type=ago, required=True, help=from_then)
    replay.add_argument("--until", metavar="TIME", type=ago, default=now, help="before then (default: now)")
    replay.add_argument("--label", metavar="LABEL", default="", help="only this label (default: all)")
    _own_verbs(verb)
    return parser


def _own_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    probe = verb("smpp-probe", "send two test texts by one SMSC, and learn how it speaks")
    probe.add_argument("smsc", metavar="SMSC", help="its name in the configuration: [smscs.NAME]")
    probe.add_argument(
        "--to", metavar="NUMBER", type=phone, required=True, help="a phone of your own, as +447700900123"
    )
    probe.add_argument("--from", metavar="SENDER", dest="sender", type=_words, help="default: that of a route or label")
    probe.add_argument("--wait", metavar="SECONDS", type=_count, default=60, help="for receipts (default: %(default)s)")
    verb("providers", "the ready profiles of vendors that take SMS over HTTP, with the lines to paste")
    probe = verb("provider-probe", "send one test message by one provider, and learn how it answers")
    probe.add_argument("provider", metavar="NAME", help="its name in the configuration: [providers.NAME]")
    probe.add_argument(
        "--to",
        metavar="NUMBER",
        type=_words,
        required=True,
        help="a phone of your own, as +447700900123 (im: any address)",
    )
    probe.add_argument("--from", metavar="SENDER", dest="sender", type=_words, help="default: that of a route or label")
    audit = verb("audit", "the audit log of what was accepted, refused, sent and ended")
    text = "was anything changed, added or removed?"
    verify = audit.add_subparsers(required=True).add_parser("verify", help=text, description=text.capitalize())
    verify.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    verify.add_argument("--head", action="store_true", help="and ask Redis whether lines were cut off the end")
    verify.add_argument(
        "file", metavar="FILE", nargs="*", help="oldest first; default: [gatewayd] audit_log as it is now"
    )
    sandbox = verb("sandbox", "the whole world on this machine: needs no configuration and no root")
    sandbox.add_argument("--once", action="store_true", help="end after the round trip; 0 only if all of it worked")
    sandbox.add_argument("--dir", metavar="DIR", default="", help="keep its files there")
    sandbox.add_argument("--messages", metavar="N", type=_count, default=1, help="send N of each, print the rate")


def _dead_letter_verb(one: argparse.ArgumentParser, ago: Callable[[str], float]) -> None:
    _limit(one, 100)
    actions = one.add_subparsers(dest="action")
    for name, text in (
        ("list", "the newest first (this is the default)"),
        ("retry", "tell Smartico again"),
        ("drop", "forget them"),
        ("retry-all", "tell Smartico all of them again, or those of a range of time"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        if name in ("retry", "drop"):
            action.add_argument("id", metavar="ID", help="ext_message_id")
        if name == "list":
            _limit(action, argparse.SUPPRESS)
        if name == "retry-all":
            given_up = "given up at or after: 2026-01-31T12:00 (UTC), or 6h"
            action.add_argument("--since", metavar="TIME", type=ago, help=given_up)
            action.add_argument("--until", metavar="TIME", type=ago, help="before then")


def _limit(one: argparse.ArgumentParser, default: object) -> None:
    text = f"of the list; default: 100, at most {MOST_DEAD_LETTERS}"
    one.add_argument("--limit", metavar="N", type=_dead_letters, default=default, help=text)


def _dead_letters(text: str) -> int:
    if (count := _count(text)) > MOST_DEAD_LETTERS:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_DEAD_LETTERS}")
    return count


def _channel(one: argparse.ArgumentParser) -> None:
    one.add_argument("--channel", choices=["email", "sms", "im"], help="only this channel (default: all)")


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number, 1 or more, of at most 9 digits")
    return int(text)


def _words(text: str) -> str:
    """What a vendor or an SMSC is sent: as of a request, no control, and nothing that is not UTF-8."""
    if not text or CONTROL.search(text) or re.search("[\ud800-\udfff]", text):
        raise argparse.ArgumentTypeError("must be UTF-8 without control characters, and not empty")
    return text


def _file(text: str) -> str:
    """A file's name: what a script's empty variable leaves is none, and no wish to see the list."""
    if not text:
        raise argparse.ArgumentTypeError("must be the name of a file, and is empty")
    return text


def phone(text: str) -> str:
    """`text`, where it is a phone number. Raises ArgumentTypeError."""
    if not re.fullmatch(r"\+?[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError("must be a number such as +447700900123")
    return text


def length(text: str) -> float:
    """`text` as seconds: 30m, 1h. Raises ArgumentTypeError."""
    try:
        seconds = _seconds_in(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a length of time such as 1h (0s: the guard stands again)"
        ) from None
    if seconds > LONGEST_LIFT:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than 7d")
    return seconds


def moment(text: str, now: float) -> float:
    """`text` as a moment: a time in ISO 8601 (UTC where it names no zone, as all that is printed), or so long ago (7d).

    Raises ArgumentTypeError.
    """
    with suppress(ValueError):
        return now - min(_seconds_in(text), now)
    try:
        return _moment_in(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time such as 2026-01-31T12:00 nor one such as 7d"
        ) from None


def _moment_in(text: str) -> float:
    found = datetime.fromisoformat(text)
    seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    if seconds < 0:
        raise ValueError
    return seconds


def _seconds_in(text: str) -> float:
    # Here, because most commands need nothing of the configuration's reader, which takes long to import.
    from gatewayd.config.times import seconds_in

    return seconds_in(text)
