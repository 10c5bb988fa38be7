"""What a label's SMSCs can carry: counted and judged before a message is taken on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.smpp import text
from gatewayd.smpp.fit import Fit
from labels import label
from smpp_texts import DEFAULTS
from smpp_world import settings


def fit(**smscs: dict[str, Any]) -> Fit:
    """With these SMSCs."""
    return Fit({name: settings(1, **changed) for name, changed in smscs.items()})


def via(*names: str, **changed: Any) -> Any:
    """A label whose routes lead to these SMSCs, each by a prefix of its own."""
    routes = [{"prefix": f"+{number}", "via": [name]} for number, name in enumerate(names, 1)]
    return label(sms_routes=routes, **changed)


def test_the_longest_way_on_the_labels_routes_counts() -> None:
    """150 plain letters are one segment in GSM 03.38 and two where data_coding 0 is Latin-1."""
    both = fit(uk={}, world={"default_alphabet": "latin1"})
    assert both.segments("x" * 150, via("uk")) == 1
    assert both.segments("x" * 150, via("uk", "world")) == 2
    assert both.segments("x" * 150, via("uk", "world"), "uk") == 1
    assert both.segments("x" * 150, via("nowhere")) == 1


def test_the_16_bit_reference_takes_its_room() -> None:
    """306 septets are two segments with 8 bits of reference, three with 16."""
    both = fit(uk={}, world={"long_messages": "udh16"})
    assert both.segments("x" * 306, via("uk")) == 2
    assert both.segments("x" * 306, via("world")) == 3


def test_message_payload_is_one_submit_of_many_segments() -> None:
    """At acceptance it is counted as what it becomes on the air, on its way as the one submit that it is."""
    one = fit(world={"long_messages": "payload"})
    assert one.segments("x" * 400, via("world")) == 3
    assert one.segments("x" * 400, via("world"), "world") == 1


@given(
    st.text(max_size=600),
    st.sampled_from(DEFAULTS),
    st.sampled_from(["udh", "udh16", "sar"]),
    st.booleans(),
)
def test_what_is_counted_is_what_is_sent(body: str, alphabet: Any, how: Any, transliterate: bool) -> None:
    """The count for a route is the number of submits that the plan for it makes, and no more than the label's."""
    plan = text.plan(body, text.Form(alphabet, how), transliterate=transliterate)
    some = fit(world={"default_alphabet": alphabet, "long_messages": how}, uk={})
    of = via("world", "uk", transliterate=transliterate)
    assert some.segments(body, of, "world") == len(plan.segments)
    assert some.segments(body, of) >= len(plan.segments)


@pytest.mark.parametrize(
    ("sender", "gsm", "latin1"),
    [("Amazing", True, True), ("+447700900123", True, True), ("Ωmega", True, False), ("naïve", False, True)],
)
def test_a_sender_must_be_writable_for_every_smsc_of_the_label(sender: str, gsm: bool, latin1: bool) -> None:
    """Which SMSC takes the message is known only when it goes out, so all of them must be able to."""
    both = fit(uk={}, world={"default_alphabet": "latin1"})
    assert (not both.why_no_sender(sender, via("uk"))) == gsm
    assert (not both.why_no_sender(sender, via("world"))) == latin1
    assert (not both.why_no_sender(sender, via("uk", "world"))) == (gsm and latin1)
    assert sender not in both.why_no_sender(sender, via("uk", "world"))


def test_a_text_of_which_nothing_is_left_is_told_at_acceptance() -> None:
    """Every SMSC of the label must be able to send something; the reason quotes nothing of it."""
    both = fit(uk={}, world={"surrogates": "strip"})
    assert both.why_no_text("🎉", via("uk")) == ""
    assert "body" in both.why_no_text("🎉", via("uk", "world"))
    assert "🎉" not in both.why_no_text("🎉", via("world"))
    assert both.why_no_text("🎉 win", via("world")) == ""


def test_other_smscs_count_after_a_reload() -> None:
    """From the next question on."""
    some = fit(world={})
    some.reconfigure({"world": settings(1, default_alphabet="latin1")})
    assert some.segments("x" * 150, via("world")) == 2
