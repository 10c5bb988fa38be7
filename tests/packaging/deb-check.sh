#!/bin/bash
# Proves the Debian package: built and linted, installed, run, upgraded, removed and purged in a clean Debian 12, and
# booted there under a real systemd, where the version before it is upgraded, too. Needs root, mmdebstrap, systemd-nspawn
# (systemd-container), debhelper and lintian; the wheels come from wherever pip is configured to get them. SUITE=trixie
# does all of it in a Debian 13.
#
#     tests/packaging/deb-check.sh [build|offline|chroot|boot|upgrade ...]      no argument: all
#
# WORK keeps everything in that directory (a second run is faster); DEB takes a package that is there already, COMMIT
# another commit than HEAD.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
suite=${SUITE:-bookworm}
stages=${*:-build offline chroot boot upgrade}
made=""
if [ -z "${WORK:-}" ]; then
    WORK=$(mktemp -d /var/tmp/deb-check.XXXXXX)
    made=$WORK
fi
mkdir -p "$WORK"
tree=$WORK/tree
leader=""
nspawn=""

say() { printf '\n== %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
for program in mmdebstrap dpkg-buildpackage lintian; do
    command -v $program > /dev/null || die "this machine lacks $program"
done
[ "$(id -u)" = 0 ] || die "root is needed"
# What is committed is what is checked, the same in every stage.
commit=$(git -C "$top" rev-parse "${COMMIT:-HEAD}")

end() {
    status=$?
    trap - EXIT
    if [ -n "$leader" ]; then
        # Killing nspawn alone would leave its systemd running.
        inside systemctl poweroff > /dev/null 2>&1 || true
        wait "$nspawn" 2> /dev/null || true
    fi
    umount -q "$tree/proc" 2> /dev/null || true
    [ -z "$made" ] || rm -rf "$made"
    [ $status = 0 ] && echo "deb-check: ok ($stages)" || echo "deb-check: FAILED" >&2
    exit $status
}
trap end EXIT

# A booted tree is spoken to in its namespaces, another by chroot.
inside() {
    if [ -n "$leader" ]; then
        nsenter -t "$leader" -m -u -i -p -n -C -- "$@"
    else
        chroot "$tree" "$@"
    fi
}
eventually() {
    local what=$1
    shift
    for _ in $(seq 100); do
        "$@" > /dev/null 2>&1 && return 0
        sleep 0.2
    done
    die "$what"
}

# A commit's package in a directory: built on this machine where that runs the suite, else in a clean tree of the suite.
build_commit() {
    rm -rf "$2"
    mkdir -p "$2/gatewayd"
    if [ "$suite" = "$(. /etc/os-release && echo "$VERSION_CODENAME")" ]; then
        git -C "$top" archive "$1" | tar -x -C "$2/gatewayd"
        (cd "$2/gatewayd" && dpkg-buildpackage -us -uc -b > ../build.log 2>&1) \
            || { tail -40 "$2/build.log"; die "dpkg-buildpackage of $1"; }
    else
        build_in_tree "$1" "$2"
    fi
}

# In a clean tree that has only what debian/control asks for, and without any network: the wheels are brought along.
build_in_tree() {
    local from=$WORK/builder needs version
    if [ ! -s "$WORK/$suite-build.tar" ]; then
        needs=$(sed -n '/^Build-Depends:/,/^[A-Z]/s/^ \([a-z0-9-]*\).*/\1/p' "$top/debian/control" | sed 's/^dh-sequence.*/debhelper/; s/debhelper-compat/debhelper/' | sort -u | paste -sd,)
        mmdebstrap --quiet --variant=buildd --include="$needs" "$suite" "$WORK/$suite-build.tar"
    fi
    rm -rf "$from"
    mkdir -p "$from"
    tar -x -C "$from" -f "$WORK/$suite-build.tar"
    mkdir -p "$from/build"
    git -C "$top" archive --prefix=gatewayd/ "$1" | tar -x -C "$from/build"
    # For the tree's Python, which need not be this machine's; the newest platform first, as pip itself would choose.
    version=$(chroot "$from" python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')
    /usr/bin/python3 -m pip download --quiet --require-hashes --only-binary :all: --no-deps --constraint /dev/null \
        --python-version "$version" --implementation cp --abi "cp$version" --abi abi3 --abi none \
        $(printf -- "--platform %s_$(uname -m) " manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_24 manylinux_2_17 manylinux2014 manylinux2010 manylinux1) \
        -d "$from/build/gatewayd/debian/wheelhouse" -r "$from/build/gatewayd/debian/requirements.txt" 2> "$2/wheels.log" \
        || { tail "$2/wheels.log"; die "the wheels of $1"; }
    unshare -n chroot "$from" sh -c 'cd /build/gatewayd && dpkg-buildpackage -us -uc -b' > "$2/build.log" 2>&1 \
        || { tail -40 "$2/build.log"; die "dpkg-buildpackage of $1 in a clean $suite"; }
    rm -rf "$2/gatewayd"
    mv "$from"/build/* "$2/"
    rm -rf "$from"
}

build() {
    say "build"
    build_commit "$commit" "$WORK/source"
    DEB=$(ls "$WORK"/source/gatewayd_*.deb)
    ls -l "$DEB"
    say "lintian"
    lintian --allow-root --fail-on error "$WORK"/source/gatewayd_*.changes || die "lintian"
    say "every file in the environment has its paragraph in debian/copyright"
    python3 - "$DEB" "$WORK/source/gatewayd/debian/copyright" << 'PARAGRAPHS' || die "debian/copyright"
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

package, notice = sys.argv[1:]
blocks = re.findall(r"(?m)^Files: (.*(?:\n .*)*)", Path(notice).read_text())
patterns = [word for block in blocks for word in block.split() if word != "*"]
listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout.splitlines()
files = [line.split()[5].removeprefix("./") for line in listed if not line.startswith("d")]
foreign = [name for name in files if "/site-packages/" in name and "/gatewayd" not in name.partition("/site-packages")[2]]
nobodys = [name for name in foreign if not any(fnmatchcase(name, pattern) for pattern in patterns)]
unused = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in foreign)]
print(len(foreign), "files,", len(patterns), "patterns;", "without a paragraph:", nobodys[:9], "without a file:", unused)
sys.exit(bool(nobodys or unused))
PARAGRAPHS
    say "hardening"
    for unit in gatewayd gatewayd@; do
        systemd-analyze security --offline=yes --threshold=20 "$top/debian/$unit.service" | tail -1
    done
}

offline() {
    say "build in a clean $suite without network"
    rm -rf "$WORK/again"
    mkdir -p "$WORK/again"
    build_in_tree "$commit" "$WORK/again"
    ls -l "$WORK"/again/*.deb
    if [ -n "${DEB:-}" ]; then
        (cd "$WORK" && mkdir -p a b && dpkg-deb -R "$DEB" a && dpkg-deb -R again/gatewayd_*.deb b && diff -r --no-dereference a b) \
            > "$WORK/offline.diff" && echo "the same contents as the build above" || head -20 "$WORK/offline.diff"
        rm -rf "$WORK/a" "$WORK/b"
    fi
}

# The same package one version later, whose configuration file has changed, too.
newer() {
    rm -rf "$WORK/newer"
    dpkg-deb -R "$DEB" "$WORK/newer"
    sed -i 's/^Version: .*/&+next1/' "$WORK/newer/DEBIAN/control"
    echo "# A line of the next version." >> "$WORK/newer/etc/gatewayd/gatewayd.toml"
    (cd "$WORK/newer" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | xargs -d '\n' md5sum > DEBIAN/md5sums)
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$WORK/newer" "$WORK/newer.deb" > /dev/null
    cp "$WORK/newer.deb" "$tree/var/tmp/newer.deb"
}

clean_tree() {
    [ -f "$WORK/$suite.tar" ] || mmdebstrap --quiet --variant=apt \
        --include=systemd-sysv,dbus,redis-server,curl,python3,procps,ca-certificates,tzdata,faketime "$suite" "$WORK/$suite.tar"
    rm -rf "$tree"
    mkdir -p "$tree"
    tar -x -C "$tree" -f "$WORK/$suite.tar"
    # Without it `localhost` does not resolve.
    echo "127.0.0.1 localhost" > "$tree/etc/hosts"
    cp "$DEB" "$tree/var/tmp/gatewayd.deb"
    newer
}

apt_in() { inside env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Options::=--force-confold -qq -y "$@"; }

check_installed() {
    inside /usr/bin/test -x /usr/bin/gatewayctl
    inside gatewayctl --help > /dev/null || die "gatewayctl --help"
    [ "$(inside stat -c '%a %U:%G' /etc/gatewayd/secrets)" = "750 root:gatewayd" ] || die "secrets directory"
    [ "$(inside stat -c '%a %U:%G' /etc/gatewayd/secrets/secret.key)" = "640 root:gatewayd" ] || die "secret.key"
    [ "$(inside stat -c %s /etc/gatewayd/secrets/secret.key)" -ge 32 ] || die "secret.key is short"
    inside sh -c 'ls /usr/lib/gatewayd/lib/python3.*/site-packages/twisted/plugins/dropin.cache' || die "plugin cache"
    changed=$(inside dpkg -V gatewayd | grep -v ' c ' || true)
    [ -z "$changed" ] || die "dpkg -V: $changed"
    [ "$(inside /usr/lib/gatewayd/bin/twistd -n gatewayd --check)" = ok ] || die "--check"
    [ "$(inside find /usr/lib/gatewayd -name '*.pyc' | wc -l)" -gt 1000 ] || die "no byte code"
    inside /usr/lib/gatewayd/bin/python3 -I -c 'import psycopg, pymysql, phonenumbers, hiredis; phonenumbers.parse("+447700900123")'
}

check_gone() {
    [ ! -e "$tree/usr/lib/gatewayd" ] || die "left behind: $(find "$tree/usr/lib/gatewayd" | head -3)"
    [ ! -e "$tree/usr/bin/gatewayctl" ] || die "left behind: gatewayctl"
}

purged() {
    apt_in purge gatewayd > /dev/null 2>&1 || die "purge"
    check_gone
    [ ! -e "$tree/etc/gatewayd" ] || die "left behind: $(find "$tree/etc/gatewayd")"
    for kept in lib log; do [ ! -e "$tree/var/$kept/gatewayd" ] || die "left behind: /var/$kept/gatewayd"; done
}

in_chroot() {
    say "install in a clean $suite, without a running systemd"
    clean_tree
    mount -t proc proc "$tree/proc"
    apt_in install /var/tmp/gatewayd.deb > "$WORK/install.log" 2>&1 || { tail -20 "$WORK/install.log"; die "install"; }
    check_installed
    say "the smoke test of debian/tests"
    install -m 0755 "$top/debian/tests/smoke" "$tree/var/tmp/smoke"
    inside /var/tmp/smoke > "$WORK/smoke.log" 2>&1 || { tail -30 "$WORK/smoke.log"; die "smoke"; }
    say "the sandbox, as nobody"
    inside setpriv --reuid nobody --regid nogroup --clear-groups env HOME=/nonexistent \
        timeout 60 gatewayctl sandbox --once > "$WORK/sandbox.log" 2>&1 || { tail -30 "$WORK/sandbox.log"; die "sandbox"; }
    grep "^Both messages" "$WORK/sandbox.log"
    say "upgrade with a changed configuration file"
    echo "# The operator's own line." >> "$tree/etc/gatewayd/gatewayd.toml"
    key=$(sha256sum < "$tree/etc/gatewayd/secrets/secret.key")
    apt_in install /var/tmp/newer.deb > "$WORK/upgrade.log" 2>&1 || { tail -20 "$WORK/upgrade.log"; die "upgrade"; }
    tail -1 "$tree/etc/gatewayd/gatewayd.toml" | grep "operator's own" > /dev/null || die "the operator's line is lost"
    grep -q "next version" "$tree/etc/gatewayd/gatewayd.toml.dpkg-dist" || die "no dpkg-dist"
    [ "$key" = "$(sha256sum < "$tree/etc/gatewayd/secrets/secret.key")" ] || die "secret.key was changed"
    check_installed
    say "remove, install again"
    apt_in remove gatewayd > /dev/null 2>&1 || die "remove"
    check_gone
    [ -e "$tree/etc/gatewayd/secrets/secret.key" ] || die "remove took the secrets"
    apt_in install /var/tmp/newer.deb > "$WORK/again.log" 2>&1 || { tail -20 "$WORK/again.log"; die "install after remove"; }
    check_installed
    [ "$key" = "$(sha256sum < "$tree/etc/gatewayd/secrets/secret.key")" ] || die "remove and install changed secret.key"
    tail -1 "$tree/etc/gatewayd/gatewayd.toml" | grep "operator's own" > /dev/null || die "remove and install lost the operator's line"
    say "purge, install again"
    purged
    apt_in install /var/tmp/gatewayd.deb > "$WORK/again.log" 2>&1 || { tail -20 "$WORK/again.log"; die "install after purge"; }
    check_installed
    [ "$key" != "$(sha256sum < "$tree/etc/gatewayd/secrets/secret.key")" ] || die "purge kept secret.key"
    purged
    umount "$tree/proc"
}

start_systemd() {
    systemd-nspawn -q -D "$tree" --boot --private-network --register=no --keep-unit --console=read-only \
        < /dev/null > "$WORK/console.log" 2>&1 &
    nspawn=$!
    for _ in $(seq 100); do
        leader=$(pgrep -P $nspawn -x systemd || true)
        [ -z "$leader" ] || break
        sleep 0.1
    done
    [ -n "$leader" ] || { tail "$WORK/console.log"; die "systemd-nspawn"; }
    eventually "systemd does not come up" sh -c "nsenter -t $leader -a systemctl is-system-running | grep -E 'running|degraded'"
}

unit() { inside systemctl show -P "$1" "${2:-gatewayd.service}"; }
healthy() { inside curl -sf http://127.0.0.1:9090/healthz; }
restarted() { [ "$(unit NRestarts)" -gt "$1" ] && [ "$(unit ActiveState)" = active ]; }

in_systemd() {
    say "boot $suite under systemd, install"
    clean_tree
    # The booted tree has no network of its own: what the package depends on is in the tree already.
    start_systemd
    inside dpkg -i /var/tmp/gatewayd.deb > "$WORK/boot-install.log" 2>&1 || { cat "$WORK/boot-install.log"; die "install"; }
    eventually "not active after installation: $(inside journalctl -u gatewayd -n 20 --no-pager)" \
        sh -c "nsenter -t $leader -a systemctl is-active gatewayd"
    check_installed
    eventually "no health" healthy
    eventually "not ready on redis-server" inside curl -sf http://127.0.0.1:9090/readyz
    echo "user: $(inside ps -o user= -p "$(unit MainPID)"), $(inside systemd-analyze security gatewayd --no-pager | tail -1)"
    [ "$(inside ps -o user= -p "$(unit MainPID)")" = gatewayd ] || die "runs as somebody else"
    inside systemd-analyze verify --man=no gatewayd.service gatewayd@2.service || die "verify"

    say "the journal has one line an event, with its priority"
    inside journalctl -u gatewayd -n 8 --no-pager
    [ "$(inside journalctl -u gatewayd -p info..info -o cat --no-pager | grep -c ' runs as ')" = 1 ] || die "the journal"

    say "credentials"
    inside sh -c 'ls /run/credentials/gatewayd.service'
    inside test -e /run/credentials/gatewayd.service/secrets_secret.key || die "no credential"
    inside sed -i.before 's|^secret_key = .*|secret_key = "credential:secrets_secret.key"|' /etc/gatewayd/gatewayd.toml
    inside systemctl restart gatewayd
    inside systemctl reload gatewayd || die "a reload with a credential fails"
    inside mv /etc/gatewayd/gatewayd.toml.before /etc/gatewayd/gatewayd.toml
    inside systemctl restart gatewayd

    say "TLS works in the sandbox of the unit"
    # The unit's own sandbox around a probe: MemoryDenyWriteExecute= would break this, and leave plain HTTP working.
    cat > "$tree/var/lib/gatewayd/probe.py" <<'PROBE'
from OpenSSL import SSL
from twisted.internet.ssl import optionsForClientTLS, platformTrust
optionsForClientTLS("example.org", trustRoot=platformTrust())
SSL.Context(SSL.TLS_METHOD).set_alpn_select_callback(lambda *_: b"")
print("callbacks from OpenSSL into Python: ok")
PROBE
    inside sed -e '/^\(Type\|NotifyAccess\|ExecReload\|Restart\|RestartSec\|WatchdogSec\)=/d' \
        -e 's|^ExecStart=.*|Type=oneshot\nExecStart=/usr/lib/gatewayd/bin/python3 -I /var/lib/gatewayd/probe.py|' \
        /lib/systemd/system/gatewayd.service > "$WORK/probe.service"
    inside sh -c 'cat > /run/systemd/system/probe.service' < "$WORK/probe.service"
    inside systemctl daemon-reload
    inside systemctl start probe || { inside journalctl -u probe --no-pager; die "TLS callbacks"; }
    inside journalctl -u probe --no-pager -o cat | grep callbacks

    say "reload, crash, hang"
    inside systemctl reload gatewayd
    eventually "no health after reload" healthy
    # A file with an error: the reload fails, the status names the error, and the daemon goes on.
    inside sh -c 'cp -p /etc/gatewayd/gatewayd.toml /root/good.toml; echo "[labels.x]" >> /etc/gatewayd/gatewayd.toml'
    inside systemctl reload gatewayd && die "a reload with a broken file succeeds"
    inside systemctl status gatewayd --no-pager | grep 'Status: .*labels\.x' > /dev/null || die "the status does not name the error"
    healthy || die "no health after a broken reload"
    inside sh -c 'cp -p /root/good.toml /etc/gatewayd/gatewayd.toml'
    inside systemctl reload gatewayd
    before=$(unit NRestarts)
    inside systemctl kill -s KILL gatewayd
    eventually "not restarted after kill -9" restarted "$before"
    eventually "no health after kill -9" healthy
    inside mkdir -p /run/systemd/system/gatewayd.service.d
    printf '[Service]\nWatchdogSec=3\n' > "$WORK/watchdog.conf"
    inside sh -c 'cat > /run/systemd/system/gatewayd.service.d/watchdog.conf' < "$WORK/watchdog.conf"
    inside systemctl daemon-reload
    inside systemctl restart gatewayd
    before=$(unit NRestarts)
    sleep 5
    [ "$(unit NRestarts)" = "$before" ] || die "a healthy daemon was killed by its watchdog"
    inside systemctl kill -s STOP gatewayd
    eventually "a hanging daemon was not restarted" restarted "$before"

    say "the daemon's clock is set back by 600 s, then on by 3600 s"
    # The host's clock is not this container's to set, and the watchdog's is another: only the wall clock is faked.
    local library
    library=$(cd "$tree" && ls usr/lib/*/faketime/libfaketime.so.1)
    inside sh -c 'echo +0 > /run/offset && chmod 0644 /run/offset'
    printf 'Environment=%s\n' "LD_PRELOAD=/$library" FAKETIME_TIMESTAMP_FILE=/run/offset FAKETIME_NO_CACHE=1 \
        DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 >> "$WORK/watchdog.conf"
    inside sh -c 'cat > /run/systemd/system/gatewayd.service.d/watchdog.conf' < "$WORK/watchdog.conf"
    inside systemctl daemon-reload
    inside systemctl restart gatewayd
    eventually "not ready under faketime" inside curl -sf http://127.0.0.1:9090/readyz
    before=$(unit NRestarts)
    for offset in -600 +3000; do
        inside sh -c "echo $offset > /run/offset.new && mv /run/offset.new /run/offset"
        # Longer than the watchdog waits, and twice.
        for _ in $(seq 8); do
            healthy > /dev/null || die "no health after $offset s"
            sleep 1
        done
        [ "$(unit NRestarts)" = "$before" ] || die "the watchdog killed a daemon whose clock was set to $offset s"
        eventually "not ready after $offset s" inside curl -sf http://127.0.0.1:9090/readyz
    done
    inside journalctl -u gatewayd -n 50 -o cat --no-pager | grep "clock was set"
    [ "$(inside journalctl -u gatewayd -n 50 -o cat --no-pager | grep -c "clock was set")" = 2 ] || die "not said twice"
    inside rm -r /run/systemd/system/gatewayd.service.d
    inside systemctl daemon-reload

    say "a further worker"
    inside sed -i 's|^\[admin\]|[admin]\nlisten = ["unix:/run/gatewayd/admin-{instance}.sock"]|; s|^\[api\]|[api]\nreuse_port = true|' \
        /etc/gatewayd/gatewayd.toml
    inside systemctl restart gatewayd
    inside systemctl enable --now gatewayd@2 2> /dev/null || { inside journalctl -u gatewayd@2 -n 20 --no-pager; die "gatewayd@2"; }
    eventually "no health of worker 2" inside curl -sf --unix-socket /run/gatewayd/admin-2.sock http://localhost/healthz
    pid=$(unit MainPID gatewayd@2)
    if [ "$suite" != bookworm ]; then
        before=$(unit NRestarts)
        inside systemctl kill -s KILL gatewayd
        eventually "not restarted after kill -9" restarted "$before"
        [ "$(unit MainPID gatewayd@2)" = "$pid" ] || die "a crash of the first worker restarted the second"
    fi
    inside systemctl restart gatewayd
    eventually "worker 2 did not restart with the service" sh -c \
        "p=\$(nsenter -t $leader -a systemctl show -P MainPID gatewayd@2); [ \$p != $pid ] && [ \$p != 0 ]"

    say "stop, bad configuration, upgrade, purge"
    began=$(date +%s)
    inside systemctl stop gatewayd
    [ "$(unit Result) $(unit ExecMainStatus)" = "success 0" ] || die "stop: $(unit Result) $(unit ExecMainStatus)"
    echo "stopped in $(($(date +%s) - began)) s"
    inside systemctl is-active gatewayd@2 && die "worker 2 was not stopped"
    inside sh -c 'echo "nonsense = 1" >> /etc/gatewayd/gatewayd.toml'
    inside systemctl start gatewayd 2> /dev/null && die "started with a bad configuration"
    inside systemctl stop gatewayd
    inside journalctl -u gatewayd -n 50 --no-pager | grep 'nonsense: unknown key' > /dev/null || die "the error is not in the journal"
    inside sed -i '$d' /etc/gatewayd/gatewayd.toml
    inside systemctl reset-failed gatewayd || true
    inside systemd-run --quiet --unit squatter python3 -m http.server --bind 127.0.0.1 8080
    eventually "no squatter" inside curl -s http://127.0.0.1:8080/
    inside systemctl start gatewayd 2> /dev/null && die "started without its port"
    inside systemctl stop gatewayd squatter
    inside systemctl reset-failed gatewayd || true
    inside systemctl start gatewayd
    inside dpkg --force-confold -i /var/tmp/newer.deb > "$WORK/boot-upgrade.log" 2>&1 || { cat "$WORK/boot-upgrade.log"; die "upgrade"; }
    eventually "not active after the upgrade" sh -c "nsenter -t $leader -a systemctl is-active gatewayd gatewayd@2"
    inside dpkg --purge gatewayd > "$WORK/boot-purge.log" 2>&1 || { cat "$WORK/boot-purge.log"; die "purge"; }
    inside systemctl is-active gatewayd gatewayd@2 && die "still running after purge"
    check_gone
    [ ! -e "$tree/etc/systemd/system/gatewayd.service.wants" ] || die "left behind: the further worker is enabled still"
    inside systemctl poweroff || true
    wait "$nspawn" || true
    leader=""
}

. "$top/tests/packaging/deb_upgrade.sh"

case " $stages " in *" build "*) build ;; esac
case " $stages " in *" offline "*) offline ;; esac
[ -n "${DEB:-}" ] || DEB=$(ls "$WORK"/source/gatewayd_*.deb)
case " $stages " in *" chroot "*) in_chroot ;; esac
case " $stages " in *" boot "*) in_systemd ;; esac
case " $stages " in *" upgrade "*) upgrade ;; esac
