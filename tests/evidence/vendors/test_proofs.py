"""How vendors prove their reports: against signatures made here by the vendors' own descriptions."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.evidence.esp.event import Forged
from gatewayd.evidence.vendors.proofs import PROOFS, TELNYX_WINDOW, VONAGE_WINDOW
from gatewayd.evidence.vendors.request import ReportRequest

URL = "https://go.example/dlr/vendor/token"
NOW = 1_800_000_000.0
SECRET = "12345"
FORM = "application/x-www-form-urlencoded"
KEY = Ed25519PrivateKey.generate()
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()


def report(
    body: bytes = b"", *, method: str = "POST", query: str = "", kind: str = FORM, **headers: str
) -> ReportRequest:
    """A report; underscores in a header's name are dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ReportRequest(method, URL, query, {"content-type": kind} | named, body, NOW)


def b64(secret: str, text: str, algorithm: str) -> str:
    """An HMAC in base64."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def is_proven(vendor: str, request: ReportRequest, secret: str = SECRET) -> bool:
    """Whether the vendor's proof holds."""
    try:
        PROOFS[vendor](request, secret)
    except Forged:
        return False
    return True


FIELDS = {"To": "+18005551212", "MessageStatus": "delivered", "MessageSid": "SM1", "Empty": ""}


def test_the_example_of_twilios_own_documentation() -> None:
    """URL, fields and token as printed there give the signature as printed there."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    request = ReportRequest(
        "POST",
        "https://mycompany.com/myapp.php",
        "foo=1&bar=2",
        {"content-type": FORM, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        urlencode(fields).encode(),
        NOW,
    )
    assert is_proven("twilio", request)
    assert not is_proven("twilio", request, "12346")


def test_twilio_signs_url_and_form() -> None:
    """Any field changed, and it is not proven; the usual port may stand in the URL or not."""
    text = "".join(name + FIELDS[name] for name in sorted(FIELDS))
    body = urlencode(FIELDS).encode()
    for url in (URL, URL.replace("go.example", "go.example:443")):
        assert is_proven("twilio", report(body, x_twilio_signature=b64(SECRET, url + text, "sha1")))
    signature = b64(SECRET, URL + text, "sha1")
    assert not is_proven("twilio", report(body.replace(b"delivered", b"failed"), x_twilio_signature=signature))
    assert not is_proven("twilio", report(body, query="a=1", x_twilio_signature=signature))
    assert not is_proven("twilio", report(body))


@pytest.mark.parametrize(
    ("settings", "algorithm", "proven"),
    [
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "sha256", True),
        ("algorithm=hmac_sha256", "sha256", True),
        ("key=webhooks_sharedkey_1, algorithm=HMAC_SHA1", "sha1", True),
        ("key=webhooks_sharedkey_1", "sha1", True),
        ("", "sha1", True),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "sha1", False),
        ("key=webhooks_sharedkey_1", "sha256", False),
        ("algorithm=NONE", "sha1", False),
        ("algorithm=HMAC_SHA512", "sha512", False),
    ],
)
def test_twilio_signs_by_the_algorithm_that_it_names(settings: str, algorithm: str, proven: bool) -> None:
    """Where the account has a key of its own for that; no other algorithm proves anything."""
    signature = b64(SECRET, URL + "".join(name + FIELDS[name] for name in sorted(FIELDS)), algorithm)
    headers = {"x_twilio_signature": signature, "x_twilio_webhooks_signature_settings": settings}
    assert is_proven("twilio", report(urlencode(FIELDS).encode(), **headers)) == proven


def test_twilio_may_leave_out_a_port_that_is_none_of_the_schemes() -> None:
    """Its own libraries try the URL without it, too."""
    for url in ("https://go.example:8443/dlr", "https://go.example/dlr"):
        headers = {"x-twilio-signature": b64(SECRET, f"{url}?a=1", "sha1")}
        request = ReportRequest("GET", "https://go.example:8443/dlr", "a=1", headers, b"", NOW)
        assert is_proven("twilio", request)


def test_twilio_signs_other_bodies_by_their_digest() -> None:
    """It stands in the query."""
    body = b'{"a": 1}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = b64(SECRET, f"{URL}?{query}", "sha1")
    kind = "application/json"
    assert is_proven("twilio", report(body, query=query, kind=kind, x_twilio_signature=signature))
    assert not is_proven("twilio", report(b'{"a": 2}', query=query, kind=kind, x_twilio_signature=signature))
    assert not is_proven("twilio", report(body, kind=kind, x_twilio_signature=b64(SECRET, URL, "sha1")))


def vonage_sig(fields: dict[str, str], algorithm: str) -> str:
    """As Vonage describes it."""
    text = "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(fields.items()))
    if algorithm == "md5hash":
        return hashlib.md5((text + SECRET).encode(), usedforsecurity=False).hexdigest()
    return hmac.new(SECRET.encode(), text.encode(), algorithm).hexdigest().upper()


VONAGE = {"messageId": "0A0000", "status": "delivered", "odd": "a&b=c", "timestamp": str(int(NOW)), "nonce": "n"}


@pytest.mark.parametrize("algorithm", ["md5hash", "md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("how", ["query", "form", "json"])
def test_vonage_signs_all_fields(algorithm: str, how: str) -> None:
    """By each algorithm that an account may have, wherever the fields stand."""

    def made(fields: dict[str, str]) -> ReportRequest:
        if how == "query":
            return report(method="GET", query=urlencode(fields))
        if how == "form":
            return report(urlencode(fields).encode())
        return report(json.dumps(fields).encode(), kind="application/json")

    sig = vonage_sig(VONAGE, algorithm)
    assert is_proven("vonage", made(VONAGE | {"sig": sig}))
    assert not is_proven("vonage", made(VONAGE | {"sig": sig, "status": "failed"}))
    assert not is_proven("vonage", made(VONAGE | {"sig": sig[:-1] + ("0" if sig[-1] != "0" else "1")}))
    assert not is_proven("vonage", made(VONAGE))


@pytest.mark.parametrize(
    ("stamp", "proven"),
    [
        (str(int(NOW - VONAGE_WINDOW + 1)), True),
        (str(int(NOW - VONAGE_WINDOW - 1)), False),
        ("2027-01-15 08:00:00", True),
        ("2026-01-15 08:00:00", False),
        ("soon", False),
        ("", False),
    ],
)
def test_vonages_time_is_bounded(stamp: str, proven: bool) -> None:
    """Seconds or a date; a report that was caught long ago proves nothing."""
    fields = VONAGE | {"timestamp": stamp}
    assert is_proven("vonage", report(urlencode(fields | {"sig": vonage_sig(fields, "sha256")}).encode())) is proven


def telnyx(body: bytes, stamp: float, **changed: Any) -> ReportRequest:
    """A report as Telnyx signs it."""
    signature = base64.b64encode(KEY.sign(f"{int(stamp)}|".encode() + body)).decode()
    headers = {"telnyx_signature_ed25519": signature, "telnyx_timestamp": str(int(stamp))} | changed
    return report(body, kind="application/json", **headers)


def test_telnyx_signs_time_and_body() -> None:
    """With the account's key; within the tolerance that Telnyx names."""
    body = b'{"data": {}}'
    assert is_proven("telnyx", telnyx(body, NOW), PUBLIC)
    assert is_proven("telnyx", telnyx(body, NOW - TELNYX_WINDOW + 1), PUBLIC)
    assert not is_proven("telnyx", telnyx(body, NOW - TELNYX_WINDOW - 1), PUBLIC)
    assert is_proven("telnyx", telnyx(body, NOW + TELNYX_WINDOW - 1), PUBLIC)
    assert not is_proven("telnyx", telnyx(body, NOW + TELNYX_WINDOW + 1), PUBLIC)
    assert not is_proven("telnyx", telnyx(body, NOW, telnyx_timestamp=str(int(NOW) - 1)), PUBLIC)
    assert not is_proven("telnyx", telnyx(body, NOW, telnyx_signature_ed25519="x"), PUBLIC)
    assert not is_proven("telnyx", telnyx(body, NOW), base64.b64encode(b"x" * 32).decode())
    assert not is_proven("telnyx", telnyx(body, NOW), "no key")
    assert not is_proven("telnyx", report(body), PUBLIC)


def test_plivo_signs_url_fields_and_nonce() -> None:
    """A POST's fields behind the URL, a GET's in it, sorted; one of several signatures is enough."""
    fields = {"To": "14155551234", "Status": "delivered", "MessageUUID": "u"}
    behind = "".join(name + fields[name] for name in sorted(fields))
    body = urlencode(fields).encode()
    nonce = {"x_plivo_signature_v3_nonce": "n1"}
    posted = b64(SECRET, f"{URL}?{behind}.n1", "sha256")
    assert is_proven("plivo", report(body, x_plivo_signature_v3=f"other,{posted}", **nonce))
    assert not is_proven("plivo", report(body.replace(b"delivered", b"failed"), x_plivo_signature_v3=posted, **nonce))
    assert not is_proven("plivo", report(body, x_plivo_signature_v3=posted, x_plivo_signature_v3_nonce="n2"))
    assert not is_proven("plivo", report(body, **nonce))
    queried = b64(SECRET, f"{URL}?a=1&b=2.{behind}.n1", "sha256")
    assert is_proven("plivo", report(body, query="b=2&a=1", x_plivo_signature_v3=queried, **nonce))
    got = b64(SECRET, f"{URL}?MessageUUID=u&Status=delivered&To=14155551234.n1", "sha256")
    assert is_proven("plivo", report(method="GET", query=urlencode(fields), x_plivo_signature_v3=got, **nonce))


@given(
    st.sampled_from(sorted(PROOFS)),
    st.binary(),
    st.text(alphabet="abc=&%;é"),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from([FORM, "application/json", ""]),
    st.dictionaries(
        st.sampled_from(
            [
                "x_twilio_signature",
                "telnyx_timestamp",
                "telnyx_signature_ed25519",
                "x_plivo_signature_v3",
                "x_plivo_signature_v3_nonce",
            ]
        ),
        st.text(),
    ),
)
def test_nothing_proves_by_accident_or_fails(
    vendor: str, body: bytes, query: str, method: str, kind: str, headers: dict[str, str]
) -> None:
    """Junk is forged, and nothing else."""
    assert not is_proven(vendor, report(body, method=method, query=query, kind=kind, **headers), PUBLIC)
