"""What the readers of these servers and vendors share: proofs, bounds, whatever is posted."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp_posts import MAIL_ID, SECRET, TOKEN, by_mandrill, by_resend, posted
from gatewayd.evidence.esp import brevo, kumomta, mandrill, resend, smtp2go
from gatewayd.evidence.esp.event import EspEvent, Forged, Settings, Unreadable, first_token

BASIC = {"brevo": brevo, "smtp2go": smtp2go, "kumomta": kumomta}


@pytest.mark.parametrize("module", BASIC.values(), ids=BASIC)
def test_basic_credentials_are_needed_where_they_are_configured(module: Any) -> None:
    """Those that sign nothing."""
    settings = Settings(username="gateway", password="open sesame")
    right = base64.b64encode(b"gateway:open sesame").decode()
    assert module.read(posted([], {"authorization": f"Basic {right}"}), settings) == ()
    with pytest.raises(Forged):
        module.read(posted([]), settings)


@pytest.mark.parametrize("module", BASIC.values(), ids=BASIC)
def test_a_megabyte_of_nothing_is_refused_unread(module: Any) -> None:
    """More events than any provider sends at once: each would be looked at, and nobody else answered meanwhile."""
    with pytest.raises(Unreadable):
        module.read(posted(b"[" + b"{}," * 300_000 + b"{}]"), Settings())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.just(TOKEN),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("type", "event", "payload", "message", "original_message", "data", "headers", "meta", "bounce", "msg")
            )
            | st.sampled_from(("metadata", "tags", "response", "enhanced_code", "feedback_report", "tag", "_id", "ts"))
            | st.text(max_size=10),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_was_proven_is_read_or_refused(data: object) -> None:
    """No form of a body raises anything but Unreadable."""
    requests = [
        (kumomta, posted(data), Settings()),
        (brevo, posted(data), Settings()),
        (smtp2go, posted(data), Settings()),
        (mandrill, by_mandrill(data), Settings(signing_key="mandrill-key")),
        (resend, by_resend(data), Settings(signing_key=SECRET)),
    ]
    for module, request, settings in requests:
        try:
            found: tuple[EspEvent, ...] = module.read(request, settings)
        except Unreadable:
            continue
        assert all(isinstance(one, EspEvent) for one in found)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([TOKEN], TOKEN),
        ([f'{{"gw":"{TOKEN}"}}'], TOKEN),
        ([f"a:{TOKEN}|b"], TOKEN),
        ([None, 5, "no", TOKEN], TOKEN),
        ([TOKEN + "a"], ""),
        ([MAIL_ID, TOKEN], TOKEN),
        (["x" * 5000 + TOKEN], ""),
        ([], ""),
    ],
)
def test_a_token_is_known_by_its_form(values: list[object], found: str) -> None:
    """47 digits, alone or in the provider's own form around them."""
    assert first_token(values) == found
