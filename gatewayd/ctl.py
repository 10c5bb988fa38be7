"""gatewayctl: the operator's commands. A thin client of the admin listener, plus what starts something of its own.

Owns its exit statuses (0 done, 1 failed, 2 used wrongly), and the verbs that need no daemon: `check`, `smpp-probe`,
`providers`, `provider-probe`, `audit` and `sandbox`. Its words are in operators/command_line.py. Knows nothing of the
store: the daemon does what operators/asking.py asks of it.
"""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from pwd import getpwuid
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar

from gatewayd.core.model import Json
from gatewayd.operators import asking, show, stop_files
from gatewayd.operators.adminclient import NoDaemon, Unhappy
from gatewayd.operators.command_line import Verb, command_line, phone
from gatewayd.operators.orders import operator_name

if TYPE_CHECKING:
    from gatewayd.config import Config
    from gatewayd.core.lesson import Learned

T = TypeVar("T")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write says where its disk is full, or its user has had enough of it."""

LOGIN = Path("/proc/self/loginuid")
"""Where the kernel says which user logged in."""
_NOBODY_LOGGED_IN = 2**32 - 1
_VERDICTS = ("check", "smpp-probe", "provider-probe", "audit", "sandbox")
"""Verbs whose exit status says what they found: one that is cut short found nothing to be good."""


class CommandFailed(Exception):
    """The command could not do its work; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status; argparse itself leaves with 2 where it is used wrongly."""
    if sys.stdout is None:
        # Python leaves it so where it was closed (`>&-`).
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 as long as the process
    if isinstance(sys.stdout, TextIOWrapper):
        # Ids may hold what an old locale has no letters for.
        sys.stdout.reconfigure(errors="backslashreplace")
    name, status = "", 0
    try:
        options = _asked(argv)
        name, options.operator = options.name, _operator()
        try:
            with _stopped_as_by_ctrl_c():
                status = options.verb(options)
        except (CommandFailed, NoDaemon, Unhappy) as error:
            status = 1
            if options.json:
                show.as_json({"error": str(error)})
            else:
                show.trouble(str(error))
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        show.trouble("stopped")
        return 1
    except BrokenPipeError:
        # The reader of our output (head, less) has seen enough; what is left in the buffer has nowhere to go.
        sys.stdout = None
        return 1 if name in _VERDICTS else status
    except MemoryError:
        show.trouble("this host gives no memory for it")
        return 1
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        # What is left in the buffer would fail again when Python ends.
        sys.stdout = None
        show.trouble(f"not all of it could be written: {error.strerror}")
        return 1
    return status


def _operator() -> str:
    """Who runs this: whoever logged in, whatever user they are by now (sudo, su); "" where nobody can tell."""
    user = _NOBODY_LOGGED_IN
    with suppress(OSError, ValueError):
        # The kernel's own word, which goes along with every process of a log-in; without one it is -1.
        user = min(int(LOGIN.read_text()), _NOBODY_LOGGED_IN)
    if user == _NOBODY_LOGGED_IN:
        user = os.getuid()
        if name := os.environ.get("SUDO_USER"):
            return operator_name(name)
    try:
        return operator_name(getpwuid(user).pw_name)
    except KeyError:
        return f"uid-{user}"


@contextmanager
def _stopped_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a closed terminal, stop a verb as Ctrl-C does: what it had begun is cleared away."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # Under nohup SIGHUP is ignored, and stays so. A thread that is not the first may set no signal.
    is_first = current_thread() is main_thread()
    deadly = [one for one in (signal.SIGTERM, signal.SIGHUP) if is_first and signal.getsignal(one) is signal.SIG_DFL]
    for one in deadly:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one in deadly:
            signal.signal(one, signal.SIG_DFL)


def _asked(argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return command_line(VERBS, datetime.now().timestamp()).parse_args(argv)
    except SystemExit:
        # What --help says may have nowhere to go, either.
        sys.stdout.flush()
        raise


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
    for text in asking.what_it_lacks(options):
        # Whoever runs this may be let in where the daemon is not.
        found.append(Finding("warn", "running gatewayd", text))
        tell(found[-1])
    bad = failed(found)
    if options.json:
        rows = [{"result": one.word.lower(), "what": one.what, "found": one.found} for one in found]
        show.as_json({"ok": not bad, "errors": [], "findings": rows})
    return 1 if bad else 0


def _smpp_probe(options: argparse.Namespace) -> int:
    from gatewayd.check.probes import sender_of
    from gatewayd.smpp.lesson import smpp_probe

    config = _config(options)
    smsc = config.smscs.get(options.smsc)
    if smsc is None:
        raise CommandFailed(_no_table("smscs", options.smsc, config.smscs, options))
    sender, tell = options.sender or sender_of(config, options.smsc), _line_by_line(options)
    learned = _in_reactor(
        lambda reactor: smpp_probe(reactor, smsc, options.to, sender=sender, wait=float(options.wait), tell=tell)
    )
    return _learned(options, learned, f"smscs.{options.smsc}")


def _no_table(part: str, name: str, known: Iterable[str], options: argparse.Namespace) -> str:
    from gatewayd.config.wording import meant

    return f"there is no [{part}.{name}] in {options.config}{meant(name, known)}"


def _line_by_line(options: argparse.Namespace) -> Callable[[str], None]:
    """What a probe tells while it goes on: a line for people, nothing for programs."""
    return (lambda line: None) if options.json else show.line


def _learned(options: argparse.Namespace, learned: "Learned", table: str) -> int:
    """What a probe found in the end; 0 only where it could learn."""
    found = {"ok": learned.ok, "story": list(learned.story), "lines": list(learned.lines)}
    asking.tell(options, found, lambda found: show.to_paste(table, found["lines"]))
    return 0 if learned.ok else 1


def _providers(options: argparse.Namespace) -> int:
    from gatewayd.config.profiles import profiles
    from gatewayd.operators.profile_lines import profile_json

    ready = [profile_json(profile) for profile in profiles().values()]
    if options.json:
        show.as_json(ready)
    else:
        show.profiles(ready)
    return 0


def _provider_probe(options: argparse.Namespace) -> int:
    from gatewayd.check.probes import report_url, sender_of
    from gatewayd.check.provider_lesson import provider_probe

    config = _config(options)
    table = config.providers.get(options.provider)
    if table is None:
        raise CommandFailed(_no_table("providers", options.provider, config.providers, options))
    if table.carries == "sms":
        try:
            phone(options.to)
        except argparse.ArgumentTypeError as error:
            print(f"gatewayctl provider-probe: error: argument --to: {error}", file=sys.stderr)
            return 2
    name = options.provider
    sender, tell = options.sender or sender_of(config, name), _line_by_line(options)
    url = report_url(config, name)
    learned = _in_reactor(
        lambda reactor: provider_probe(reactor, name, table, options.to, sender=sender, report_url=url, tell=tell)
    )
    return _learned(options, learned, f"providers.{name}.answer")


def _audit(options: argparse.Namespace) -> int:
    config = _config(options)
    own = config.gatewayd
    own_log = own.audit_log.replace("{instance}", own.instance)
    names = options.file or ([own_log] if own_log else [])
    if not names:
        raise CommandFailed(f"{options.config} names no audit_log under [gatewayd]: there is none to verify")
    secrets = tuple(secret.reveal().encode() for secret in (own.secret_key, *own.previous_secret_keys))
    files = _audit_files(names, secrets, quiet=options.json)
    cut = _cut_off(config, Path(names[-1])) if options.head else ""
    ok = not cut and not any(one["faults"] for one in files)
    if options.json:
        show.as_json({"ok": ok, "files": files} | ({"head": cut or "whole"} if options.head else {}))
    elif options.head:
        whole = "nothing that Redis remembers was cut off its end"
        show.findings([("FAIL" if cut else "ok", names[-1], cut or whole)])
    return 0 if ok else 1


def _audit_files(names: Sequence[str], secrets: tuple[bytes, ...], *, quiet: bool) -> list[Json]:
    """What is wrong with each file, whose chain goes on where that of the one before ended. Raises CommandFailed."""
    from gatewayd.operators.audit_proof import verified

    files: list[Json] = []
    head = ""
    for name in names:
        try:
            with show.Progress(f"Reading {name}", None, quiet=quiet):
                faults, summary, head = verified(Path(name), secrets, head)
        except OSError as error:
            raise CommandFailed(f"cannot read {name}: {error.strerror or error}") from None
        files.append({"file": name, "faults": faults, "summary": summary})
        if not quiet:
            show.findings(("FAIL", name, fault) for fault in faults)
            show.findings([("FAIL" if faults else "ok", name, summary)])
    return files


def _cut_off(config: "Config", newest: Path) -> str:
    """Why the newest file's end cannot be whole, by the head that Redis remembers; "" where it is."""
    from gatewayd.operators.audit_proof import cut_off
    from gatewayd.store.access import remembered_head

    try:
        head = _in_reactor(lambda reactor: remembered_head(reactor, config))
    except OSError as error:
        raise CommandFailed(str(error)) from None
    if head is None:
        if not newest.stat().st_size:
            # A worker that has decided nothing yet.
            return ""
        raise CommandFailed(f"Redis remembers no audit log of {config.gatewayd.instance}")
    return cut_off(newest, head)


def _config(options: argparse.Namespace) -> "Config":
    """The whole configuration, with its secrets. Raises CommandFailed."""
    from gatewayd.config import ConfigError, load

    try:
        return load(options.config, os.environ, options.instance)
    except ConfigError as error:
        raise CommandFailed("\n  ".join(["the configuration is wrong:", *error.errors])) from None


def _sandbox(options: argparse.Namespace) -> int:
    from gatewayd.sandbox import world

    return world.main(once=options.once, messages=options.messages, directory=options.dir, json=options.json)


def _in_reactor(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives, in a reactor that runs only for it."""
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react
    from twisted.logger import globalLogBeginner

    from gatewayd.http_client.lookups import in_threads_of_their_own

    # What is wrong is told in our words; without a log Twisted prints a traceback for a certificate that is not good.
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    results: list[T] = []
    failures: list[BaseException] = []

    def main(reactor: Any) -> Any:
        reactor.installNameResolver(in_threads_of_their_own(reactor))
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


VERBS: Mapping[str, Verb] = {
    "check": _check,
    "status": asking.status,
    "trace": asking.trace,
    "dead-letters": asking.dead_letters,
    "suppress": asking.suppress,
    "unsuppress": asking.suppress,
    "erase": asking.erase,
    "export": asking.export,
    "pause": asking.switch,
    "resume": asking.switch,
    "stops": stop_files.stops,
    "guard": asking.guard,
    "replay": asking.replay,
    "smpp-probe": _smpp_probe,
    "providers": _providers,
    "provider-probe": _provider_probe,
    "audit": _audit,
    "sandbox": _sandbox,
}


if __name__ == "__main__":
    sys.exit(main())
