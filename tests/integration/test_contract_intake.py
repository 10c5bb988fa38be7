"""CONTRACT.md, the api listener: every odd request, and who may call, by a stranger's sockets."""

import gzip
import json
import socket
import uuid
from typing import Any

import pytest
from outside import API_KEY, SECRET, Outside, request, until
from outside_intake import code, refused, world

__all__ = ["world"]

CONTROL = ["\x00", "\n", "\r", "\t", "\x1f", "\x7f", "\x80", "\x9f", "\u2028", "\u2029"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
@pytest.mark.parametrize("kind", ["email", "sms", "im"])
def test_a_wrong_method_is_an_invalid_request(world: Outside, method: str, kind: str) -> None:
    """Status 200, JSON, error_code 3."""
    reply = world.http(method, f"/amazing/{kind}", headers={"Authorization": SECRET})
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    refused(reply.json, 3, "method")


def test_head_gets_the_head_of_the_same(world: Outside) -> None:
    """Status 200 without a body, and the connection can be used again."""
    data = b"HEAD /amazing/email HTTP/1.1\r\nHost: x\r\n\r\n"
    data += b"GET /amazing/email HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = world.raw(data)
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"application/json" in first
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert b'"error_code":3' in rest


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/amazing",
        "/amazing/",
        "/amazing/fax",
        "/amazing/email/",
        "/amazing/email/x",
        "//amazing/email",
        "/amazing//email",
        "/amazing/EMAIL",
        "/email",
        "/healthz",
        "/metrics",
        "/amazing/email%2F",
        "/../amazing/email",
        "/%00",
        "/robots.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_paths_are_404(world: Outside, path: str, method: str) -> None:
    """404, whatever the method."""
    reply = world.http(method, path, b"{}" if method == "POST" else None, {"Authorization": SECRET})
    assert reply.status == 404


@pytest.mark.parametrize("path", ["/amazing/email?x=1", "/amazing/email?", "/amazing/email?a=b&c=d"])
def test_a_query_string_changes_nothing(world: Outside, path: str) -> None:
    """The message is taken."""
    assert code(world.post(path, world.email_fields()).json) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"true",
        b"{]",
        b"\xff\xfe{}",
        b"\x00",
        b"ext_user_id=anna&body=x",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b"\xef\xbb\xbf{}",
        b'{"ext_user_id": "\xc3\x28"}',
        b'{"ext_user_id": "\\ud800", "im_uid": "1", "email_uid": "1", "body": "x"}',
    ],
)
@pytest.mark.parametrize("kind", ["email", "sms"])
def test_what_is_not_a_json_object_is_an_invalid_request(world: Outside, body: bytes, kind: str) -> None:
    """Status 200, error_code 3."""
    reply = world.post(f"/amazing/{kind}", body)
    assert reply.status == 200
    refused(reply.json, 3)


def test_a_gzipped_body_is_an_invalid_request(world: Outside) -> None:
    """We say nowhere that we unpack; it is not JSON."""
    reply = world.post(
        "/amazing/sms", gzip.compress(json.dumps(world.sms_fields()).encode()), {"Content-Encoding": "gzip"}
    )
    assert reply.status == 200
    refused(reply.json, 3)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/xml",
    ],
)
def test_the_content_type_does_not_matter(world: Outside, kind: str) -> None:
    """JSON is read whatever it is called."""
    assert code(world.post("/amazing/sms", world.sms_fields(), {"Content-Type": kind}).json) == 0


EMAIL = ["ext_user_id", "from_email_address", "subject", "email_uid"]
SMS = ["ext_user_id", "body", "im_uid"]
ALL_EMAIL = [*EMAIL, "reply_to_email_address", "body", "text_body", "callback_url", "activity_type", "to_email_address"]
ALL_SMS = [*SMS, "from_number", "callback_url"]


@pytest.mark.parametrize(("kind", "field"), [("email", f) for f in EMAIL] + [("sms", f) for f in SMS])
def test_a_required_field_that_is_missing_or_empty_is_named(world: Outside, kind: str, field: str) -> None:
    """error_code 3, and the field's name."""
    fields = world.email_fields() if kind == "email" else world.sms_fields()
    fields.pop(field)
    refused(world.post(f"/amazing/{kind}", fields).json, 3, field)
    refused(world.post(f"/amazing/{kind}", fields | {field: ""}).json, 3, field)


@pytest.mark.parametrize(("kind", "field"), [("email", f) for f in ALL_EMAIL] + [("sms", f) for f in ALL_SMS])
@pytest.mark.parametrize("value", [None, True, 1.5e300, [], {}, ["x"], 7, 10**40, {"a": {"b": []}}])
def test_a_field_of_the_wrong_type_is_named(world: Outside, kind: str, field: str, value: Any) -> None:
    """error_code 3 and the field's name; only a number in ext_user_id is read as its decimal text."""
    fields = world.email_fields() if kind == "email" else world.sms_fields()
    answer = world.post(f"/amazing/{kind}", fields | {field: value}).json
    if field == "ext_user_id" and type(value) is int:
        refused(answer, 1)
    else:
        refused(answer, 3, field)


def test_a_number_in_ext_user_id_is_its_decimal_text(world: Outside) -> None:
    """42 is the player "42", and the same content as "42"."""
    fields = world.sms_fields(ext_user_id=42)
    first = world.post("/amazing/sms", fields).json
    assert code(first) == 0
    assert world.post("/amazing/sms", fields | {"ext_user_id": "42"}).json == first


def test_a_huge_whole_number_in_ext_user_id_is_just_not_known(world: Outside) -> None:
    """error_code 1; not a failure inside."""
    fields = json.dumps(world.sms_fields()).encode()
    for number in (b"9" * 300, b"-5", b"18446744073709551616"):
        answer = world.post("/amazing/sms", fields.replace(b'"anna"', number)).json
        assert code(answer) in (1, 3), answer


@pytest.mark.parametrize(
    ("kind", "field"),
    [("email", f) for f in ("ext_user_id", "email_uid", "from_email_address", "reply_to_email_address", "subject")]
    + [("sms", f) for f in ("ext_user_id", "im_uid", "from_number")],
)
@pytest.mark.parametrize("control", CONTROL)
def test_control_characters_in_ids_senders_and_subject_are_refused(
    world: Outside, kind: str, field: str, control: str
) -> None:
    """C0, DEL, C1, U+2028 and U+2029: error_code 3 with the field's name."""
    fields = world.email_fields() if kind == "email" else world.sms_fields()
    refused(world.post(f"/amazing/{kind}", fields | {field: fields[field] + control + "x"}).json, 3, field)


@pytest.mark.parametrize("control", ["\n", "\r\n", "\t", "\u2028"])
def test_control_characters_in_content_are_content(world: Outside, control: str) -> None:
    """A body has lines."""
    assert code(world.email(body=f"<p>a{control}b</p>", text_body=f"a{control}b")) == 0
    assert code(world.sms(body=f"a{control}b")) == 0


def test_an_email_needs_one_of_body_and_text_body(world: Outside) -> None:
    """Either will do, none is an invalid request; empty counts as missing."""
    assert code(world.email(body=None)) == 0
    assert code(world.email(text_body=None)) == 0
    assert code(world.email(text_body="")) == 0
    refused(world.email(body=None, text_body=None), 3, "body")
    refused(world.email(body="", text_body=""), 3, "body")


def test_optional_fields_may_be_missing_or_empty(world: Outside) -> None:
    """reply_to, from_number, callback_url, activity_type."""
    empty = {"reply_to_email_address": "", "callback_url": "", "activity_type": "", "to_email_address": ""}
    assert code(world.email(**empty)) == 0
    assert code(world.email(**dict.fromkeys(empty))) == 0
    assert code(world.sms(from_number="", callback_url="")) == 0
    assert code(world.sms(from_number=None, callback_url=None)) == 0


def test_unknown_fields_are_ignored(world: Outside) -> None:
    """Whatever their type; they are not content either."""
    fields = world.sms_fields()
    first = world.post("/amazing/sms", fields | {"new": {"a": [1, None]}, "email_uid": 5}).json
    assert code(first) == 0
    assert world.post("/amazing/sms", fields | {"new": 7}).json == first


def test_a_field_that_comes_twice_is_never_taken_two_ways(world: Outside) -> None:
    """Refused rather than guessed."""
    body = json.dumps(world.sms_fields()).encode()
    refused(world.post("/amazing/sms", body[:-1] + b', "body": "other"}').json, 3, "body")


def test_a_body_over_the_limit_is_too_large(world: Outside) -> None:
    """By Content-Length before it comes, and chunked as it comes; at the limit it is read."""
    fields = world.email_fields(text_body="x" * 120_000)
    refused(world.post("/amazing/email", fields).json, 8)
    body = json.dumps(fields).encode()
    head = f"POST /amazing/email HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\r\n".encode()
    answer = world.raw(head + b"Content-Length: 99999999\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"error_code":8' in answer
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = world.raw(chunked)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"error_code":8' in answer
    small = world.email_fields()
    room = 100_000 - len(json.dumps(small))
    exact = json.dumps(small | {"text_body": small["text_body"] + "y" * room}).encode()
    assert len(exact) == 100_000
    assert code(world.post("/amazing/email", exact).json) == 0


def test_a_chunked_body_is_read(world: Outside) -> None:
    """In chunks of any size."""
    body = json.dumps(world.sms_fields()).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
    head = f"POST /amazing/sms HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = world.raw(head.encode() + chunks + b"0\r\n\r\n")
    assert b'"error_code":0' in answer


def test_expect_100_continue_is_answered(world: Outside) -> None:
    """100 before the body, then the answer."""
    body = json.dumps(world.sms_fields()).encode()
    whole = request("/amazing/sms", body, "Expect: 100-continue")
    with socket.create_connection(("127.0.0.1", world.api), timeout=5) as connection:
        connection.sendall(whole.removesuffix(body))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert b'"error_code":0' in connection.recv(4096)


def test_pipelined_requests_are_answered_in_order(world: Outside) -> None:
    """Twenty at once on one connection."""
    uids = [uuid.uuid4().hex for _ in range(20)]
    data = b""
    for number, uid in enumerate(uids):
        fields = world.sms_fields(im_uid=uid) | ({"ext_user_id": "nobody"} if number % 2 else {})
        body = json.dumps(fields).encode()
        data += request("/amazing/sms", body)
    answer = world.raw(data, 10)
    codes = [int(part[:1]) for part in answer.split(b'"error_code":')[1:]]
    assert codes == [0, 1] * 10


def test_a_caller_that_hangs_up_loses_no_message(world: Outside) -> None:
    """It was stored, or it was not: the same uid afterwards is one message."""
    before = len(world.smsc.submits)
    for _ in range(20):
        fields = world.sms_fields(body=f"hang up {uuid.uuid4()}")
        body = json.dumps(fields).encode()
        with socket.create_connection(("127.0.0.1", world.api), timeout=5) as connection:
            connection.sendall(request("/amazing/sms", body))
        assert code(world.post("/amazing/sms", fields).json) == 0
    until(lambda: len(world.smsc.submits) >= before + 20)
    world.idle("sms")
    assert len(world.smsc.submits) == before + 20


def test_half_a_request_and_rubbish_harm_nobody(world: Outside) -> None:
    """A next caller is served."""
    for data in (
        b"\x00\x01\x02\r\n\r\n",
        b"POST /amazing/sms HTTP/1.1\r\nContent-Length: abc\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /amazing/sms HTTP/9.9\r\n\r\n",
        b"A" * 70_000,
        b"POST /amazing/sms HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /amazing/sms HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    ):
        world.raw(data, 3)
    assert code(world.sms()) == 0


@pytest.mark.parametrize(
    "header", [None, "", "wrong", SECRET + "x", SECRET[:-1], f"Bearer {SECRET}", SECRET.upper(), "\xff"]
)
@pytest.mark.parametrize("kind", ["email", "sms", "im"])
def test_a_wrong_authorization_is_refused(world: Outside, kind: str, header: str | None) -> None:
    """error_code 4 at status 200, whether or not the body is good."""
    heads = {} if header is None else {"Authorization": header}
    for body in (json.dumps(world.sms_fields() | world.email_fields()).encode(), b"{"):
        reply = world.http("POST", f"/amazing/{kind}", body, heads)
        assert reply.status == 200
        refused(reply.json, 4)


def test_each_of_several_authorizations_is_good(world: Outside) -> None:
    """Rotation; one label's value is not another's."""
    for value in ("first", "second"):
        assert code(world.post("/Other.Brand_2/sms", world.sms_fields(), {"Authorization": value}).json) == 0
    refused(world.post("/Other.Brand_2/sms", world.sms_fields()).json, 4)
    refused(world.post("/amazing/sms", world.sms_fields(), {"Authorization": "first"}).json, 4)


def test_sms_authorization_false_opens_sms_only(world: Outside) -> None:
    """SMS and IM need none then, email still does."""
    for kind in ("sms", "im"):
        reply = world.http("POST", f"/open/{kind}", json.dumps(world.sms_fields()).encode())
        assert code(reply.json) == 0
    refused(world.http("POST", "/open/email", json.dumps(world.email_fields()).encode()).json, 4)


@pytest.mark.parametrize("label", ["AMAZING", "Amazing", "unknown", "amazing%20", "other.brand_2", "%61mazingx", "ä"])
def test_an_unknown_label_is_not_authorised(world: Outside, label: str) -> None:
    """200 for a peer that is on some label's allow-list; the label's case counts."""
    from urllib.parse import quote

    reply = world.post(f"/{quote(label, safe='%')}/email", world.email_fields())
    assert reply.status == 200
    refused(reply.json, 4)


def test_im_is_the_same_endpoint_as_sms(world: Outside) -> None:
    """One uid space, too."""
    fields = world.sms_fields()
    first = world.post("/amazing/im", fields).json
    assert code(first) == 0
    assert world.post("/amazing/sms", fields).json == first


def test_a_peer_that_is_on_no_allow_list_gets_403_before_its_body(world: Outside) -> None:
    """403, the same JSON with error_code 4, and nothing of the body was waited for."""
    head = b"POST /elsewhere/email HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Length: 50000\r\n\r\n"
    answer = world.raw(head)
    assert answer.startswith(b"HTTP/1.1 403 ")
    refused(json.loads(answer.partition(b"\r\n\r\n")[2]), 4)
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        assert world.http(method, "/elsewhere/sms").status == 403
    answer = world.raw(head.replace(b"Content-Length: 50000", b"Content-Length: 50000\r\nExpect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_no_refusal_repeats_what_was_sent(world: Outside) -> None:
    """error_message never holds an address, a secret or content."""
    canary = "canary-4471"
    answers = [
        world.email(from_email_address=f"{canary}@evil.example"),
        world.email(to_email_address=f"{canary}@evil.example", activity_type="preview"),
        world.email(ext_user_id=canary),
        world.email(callback_url=f"https://evil.example/{canary}"),
        world.sms(from_number=canary[:11]),
        world.post("/amazing/sms", {"body": canary}, {"Authorization": canary}).json,
        world.post("/amazing/sms", f'{{"{canary}": '.encode()).json,
        world.post("/amazing/sms", {canary: 1, "body": [canary]}).json,
    ]
    for answer in answers:
        assert code(answer) != 0
        assert canary[:11] not in json.dumps(answer)
        assert SECRET not in json.dumps(answer)
        assert API_KEY not in json.dumps(answer)
