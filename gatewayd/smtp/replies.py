"""What a relay's replies mean: the strict reply reader and the one table from reply to outcome. Pure.

Retry is decided by the reply code's first digit, the reason by the enhanced code; where they disagree the reply code
wins (RFC 5321). What no row lists is temporary. Knows no sockets, timers or routes.
"""

import re
from collections.abc import Callable
from enum import Enum, StrEnum

from msgspec import Struct

from gatewayd.core.enhanced_codes import HARD, spares_the_address
from gatewayd.core.redact import redact, whole_words, without_addresses

LINE_LIMIT = 65536
"""Bytes of a reply line. Relays pass on what others said, at length, and a long yes must not count as none."""

LINES_LIMIT = 100
"""Lines of one reply."""

_SHOWN = 300  # characters for people
_READ = 1500  # characters of which those are made


class Stage(StrEnum):
    """Where in a conversation a reply belongs."""

    CONNECT = "connect"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "end of data"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"


class Reply(Struct, frozen=True):
    """One reply; `text` is the relay's words, its lines joined by a space: raw, so it may hold an address."""

    code: int
    text: str = ""
    lines: tuple[str, ...] = ()

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) at the start of the text, or an empty string."""
        match = _ENHANCED.match(self.text)
        return match[0] if match else ""


class RelayAnswer(Struct, frozen=True):
    """How one transaction ended at `stage`. `code` is 0 where no reply came; then `text` is our own words.

    `ambiguous` is true only where the final dot was written and its answer was lost. `text` is redacted.
    """

    stage: Stage
    code: int
    enhanced: str = ""
    text: str = ""
    ambiguous: bool = False

    @property
    def accepted(self) -> bool:
        """The relay answered the final dot with 2xx: it is responsible now."""
        return self.stage is Stage.DOT and 200 <= self.code < 300

    def __str__(self) -> str:
        said = f"{self.code} {self.text}".strip() if self.code else self.text
        return f"{said} ({self.stage})"


class RelayVerdict(Enum):
    """What an answer means for the message, the route and the recipient's domain."""

    ACCEPTED = "accepted"
    AGAIN = "this message, later"
    DOMAIN = "this message later, and other mail to its domain not faster"
    ROUTE = "this relay is in trouble: try the next one"
    BARE = "once more without parameters"
    REFUSED = "for good"


_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_USUAL = {b"250 ": 250, b"354 ": 354}
_FIRST = re.compile(rb"([2-5]\d\d)([ -]|$)")

# A row: stages, reply code (a digit stands for its whole class), beginning of the enhanced code, verdict.
# The first row that fits decides.
_SUBMIT = (Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT)
_TABLE: tuple[tuple[tuple[Stage, ...], str, str, RelayVerdict], ...] = (
    ((Stage.DOT,), "2", "", RelayVerdict.ACCEPTED),
    # The relay's own disk, look-ups or configuration, or its end.
    ((Stage.RCPT, Stage.DOT), "4", "4.3.", RelayVerdict.ROUTE),
    # Going away: the relay itself before a recipient was named, perhaps the recipient's domain after that.
    ((Stage.MAIL,), "421", "", RelayVerdict.ROUTE),
    ((Stage.RCPT, Stage.DATA, Stage.DOT), "421", "", RelayVerdict.DOMAIN),
    # The relay wants a log-in or a better one: never this message's fault.
    (_SUBMIT, "530", "", RelayVerdict.ROUTE),
    (_SUBMIT, "534", "", RelayVerdict.ROUTE),
    (_SUBMIT, "535", "", RelayVerdict.ROUTE),
    (_SUBMIT, "538", "", RelayVerdict.ROUTE),
    (_SUBMIT, "521", "", RelayVerdict.ROUTE),
    # It does not know the command, or its order: a broken relay or a bug of ours, not the message.
    (_SUBMIT, "500", "", RelayVerdict.ROUTE),
    (_SUBMIT, "502", "", RelayVerdict.ROUTE),
    (_SUBMIT, "503", "", RelayVerdict.ROUTE),
    # Congestion, which can't last (RFC 3463 3.5): Gmail and others so refuse what is over our own quota there.
    (_SUBMIT, "5", "5.4.5", RelayVerdict.ROUTE),
    # It does not like what we add to the command. A 501 with a 5.1.x code is about the address itself.
    ((Stage.MAIL, Stage.RCPT), "555", "", RelayVerdict.BARE),
    ((Stage.MAIL, Stage.RCPT), "455", "", RelayVerdict.BARE),
    ((Stage.MAIL, Stage.RCPT), "5", "5.5.4", RelayVerdict.BARE),
    ((Stage.MAIL, Stage.RCPT), "501", "5.1.", RelayVerdict.REFUSED),
    ((Stage.MAIL, Stage.RCPT), "501", "", RelayVerdict.BARE),
    ((Stage.MAIL, Stage.RCPT), "504", "", RelayVerdict.BARE),
    ((Stage.MAIL,), "4", "", RelayVerdict.ROUTE),
    # One mailbox is full or busy; its neighbours are not.
    ((Stage.RCPT, Stage.DOT), "4", "4.2.", RelayVerdict.AGAIN),
    ((Stage.RCPT, Stage.DOT), "4", "", RelayVerdict.DOMAIN),
    ((Stage.DATA,), "4", "", RelayVerdict.ROUTE),
    (_SUBMIT, "5", "", RelayVerdict.REFUSED),
    ((Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH), "", "", RelayVerdict.ROUTE),
)

_OURS = r"(?:daily|hourly|monthly|sending|messaging|smtp relay|outgoing|outbound)"
_QUOTA_OF_OURS = re.compile(
    rf"\b{_OURS} (?:\w+ ){{0,3}}(?:limit|quota|rate)s? (?:(?:has been|was|is) )?(?:exceeded|reached)|"
    rf"\b(?:exceed(?:ed)?|reached) (?:your |the )?{_OURS} (?:\w+ ){{0,2}}(?:limit|quota|rate)|"
    r"\byou(?:'ve| have) (?:exceeded|reached) your (?:\w+ ){0,3}(?:limit|quota)\b",
    re.IGNORECASE,
)
"""What an account with a relay may send: the next mail is refused as well, and another relay knows nothing of it."""

_NOT_LET_IN = re.compile(
    r"\b(?:relay|relaying) (?:access |to \S{1,300} )?(?:is )?(?:denied|prohibited|not (?:allowed|permitted|enabled))|"
    r"\b(?:unable|not (?:allowed|permitted|authori[sz]ed)) to relay\b|\bwe do not relay\b|\ballowed rcpthosts\b|"
    r"\bclient (?:host|address) (?:\S{1,300} )?(?:rejected|blocked)|"
    r"\b(?:helo|ehlo|reverse dns|rdns|ptr record)\b|"
    r"\byour (?:ip|access|client)\b.{0,80} (?:not (?:allowed|permitted|authori[sz]ed)|rejected|denied|blocked)\b|"
    r"\bclient was not authenticated|\b(?:auth|authentication|starttls|tls) (?:is )?required\b|\bissue a starttls\b|"
    r"\bmust (?:be )?authenticated?\b|\b(?:please|must) (?:authenticate|log ?in)\b|\bnot logged in\b",
    re.IGNORECASE,
)
"""What a relay says of our host, name or log-in at MAIL or RCPT, under codes that say nothing of it: every mail gets
the same answer, until somebody mends the relay."""

_MUCH_FOR_ONE = re.compile(
    r"\btoo (?:many|much) (?:\w+ ){0,2}(?:messages?|e?mails?|transactions?|recipients?)\b(?! per message)|"
    r"\b(?:messages?|e?mails?|transactions?|recipients?)\b[^.]{0,40} (?:per|in (?:this|one|a)|for this) (?:\w+ )?"
    r"(?:session|connection)\b",
    re.IGNORECASE,
)

_NO_DOMAIN = re.compile(r"NXDOMAIN|(domain|host)( name)? (does not exist|not found)", re.IGNORECASE)


def verdict_of(answer: RelayAnswer) -> RelayVerdict:
    """What `answer` means; a lost connection before the final dot is the relay's trouble."""
    if answer.code == 0:
        return RelayVerdict.ROUTE
    code = str(answer.code)
    if answer.code >= 400 and answer.stage in _SUBMIT and _QUOTA_OF_OURS.search(answer.text):
        # Under 5.7.1, 554 or 454, which say nothing of it.
        return RelayVerdict.ROUTE
    if answer.code >= 400 and answer.stage in (Stage.MAIL, Stage.RCPT) and _NOT_LET_IN.search(answer.text):
        return RelayVerdict.ROUTE
    for stages, start, enhanced, verdict in _TABLE:
        if answer.stage in stages and code.startswith(start) and answer.enhanced.startswith(enhanced):
            return verdict
    return RelayVerdict.AGAIN


def ends_session(answer: RelayAnswer) -> bool:
    """Whether `answer` may speak of all that its connection carried so far: it says so, or is a no to whatever comes.

    One mail has one recipient: there are never too many of those in it.
    """
    if answer.stage not in (Stage.MAIL, Stage.RCPT) or answer.code < 400 or verdict_of(answer) is RelayVerdict.BARE:
        return False
    # 4.3.x is the relay's own trouble, on whatever connection.
    not_now = answer.stage is Stage.MAIL and answer.code < 500 and not answer.enhanced.startswith("4.3.")
    return not_now or answer.enhanced in ("4.5.3", "5.5.3") or _MUCH_FOR_ONE.search(answer.text) is not None


def is_hard(answer: RelayAnswer) -> bool:
    """Whether a refusal says that the address does not exist, so that it may be suppressed.

    Never for full mailboxes, policy, size or our own authentication (5.2.2, 5.3.x, 5.6.x, 5.7.x).
    """
    if answer.stage is Stage.MAIL or answer.code < 500 or spares_the_address(answer.text):
        return False
    return answer.enhanced in HARD or (answer.enhanced == "5.4.4" and _NO_DOMAIN.search(answer.text) is not None)


def answer_of(stage: Stage, reply: Reply, recipient: str = "") -> RelayAnswer:
    """The answer that `reply` makes at `stage`, without the recipient's address or local part in it.

    Of a mail that was accepted it names the relay's id, whatever its form: the one thing that a postmaster asks for.
    """
    accepted = stage is Stage.DOT and 200 <= reply.code < 300
    return RelayAnswer(
        stage, reply.code, reply.enhanced, cleaned(reply.text, recipient, without_addresses if accepted else redact)
    )


def cleaned(text: str, recipient: str = "", blotted: Callable[..., str] = redact) -> str:
    """`text` fit for a timeline: `blotted` (no addresses or long numbers), no control characters, not long."""
    # A reply may have 6 MB. The local part goes before the words are cut: half of it would not be known again.
    text = blotted(whole_words(text, _READ), about=(recipient,) if recipient else ())[:_SHOWN]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text


class BadReply(Exception):
    """The peer does not speak SMTP."""


class ReplyReader:
    """Puts reply lines together: 3 digits, the same code on each line that has one, at most `LINES_LIMIT` lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._code = 0

    def add(self, line: bytes) -> Reply | None:
        """The reply that `line` (without CRLF) completes, or None where more lines follow. Raises BadReply."""
        if not self._lines and line[:4] in _USUAL:
            return Reply(_USUAL[line[:4]], line[4:].decode("utf-8", "replace"))
        match = _FIRST.match(line)
        if match is None and not self._lines:
            raise BadReply("a line that is no SMTP reply")
        # Some break a long text in the middle of a reply; its code is known by then.
        code = int(match[1]) if match else self._code
        text = (line[4:] if match else line).decode("utf-8", "replace")
        last = match is not None and match[2] != b"-"
        if last and not self._lines:
            return Reply(code, text)
        if self._lines and code != self._code:
            raise BadReply("a reply with two codes")
        if len(self._lines) >= LINES_LIMIT:
            raise BadReply("a reply without end")
        self._code = code
        self._lines.append(text)
        if not last:
            return None
        lines, self._lines = tuple(self._lines), []
        first = _ENHANCED.match(lines[0])
        shown = lines if first is None else (lines[0], *(each.removeprefix(first[0]).strip() for each in lines[1:]))
        return Reply(code, " ".join(shown), lines)
