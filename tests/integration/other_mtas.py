"""Exim, OpenSMTPD and sendmail on loopback: Debian's packages, which can't be installed beside each other or Postfix.

    async with Mta(EXIM, lmtp_port) as relay:
        ...  # talk SMTP to 127.0.0.1, relay.port

Each runs in a mount and process namespace of its own, on the system's files with the packages' laid over them; nothing
of it is left when it stops. It is set up as the manual says (`gatewayd` is the name of the way back), and knows
``player@player.test``; OpenSMTPD's ``slow@player.test`` has no home and can't be delivered to, sendmail's
``gone@player.test`` is taken and then not delivered. Needs root, and apt's package lists.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from outside_ports import free_port
from twisted.internet.threads import deferToThread

from conftest import impossible, need
from redis_server import until

_CACHE = Path(tempfile.gettempdir()) / "gatewayd-test-packages"

_LAY = """\
set -e
top=$1
mount -t tmpfs tmpfs $top
mkdir $top/up $top/work $top/merged $top/packages
for package in $2/*.deb; do dpkg -x $package $top/packages; done
for name in bin sbin lib; do
  if [ -d $top/packages/$name ]; then
    mkdir -p $top/packages/usr/$name
    cp -a $top/packages/$name/. $top/packages/usr/$name/
    rm -r $top/packages/$name
  fi
done
mount -t overlay overlay -o lowerdir=$top/packages:/,upperdir=$top/up,workdir=$top/work $top/merged
mount -t proc proc $top/merged/proc
mount --rbind /dev $top/merged/dev
mount -t tmpfs -o mode=1777 tmpfs $top/merged/tmp
mount --bind $3 $top/merged/mnt
# This shell stays, and all ends with it: a set-user-ID server, as most are, forgets that it was to be killed.
chroot $top/merged sh -ec "ldconfig; . /mnt/start"
exit
"""


@dataclass(frozen=True)
class Kind:
    """One program: its packages, and `start`, a shell script that sets it up and runs it in the foreground.

    `a|b` among the packages is one that two releases call differently.

    In the script and the further `files` (in /mnt), PORT is where it listens and LMTP where gatewayd does.
    """

    name: str
    packages: tuple[str, ...]
    start: str
    files: dict[str, str]


class Mta:
    """One running; `log` is what it wrote."""

    host = "127.0.0.1"

    def __init__(self, kind: Kind, lmtp_port: int) -> None:
        self.kind = kind
        self.port = free_port()
        self._lmtp_port = lmtp_port
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        if os.geteuid() != 0:
            impossible("root, which a mail server in a namespace of its own needs")
        for program in ("unshare", "dpkg", "apt-get"):
            need(program)
        packages = await deferToThread(_fetched, self.kind)
        self._directory = Path(tempfile.mkdtemp(prefix=f"{self.kind.name}-"))
        files, top = self._directory / "files", self._directory / "top"
        files.mkdir()
        files.chmod(0o777)
        top.mkdir()
        for name, text in (self.kind.files | {"start": self.kind.start}).items():
            (files / name).write_text(text.replace("PORT", str(self.port)).replace("LMTP", str(self._lmtp_port)))
        command = ["unshare", "-m", "-p", "--fork", "--kill-child", "sh", "-c", _LAY, "sh"]
        with (files / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(top), str(packages), str(files)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            await until(self._greets, log=self.log)
        except AssertionError:
            said = self.log()
            await self.__aexit__()
            # Where nobody may, and in a chroot, whose top is no mount of its own.
            if re.search("Operation not permitted|permission denied|cannot change root filesystem", said):
                impossible("mount namespaces, in which a mail server of its own runs")
            raise AssertionError(said[-3000:]) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await deferToThread(self._process.wait)
        await deferToThread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _greets(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()[-3000:]

        def greets() -> bool:
            try:
                with socket.create_connection((self.host, self.port), 5) as peer:
                    return peer.recv(4) == b"220 "
            except OSError:
                return False

        return await deferToThread(greets)

    def log(self) -> str:
        """What it logged; for the message of a failed assertion."""
        return "".join(path.read_text("utf-8", "replace") for path in (self._directory / "files").glob("*log*"))


def _is_known(package: str) -> bool:
    return subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0


def _fetched(kind: Kind) -> Path:
    """The packages of `kind` as files, fetched once."""
    place = _CACHE / kind.name
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=place.parent))
        names = [next(filter(_is_known, words.split("|")), words) for words in kind.packages]
        done = subprocess.run(["apt-get", "download", "-qq", *names], cwd=fresh, capture_output=True, check=False)
        if done.returncode:
            shutil.rmtree(fresh)
            impossible(f"network to apt's packages {' '.join(kind.packages)}")
        fresh.rename(place)
    return place


EXIM = Kind(
    "exim",
    ("exim4-daemon-light", "exim4-base", "libidn12", "libgnutls-dane0t64|libgnutls-dane0", "libunbound8"),
    """\
echo "Debian-exim:x:901:901::/var/spool/exim4:/usr/sbin/nologin" >> /etc/passwd
echo "Debian-exim:x:901:" >> /etc/group
mkdir -p /var/spool/exim4 /var/log/exim4 /tmp/mail
chown Debian-exim: /var/spool/exim4 /var/log/exim4
chown nobody /tmp/mail
mkdir -p /etc/exim4
cp /mnt/exim.conf /etc/exim4/exim4.conf
chown -R root: /etc/exim4; chmod 0640 /etc/exim4/exim4.conf
umask 022
exec /usr/sbin/exim4 -bdf -q1s
""",
    {
        "exim.conf": """\
primary_hostname = relay.test
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
log_file_path = /mnt/%slog
dsn_advertise_hosts = 127.0.0.1
acl_smtp_rcpt = accept
delay_warning =

begin routers

gatewayd:
  driver = manualroute
  domains = bounces.test
  local_parts = ^(b|u|fbl)[+][a-z2-7]{47}\\$
  transport = gatewayd
  route_list = * 127.0.0.1 byname
  self = send
  no_more

player:
  driver = accept
  domains = player.test
  local_parts = player
  transport = box

begin transports

gatewayd:
  driver = smtp
  protocol = lmtp
  port = LMTP
  allow_localhost
  max_rcpt = 1

box:
  driver = appendfile
  directory = /tmp/mail
  maildir_format
  user = nobody

begin retry
* * F,1h,1s
"""
    },
)

OPENSMTPD = Kind(
    "opensmtpd",
    ("opensmtpd",),
    """\
printf '%s\\n' opensmtpd:x:902:902::/var/lib/opensmtpd/empty:/usr/sbin/nologin \\
  opensmtpq:x:903:903::/var/lib/opensmtpd/empty:/usr/sbin/nologin player:x:904:904::/tmp/player:/bin/sh \\
  slow:x:907:907::/nonexistent:/bin/sh >> /etc/passwd
printf '%s\\n' opensmtpd:x:902: opensmtpq:x:903: player:x:904: >> /etc/group
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd /tmp/player
chown player: /tmp/player
chmod 711 /var/spool/smtpd
cp /mnt/smtpd.conf /etc/smtpd.conf; chmod 0644 /etc/smtpd.conf
exec /usr/sbin/smtpd -d -f /etc/smtpd.conf
""",
    {
        "smtpd.conf": """\
queue ttl 3s
table gatewayd { "@bounces.test" }
listen on 127.0.0.1 port PORT hostname relay.test
action gatewayd relay host lmtp://127.0.0.1:LMTP
action box maildir "/tmp/player/mail"
match from any for rcpt-to regex { "^(b|u|fbl)[+][a-z2-7]{47}@bounces[.]test$" } action gatewayd
match from local for domain player.test action box
"""
    },
)

SENDMAIL = Kind(
    "sendmail",
    ("sendmail-bin", "sendmail-base", "sendmail-cf", "m4", "libsigsegv2", "libwrap0"),
    """\
printf '%s\\n' smmta:x:905:905::/var/lib/sendmail:/bin/false smmsp:x:906:906::/var/lib/sendmail:/bin/false \\
  player:x:904:904::/tmp/player:/bin/sh gone:x:907:904::/tmp/player:/bin/sh >> /etc/passwd
printf '%s\\n' smmta:x:905: smmsp:x:906: player:x:904: mail:x:8: >> /etc/group
mkdir -p /var/spool/mqueue /etc/mail /tmp/player /var/lib/sendmail/host_status
chown player: /tmp/player
m4 /usr/share/sendmail/cf/m4/cf.m4 /mnt/sendmail.mc > /etc/mail/sendmail.cf
printf 'bounces.test\\tgatewayd:gatewayd\\n' > /etc/mail/mailertable
/usr/libexec/sendmail/makemap hash /etc/mail/mailertable.db < /etc/mail/mailertable

printf 'hosts\\tfiles\\naliases\\tfiles\\n' > /etc/mail/service.switch
cp /etc/mail/service.switch /etc/mail/service.switch-nodns
echo "127.0.0.1 localhost relay.test $(hostname)" > /etc/hosts
rm -f /etc/resolv.conf
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > /etc/resolv.conf
echo postmaster: root > /etc/mail/aliases
/usr/libexec/sendmail/sendmail -bi
exec /usr/libexec/sendmail/sendmail -bD -q1s -X /mnt/talk.log
""",
    {
        "sendmail.mc": """\
divert(0)dnl
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `relay.test')dnl
define(`confTO_IDENT', `0')dnl
define(`confLDAP_DEFAULT_SPEC', `')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
FEATURE(`mailertable')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
LOCAL_DOMAIN(`player.test')dnl
DAEMON_OPTIONS(`Port=PORT, Addr=127.0.0.1, Name=MTA')dnl
FEATURE(`no_default_msa')dnl
define(`LOCAL_MAILER_PATH', `/bin/sh')dnl
define(`LOCAL_MAILER_ARGS', `sh /mnt/deliver $u')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
MAILER_DEFINITIONS
Mgatewayd, P=[IPC], F=DFMuXz, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=990,
	T=DNS/RFC822/SMTP, A=TCP [127.0.0.1] LMTP
""",
        # EX_NOUSER, as a local mailer says it that looks once more.
        "deliver": """\
cat > /dev/null
[ "$1" != gone ] || exit 67
""",
    },
)
