# A stage of deb-check.sh: the version before this one is installed and used, upgraded under systemd with what it kept
# in Redis and with a configuration file that the operator changed, and gone back to.
#
# OLD names the older commit; without it, the last whose debian/changelog begins with an older version. OLD_DEB takes a
# package that is there already.

older_commit() {
    local version="" commit
    for commit in $(git -C "$top" log --format=%H -- debian/changelog); do
        version=${version:-$(git -C "$top" show "$commit:debian/changelog" | head -1)}
        [ "$(git -C "$top" show "$commit:debian/changelog" | head -1)" = "$version" ] || break
        first=$commit
    done
    git -C "$top" rev-parse "$first^"
}

build_old() {
    build_commit "${OLD:-$(older_commit)}" "$WORK/old"
    OLD_DEB=$(ls "$WORK"/old/gatewayd_*.deb)
}

post() { inside curl -s -H 'Authorization: the-secret' -d "$2" "http://127.0.0.1:8080/amazing/$1"; }
id_of() { sed -n 's/.*"error_code":0,"ext_message_id":"\([^"]*\)".*/\1/p'; }
sms() { post sms "{\"ext_user_id\": \"$1\", \"body\": \"$2\", \"im_uid\": \"$2\"}"; }
email() {
    post email "{\"ext_user_id\": \"$1\", \"body\": \"<p>Hello</p>\", \"subject\": \"$2\", \"email_uid\": \"$2\",
        \"from_email_address\": \"news@amazing.co\"}"
}
heard() { grep -qx "$1 $2" "$tree/var/lib/far/heard"; }
ready() { inside curl -sf http://127.0.0.1:9090/readyz; }
count() { grep -c "$2" "$tree/var/lib/far/$1" 2> /dev/null || true; }
all_works() {
    eventually "not active: $(inside journalctl -u gatewayd -n 20 --no-pager)" inside systemctl is-active gatewayd
    eventually "not ready" ready
}

configuration() {
    cat << 'TOML'

# All below is the operator's own.
[labels.amazing]
allow_from = ["127.0.0.0/8"]
authorization = ["the-secret"]
api_key = "the-key"
callback_url = "http://127.0.0.1:8099/cb"
callback_hosts = ["127.0.0.1"]
callback_http = true
email_senders = ["*@amazing.co"]
sms_senders = ["Amazing"]
sms_sender = "Amazing"
directory = "players"
relays = ["main"]
sms_routes = [{prefix = "", via = ["world"]}]
[directories.players]
type = "sql"
driver = "sqlite3"
connect = {database = "/srv/players.db"}
query = "SELECT email, phone FROM players WHERE id = :ext_user_id"
[relays.main]
host = "127.0.0.1"
port = 2525
[smscs.world]
host = "127.0.0.1"
port = 2775
system_id = "gw"
password = "pw"
TOML
}

# What the operator has before the upgrade: messages in each state, a stop list, a changed file.
use_old() {
    inside redis-cli config set appendonly yes > /dev/null
    inside mkdir -p /var/lib/far
    # All that far_ends.py imports; test_debian.py sees to it that nothing is left out.
    local module
    for module in packaging/far_ends integration/{fair_clock,outside_{ports,smsc,smartico}}; do
        cp "$top/tests/$module.py" "$tree/var/lib/far/"
    done
    inside systemd-run --quiet --unit far-ends python3 /var/lib/far/far_ends.py /var/lib/far
    inside python3 -c "
import sqlite3
players = sqlite3.connect('/srv/players.db')
players.execute('CREATE TABLE players (id TEXT PRIMARY KEY, email TEXT, phone TEXT)')
players.executemany('INSERT INTO players VALUES (?, ?, ?)',
    [(f'p{n}', f'p{n}@players.example', f'+44770090012{n}') for n in range(1, 6)])
players.commit()"
    inside dpkg -i /var/tmp/old.deb > "$WORK/old-install.log" 2>&1 || { cat "$WORK/old-install.log"; die "install"; }
    configuration >> "$tree/etc/gatewayd/gatewayd.toml"
    eventually "nobody at the far end" test -s "$tree/var/lib/far/heard"
    inside systemctl restart gatewayd
    all_works
    delivered=$(sms p1 "an SMS that is over" | id_of)
    mailed=$(email p2 "a mail that is over" | id_of)
    submitted=$(sms p3 "its receipt comes later" | id_of)
    eventually "an SMS of the old version" heard "$delivered" delivered
    eventually "a mail of the old version" heard "$mailed" accepted
    eventually "an SMS of the old version" heard "$submitted" accepted
    inside gatewayctl suppress amazing p5 > /dev/null
    inside gatewayctl pause amazing > /dev/null
    waiting=$(sms p4 "waits for the upgrade" | id_of)
    waiting_mail=$(email p4 "waits for the upgrade, too" | id_of)
    [ -n "$delivered" ] && [ -n "$mailed" ] && [ -n "$submitted" ] && [ -n "$waiting" ] && [ -n "$waiting_mail" ] \
        || die "what the old version answered"
}

kept_everything() {
    tail -1 "$tree/etc/gatewayd/gatewayd.toml" | grep -x 'password = "pw"' || die "the operator's lines are lost"
    for id in "$delivered" "$mailed" "$submitted" "$waiting" "$waiting_mail"; do
        inside gatewayctl trace "$id" > "$WORK/trace.log" 2>&1 || { cat "$WORK/trace.log"; die "no trace of $id"; }
    done
    inside gatewayctl trace "$delivered" | grep delivered > /dev/null || die "the state of an old SMS"
    inside gatewayctl trace "an SMS that is over" | grep "$delivered" > /dev/null || die "an old message by its uid"
    inside gatewayctl export amazing p3 | grep "$submitted" > /dev/null || die "export does not name an old message"
}

upgrade() {
    say "the version before this one, with messages in each state"
    [ -n "${OLD_DEB:-}" ] || build_old
    clean_tree
    cp "$OLD_DEB" "$tree/var/tmp/old.deb"
    start_systemd
    use_old
    echo "old: $(inside dpkg-query -W gatewayd)"

    say "the new version reads the file before it is installed, as chapter 9.3 says"
    inside sh -c 'dpkg-deb -x /var/tmp/gatewayd.deb /tmp/new && cd /tmp/new/usr/lib/gatewayd &&
        PYTHONPATH=$(echo $PWD/lib/python3.*/site-packages) python3 bin/twistd gatewayd --config /etc/gatewayd/gatewayd.toml --check' \
        | grep -x ok || die "--check beforehand"

    say "upgrade"
    inside dpkg --force-confold -i /var/tmp/gatewayd.deb > "$WORK/from-old.log" 2>&1 \
        || { cat "$WORK/from-old.log"; die "upgrade"; }
    cat "$WORK/from-old.log"
    all_works
    echo "new: $(inside dpkg-query -W gatewayd)"
    inside test -e /etc/gatewayd/gatewayd.toml.dpkg-dist || die "no dpkg-dist"
    inside test -e /usr/share/doc/gatewayd/NEWS.Debian.gz || die "no NEWS"
    kept_everything
    [ "$(sms p1 'an SMS that is over' | id_of)" = "$delivered" ] || die "another id for an old uid"
    [ "$(email p5 'to whom we may not write' | id_of)" = "" ] || die "the stop list is lost"
    [ "$(count submits over)" = 1 ] || die "an old SMS was sent again"
    [ "$(count submits waits)$(count mails waits)" = 00 ] || die "the pause is lost"
    inside touch /var/lib/far/receipts
    eventually "a receipt for an SMS of the old version" heard "$submitted" delivered
    inside gatewayctl resume amazing > /dev/null
    eventually "an SMS that waited" heard "$waiting" delivered
    eventually "a mail that waited" heard "$waiting_mail" accepted
    [ "$(count submits waits)$(count mails waits)" = 11 ] || die "what waited was sent twice"
    again=$(sms p1 "by the new version" | id_of)
    eventually "an SMS of the new version" heard "$again" delivered

    say "a file that the new version refuses: it says so when it is installed, and starts once that is mended"
    inside sed -i 's|^\[admin\]|[admin]\nlisten = ["tcp:9090"]|' /etc/gatewayd/gatewayd.toml
    inside dpkg --force-confold -i /var/tmp/newer.deb > "$WORK/refused.log" 2>&1 || { cat "$WORK/refused.log"; die "upgrade"; }
    grep "admin.listen" "$WORK/refused.log" || { cat "$WORK/refused.log"; die "the installation does not name the error"; }
    inside sed -i '/^listen = \["tcp:9090"\]$/d' /etc/gatewayd/gatewayd.toml
    inside systemctl reset-failed gatewayd || true
    inside systemctl restart gatewayd
    all_works

    say "back to the old version, drained, as chapter 9.3 says"
    inside dpkg --force-confold -i /var/tmp/old.deb > "$WORK/back.log" 2>&1 || { cat "$WORK/back.log"; die "downgrade"; }
    all_works
    again=$(sms p1 "by the old version again" | id_of)
    eventually "an SMS after the downgrade" heard "$again" delivered
    inside gatewayctl trace "$delivered" | grep delivered > /dev/null || die "the state of an old SMS"
    inside systemctl poweroff || true
    wait "$nspawn" || true
    leader=""
}
