"""The sandbox's gatewayd.toml: two labels whose every way leads to a simulator."""

import json
from pathlib import Path

from gatewayd.sandbox.players import QUERY

LABEL, BY_HTTP, SECRET, API_KEY = "amazing", "by-http", "sandbox-secret", "sandbox-api-key"

_TEXT = """\
# Written by `gatewayctl sandbox`. A real one is explained in gatewayd.toml(5).
[gatewayd]
instance = "sandbox"
secret_key = "{key}"

[redis]
endpoint = "{redis}"

[api]
listen = ["tcp:{api}:interface=127.0.0.1"]

[public]
listen = ["tcp:{public}:interface=127.0.0.1"]
base_url = "http://127.0.0.1:{public}"

[admin]
listen = ["tcp:{admin}:interface=127.0.0.1"]

[bounces]
listen = ["tcp:{bounces}:interface=127.0.0.1"]
domain = "bounces.amazing.example"

[labels.amazing]
allow_from = ["127.0.0.0/8", "::1/128"]
authorization = ["{secret}"]
api_key = "{api_key}"
callback_url = "{callback}"
callback_hosts = ["127.0.0.1"]
callback_http = true
email_senders = ["*@amazing.co"]
sms_senders = ["Amazing"]
sms_sender = "Amazing"
directory = "players"
relays = ["sandbox"]
sms_routes = [{{prefix = "", via = ["sandbox"]}}]
im_via = ["inbox"]
track_opens = true
one_click_unsubscribe = true

[labels.by-http]
allow_from = ["127.0.0.0/8", "::1/128"]
authorization = ["{secret}"]
api_key = "{api_key}"
callback_url = "{callback}"
callback_hosts = ["127.0.0.1"]
callback_http = true
sms_senders = ["Amazing"]
sms_sender = "Amazing"
directory = "players"
sms_routes = [{{prefix = "", via = ["vendor"]}}]

[directories.players]
type = "sql"
driver = "sqlite3"
connect = {{database = "{players}"}}
query = "{query}"
default_region = "GB"

[relays.sandbox]
host = "127.0.0.1"
port = {relay}

[smscs.sandbox]
host = "127.0.0.1"
port = {smsc}
system_id = "sandbox"
password = "sandbox"
rate = ""
window = 100

[providers.vendor]
url = "{vendor}sms"
fields = {{to = "{{to}}", from = "{{sender}}", text = "{{text}}", id = "{{message_id}}", dlr = "{{report_url}}"}}
answer = {{taken = [{{path = "messages.*.status", values = ["0"]}}], ids = "messages.*.id"}}
reports = {{id = "id", status = "status", states = {{DELIVERED = "delivered"}}}}

[providers.inbox]
carries = "im"
url = "{vendor}im"
fields = {{to = "{{address}}", from = "{{sender}}", text = "{{text}}", id = "{{message_id}}", dlr = "{{report_url}}"}}
reports = {{status = "status", states = {{shown = "delivered"}}}}
"""


def write(path: Path, **words: object) -> Path:
    """Write it to `path`; `words` are the place-holders: ports, paths and addresses of what was started."""
    # As JSON writes a string TOML reads it.
    quoted = {name: json.dumps(str(word), ensure_ascii=False)[1:-1] for name, word in words.items()}
    path.write_text(_TEXT.format(secret=SECRET, api_key=API_KEY, query=QUERY, **quoted))
    return path
