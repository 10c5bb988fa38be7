"""What a probe finds in the configuration."""

from typing import Any

from gatewayd.check.probes import report_url, sender_of
from gatewayd.config import Config, Public, parse
from gatewayd.core.tokens import shortened


def config(*routes: dict[str, Any], **label: Any) -> Config:
    """An installation with one label, two SMSCs and these routes."""
    smsc = {"host": "smsc.example", "port": 2775, "system_id": "gw", "password": "right"}
    table = {
        "allow_from": ["192.0.2.0/24"],
        "authorization": ["Bearer 0f8c2d71b6e94a53"],
        "callback_hosts": ["*.smartico.ai"],
        "api_key": "5d1e8a90c7b34f26",
        "directory": "players",
        "sms_routes": list(routes),
    }
    raw = {
        "redis": {"endpoint": "unix:/run/redis.sock"},
        "gatewayd": {"secret_key": "0123456789abcdef0123456789abcdef"},
        "labels": {"amazing": table | label},
        "directories": {"players": {"type": "http", "url": "https://players.example/{ext_user_id}"}},
        "smscs": {"world": smsc, "spare": smsc},
    }
    return parse(raw, {})


def test_the_sender_of_a_route_or_else_of_its_label() -> None:
    """Only routes by that way count, and the first that has a sender."""
    routes = ({"prefix": "+44", "via": ["spare"], "sender": "Britain"}, {"prefix": "", "via": ["world", "spare"]})
    found = config(*routes, sms_sender="Amazing")
    assert sender_of(found, "spare") == "Britain"
    assert sender_of(found, "world") == "Amazing"
    assert sender_of(found, "nobody") == ""


def test_the_sender_of_an_instant_message_is_its_labels() -> None:
    """It has no route."""
    label = config(sms_sender="Amazing").labels["amazing"].model_copy(update={"im_via": ("chat",)})
    found = config().model_copy(update={"labels": {"amazing": label}})
    assert sender_of(found, "chat") == "Amazing"


def test_a_probes_report_has_a_url_as_long_as_any() -> None:
    """What a vendor takes no such URL or token for is learned by the probe, and not by the first campaign."""
    found = config().model_copy(update={"public": Public(base_url="https://go.amazing.co/")})
    base, token = report_url(found, "first").rsplit("/", 1)
    assert base == "https://go.amazing.co/dlr/first"
    assert (len(token), len(shortened(token))) == (47, 32)


def test_no_report_without_a_public_listener() -> None:
    """There is nowhere for it to go."""
    assert report_url(config({"prefix": "", "via": ["world"]}), "first") == ""
