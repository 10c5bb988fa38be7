"""Each ready profile against what its vendor documents: request, answers, reports."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gatewayd.config import Provider
from gatewayd.config.profiles import filled, profiles
from gatewayd.evidence.vendors.reading import VendorSaid, VendorText, read_texts
from gatewayd.evidence.vendors.reading import read as read_report
from gatewayd.evidence.vendors.request import ReportRequest
from gatewayd.providers.answers import Verdict, read
from gatewayd.providers.templates import Asked
from gatewayd.providers.templates import filled as ask

WORDS = {
    "to": "+447700900123",
    "to_digits": "447700900123",
    "sender": "Amazing",
    "text": "Hi & ünï",
    "message_id": "a540f662-45b3-41ee-be56-0242ac120002",
    "report_url": "https://go.example/dlr/v/tok",
    "short_token": "T" * 32,
    "username": "acc",
    "password": "key",
}
OWN: dict[str, dict[str, Any]] = {"infobip": {"url": "https://x.api.infobip.com/sms/3/messages"}}
FORM = "application/x-www-form-urlencoded"


def provider(name: str) -> Provider:
    """[providers.v] with this profile."""
    table = {"profile": name, "username": "acc", "password": "key"} | OWN.get(name, {})
    return Provider.model_validate(filled({"providers": {"v": table}}, profiles())["providers"]["v"])


def asked(name: str) -> Asked:
    """What the vendor is asked."""
    return ask(provider(name), WORDS)


def said(name: str, data: Any, *, query: str = "", form: bool = False) -> list[tuple[str, str | None]]:
    """The ids and statuses of a report."""
    body = b"" if data is None else urlencode(data).encode() if form else json.dumps(data).encode()
    kind = FORM if form else "application/json"
    request = ReportRequest("POST" if body else "GET", "https://x", query, {"content-type": kind}, body, 0.0)
    table = provider(name).reports
    facts: tuple[VendorSaid, ...] = read_report(table, request)
    return [(fact.remote_id, table.states.get(fact.word)) for fact in facts]


def reasons(name: str, data: Any, *, form: bool = False) -> list[str]:
    """Why, as a report has it."""
    body = urlencode(data).encode() if form else json.dumps(data).encode()
    request = ReportRequest("POST", "https://x", "", {"content-type": FORM if form else ""}, body, 0.0)
    return [fact.reason for fact in read_report(provider(name).reports, request)]


def test_a_profile_names_where_a_players_text_stands() -> None:
    """As its vendor documents inbound messages."""
    number, stop = "447700900123", "STOP"
    posts: dict[str, Any] = {
        "infobip": {"results": [{"messageId": "M", "from": number, "to": "x", "text": stop, "cleanText": ""}]},
        "twilio": {"MessageSid": "SM1", "From": number, "To": "x", "Body": stop},
        "vonage": {"msisdn": number, "to": "x", "messageId": "M", "text": stop, "type": "text", "keyword": stop},
        "sinch": {"type": "mo_text", "from": number, "to": "x", "body": stop},
        "telnyx": {
            "data": {"event_type": "message.received", "payload": {"from": {"phone_number": number}, "text": stop}}
        },
        "plivo": {"From": number, "To": "x", "Text": stop, "MessageUUID": "U"},
        "kannel": {"from": number, "text": stop},
        "gatewayapi": {"id": 1, "msisdn": int(number), "receiver": 451204, "message": stop, "senttime": 1450000000},
        "46elks": {"direction": "incoming", "id": "sf1", "from": number, "to": "x", "message": stop},
        "cm": {"from": {"number": number}, "to": {"number": "x"}, "message": {"text": stop}, "channel": "SMS"},
    }
    assert posts.keys() == profiles().keys()
    for name, data in posts.items():
        request = ReportRequest("POST", "https://x", "", {}, json.dumps(data).encode(), 0.0)
        assert read_texts(provider(name).inbound, request) == (VendorText(number, stop),), name


def test_a_profile_names_why_a_message_did_not_arrive() -> None:
    """As its vendor documents the report."""
    status = {"name": "UNDELIVERABLE_NOT_DELIVERED"}
    infobip = {"results": [{"messageId": "M1", "status": status, "error": {"id": 27, "name": "EC_ABSENT_SUBSCRIBER"}}]}
    assert reasons("infobip", infobip) == ["EC_ABSENT_SUBSCRIBER"]
    assert reasons("twilio", {"MessageStatus": "undelivered", "ErrorCode": "30007"}, form=True) == ["30007"]
    assert reasons("vonage", {"messageId": "P1", "status": "failed", "err-code": "6"}) == ["6"]
    assert reasons("sinch", {"batch_id": "01FC", "status": "Failed", "code": 402}) == ["402"]
    assert reasons("plivo", {"MessageUUID": "U1", "Status": "undelivered", "ErrorCode": "450"}, form=True) == ["450"]
    payload = {
        "id": "T1",
        "to": [{"status": "delivery_failed"}],
        "errors": [{"code": "40008", "title": "Undeliverable"}],
    }
    assert reasons("telnyx", {"data": {"payload": payload}}) == ["40008"]
    assert reasons("gatewayapi", {"id": 1, "status": "UNDELIVERABLE", "code": "0x1010"}) == ["0x1010"]
    assert reasons("cm", {"messages": {"msg": {"status": {"code": "3", "errorCode": "23"}}}}) == ["23"]


def answered(name: str, status: int, data: Any) -> tuple[Verdict, tuple[str, ...]]:
    """What an answer means."""
    body = data.encode() if isinstance(data, str) else json.dumps(data).encode()
    reading = read(provider(name).answer, status, body)
    return reading.verdict, reading.ids


def test_every_profile_is_here_and_says_where_it_is_from() -> None:
    """Source and date in each file's head, and what the operator has to bring."""
    assert sorted(profiles()) == [
        "46elks",
        "cm",
        "gatewayapi",
        "infobip",
        "kannel",
        "plivo",
        "sinch",
        "telnyx",
        "twilio",
        "vonage",
    ]
    for name, profile in profiles().items():
        assert {"Title", "Source", "Read", "Console"} <= profile.head.keys(), name
        assert ("Secret" in profile.head) == ("signature" in profile.keys["reports"]), name
        assert provider(name).tells_later


def test_infobip() -> None:
    """v3 messages: the status of the one message inside a 200."""
    request = asked("infobip")
    assert request.target == "/sms/3/messages"
    assert dict(request.headers)["Authorization"] == "App key"
    assert json.loads(request.body) == {
        "messages": [
            {
                "sender": "Amazing",
                "destinations": [{"to": "447700900123"}],
                "content": {"text": "Hi & ünï"},
                "webhooks": {"delivery": {"url": "https://go.example/dlr/v/tok"}, "contentType": "application/json"},
            }
        ]
    }

    def message(group: str, name: str) -> Any:
        status = {"groupId": 1, "groupName": group, "name": name}
        return {"bulkId": "b", "messages": [{"messageId": "M1", "status": status}]}

    assert answered("infobip", 200, message("PENDING", "PENDING_ACCEPTED")) == (Verdict.TAKEN, ("M1",))
    assert answered("infobip", 200, message("REJECTED", "REJECTED_DESTINATION"))[0] is Verdict.REJECTED
    # The account's trouble, and no message's.
    for name in ("REJECTED_NOT_ENOUGH_CREDITS", "REJECTED_PREPAID_PACKAGE_EXPIRED", "REJECTED_SYSTEM_ERROR"):
        assert answered("infobip", 200, message("REJECTED", name))[0] is Verdict.TEMPORARY
    assert answered("infobip", 401, {"requestError": {}})[0] is Verdict.TEMPORARY
    assert answered("infobip", 429, {})[0] is Verdict.THROTTLED
    for word, status in (
        ("DELIVERED_TO_OPERATOR", None),
        ("DELIVERED_TO_HANDSET", "delivered"),
        ("UNDELIVERABLE_NOT_DELIVERED", "failed"),
        ("EXPIRED_EXPIRED", "failed"),
        ("REJECTED_NETWORK", "rejected"),
    ):
        report = {"results": [{"messageId": "M1", "to": "447700900123", "status": {"name": word}}]}
        assert said("infobip", report) == [("M1", status)]


def test_twilio() -> None:
    """A form with Basic; 201 with a sid; a form comes back."""
    request = asked("twilio")
    assert request.target == "/2010-04-01/Accounts/acc/Messages.json"
    assert dict(request.headers)["Authorization"] == "Basic YWNjOmtleQ=="
    assert dict(parse_qsl(request.body.decode())) == {
        "To": "+447700900123",
        "From": "Amazing",
        "Body": "Hi & ünï",
        "StatusCallback": "https://go.example/dlr/v/tok",
    }
    assert answered("twilio", 201, {"sid": "SM1", "status": "queued"}) == (Verdict.TAKEN, ("SM1",))
    assert answered("twilio", 400, {"code": 21211, "status": 400})[0] is Verdict.REJECTED
    assert answered("twilio", 400, {"code": 21635, "status": 400})[0] is Verdict.REJECTED
    assert answered("twilio", 400, {"code": 21606})[0] is Verdict.TEMPORARY
    assert answered("twilio", 429, {"code": 20429})[0] is Verdict.THROTTLED
    for word, status in (("delivered", "delivered"), ("read", "delivered"), ("undelivered", "failed"), ("sent", None)):
        assert said("twilio", {"MessageSid": "SM1", "MessageStatus": word}, form=True) == [("SM1", status)]


def test_vonage() -> None:
    """A status and an id for each part inside a 200; receipts by GET or POST."""
    request = asked("vonage")
    assert dict(parse_qsl(request.body.decode())) == {
        "api_key": "acc",
        "api_secret": "key",
        "from": "Amazing",
        "to": "447700900123",
        "text": "Hi & ünï",
        "callback": "https://go.example/dlr/v/tok",
        "client-ref": "a540f662-45b3-41ee-be56-0242ac120002",
        "type": "unicode",
    }
    in_gsm = ask(provider("vonage"), WORDS | {"text": "5 € [Ünà]"})
    assert "type" not in dict(parse_qsl(in_gsm.body.decode()))

    def parts(*statuses: str) -> Any:
        messages = [{"status": status, "message-id": f"P{n}"} for n, status in enumerate(statuses)]
        return {"message-count": str(len(statuses)), "messages": messages}

    assert answered("vonage", 200, parts("0", "0")) == (Verdict.TAKEN, ("P0", "P1"))
    assert answered("vonage", 200, parts("1"))[0] is Verdict.THROTTLED
    assert answered("vonage", 200, parts("4"))[0] is Verdict.TEMPORARY
    assert answered("vonage", 200, parts("7"))[0] is Verdict.REJECTED
    receipt = {"msisdn": "447700900123", "messageId": "P1", "status": "delivered", "err-code": "0"}
    assert said("vonage", None, query=urlencode(receipt)) == [("P1", "delivered")]
    assert said("vonage", receipt) == [("P1", "delivered")]
    assert said("vonage", receipt | {"status": "buffered"}) == [("P1", None)]


def test_sinch() -> None:
    """A batch of one; a report for the recipient."""
    request = asked("sinch")
    assert request.target == "/xms/v1/acc/batches"
    assert dict(request.headers)["Authorization"] == "Bearer key"
    assert json.loads(request.body)["to"] == ["+447700900123"]
    assert answered("sinch", 201, {"id": "01FC", "to": ["447700900123"]}) == (Verdict.TAKEN, ("01FC",))
    assert answered("sinch", 503, {})[0] is Verdict.TEMPORARY
    report = {"type": "recipient_delivery_report_sms", "batch_id": "01FC", "status": "Delivered", "code": 0}
    assert said("sinch", report) == [("01FC", "delivered")]
    assert said("sinch", report | {"status": "Dispatched"}) == [("01FC", None)]


def test_telnyx() -> None:
    """JSON with a bearer key; the final status stands at the recipient."""
    request = asked("telnyx")
    assert dict(request.headers)["Authorization"] == "Bearer key"
    assert json.loads(request.body) == {
        "from": "Amazing",
        "to": "+447700900123",
        "text": "Hi & ünï",
        "webhook_url": "https://go.example/dlr/v/tok",
        "use_profile_webhooks": False,
    }
    assert answered("telnyx", 200, {"data": {"id": "T1"}}) == (Verdict.TAKEN, ("T1",))
    assert answered("telnyx", 422, {"errors": [{"code": "40310"}]})[0] is Verdict.REJECTED
    assert answered("telnyx", 401, {"errors": [{"code": "10009"}]})[0] is Verdict.TEMPORARY

    def event(status: str) -> Any:
        to = [{"phone_number": "+447700900123", "status": status}]
        return {"data": {"event_type": "message.finalized", "payload": {"id": "T1", "to": to}}}

    assert said("telnyx", event("delivered")) == [("T1", "delivered")]
    assert said("telnyx", event("delivery_failed")) == [("T1", "failed")]
    assert said("telnyx", event("expired")) == [("T1", "failed")]
    assert said("telnyx", event("queued")) == [("T1", None)]


def test_plivo() -> None:
    """JSON with Basic; 202 with a list of one id; a form comes back."""
    request = asked("plivo")
    assert request.target == "/v1/Account/acc/Message/"
    assert json.loads(request.body)["dst"] == "447700900123"
    assert answered("plivo", 202, {"message_uuid": ["U1"], "api_id": "a"}) == (Verdict.TAKEN, ("U1",))
    assert answered("plivo", 400, {"error": "invalid"})[0] is Verdict.TEMPORARY
    report = {"MessageUUID": "U1", "Status": "undelivered", "To": "447700900123"}
    assert said("plivo", report, form=True) == [("U1", "failed")]


@pytest.mark.parametrize(("text", "status"), [("0: Accepted for delivery", 202), ("3: Queued for later delivery", 202)])
def test_kannel(text: str, status: int) -> None:
    """A GET; plain words; what smsbox puts into the URL for reports stays for it to fill."""
    request = asked("kannel")
    parts = urlsplit(request.target)
    fields = dict(parse_qsl(parts.query))
    assert (request.method, parts.path, request.body) == ("GET", "/cgi-bin/sendsms", b"")
    assert fields["dlr-url"] == "https://go.example/dlr/v/tok?type=%d&id=%F"
    assert (fields["to"], fields["text"], fields["charset"]) == ("+447700900123", "Hi & ünï", "UTF-8")
    assert fields["coding"] == "2"
    assert "coding" not in ask(provider("kannel"), WORDS | {"text": "5 € [Ünà]"}).target
    assert answered("kannel", status, text) == (Verdict.TAKEN, ())
    denied = "Number(s) has/have been denied by white- and/or black-lists."
    assert answered("kannel", 400, denied)[0] is Verdict.REJECTED
    assert answered("kannel", 400, "Sender missing and no global set, rejected")[0] is Verdict.TEMPORARY
    assert answered("kannel", 403, "Not routable. Do not try again.")[0] is Verdict.TEMPORARY
    assert answered("kannel", 503, "Temporal failure, try again later.")[0] is Verdict.TEMPORARY
    assert said("kannel", None, query="type=1&id=F1") == [("F1", "delivered")]
    assert said("kannel", None, query="type=8&id=F1") == [("F1", None)]


def test_gatewayapi() -> None:
    """JSON with a token; an id for the one recipient; its states in capitals."""
    request = asked("gatewayapi")
    assert request.target == "/rest/mtsms"
    assert dict(request.headers)["Authorization"] == "Token key"
    assert json.loads(request.body) == {
        "sender": "Amazing",
        "message": "Hi & ünï",
        "recipients": [{"msisdn": "447700900123"}],
        "userref": WORDS["message_id"],
        "callback_url": "https://go.example/dlr/v/tok",
        "encoding": "UCS2",
    }
    assert "encoding" not in json.loads(ask(provider("gatewayapi"), WORDS | {"text": "Hi"}).body)
    usage = {"countries": {"DK": 1}, "currency": "DKK", "total_cost": 0.12}
    assert answered("gatewayapi", 200, {"ids": [421332671], "usage": usage}) == (Verdict.TAKEN, ("421332671",))
    refusal = {"code": "0x0215", "incident_uuid": "d8127429", "message": "MSISDN %1 blacklisted"}
    assert answered("gatewayapi", 403, refusal)[0] is Verdict.REJECTED
    assert answered("gatewayapi", 403, refusal | {"code": "0x0216"})[0] is Verdict.TEMPORARY
    report = {"id": 421332671, "msisdn": 4587654321, "time": 1450000000, "status": "DELIVERED", "userref": "u"}
    assert said("gatewayapi", report) == [("421332671", "delivered")]
    assert said("gatewayapi", report | {"status": "UNDELIVERABLE", "code": "0x1010"}) == [("421332671", "failed")]
    assert said("gatewayapi", report | {"status": "ENROUTE"}) == [("421332671", None)]


def test_46elks() -> None:
    """A form with Basic, and a form back."""
    request = asked("46elks")
    assert dict(request.headers)["Authorization"] == "Basic YWNjOmtleQ=="
    assert dict(parse_qsl(request.body.decode())) == {
        "from": "Amazing",
        "to": "+447700900123",
        "message": "Hi & ünï",
        "whendelivered": "https://go.example/dlr/v/tok",
    }
    assert answered("46elks", 200, {"status": "created", "id": "s1", "parts": 1}) == (Verdict.TAKEN, ("s1",))
    assert answered("46elks", 403, "Not enough credits")[0] is Verdict.TEMPORARY
    assert said("46elks", {"id": "s1", "status": "sent"}, form=True) == [("s1", None)]
    report = {"id": "s1", "status": "delivered", "delivered": "2018-07-13T13:57:23.741000"}
    assert said("46elks", report, form=True) == [("s1", "delivered")]


def test_cm() -> None:
    """One URL for all reports: its reference holds a short token."""
    request = asked("cm")
    assert dict(request.headers)["X-CM-PRODUCTTOKEN"] == "key"
    (message,) = json.loads(request.body)["messages"]["msg"]
    assert (message["to"], message["body"]["content"]) == ([{"number": "00447700900123"}], "Hi & ünï")
    assert message["reference"] == "T" * 32
    one = {"to": "00447911123456", "status": "Accepted", "reference": "T", "parts": 1, "messageErrorCode": 0}
    assert answered("cm", 200, {"details": "Created 1 message(s)", "messages": [one]})[0] is Verdict.TAKEN
    bad = one | {"status": "Rejected", "messageDetails": "Gsm '0044791112345a' is not a number."}
    assert answered("cm", 400, {"details": "Created 0 message(s)", "messages": [bad]})[0] is Verdict.REJECTED
    nobody = {"details": "No account found for the given authentication", "errorCode": 101, "messages": []}
    assert answered("cm", 400, nobody)[0] is Verdict.TEMPORARY
    status = {"code": "2", "errorCode": "", "errorDescription": "Delivered"}
    report = {"messages": {"msg": {"to": "00447911123456", "reference": "T" * 32, "status": status}}}
    assert said("cm", report) == [("", "delivered")]
    status["code"] = "0"
    assert said("cm", report) == [("", None)]
