"""A private Postfix on loopback, beside any that the machine runs: the relay, and the final destination, of tests.

    async with Postfix(reactor, transports={"bounces.test": "lmtp:inet:127.0.0.1:2424"}) as relay:
        ...  # talk SMTP to 127.0.0.1, relay.port

Domains that it knows, all without DNS:

- ``player.test``: its own; the local parts in `users` get mail into a Maildir (`mailbox()`), any other one is taken
  and then bounced as 5.1.1, and ``refused@player.test`` is answered 550 5.1.1 at RCPT;
- ``slow.test``: taken and never delivered (4.4.1): delay warnings and expiry, by `main` lines such as
  ``{"delay_warning_time": "1s", "maximal_queue_lifetime": "3s"}``; retries come every second;
- ``sink.test``: taken and thrown away, with a success DSN if one was asked for;
- ``relayed.test``: any recipient, handed to ``next_hop`` (host, port) where one is given;
- whatever `transports` maps, in the words of transport(5).

It takes mail for any domain from loopback, offers DSN, and needs root (its daemons run as user postfix).
"""

import fcntl
import os
import pwd
import shutil
import signal
import smtplib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from outside_ports import free_port
from twisted.internet import defer, protocol
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.protocols.basic import LineOnlyReceiver

from conftest import impossible, need
from redis_server import until

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 1 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance in a temporary directory. `main` are further main.cf lines, which win over the ones here."""

    host = "127.0.0.1"

    def __init__(
        self,
        reactor: Any,
        *,
        main: Mapping[str, str] | None = None,
        transports: Mapping[str, str] | None = None,
        users: Sequence[str] = ("player",),
        next_hop: tuple[str, int] | None = None,
        hostname: str = "relay.test",
    ) -> None:
        self._reactor = reactor
        self._main = dict(main or {})
        self._transports = dict(transports or {})
        self._users = tuple(users)
        self._next_hop = next_hop
        self._hostname = hostname
        self.port = 0
        self.directory = Path()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it (again, after `kill`, on the same port and queue) and wait for its greeting."""
        self._postfix = need("postfix")
        if os.geteuid() != 0:
            impossible("root, which a Postfix of its own needs")
        if not self.port:
            self._lay_out()
        # What was killed right before may not be gone yet, and as long as it holds its lock there is no other.
        await until(self._is_unlocked)
        try:
            await self._run(self._postfix, "-c", str(self._etc), "start")
            await self._greeted()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop it at once and remove all of its files."""
        if self._master_pid() is not None:
            await getProcessOutputAndValue(self._postfix, ["-c", str(self._etc), "abort"], env=_ENVIRONMENT)
        self.kill()
        if self.port:
            await deferToThread(shutil.rmtree, self.directory, ignore_errors=True)

    def kill(self) -> None:
        """kill -9 the master and its children; the queue stays for another `start`."""
        pid = self._master_pid()
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)

    async def flush(self) -> None:
        """Try to deliver all that is queued, now."""
        await self._run(need("postqueue"), "-c", str(self._etc), "-f")

    async def queue(self) -> str:
        """What `postqueue -p` prints."""
        return await self._run(need("postqueue"), "-c", str(self._etc), "-p")

    def mailbox(self, user: str = "player") -> list[bytes]:
        """The mails in a user's Maildir, oldest first."""
        new = self.directory / "mail" / user / "new"
        files = sorted(new.iterdir(), key=lambda path: path.stat().st_mtime_ns) if new.is_dir() else []
        return [path.read_bytes() for path in files]

    def log(self) -> str:
        """What it logged; for the message of a failed assertion."""
        path = self.directory / "log" / "postfix.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    async def send(
        self,
        sender: str,
        recipient: str,
        *,
        body: bytes = b"Subject: hello\r\n\r\nhello\r\n",
        mail_options: Sequence[str] = ("RET=HDRS",),
        rcpt_options: Sequence[str] = ("NOTIFY=SUCCESS,FAILURE,DELAY",),
    ) -> None:
        """Hand it one mail over SMTP, by smtplib: an independent client for tests that need no gatewayd."""

        def talk() -> None:
            with smtplib.SMTP(self.host, self.port, timeout=30) as client:
                client.sendmail(sender, [recipient], body, mail_options, rcpt_options)

        await deferToThread(talk)

    def _lay_out(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.directory.chmod(0o755)
        self.port = free_port()
        owners = {"etc": "root", "spool": "root", "log": "root", "data": "postfix", "mail": "nobody"}
        for name, owner in owners.items():
            path = self.directory / name
            path.mkdir(mode=0o755)
            os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
        # postsuper, which each start runs, is nobody special any more when it has a file to complain of: a killed
        # master leaves such.
        log = self.directory / "log" / "postfix.log"
        log.touch()
        os.chown(log, pwd.getpwnam("postfix").pw_uid, -1)
        self._write()

    def _write(self) -> None:
        top = self.directory
        nobody = pwd.getpwnam("nobody")
        transports = {"slow.test": "retry:4.4.1 the far end does not answer", "sink.test": "discard:"}
        if self._next_hop:
            transports["relayed.test"] = "smtp:[{}]:{}".format(*self._next_hop)
        transports |= self._transports
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{top}/spool",
            "data_directory": f"{top}/data",
            "maillog_file": f"{top}/log/postfix.log",
            "maillog_file_prefixes": str(top),
            "myhostname": self._hostname,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "mydestination": "",
            "alias_maps": "",
            "local_recipient_maps": "",
            "smtp_dns_support_level": "disabled",
            "smtpd_reject_unlisted_recipient": "no",
            "smtpd_relay_restrictions": "permit_mynetworks,reject",
            "smtpd_recipient_restrictions": f"check_recipient_access texthash:{top}/etc/refused,permit_mynetworks",
            "smtpd_client_connection_count_limit": "0",
            "transport_maps": f"texthash:{top}/etc/transport",
            "virtual_mailbox_domains": "player.test",
            "virtual_mailbox_maps": f"texthash:{top}/etc/users",
            "virtual_mailbox_base": f"{top}/mail",
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "notify_classes": "",
            "queue_run_delay": "1s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "1s",
        } | self._main
        files = {
            "main.cf": "".join(f"{key} = {value}\n" for key, value in settings.items()),
            "master.cf": _MASTER.format(port=self.port),
            "transport": "".join(f"{domain} {way}\n" for domain, way in transports.items()),
            "users": "".join(f"{user}@player.test {user}/\n" for user in self._users),
            "refused": "refused@player.test 550 5.1.1 no such player\n",
        }
        for name, text in files.items():
            (self._etc / name).write_text(text)

    @property
    def _etc(self) -> Path:
        return self.directory / "etc"

    def _master_pid(self) -> int | None:
        """Its master's process id, where that process is alive and really is a Postfix master."""
        try:
            pid = int((self.directory / "spool/pid/master.pid").read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if self.port and name == "master" else None

    def _is_unlocked(self) -> bool:
        try:
            with (self.directory / "spool/pid/master.pid").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True

    async def _greeted(self) -> None:
        async def greets() -> bool:
            greeting = _Greeting()
            endpoint = TCP4ClientEndpoint(self._reactor, self.host, self.port, timeout=5)
            try:
                await connectProtocol(endpoint, greeting)
                line = await greeting.line.addTimeout(5, self._reactor)
            except defer.CancelledError:
                raise
            except Exception:
                return False
            finally:
                greeting.drop()
            return line.startswith(b"220")

        await until(greets, log=self.log)

    async def _run(self, *command: str) -> str:
        out, err, code = await getProcessOutputAndValue(command[0], command[1:], env=_ENVIRONMENT)
        if code:
            raise AssertionError(f"{' '.join(command)} exited {code}:\n{(out + err).decode()}\n{self.log()}")
        return str(out.decode())


class _Greeting(LineOnlyReceiver):
    def __init__(self) -> None:
        self.line: defer.Deferred[bytes] = defer.Deferred()

    def lineReceived(self, line: bytes) -> None:
        if not self.line.called:
            self.line.callback(line)

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:
        if not self.line.called:
            self.line.errback(reason)

    def drop(self) -> None:
        self.line.addErrback(lambda _: None)
        if self.transport is not None:
            self.transport.loseConnection()


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
