"""gatewayctl: the operator's commands. A thin client of the admin listener, plus what starts something of its own.

Owns the command line, its exit statuses (0 done, 1 failed, 2 used wrongly), and the verbs that need no daemon: `check`,
`smpp-probe`, `providers`, `provider-probe`, `audit` and `sandbox`. Knows nothing of the store: the daemon does what
operators/asking.py asks of it.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from gatewayd import __version__
from gatewayd.core.model import Json
from gatewayd.operators import asking, show, stop_files
from gatewayd.operators.adminclient import NoDaemon, Unhappy

if TYPE_CHECKING:
    from gatewayd.config import Config

DEFAULT_CONFIG = "/etc/gatewayd/gatewayd.toml"
T = TypeVar("T")


class CommandFailed(Exception):
    """The command could not do its work; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status; argparse itself leaves with 2 where it is used wrongly."""
    options = _parser().parse_args(argv)
    if isinstance(sys.stdout, TextIOWrapper):
        # Ids may hold what an old locale has no letters for.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = options.verb(options)
    except (CommandFailed, NoDaemon, Unhappy) as error:
        if options.json:
            show.as_json({"error": str(error)})
        else:
            show.trouble(str(error))
        return 1
    except KeyboardInterrupt:
        show.trouble("stopped")
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough; what is left in the buffer has nowhere to go.
        sys.stdout = None
        return 0
    return status


class _Parser(argparse.ArgumentParser):
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
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gatewayctl",
        description="Look after gatewayd, the email and SMS gateway.",
        epilog="Exit status: 0 done, 1 it failed, 2 used wrongly. Every verb has its own --help.",
    )
    parser.add_argument("--config", metavar="FILE", default=DEFAULT_CONFIG, help="configuration (default: %(default)s)")
    parser.add_argument("--instance", metavar="NAME", default="", help="which process, where several share the file")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--version", action="version", version=f"gatewayctl {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, for programs")
        one.set_defaults(verb=run)
        return one

    verb("check", _check, "read the configuration, connect to everything in it, print a line each")
    verb("status", asking.status, "queues, relays and SMSCs, rates, oldest waiting message, dead letters")
    one = verb("trace", asking.trace, "the timeline of one message")
    one.add_argument("id", metavar="ID", help="ext_message_id, or Smartico's uid")
    one.add_argument("--record", action="store_true", help="print each field that Redis keeps of it, by name, as JSON")
    _dead_letter_verb(verb("dead-letters", asking.dead_letters, "statuses that Smartico did not take, and why"))
    for name, run, text in (
        ("suppress", asking.suppress, "put a player on a label's stop list"),
        ("unsuppress", asking.suppress, "take a player off a label's stop list"),
        ("erase", asking.erase, "remove all that is stored of one player"),
        ("export", asking.export, "print all that is stored of one player, as JSON"),
    ):
        one = verb(name, run, text)
        one.add_argument("label", metavar="LABEL")
        one.add_argument("ext_user_id", metavar="EXT_USER_ID")
        one.set_defaults(name=name)
        if run is asking.suppress:
            _channel(one)
    for name, text in (
        ("pause", "kill switch: a label's accepted messages wait"),
        ("resume", "a label's messages go on"),
    ):
        one = verb(name, asking.switch, text)
        one.add_argument("label", metavar="LABEL")
        one.set_defaults(name=name)
        _channel(one)
    stops = verb("stops", stop_files.stops, "a label's stop list, by player id where that is known")
    stops.add_argument("label", metavar="LABEL")
    _channel(stops)
    text = "only what began then or later: 2026-01-31T12:00, or 7d"
    stops.add_argument("--since", metavar="TIME", type=_back_to, default=0.0, help=text)
    way = stops.add_mutually_exclusive_group()
    way.add_argument("--export", metavar="FILE", dest="export_file", default="", help="write it as CSV (-: print it)")
    way.add_argument("--import", metavar="FILE", dest="import_file", default="", help="put on it what a CSV file says")
    guard = verb("guard", stop_files.guard, "let more than a label's intake_rate in for a time")
    guard.add_argument("label", metavar="LABEL")
    guard.add_argument("--lift", metavar="TIME", type=stop_files.length, required=True, help="for how long: 30m, 1h")
    replay = verb("replay", asking.replay, "tell Smartico again what it heard in a range of time, and lost")
    same = "The same range gives the same statuses each time, what a replay told again in the range of either telling."
    replay.description = f"{replay.description} {same}"
    replay.add_argument("--since", metavar="TIME", type=_moment, required=True, help="from then, as 2026-01-31T12:00")
    now = datetime.now().timestamp()
    replay.add_argument("--until", metavar="TIME", type=_moment, default=now, help="before then (default: now)")
    replay.add_argument("--label", metavar="LABEL", default="", help="only this label (default: all)")
    _own_verbs(verb)
    return parser


def _own_verbs(verb: Callable[..., argparse.ArgumentParser]) -> None:
    probe = verb("smpp-probe", _smpp_probe, "send two test texts by one SMSC, and learn how it speaks")
    probe.add_argument("smsc", metavar="SMSC", help="its name in the configuration: [smscs.NAME]")
    probe.add_argument(
        "--to", metavar="NUMBER", type=_phone, required=True, help="a phone of your own, as +447700900123"
    )
    probe.add_argument("--from", metavar="SENDER", dest="sender", help="default: that of a route or label")
    probe.add_argument("--wait", metavar="SECONDS", type=_count, default=60, help="for receipts (default: %(default)s)")
    verb("providers", _providers, "the ready profiles of vendors that take SMS over HTTP, with the lines to paste")
    probe = verb("provider-probe", _provider_probe, "send one test message by one provider, and learn how it answers")
    probe.add_argument("provider", metavar="NAME", help="its name in the configuration: [providers.NAME]")
    probe.add_argument(
        "--to", metavar="NUMBER", required=True, help="a phone of your own, as +447700900123 (im: any address)"
    )
    probe.add_argument("--from", metavar="SENDER", dest="sender", help="default: a label's sms_sender")
    audit = verb("audit", _audit, "the audit log of what was accepted, refused, sent and ended")
    text = "was anything changed, added or removed?"
    verify = audit.add_subparsers(metavar="ACTION", required=True).add_parser("verify", help=text, description=text)
    verify.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    verify.add_argument("--head", action="store_true", help="and ask Redis whether lines were cut off the end")
    verify.add_argument(
        "file", metavar="FILE", nargs="*", help="oldest first; default: [gatewayd] audit_log as it is now"
    )
    sandbox = verb("sandbox", _sandbox, "the whole world on this machine: needs no configuration and no root")
    sandbox.add_argument("--once", action="store_true", help="end after the round trip; 0 only if all of it worked")
    sandbox.add_argument("--dir", metavar="DIR", default="", help="keep its files there")
    sandbox.add_argument("--messages", metavar="N", type=_count, default=1, help="send N of each, print the rate")


def _dead_letter_verb(one: argparse.ArgumentParser) -> None:
    actions = one.add_subparsers(metavar="ACTION", dest="action")
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
            action.add_argument("--limit", metavar="N", type=_count, default=100, help="default: %(default)s")
        if name == "retry-all":
            action.add_argument(
                "--since", metavar="TIME", type=_moment, help="given up at or after, as 2026-01-31T12:00"
            )
            action.add_argument("--until", metavar="TIME", type=_moment, help="before then")


def _channel(one: argparse.ArgumentParser) -> None:
    one.add_argument("--channel", choices=["email", "sms", "im"], help="only this channel (default: all)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number, 1 or more")
    return int(text)


def _phone(text: str) -> str:
    if not re.fullmatch(r"\+?[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError("must be a number such as +447700900123")
    return text


def _back_to(text: str) -> float:
    return stop_files.since(text, datetime.now().timestamp())


def _moment(text: str) -> float:
    """An ISO 8601 time; local time where it names no zone."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-31T12:00") from None


def _check(options: argparse.Namespace) -> int:
    # Imported here, as in the verbs below: this brings the whole daemon's parts, which the other verbs can do without.
    from gatewayd.check import Finding, failed, look_at_everything
    from gatewayd.check.house import secrets
    from gatewayd.config import ConfigError
    from gatewayd.directories.faults import load

    try:
        config = load(options.config, os.environ, options.instance)
    except ConfigError as error:
        if options.json:
            show.as_json({"ok": False, "errors": error.errors, "findings": []})
        else:
            show.findings(("FAIL", "configuration", line) for line in error.errors)
        return 1

    def tell(finding: Finding) -> None:
        if not options.json:
            show.findings([(finding.word, finding.what, finding.found)])

    tell(Finding("ok", "configuration", options.config))
    readable = secrets(Path(options.config))
    for finding in readable:
        tell(finding)
    found = [*readable, *_in_reactor(lambda reactor: look_at_everything(reactor, config, tell))]
    bad = failed(found)
    if options.json:
        rows = [{"result": one.word.lower(), "what": one.what, "found": one.found} for one in found]
        show.as_json({"ok": not bad, "errors": [], "findings": rows})
    return 1 if bad else 0


def _smpp_probe(options: argparse.Namespace) -> int:
    from gatewayd.check.probes import smsc_sender
    from gatewayd.smpp.lesson import smpp_probe

    config = _config(options)
    smsc = config.smscs.get(options.smsc)
    if smsc is None:
        raise CommandFailed(f"there is no [smscs.{options.smsc}] in {options.config}")
    sender, tell = options.sender or smsc_sender(config, options.smsc), _line_by_line(options)
    learned = _in_reactor(
        lambda reactor: smpp_probe(reactor, smsc, options.to, sender=sender, wait=float(options.wait), tell=tell)
    )
    return _learned(options, learned, f"smscs.{options.smsc}")


def _line_by_line(options: argparse.Namespace) -> Callable[[str], None]:
    """What a probe tells while it goes on: a line for people, nothing for programs."""
    return (lambda line: None) if options.json else show.line


def _learned(options: argparse.Namespace, learned: Any, table: str) -> int:
    """What a probe found in the end; 0 only where it could learn."""
    found = {"ok": learned.ok, "story": list(learned.story), "lines": list(learned.lines)}
    asking.tell(options, found, lambda found: show.to_paste(table, found["lines"]))
    return 0 if learned.ok else 1


def _providers(options: argparse.Namespace) -> int:
    from gatewayd.config.profiles import profiles

    ready = [show.profile_json(profile) for profile in profiles().values()]
    if options.json:
        show.as_json(ready)
    else:
        show.profiles(ready)
    return 0


def _provider_probe(options: argparse.Namespace) -> int:
    from gatewayd.check.probes import provider_sender, report_url
    from gatewayd.check.provider_lesson import provider_probe

    config = _config(options)
    table = config.providers.get(options.provider)
    if table is None:
        raise CommandFailed(f"there is no [providers.{options.provider}] in {options.config}")
    if table.carries == "sms":
        try:
            _phone(options.to)
        except argparse.ArgumentTypeError as error:
            print(f"gatewayctl provider-probe: error: argument --to: {error}", file=sys.stderr)
            return 2
    name = options.provider
    sender, tell = options.sender or provider_sender(config, name), _line_by_line(options)
    url = report_url(config, name)
    learned = _in_reactor(
        lambda reactor: provider_probe(reactor, name, table, options.to, sender=sender, report_url=url, tell=tell)
    )
    return _learned(options, learned, f"providers.{name}.answer")


def _audit(options: argparse.Namespace) -> int:
    from gatewayd.operators.audit import verified

    config = _config(options)
    own = config.gatewayd
    own_log = own.audit_log.replace("{instance}", own.instance)
    names = options.file or ([own_log] if own_log else [])
    if not names:
        raise CommandFailed(f"{options.config} names no audit_log under [gatewayd]: there is none to verify")
    secrets = tuple(secret.reveal().encode() for secret in (own.secret_key, *own.previous_secret_keys))
    files: list[Json] = []
    head = ""
    for name in names:
        try:
            with show.Progress(f"Reading {name}", None, quiet=options.json):
                faults, summary, head = verified(Path(name), secrets, head)
        except OSError as error:
            raise CommandFailed(f"cannot read {name}: {error.strerror or error}") from None
        files.append({"file": name, "faults": faults, "summary": summary})
        if not options.json:
            show.findings(("FAIL", name, fault) for fault in faults)
            show.findings([("FAIL" if faults else "ok", name, summary)])
    cut = _cut_off(config, Path(names[-1])) if options.head else ""
    ok = not cut and not any(one["faults"] for one in files)
    if options.json:
        show.as_json({"ok": ok, "files": files} | ({"head": cut or "whole"} if options.head else {}))
    elif options.head:
        whole = "the file holds the head that Redis remembers: nothing was cut off its end"
        show.findings([("FAIL" if cut else "ok", names[-1], cut or whole)])
    return 0 if ok else 1


def _cut_off(config: "Config", newest: Path) -> str:
    """Why the newest file's end cannot be whole, by the head that Redis remembers; "" where it is."""
    from gatewayd.operators.audit import cut_off
    from gatewayd.store.access import remembered_head

    try:
        head = _in_reactor(lambda reactor: remembered_head(reactor, config))
    except OSError as error:
        raise CommandFailed(str(error)) from None
    if head is None:
        raise CommandFailed(f"Redis remembers no audit log of {config.gatewayd.instance}")
    return cut_off(newest, head)


def _config(options: argparse.Namespace) -> "Config":
    """The whole configuration, with its secrets. Raises CommandFailed."""
    from gatewayd.config import ConfigError, load

    try:
        return load(options.config, os.environ, options.instance)
    except ConfigError as error:
        raise CommandFailed(str(error)) from None


def _sandbox(options: argparse.Namespace) -> int:
    from gatewayd.sandbox import world

    return world.main(once=options.once, messages=options.messages, directory=options.dir, json=options.json)


def _in_reactor(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives, in a reactor that runs only for it."""
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react
    from twisted.logger import globalLogBeginner

    # What is wrong is told in our words; without a log Twisted prints a traceback for a certificate that is not good.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    results: list[T] = []
    failures: list[BaseException] = []

    def main(reactor: Any) -> Any:
        done = Deferred.fromCoroutine(work(reactor))
        return done.addCallbacks(results.append, lambda failure: failures.append(failure.value))

    # That is how react ends; what counts is what came of the work.
    with suppress(SystemExit):
        react(main)
    if failures:
        raise failures[0]
    if not results:
        raise CommandFailed("stopped")
    return results[0]


if __name__ == "__main__":
    sys.exit(main())
