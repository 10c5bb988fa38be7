"""The verbs of the stop list and of the guard: by every spelling of an id, in steps, to a file and from one."""

import csv
import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from admin_world import KEYS, World
from gatewayd.core.model import Channel
from gatewayd.operators import asking, show, stop_files, stop_rows
from gatewayd.operators.adminclient import Unhappy


class Client:
    """The client's way to an Admin in memory."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.orders: list[str] = []
        self.dies_after = 9999  # orders

    def post(self, path: str, order: Any) -> Any:
        """As AdminClient."""
        return self.post_text(path, json.dumps(order))

    def post_text(self, path: str, raw: str) -> Any:
        """As AdminClient."""
        if not self.dies_after:
            raise Unhappy(503, "Redis is away")
        self.dies_after -= 1
        self.orders.append(raw)
        reply = self.world.ask(path, raw.encode(), Content_Type="application/json")
        if reply.status != 200:
            raise Unhappy(reply.status, reply.json["error"])
        return reply.json


@pytest.fixture
def client() -> Client:
    """An admin listener with an empty stop list."""
    return Client(World())


def options(tmp_path: Path, **changed: Any) -> Namespace:
    """What argparse makes of the command line."""
    asked: dict[str, Any] = {"label": "amazing", "channel": None, "since": 0.0, "json": True, "look_up": False}
    asked |= {"export_file": str(tmp_path / "out.csv"), "import_file": str(tmp_path / "in.csv")}
    return Namespace(**asked | changed)


def every(client: Client, asked: Namespace) -> list[Any]:
    """The whole list."""
    return [stop for channel in Channel for stop in stop_files.every(client, asked, channel)]


def test_a_player_is_on_and_off_the_list_by_any_spelling(client: Client, tmp_path: Path) -> None:
    """What was put on as 01001 is listed as the directory spells it, and taken off as 1001, and the other way round."""
    for there, back in (("01001", "1001"), ("1001", "01001")):
        client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": there, "channel": "sms"})
        [stop] = every(client, options(tmp_path))
        assert (stop["ext_user_id"], stop["channel"], stop["reason"]) == ("1001", "sms", "operator")
        told = client.post("/verbs/unsuppress", {"label": "amazing", "ext_user_id": back})
        assert told["unsuppressed"] == ["sms"]
        assert every(client, options(tmp_path)) == []


def test_erasing_a_player_takes_the_id_off_the_list(client: Client, tmp_path: Path) -> None:
    """The stop holds; and the asker is told how else the player is called."""
    client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": "1001"})
    told = client.post("/verbs/erase", {"label": "amazing", "ext_user_id": "01001"})
    assert told["also"] == ["1001"]
    assert {stop["ext_user_id"] for stop in every(client, options(tmp_path))} == {""}


def test_what_an_operator_does_is_in_the_audit_log(client: Client, tmp_path: Path) -> None:
    """Who takes a player off the list, writes to them and puts them on again can be asked why."""
    order = {"label": "amazing", "ext_user_id": "01001", "channel": "sms"}
    client.post("/verbs/unsuppress", order)
    client.post("/verbs/suppress", order)
    client.post("/verbs/unsuppress", order)
    asked = options(tmp_path, channel="email")
    Path(asked.import_file).write_text("ext_user_id\na\nb\n", "utf-8")
    stop_files.bring(asked, client)
    found = [(one.what, one.label, one.channel, one.ext_user_id, one.reason) for one in client.world.decisions]
    assert found == [
        ("stop put", "amazing", "sms", "1001", "by an operator"),
        ("stop lifted", "amazing", "sms", "1001", "by an operator"),
        ("stop put", "amazing", "email", "", "2 from a file, by an operator"),
    ]
    client.world.decisions.clear()
    client.post("/verbs/erase", {"label": "amazing", "ext_user_id": "1001"})
    [erased] = client.world.decisions
    name = KEYS.user_hashes("amazing", "1001")[0]
    assert (erased.what, erased.label, erased.ext_user_id) == ("player erased", "amazing", "")
    assert erased.reason == f"by an operator, of whom the keyed hash is {name}"


def test_an_export_that_is_killed_leaves_no_file(tmp_path: Path) -> None:
    """By a service manager's SIGTERM, as by Ctrl-C: no half list lies about under a hidden name."""
    run: list[subprocess.Popen[str]] = []

    class HalfList(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            order = self.rfile.read(int(self.headers["Content-Length"]))
            if b'"cursor": "0"' not in order:
                assert [path.name[:9] for path in tmp_path.iterdir()] == [".out.csv."]
                run[0].terminate()
                run[0].wait(60)
                return
            self.send_response(200)
            self.end_headers()
            stop = dict.fromkeys(stop_rows.COLUMNS, "x")
            self.wfile.write(json.dumps({"cursor": "7", "stops": [stop]}).encode())

        def log_message(self, *words: object) -> None:
            pass

    config = tmp_path.with_suffix(".toml")
    with HTTPServer(("127.0.0.1", 0), HalfList) as server:
        config.write_text(f'[admin]\nlisten = ["tcp:{server.server_port}:interface=127.0.0.1"]\n')
        words = ["--config", str(config), "stops", "amazing", "--export", str(tmp_path / "out.csv")]
        run.append(subprocess.Popen([sys.executable, "-m", "gatewayd.ctl", *words], stderr=subprocess.PIPE, text=True))
        server.timeout = 60
        server.handle_request()
        server.handle_request()
    assert run[0].communicate(timeout=60)[1] == "gatewayctl: stopped\n"
    assert run[0].returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_what_was_exported_can_be_imported(client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the players' ids, and where these are not known by the hashes; twice is once."""
    world = client.world
    for number in range(5):
        client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": f"p,{number}", "channel": "email"})
    client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": "1001"})
    client.post("/verbs/erase", {"label": "amazing", "ext_user_id": "1001"})
    asked = options(tmp_path)
    before = every(client, asked)
    assert stop_files.write(asked, iter(before)) == 0
    assert json.loads(capsys.readouterr().out) == {"label": "amazing", "exported": 8, "without_player_id": 3}
    assert Path(asked.export_file).stat().st_mode & 0o077 == 0
    world.store.db.stop.clear()
    world.store.db.stops.clear()
    asked.import_file = asked.export_file
    for _ in range(2):
        assert stop_files.bring(asked, client) == 0
        assert json.loads(capsys.readouterr().out) == {"label": "amazing", "imported": 8, "ended": 0}
    assert sorted(every(client, asked), key=str) == sorted(before, key=str)


@pytest.mark.parametrize(
    "player", [" 1001", "1001 ", "a\u00a0b", "a\u200bb", "zo\u0308", "-1", '"', "a,b", "\ufeff1", "=1+1"]
)
def test_an_id_comes_back_from_a_file_as_it_is(client: Client, tmp_path: Path, player: str) -> None:
    """Whatever a request can have: with another one in its place the player would get mail again."""
    asked = options(tmp_path, channel="sms")
    client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": player, "channel": "sms"})
    stop_files.write(asked, iter(every(client, asked)))
    client.post("/verbs/unsuppress", {"label": "amazing", "ext_user_id": player, "channel": "sms"})
    assert every(client, asked) == []
    asked.import_file = asked.export_file
    stop_files.bring(asked, client)
    assert [stop["ext_user_id"] for stop in every(client, asked)] == [player]


def test_blanks_around_an_id_of_another_system_are_none_of_it(client: Client, tmp_path: Path) -> None:
    """Databases fill columns up with them; what we wrote ourselves has a keyed hash beside it."""
    asked = options(tmp_path, channel="sms")
    Path(asked.import_file).write_text("EXT_USER_ID , Reason, Channel\n1001   , moved, SMS\n", "utf-8")
    stop_files.bring(asked, client)
    assert [(stop["ext_user_id"], stop["reason"]) for stop in every(client, asked)] == [("1001", "moved")]


def test_a_list_that_breaks_off_leaves_the_file_as_it_was(client: Client, tmp_path: Path) -> None:
    """A part of it would pass for all of it, and the former list would be gone; so would one that never came."""
    asked = options(tmp_path)
    Path(asked.export_file).write_text("yesterday's", "utf-8")
    client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": "1001"})
    client.dies_after = 1
    for _ in range(2):
        with pytest.raises(Unhappy, match="Redis is away"):
            stop_files.write(asked, (stop for channel in Channel for stop in stop_files.every(client, asked, channel)))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert Path(asked.export_file).read_text("utf-8") == "yesterday's"
    client.dies_after = 9
    target = Path(asked.export_file).rename(tmp_path / "target.csv")
    Path(asked.export_file).symlink_to(target)
    stop_files.write(asked, (stop for channel in Channel for stop in stop_files.every(client, asked, channel)))
    assert Path(asked.export_file).is_symlink()
    assert len(target.read_text("utf-8").splitlines()) == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_an_address_that_was_imported_is_taken_off_with_its_player(client: Client, tmp_path: Path) -> None:
    """As one that bounced: a list that came back from a file must not stop a player for good."""
    asked = options(tmp_path, channel="email")
    name = KEYS.address_hashes("anna@example.com")[0]
    Path(asked.import_file).write_text(f"kind,ext_user_id,keyed_hash\naddress,1001,{name}\n", "utf-8")
    stop_files.bring(asked, client)
    assert [(stop["kind"], stop["ext_user_id"]) for stop in every(client, asked)] == [("address", "1001")]
    told = client.post("/verbs/unsuppress", {"label": "amazing", "ext_user_id": "1001"})
    assert told["unsuppressed"] == ["email"]
    assert every(client, asked) == []


def test_ids_of_a_file_may_be_looked_up(client: Client, tmp_path: Path) -> None:
    """Another system writes them with zeros in front: the messages of that player come under the directory's own id."""
    asked = options(tmp_path, channel="sms", look_up=True)
    Path(asked.import_file).write_text("ext_user_id\n01001\n1001\nunknown\n", "utf-8")
    stop_files.bring(asked, client)
    assert {stop["ext_user_id"] for stop in every(client, asked)} == {"1001", "unknown"}
    Path(asked.import_file).write_text("ext_user_id\n" + "".join(f"p{number}\n" for number in range(50)), "utf-8")
    client.orders.clear()
    stop_files.bring(asked, client)
    assert [len(json.loads(order)["rows"]) for order in client.orders] == [20, 20, 10]
    client.world.players.down = True
    Path(asked.import_file).write_text("ext_user_id\nlate\n", "utf-8")
    with pytest.raises(Unhappy, match=r"0 of 1 rows were brought; .* directory of amazing can't say"):
        stop_files.bring(asked, client)
    assert "late" not in {stop["ext_user_id"] for stop in every(client, asked)}


def test_a_file_of_players_is_enough(client: Client, tmp_path: Path) -> None:
    """One column; without --channel they are stopped everywhere, for as long as the label keeps them."""
    asked = options(tmp_path, channel="sms")
    Path(asked.import_file).write_text('\ufeffext_user_id\n1001\n"a, b"\n', "utf-8")
    stop_files.bring(asked, client)
    found = {(stop["ext_user_id"], stop["channel"]) for stop in every(client, asked)}
    assert found == {("1001", "sms"), ("a, b", "sms")}
    name = KEYS.user_hashes("amazing", "1001")[0]
    assert client.world.store.db.stop["amazing", Channel.SMS, name] == client.world.clock.seconds() + 86400
    stop_files.bring(options(tmp_path), client)
    assert len(every(client, options(tmp_path))) == 6


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name\nx\n", "line 1: the first line names neither a column ext_user_id nor a column keyed_hash$"),
        ("ext_user_id;channel\n1;sms\n", "line 1: .* nor a column keyed_hash: columns are separated by commas"),
        ("channel\text_user_id\nsms\t1\n", "line 1: .*: columns are separated by commas"),
        ("ext_user_id,channel\na,email\nb,fax\n", "line 3: channel is none of email, sms, im"),
        ("ext_user_id,since\na,yesterday\n", "line 2: since is no time"),
        ('ext_user_id\n""\n', "line 2: neither ext_user_id nor keyed_hash"),
        ("keyed_hash\nxyz\n", "line 2: keyed_hash is none"),
        ("ext_user_id,kind\na,address\n", "line 2: keyed_hash is none"),
        ("ext_user_id,kind\na,person\n", "line 2: kind is neither"),
        ("ext_user_id\na\x07b\n", "line 2: ext_user_id is no id"),
        ("ext_user_id\na\n\na, b\nc\n", "line 4: 2 fields where the first line names 1: a comma"),
        ('ext_user_id,reason\na,x\nb,"y\nc,z\n', "line 3: unexpected end of data"),
        ('ext_user_id,reason\na,x\nb,"y\nc,z"\nd,\n', "line 3: reason goes over several lines"),
        ('ext_user_id\na\n"b"c\n', "line 3: ',' expected after '\"'"),
        ("ext_user_id\na\n" + "b" * 140_000, "line 3: field larger than"),
        ("ext_user_id,since,since\na,,\n", "line 1: the first line names the column since twice"),
        ("ext_user_id,reason\na,\x1b[2J\n", "line 2: reason has characters"),
        ("ext_user_id,until\na,9999-99-99\n", "line 2: until is no time"),
    ],
)
def test_nothing_is_imported_of_a_file_with_a_fault(client: Client, tmp_path: Path, text: str, fault: str) -> None:
    """The lines are named, and nothing has changed."""
    asked = options(tmp_path)
    Path(asked.import_file).write_text(text, "utf-8")
    with pytest.raises(Unhappy, match=fault):
        stop_files.bring(asked, client)
    assert client.orders == []


def test_a_file_that_can_not_be_read_is_said(client: Client, tmp_path: Path) -> None:
    """One that is not there, and one that is no text."""
    asked = options(tmp_path)
    with pytest.raises(Unhappy, match="can't be read: No such file"):
        stop_files.bring(asked, client)
    Path(asked.import_file).write_bytes(b"ext_user_id\n\xff\n")
    with pytest.raises(Unhappy, match="line 2: ext_user_id is no UTF-8"):
        stop_files.bring(asked, client)


def test_a_list_goes_to_what_is_no_file(client: Client, tmp_path: Path) -> None:
    """As a pipe of the shell's; there is nothing that could take its place."""
    here, there = os.pipe()
    client.post("/verbs/suppress", {"label": "amazing", "ext_user_id": "1001"})
    asked = options(tmp_path, export_file=f"/dev/fd/{there}")
    stop_files.write(asked, iter(every(client, asked)))
    os.close(there)
    with os.fdopen(here) as pipe:
        assert len(pipe.read().splitlines()) == 4


def test_standard_input_can_not_be_read_twice(client: Client, tmp_path: Path) -> None:
    """It is no file named "-"."""
    with pytest.raises(Unhappy, match="save it as a file first"):
        stop_files.bring(options(tmp_path, import_file="-"), client)  # type: ignore[arg-type]


def test_what_is_no_file_is_not_imported_as_if_it_were_empty(client: Client, tmp_path: Path) -> None:
    """A pipe can't be read twice, a device has no end; nothing of either is lost silently, or waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(Unhappy, match="save it as a file first"):
            stop_files.bring(options(tmp_path, import_file=name), client)  # type: ignore[arg-type]
    here, there = os.pipe()
    os.write(there, b"ext_user_id\na\n")
    os.close(there)
    with pytest.raises(Unhappy, match="save it as a file first"):
        stop_files.bring(options(tmp_path, import_file=f"/dev/fd/{here}"), client)  # type: ignore[arg-type]
    os.close(here)


def test_an_import_that_is_interrupted_says_how_far_it_got(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And done again it is whole."""
    asked = options(tmp_path, channel="sms")
    Path(asked.import_file).write_text("ext_user_id\n" + "".join(f"p{number}\n" for number in range(1200)), "utf-8")
    client.dies_after = 1
    with pytest.raises(Unhappy, match="500 of 1200 rows were brought; import the file again for the rest: Redis is"):
        stop_files.bring(asked, client)  # type: ignore[arg-type]
    client.dies_after = 9999
    stop_files.bring(asked, client)  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out)["imported"] == 1200
    assert len(every(client, asked)) == 1200


def test_the_list_as_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Written as it comes, and the same as if it had been written at once."""
    for stops in ([], [{"a": "x\x1b", "b": 1}], [{"a": 1}, {"b": []}]):
        show.as_json({"label": "amazing", "stops": stops})
        at_once = capsys.readouterr().out
        show.as_json_list({"label": "amazing"}, "stops", iter(stops))
        assert capsys.readouterr().out == at_once


def test_a_list_that_can_not_be_had_is_an_error_and_nothing_else(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads JSON gets one document, be it the error."""
    client.dies_after = 0
    found = stop_files.every(client, options(tmp_path), "sms")  # type: ignore[arg-type]
    with pytest.raises(Unhappy, match="Redis is away"):
        show.as_json_list({"label": "amazing"}, "stops", found)
    assert capsys.readouterr().out == ""


def test_orders_of_an_import_are_small(client: Client, tmp_path: Path) -> None:
    """Whatever stands in the lines: the listener takes 64 KiB, and answers others meanwhile."""
    asked = options(tmp_path, channel="email")
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(["ext_user_id", "reason"])
    lines.writerows([f"p{number}" * (number % 90 + 1), "\u20ac" * 250] for number in range(1000))
    Path(asked.import_file).write_text(out.getvalue(), "utf-8")
    stop_files.bring(asked, client)
    assert len(every(client, asked)) == 1000
    assert max(len(order) for order in client.orders if "rows" in order) < 65536


def test_what_ended_is_not_imported(client: Client, tmp_path: Path) -> None:
    """It is counted."""
    asked = options(tmp_path, channel="email")
    Path(asked.import_file).write_text("ext_user_id,until\na,2001-01-01\nb,2999-01-01T00:00:00Z\n", "utf-8")
    stop_files.bring(asked, client)
    assert [stop["ext_user_id"] for stop in every(client, asked)] == ["b"]


def test_wrong_orders_are_refused(client: Client) -> None:
    """An unknown label, too many rows, a guard that would be lifted for ever, or that is none."""
    rows = [{"channel": "sms", "ext_user_id": str(number)} for number in range(501)]
    orders: list[tuple[str, dict[str, Any], str]] = [
        ("/verbs/stops", {"label": "nobody", "channel": "sms"}, "there is no label"),
        ("/verbs/stops/import", {"label": "nobody", "rows": []}, "there is no label"),
        ("/verbs/stops/import", {"label": "amazing", "rows": rows}, "no more than 500"),
        ("/verbs/guard", {"label": "nobody", "seconds": 60}, "there is no label"),
        ("/verbs/guard", {"label": "amazing", "seconds": 1e9}, "seconds"),
        ("/verbs/guard", {"label": "other", "seconds": 60}, "label 'other' has no intake_rate"),
    ]
    for path, order, fault in orders:
        with pytest.raises(Unhappy, match=fault):
            client.post(path, order)


def test_a_guard_is_lifted(client: Client) -> None:
    """For so many seconds."""
    assert client.post("/verbs/guard", {"label": "amazing", "seconds": 3600})["lifted_for_seconds"] == 3600
    assert client.world.lifted == [("amazing", 3600.0)]


def test_a_file_that_cant_be_written_or_read_is_one_line(client: Client, tmp_path: Path) -> None:
    """No traceback, and no line of a file that was not opened."""
    nowhere = str(tmp_path / "nowhere" / "stops.csv")
    with pytest.raises(Unhappy, match="can't be written: No such file"):
        stop_files.write(options(tmp_path, export_file=nowhere), iter(()))
    with pytest.raises(Unhappy, match=r"nothing was imported: .*can't be read: No such file") as caught:
        stop_files.bring(options(tmp_path, import_file=nowhere), client)  # type: ignore[arg-type]
    assert "line" not in str(caught.value)


def test_another_program_on_our_port_is_named(tmp_path: Path) -> None:
    """As a Prometheus on the same host, whose own port that is: gatewayd cannot be there, and `check` says so."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *words: object) -> None:
            pass

    config = tmp_path / "gatewayd.toml"
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        config.write_text(f'[admin]\nlisten = ["tcp:{server.server_port}:interface=127.0.0.1"]\n')
        answering = Thread(target=server.handle_request)
        answering.start()
        (said,) = asking.what_it_lacks(Namespace(config=str(config), instance="", operator=""))
        answering.join()
    assert "does another program have that port?" in said
    assert asking.what_it_lacks(Namespace(config=str(config), instance="", operator="")) == []
