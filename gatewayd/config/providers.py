"""[providers.NAME]: a vendor's HTTP API as a way out for SMS or instant messages."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from gatewayd.config.secret import ELSEWHERE, ProofSecret, Secret, SecretText, printable, secret
from gatewayd.config.table import Table
from gatewayd.config.times import Duration, Rate
from gatewayd.config.values import Count, check_host_of, header_name, http_url, shaped

PLACE_HOLDERS = frozenset(
    {
        "to",
        "to_digits",
        "sender",
        "text",
        "message_id",
        "uid",
        "label",
        "ext_user_id",
        "report_url",
        "report_token",
        "short_token",
        "username",
        "password",
        "address",
        "seconds_left",
    }
)
"""What may stand in braces in `url`, `fields`, `headers` and `authorization` (CONTRACT.md, HTTP ways out)."""

TOKENS = frozenset({"report_token", "short_token"})
"""Those that come back in the reports of a vendor that has one URL for all."""

REPORTING = TOKENS | {"report_url"}

SHORTEST_PATH = 16
"""Characters of a secret path at least."""

PLACE_HOLDER = re.compile(r"\{([A-Za-z_]+)(?::number)?\}")
"""One of them; other braces are text."""

NUMBER = re.compile(r"\{([A-Za-z_]+):number\}")
"""One that is a number where it stands in JSON, and there the whole value."""


class Verbatim(Secret):
    """A secret that stood elsewhere than in gatewayd.toml: braces in it are its own."""

    __slots__ = ()


def _url(text: str) -> str:
    host = re.match(r"https?://([^\s/?#@\\]+)", text)
    if host and "{" in host[1]:
        raise ValueError("place-holders belong into the path or the query: the host is written out")
    return check_host_of(http_url(text))


def _header_value(value: object, info: ValidationInfo) -> Secret:
    given = printable(secret(value, info))
    return Verbatim(given.reveal()) if isinstance(value, str) and value.startswith(ELSEWHERE) else given


def _status(value: object) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"(?:[1-5][0-9x]{2})?", text):
        raise ValueError('is not a status such as "200", "4xx" or "2xx"')
    return text


def _word(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Words = Annotated[tuple[Annotated[str, BeforeValidator(_word)], ...], Strict(False)]
Path = Annotated[
    str,
    shaped(r"[^\x00-\x1f\x7f]{0,500}", "has control characters, or more than 500 characters"),
    # As JSONPath and JSON Pointer have them: nothing would ever be found there, so that each answer meant another try.
    shaped(
        r"(?![/.]|\$(?:[.\[]|$))(?!.*\.(?:\.|$))(?!.*\[[0-9*]*\](?:\.|$)).*",
        "is no path: keys and positions with dots between, as messages.0.status or messages.*.status",
    ),
]


class ProviderMatch(Table):
    """What an answer must be to fit: status, and where `path` leads to; what is not given does not matter."""

    status: Annotated[str, BeforeValidator(_status)] = ""
    path: Path = ""
    values: Words = ()

    def has_status(self, status: str) -> bool:
        """Whether an answer of this status may fit, or each one of a pattern of them (4xx)."""
        return not self.status or all(want in ("x", have) for want, have in zip(self.status, status, strict=True))


Matches = Annotated[tuple[ProviderMatch, ...], Strict(False)]


class ProviderAnswer(Table):
    """[providers.NAME.answer]"""

    taken: Annotated[Matches, Field(min_length=1)] = (ProviderMatch(status="2xx"),)
    """Without any each answer would mean another try, and each try a copy for the recipient."""
    rejected: Matches = ()
    throttled: Matches = ()
    ids: Path = ""


def _hard_to_guess(value: Secret) -> Secret:
    if 0 < len(value.reveal()) < SHORTEST_PATH:
        raise ValueError(f"has fewer than {SHORTEST_PATH} characters, and anybody could try it out")
    return value


class ProviderReports(Table):
    """[providers.NAME.reports]"""

    token: Path = ""
    """Where {report_token} or {short_token} comes back; "" where the URL of a report says which message it is about."""
    url_secret: Annotated[SecretText, AfterValidator(_hard_to_guess)] = Secret("")
    """The last part of the URL for the reports on all messages, of a vendor that names them by its own ids alone."""
    id: Path = ""
    status: Path = ""
    reason: Path = ""
    states: dict[str, Literal["accepted", "delivered", "failed", "rejected"]] = {}
    signature: Literal["", "twilio", "vonage", "telnyx", "plivo"] = ""
    secret: ProofSecret = Secret("")


class ProviderInbound(Table):
    """[providers.NAME.inbound]: what players write back."""

    secret: Annotated[SecretText, AfterValidator(_hard_to_guess)] = Secret("")
    """The last part of the URL that texts come to; "" where none do."""
    number: Path = ""
    text: Path = ""


class Provider(Table):
    """[providers.NAME], its profile's keys filled in."""

    carries: Literal["sms", "im"] = "sms"
    profile: str = ""
    url: Annotated[str, AfterValidator(_url)]
    method: Literal["POST", "GET"] = "POST"
    body: Literal["json", "form", "none"] = "json"
    fields: dict[str, Any] = {}
    unicode_fields: dict[str, Any] = {}
    """Beside or over `fields` for a text that is not all in GSM 03.38."""
    headers: dict[Annotated[str, AfterValidator(header_name)], Annotated[Secret, BeforeValidator(_header_value)]] = {}
    authorization: Annotated[Secret, BeforeValidator(_header_value)] = Secret("")
    username: str = ""
    password: SecretText = Secret("")
    clear_text: bool = False
    ca_file: str = ""
    certificate: str = ""
    private_key: str = ""
    rate: Rate = 0.0
    connections: Count = 10
    timeout: Duration = 10.0
    on_uncertain: Literal["hold", "resend"] = "hold"
    uncertain_wait: Duration = 10.0
    answer: ProviderAnswer = ProviderAnswer()
    reports: ProviderReports = ProviderReports()
    inbound: ProviderInbound = ProviderInbound()

    @property
    def tells_later(self) -> bool:
        """Whether its reports can be known."""
        return bool(self.reports.url_secret) or not REPORTING.isdisjoint(self.place_holders)

    @property
    def place_holders(self) -> frozenset[str]:
        """Those that its url, fields and headers use."""
        sent = (self.authorization, *self.headers.values())
        headers = [value.reveal() for value in sent if not isinstance(value, Verbatim)]
        return frozenset(place_holders_of([self.url, self.fields, self.unicode_fields, headers]))


def place_holders_of(value: object) -> Iterator[str]:
    """The names in braces in all texts of a nested value."""
    for _, leaf in leaves("", value):
        if isinstance(leaf, str):
            yield from PLACE_HOLDER.findall(leaf)


def leaves(at: str, value: object) -> Iterator[tuple[str, object]]:
    """Each value in nested tables and lists that is neither, with the path to it from `at` on."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(f"{at}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(f"{at}[{index}]", inner)
    else:
        yield at, value
