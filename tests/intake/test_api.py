"""Smartico's endpoints over memory: who may call, and that whatever is sent is answered in JSON with status 200."""

import io
import ipaddress
import json
from typing import Any

import pytest
import pytest_twisted
import treq
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher

from fakes import FakeStopList
from gatewayd.core.errors import ErrorCode
from gatewayd.core.model import Channel
from gatewayd.http.peers import Networks, address_in
from gatewayd.http.request import Request
from gatewayd.operators.log import REPEATS, Observer
from intake_world import EMAIL, KEYS, SECRET, SMS, Intake, label

PROXY = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("10.0.0.0/8"))


@pytest_twisted.ensureDeferred
async def test_an_email_is_taken() -> None:
    """The example of the protocol's page is answered with error_code 0 and an id, and is stored."""
    intake = Intake()
    status, answer = await intake.post("/amazing/email", EMAIL)
    assert (status, answer["error_code"]) == (200, 0)
    assert len(answer["ext_message_id"]) == 36
    assert list(intake.store.db.rows) == [answer["ext_message_id"]]
    assert intake.meter.intakes == [("amazing", Channel.EMAIL, ErrorCode.TAKEN)]


@pytest.mark.parametrize("path", ["/amazing/sms", "/amazing/im"])
@pytest_twisted.ensureDeferred
async def test_an_sms_is_taken(path: str) -> None:
    """An SMS and an instant message are the same endpoint."""
    assert await Intake().code(path, SMS) == 0


@pytest_twisted.ensureDeferred
async def test_the_same_uid_gets_the_same_id() -> None:
    """A repeated request is answered as the first was, and stored once."""
    intake = Intake()
    first = await intake.post("/amazing/email", EMAIL)
    assert await intake.post("/amazing/email", EMAIL | {"callback_url": "https://b.smartico.ai/"}) == first
    assert len(intake.store.db.rows) == 1


@pytest_twisted.ensureDeferred
async def test_sms_and_im_share_their_uids() -> None:
    """im_uid names one message whichever of the two paths it came by."""
    intake = Intake()
    assert await intake.post("/amazing/sms", SMS) == await intake.post("/amazing/im", SMS)


@pytest_twisted.ensureDeferred
async def test_the_same_uid_with_other_content_is_a_conflict() -> None:
    """uid_conflict for each field that is content."""
    intake = Intake()
    await intake.post("/amazing/email", EMAIL)
    intake.players.players["other"] = intake.players.players["hhu234556"]
    for field, value in (
        ("ext_user_id", "other"),
        ("from_email_address", "x@amazing.co"),
        ("reply_to_email_address", "x@amazing.co"),
        ("subject", "another"),
        ("body", "another"),
        ("text_body", "another"),
        ("activity_type", "preview"),
    ):
        assert await intake.code("/amazing/email", EMAIL | {field: value}) == 9, field
    assert len(intake.store.db.rows) == 1


BROKEN: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b'{"ext_user_id": }',
    b"\xff\xfe{}",
    json.dumps(EMAIL).encode() + b"x",
    json.dumps(EMAIL).encode().replace(b"hhu234556", b"hhu\xff"),
    json.dumps(EMAIL).encode().replace(b"hhu234556", b"\\ud800x"),
    json.dumps(EMAIL).encode().replace(b'"hhu234556"', b"NaN"),
    json.dumps(EMAIL).encode().replace(b'"hhu234556"', b"1e999"),
    json.dumps(EMAIL).encode().replace(b'"hhu234556"', b"9" * 6000),
    b'{"x":' + b"[" * 9000 + b"]" * 9000 + b"}",
    b'{"ext_user_id":"a",' + json.dumps(EMAIL).encode()[1:],
    b'{"ext_user_\\u0069d":"a",' + json.dumps(EMAIL).encode()[1:],
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
@pytest_twisted.ensureDeferred
async def test_what_is_not_an_object_of_json_is_refused(body: bytes) -> None:
    """Broken bytes of every kind are invalid_request, and store nothing."""
    intake = Intake()
    assert await intake.code("/amazing/email", body) == 3
    assert not intake.store.db.rows


@pytest.mark.parametrize("value", [None, True, 1.5e300, 12.0, [], {}, ["a"]])
@pytest.mark.parametrize("field", sorted(EMAIL | {"activity_type": "", "to_email_address": ""}))
@pytest_twisted.ensureDeferred
async def test_a_field_that_is_no_string_is_refused_by_name(field: str, value: Any) -> None:
    """invalid_request names the field, for optional fields too."""
    status, answer = await Intake().post("/amazing/email", EMAIL | {field: value})
    assert (status, answer["error_code"]) == (200, 3)
    assert field in answer["error_message"]
    body = json.dumps(EMAIL | {field: "?"}).encode().replace(b'"?"', b"-1e999")
    status, answer = await Intake().post("/amazing/email", body)
    assert (status, answer["error_code"]) == (200, 3)
    assert field in answer["error_message"]


@pytest.mark.parametrize(("activity", "expected"), [("preview", 0), ("", 5), (" ", 5), ("\u00a0\u2003", 5)])
@pytest_twisted.ensureDeferred
async def test_blanks_are_no_activity(activity: str, expected: int) -> None:
    """Who is on the stop list gets nothing because a template left activity_type blank."""
    intake = Intake()
    player = KEYS.user_hashes("amazing", EMAIL["ext_user_id"])[0]
    await FakeStopList(intake.store).put("amazing", Channel.EMAIL, player, 3600)
    assert await intake.code("/amazing/email", EMAIL | {"activity_type": activity}) == expected


@pytest.mark.parametrize("field", [name for name in EMAIL if name != "ext_user_id"])
@pytest_twisted.ensureDeferred
async def test_only_ext_user_id_may_be_a_number(field: str) -> None:
    """A number in another field is refused."""
    for number in (5, 1.5):
        assert await Intake().code("/amazing/email", EMAIL | {field: number}) == 3


@pytest.mark.parametrize("number", [0, 42, -7, 2**53 + 1, 2**64, 10**40 + 1, 42.5, -0.25])
@pytest_twisted.ensureDeferred
async def test_a_number_in_ext_user_id_is_its_decimal_text(number: float) -> None:
    """Whole numbers of any size are read exactly, and fractions as they are written."""
    intake = Intake()
    intake.players.players[str(number)] = intake.players.players["hhu234556"]
    assert await intake.code("/amazing/email", EMAIL | {"ext_user_id": number}) == 0
    assert intake.players.asked == [("amazing", str(number), False)]


@pytest_twisted.ensureDeferred
async def test_unknown_fields_are_ignored() -> None:
    """Whatever a later revision adds does no harm."""
    more = {"new": {"deep": [1, None]}, "from_number": 5, "im_uid": None}
    assert await Intake().code("/amazing/email", EMAIL | more) == 0
    twice = b'{"new":1,"new":2,"large":1e999999999999999999999,' + json.dumps(EMAIL).encode()[1:]
    assert await Intake().code("/amazing/email", twice) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
@pytest_twisted.ensureDeferred
async def test_a_wrong_method_is_invalid_request(method: str) -> None:
    """Also with status 200 and JSON."""
    assert await Intake().code("/amazing/email", EMAIL, method=method) == 3


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "Bearer " + SECRET])
@pytest_twisted.ensureDeferred
async def test_a_wrong_secret_is_not_authorised(secret: str) -> None:
    """The header must be one of the accepted values; the body is not even looked at."""
    intake = Intake()
    assert await intake.code("/amazing/email", b"not json", secret=secret) == 4
    assert intake.meter.intakes == [("amazing", Channel.EMAIL, ErrorCode.NOT_AUTHORISED)]


@pytest_twisted.ensureDeferred
async def test_a_missing_secret_is_not_authorised() -> None:
    """No Authorization header at all, and two of them."""
    intake = Intake()
    for headers in ({}, {"Authorization": [SECRET, SECRET]}):
        response = await intake.client.post("http://gw/amazing/email", data=json.dumps(EMAIL), headers=headers)
        assert (await treq.json_content(response))["error_code"] == 4


@pytest.mark.parametrize("secret", ["old", "new", "schlüssel"])
@pytest_twisted.ensureDeferred
async def test_secrets_rotate(secret: str) -> None:
    """Each of several accepted values opens."""
    intake = Intake(amazing=label(authorization=["old", "new", "schlüssel"]))
    response = await intake.client.post(
        "http://gw/amazing/email", data=json.dumps(EMAIL), headers={b"Authorization": secret.encode()}
    )
    assert (await treq.json_content(response))["error_code"] == 0


@pytest_twisted.ensureDeferred
async def test_sms_may_do_without_the_header() -> None:
    """With sms_authorization = false only SMS and im are open without it."""
    intake = Intake(amazing=label(sms_authorization=False))
    assert await intake.code("/amazing/sms", SMS, secret="wrong") == 0
    assert await intake.code("/amazing/im", SMS | {"im_uid": "2"}, secret="") == 0
    assert await intake.code("/amazing/email", EMAIL, secret="wrong") == 4


@pytest_twisted.ensureDeferred
async def test_an_unknown_label_is_not_authorised() -> None:
    """It answers like a wrong secret, and as no label in the figures."""
    intake = Intake()
    assert await intake.code("/other/email", EMAIL) == 4
    assert await intake.code("/%ff%fe/email", EMAIL) == 4
    assert intake.meter.intakes[0] == ("", Channel.EMAIL, ErrorCode.NOT_AUTHORISED)


@pytest.mark.parametrize(
    "path", ["/", "/amazing", "/amazing/", "/amazing/fax", "/amazing/email/", "/amazing/email/x", "//email"]
)
@pytest_twisted.ensureDeferred
async def test_other_paths_are_not_found(path: str) -> None:
    """404, and nothing of the framework's own pages."""
    response = await Intake().call(path, b"{}")
    assert response.code == 404
    assert await treq.text_content(response) == "not found\n"


@pytest_twisted.ensureDeferred
async def test_an_escaped_path_is_the_same_path() -> None:
    """Percent-encoding in a path changes nothing."""
    intake = Intake()
    assert await intake.code("/ama%7Aing/%65mail", EMAIL) == 0
    assert await intake.code("/amazing/email?x=1", EMAIL) == 0


@pytest_twisted.ensureDeferred
async def test_a_peer_off_the_list_is_forbidden() -> None:
    """403 with error_code 4, for a known label and for an unknown one; the directory is not asked."""
    intake = Intake(amazing=label(allow_from=["203.0.113.0/24"]))
    for path in ("/amazing/email", "/amazing/sms", "/other/im"):
        status, answer = await intake.post(path, EMAIL)
        assert (status, answer["error_code"]) == (403, 4)
    assert not intake.players.asked
    assert {result for _, _, result in intake.meter.intakes} == {ErrorCode.NOT_AUTHORISED}


@pytest_twisted.ensureDeferred
async def test_an_unknown_label_is_open_to_whom_any_label_is() -> None:
    """200 for a peer of another label, 403 for nobody's."""
    intake = Intake(one=label(allow_from=["203.0.113.0/24"]), two=label(allow_from=["127.0.0.1/32"]))
    assert (await intake.post("/one/email", EMAIL))[0] == 403
    assert (await intake.post("/two/email", EMAIL))[0] == 200
    assert (await intake.post("/three/email", EMAIL))[0] == 200


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.9", 200),
        (" 203.0.113.9 ", 200),
        ("198.51.100.1, 203.0.113.9", 200),
        ("203.0.113.9, 198.51.100.1", 403),
        ("203.0.113.9, 10.1.2.3", 200),
        ("203.0.113.9, 10.1.2.3, 127.0.0.1", 200),
        ("203.0.113.9:4711", 200),
        ("2001:db8::7", 200),
        ("[2001:db8::7]:4711", 200),
        ("::ffff:203.0.113.9", 200),
        ("2001:db9::7", 403),
        ("10.1.2.3", 403),
        ("", 403),
        ("unknown", 403),
        ("203.0.113.9, unknown", 403),
        ("203.0.113.9,", 403),
        ("203.0.113.9, 10.1.2.3x", 403),
        (None, 403),
    ],
)
@pytest_twisted.ensureDeferred
async def test_behind_a_trusted_proxy_the_last_stranger_counts(forwarded: str | None, status: int) -> None:
    """The last entry of X-Forwarded-For that is no trusted proxy; missing or unreadable is 403."""
    intake = Intake(trusted_proxies=PROXY, amazing=label(allow_from=["203.0.113.0/24", "2001:db8::/32"]))
    headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
    assert (await intake.post("/amazing/email", EMAIL, **headers))[0] == status


@pytest_twisted.ensureDeferred
async def test_several_forwarded_headers_are_one_list() -> None:
    """The last header holds the last entries."""
    intake = Intake(trusted_proxies=PROXY, amazing=label(allow_from=["203.0.113.0/24"]))
    for entries, status in ((["198.51.100.1", "203.0.113.9"], 200), (["203.0.113.9", "198.51.100.1"], 403)):
        response = await intake.client.post(
            "http://gw/amazing/email", data=b"{}", headers={"X-Forwarded-For": entries, "Authorization": [SECRET]}
        )
        assert response.code == status


@pytest_twisted.ensureDeferred
async def test_a_stranger_cannot_forward_himself() -> None:
    """X-Forwarded-For from a peer that is no trusted proxy is not believed."""
    intake = Intake(amazing=label(allow_from=["203.0.113.0/24"]))
    assert (await intake.post("/amazing/email", EMAIL, X_Forwarded_For="203.0.113.9"))[0] == 403


@pytest_twisted.ensureDeferred
async def test_a_body_over_the_limit_is_too_large() -> None:
    """Error 8 with status 200; a body of just the limit is read."""
    intake = Intake()
    assert await intake.code("/amazing/email", EMAIL | {"body": "x" * 20_000}) == 8
    assert intake.meter.intakes == [("amazing", Channel.EMAIL, ErrorCode.TOO_LARGE)]
    body = json.dumps(EMAIL).encode()
    assert await intake.code("/amazing/email", body + b" " * (20_000 - len(body))) == 0
    assert await intake.code("/amazing/email", body + b" " * (20_001 - len(body))) == 8


@pytest_twisted.ensureDeferred
async def test_what_is_refused_before_it_is_read_is_in_the_log() -> None:
    """Wrong secret, wrong label, not JSON, wrong type, too large: one line each, with nothing of the request's own."""
    intake = Intake()
    with capturedLogs() as told:
        await intake.code("/amazing/email", EMAIL, secret="canary")
        await intake.code("/canary/sms", SMS)
        await intake.code("/amazing/email", b"canary")
        await intake.code("/amazing/im", SMS | {"body": 7})
        await intake.code("/amazing/email", EMAIL | {"body": "x" * 20_000})
        await intake.code("/amazing/email", EMAIL | {"email_uid": ""})
    assert [formatEvent(event) for event in told] == [
        "refused a request to amazing/email: 4 not authorised: the Authorization header is none of the label's",
        "refused a request to (no label)/sms: 4 not authorised: no label has this name",
        "refused a request to amazing/email: 3 the body is not JSON",
        "refused a request to amazing/sms: 3 body is not a string",
        "refused a request to amazing/email: 8 the body has more than 20000 bytes",
        "refused  of amazing/email: 3 email_uid is missing",
    ]


@pytest_twisted.ensureDeferred
async def test_a_bug_is_answered_with_the_id_of_its_traceback() -> None:
    """error_code 99 names the request id, and the log has the traceback under it."""

    async def broken(*args: Any, **options: Any) -> Any:
        raise KeyError("bug")

    intake = Intake()
    events: list[Any] = []
    intake.store.accept = broken
    globalLogPublisher.addObserver(events.append)
    try:
        status, answer = await intake.post("/amazing/email", EMAIL)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert (status, answer["error_code"]) == (200, 99)
    assert "request-1" in answer["error_message"]
    logged = [event for event in events if event.get("request_id") == "request-1"]
    assert "KeyError" in logged[0]["log_failure"].getTraceback()
    assert not intake.store.db.rows


@pytest_twisted.ensureDeferred
async def test_a_reload_changes_secrets_and_lists_at_once() -> None:
    """New labels open, removed ones close, on the running listener."""
    intake = Intake()
    labels = {"other": label(authorization=["new"])}
    intake.reconfigure(labels)
    assert await intake.code("/other/email", EMAIL, secret="new") == 0
    assert await intake.code("/amazing/email", EMAIL) == 4


def test_an_absolute_uri_is_the_same_path() -> None:
    """RFC 9112 3.2.2: a server must take the absolute form too."""
    intake = Intake()
    protocol = intake.site.buildProtocol(None)
    transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
    protocol.makeConnection(transport)
    body = json.dumps(EMAIL).encode()
    protocol.dataReceived(
        b"POST http://gw.example/amazing/email HTTP/1.1\r\nHost: gw.example\r\nAuthorization: let me in\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    assert b'"error_code":0' in transport.value()
    protocol.connectionLost()


def over_wire(intake: Intake, request: bytes, peer: str = "127.0.0.1") -> tuple[bytes, Any]:
    """Status line and JSON of the one answer to `request`, at once."""
    protocol = intake.site.buildProtocol(None)
    transport = StringTransport(peerAddress=IPv4Address("TCP", peer, 5))
    protocol.makeConnection(transport)
    protocol.dataReceived(request)
    protocol.connectionLost()
    head, _, body = transport.value().partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_fields = st.sampled_from(sorted({*EMAIL, *SMS, "activity_type", "to_email_address", "other"}))
_texts = st.sampled_from(
    ["", " ", "x", "a@amazing.co", "https://api.smartico.ai/", "hhu234556", "preview", "\ud83d\ude00"]
)


@given(st.sampled_from(["email", "sms", "im"]), st.dictionaries(_fields, _json | _texts), st.booleans())
def test_whatever_json_is_sent_gets_an_answer_of_the_table(path: str, changes: dict[str, Any], whole: bool) -> None:
    """Status 200, a code that the table gives a meaning to, never a bug; stored is just what was taken."""
    intake = Intake()
    body = json.dumps((EMAIL | SMS if whole else {}) | changes).encode()
    status, answer = over_wire(
        intake,
        b"POST /amazing/%s HTTP/1.1\r\nHost: gw\r\nAuthorization: let me in\r\nContent-Length: %d\r\n\r\n%s"
        % (path.encode(), len(body), body),
    )
    assert status == b"HTTP/1.1 200 OK"
    assert answer["error_code"] in set(ErrorCode) - {ErrorCode.INTERNAL}
    assert (answer["error_code"] == 0) is ("ext_message_id" in answer) is (len(intake.store.db.rows) == 1)


@given(st.binary(max_size=200))
def test_whatever_bytes_are_sent_get_an_answer(body: bytes) -> None:
    """Status 200 and invalid_request: no bytes of that length make a whole request."""
    status, answer = over_wire(
        Intake(),
        b"POST /amazing/email HTTP/1.1\r\nHost: gw\r\nAuthorization: let me in\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body),
    )
    assert (status, answer["error_code"]) == (b"HTTP/1.1 200 OK", 3)


def test_strangers_do_not_write_our_log() -> None:
    """Each comes from another address, as a network of IPv6 has plenty: a few are named, the others counted."""
    intake = Intake(amazing=label(allow_from=["203.0.113.0/24"]))
    lines = io.StringIO()
    observer = Observer(lines, Clock())
    globalLogPublisher.addObserver(observer)
    try:
        for number in range(100):
            over_wire(intake, b"POST /amazing/email HTTP/1.1\r\nHost: gw\r\n\r\n", peer=f"198.51.100.{number}")
        observer.close()
    finally:
        globalLogPublisher.removeObserver(observer)
    said = [line for line in lines.getvalue().splitlines() if "403: " in line]
    assert len(said) == REPEATS + 1
    assert "repeated 80 times more: 403: " in said[-1]


@given(st.text(alphabet=st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40))
def test_whatever_a_proxy_forwards_opens_nothing(forwarded: str) -> None:
    """X-Forwarded-For of any form is read as an allowed address or forbidden; it never fails."""
    intake = Intake(trusted_proxies=PROXY, amazing=label(allow_from=["203.0.113.0/24"]))
    head = b"POST /amazing/email HTTP/1.1\r\nHost: gw\r\nX-Forwarded-For: " + forwarded.encode("latin-1")
    status, answer = over_wire(intake, head + b"\r\nContent-Length: 0\r\n\r\n")
    assert (status, answer["error_code"]) == (b"HTTP/1.1 403 Forbidden", 4)


@pytest.mark.parametrize(
    ("network", "peer", "inside"),
    [
        ("203.0.113.0/24", "203.0.113.255", True),
        ("203.0.113.0/24", "203.0.114.0", False),
        ("203.0.113.7/32", "::ffff:203.0.113.7", True),
        ("::ffff:203.0.113.0/120", "203.0.113.7", True),
        ("::ffff:203.0.113.0/120", "203.0.114.7", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("::/0", "203.0.113.7", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_networks(network: str, peer: str, inside: bool) -> None:
    """IPv4 and IPv6 each in its own networks; a mapped address or network is its IPv4 one."""
    networks = Networks([ipaddress.ip_network(network)])
    for _ in range(2):
        address = address_in(peer)
        assert address is not None
        assert (address in networks) is inside


@pytest.mark.parametrize(
    "text", ["", "x", "1.2.3", "1.2.3.4.5", "1.2.3.4:", "1.2.3.4:x", "[::1", "[::1]x", "[::1]:", "1.2.3.04"]
)
def test_what_is_no_address(text: str) -> None:
    """None, not a guess."""
    assert address_in(text) is None


@pytest_twisted.ensureDeferred
async def test_a_label_of_which_every_request_is_refused_is_degraded() -> None:
    """Twenty in a row, until one shows that the rest is right, the file was read again, or none came for an hour.

    Mails that are taken between them show nothing of SMS; a probe's GET is no request of Smartico's.
    """
    intake = Intake()

    def said() -> list[tuple[str, str, str]]:
        return [(one.kind, one.name, one.text) for one in intake.api.degraded()]

    async def refused(times: int) -> None:
        for _ in range(times):
            assert await intake.code("/amazing/sms", SMS, secret="wrong") == ErrorCode.NOT_AUTHORISED

    await refused(19)
    assert said() == []
    assert await intake.code("/amazing/sms", SMS | {"ext_user_id": "nobody"}) == ErrorCode.USER_NOT_FOUND
    await refused(19)
    assert await intake.code("/amazing/email", EMAIL) == 0
    for _ in range(30):
        assert await intake.code("/amazing/sms", b"", method="GET") == ErrorCode.INVALID_REQUEST
    assert said() == []
    assert await intake.code("/amazing/sms", SMS | {"from_number": "elsewhere"}) == 6
    why = "amazing/sms: its latest 20 requests were refused, the last with code 6, "
    assert said() == [("requests", "amazing/sms", f"{why}from_number is not in the label's list")]
    assert await intake.code("/amazing/sms", SMS) == 0
    assert said() == []
    await refused(20)
    assert said() != []
    intake.api.reconfigure(intake.labels, ())
    assert said() == []
    await refused(20)
    intake.clock.advance(3601)
    assert said() == []


def test_a_body_for_which_there_is_no_memory_may_come_again() -> None:
    """It was answered as a bug of ours, after which nobody comes again."""

    class Vast(Request):
        @property
        def body(self) -> bytes:
            raise MemoryError

    intake = Intake()
    request = Vast("127.0.0.1")
    request.method, request.uri = b"POST", b"/amazing/email"
    request.locate()
    answers: list[Any] = []
    answering = intake.api.site(intake.clock).answer(request)
    assert isinstance(answering, Deferred)
    answering.addCallback(answers.append)
    assert json.loads(answers[0].body) == {"error_code": 10, "error_message": "there was no memory for it"}
