"""Delivery receipts: what one says of a submit, and under which id that submit is found.

Owns the receipt's text and TLVs (SMPP 3.4 appendix B, 5.2.12, 5.3.2.12, .26, .31, .35), the table of states, and the
forms of message ids. It knows no store, no link and no message of ours.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from gatewayd.core.status import Event
from gatewayd.smpp.codec.pdu import DataSm, DeliverSm, Tag
from gatewayd.smpp.incoming import without_udh

IdRule = Literal["as-is", "decimal", "hex", "auto"]

# esm_class bits 5 to 2, the message type (5.2.12).
_TYPE = 0x3C
_RECEIPT = 0x04
_INTERMEDIATE = 0x20

# message_state (5.2.28; 0 and 9 are of version 5) in the words of the text form.
STATES: dict[int, str] = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}

# What a state settles; None is nothing, and so is a word that is not here.
EVENTS: dict[str, Event | None] = {
    "SCHEDULED": None,
    "ENROUTE": None,
    "DELIVRD": Event.DELIVERED,
    "EXPIRED": Event.FAILED,
    "DELETED": Event.FAILED,
    "UNDELIV": Event.FAILED,
    "ACCEPTD": None,
    "UNKNOWN": None,
    "REJECTD": Event.REJECTED,
    "SKIPPED": Event.FAILED,
    # The same in the spellings of SMSCs that do not count to seven.
    "DELIVERED": Event.DELIVERED,
    "DELIVERD": Event.DELIVERED,
    "DELIVRED": Event.DELIVERED,
    "UNDELIVERED": Event.FAILED,
    "UNDELIVERABLE": Event.FAILED,
    "UNDELIVRD": Event.FAILED,
    "UNDELIVD": Event.FAILED,
    "FAILED": Event.FAILED,
    "ACCEPTED": None,
    "REJECTED": Event.REJECTED,
}

# Smartico's words, which receipt_states gives to a vendor's. A receipt that says no more than "accepted" settles
# nothing: the submit's answer said so already.
_CONFIGURED: dict[str, Event | None] = {
    "accepted": None,
    "delivered": Event.DELIVERED,
    "failed": Event.FAILED,
    "rejected": Event.REJECTED,
}

_KEYS = r"id|sub|dlvrd|submit[ _-]?date|done[ _-]?date|stat(?:us|e)?|err(?:or)?|text"
# A key with nothing behind it must not swallow the next one as its value.
_PAIR = re.compile(
    rf"(?<![^\s,;|&])(?:message[ _-]?|msg[ _-]?)?({_KEYS})[ ]?[:=][ ]*(?!(?:{_KEYS})[ ]?[:=])([^\s,;|&]+)",
    re.IGNORECASE | re.ASCII,
)
_WORD_OF_AN_ID = r"[^\s,;|&:=]+"
_ID_OF_WORDS = re.compile(
    rf"(?<![^\s,;|&])(?:message[ _-]?|msg[ _-]?)?id[ ]?[:=][ ]*({_WORD_OF_AN_ID}(?: {_WORD_OF_AN_ID})+)"
    rf"(?= (?:{_KEYS})[ ]?[:=])",
    re.IGNORECASE | re.ASCII,
)
_TEXT = re.compile(r"(?<![^\s,;|&])text[ ]?[:=]", re.IGNORECASE)
_USUAL = re.compile(
    r"id:([^\s,;|&:=]+) sub:\d+ dlvrd:\d+ submit date:\d+ done date:\d+ "
    r"stat:([^\s,;|&:=]+) err:([^\s,;|&:=]+)(?= text:|\Z)",
    re.ASCII,
)
"""Appendix B to the letter, as nearly all receipts come: read at a tenth of the price, and to the same."""

_BEGINS_LIKE_ONE = re.compile(r"\s*(?:message[ _-]?|msg[ _-]?)?id[ ]?[:=]", re.IGNORECASE)
_STATE_NUMBER = re.compile(r"0{0,2}([0-9])", re.ASCII)
_AROUND = " \t\r\n\"'()[]{}<>."
"""What SMSCs put around a value, in the answer or in the receipt."""

_LONGEST_SCANNED = 1024  # octets of a text

_WORD = re.compile(r"[0-9A-Z_-]{1,24}", re.ASCII)
_CODE = re.compile(r"[0-9A-Za-z_.-]{1,12}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{7,}")


class ReceiptText(Struct, frozen=True):
    """What one delivery receipt says.

    `ids` are the ids in it as they were written, the TLV's before the text's; none where it names no submit.
    `event` is None where it settles nothing. `intermediate` marks a notification on the way. `detail` is for the
    support engineer and holds no number of a person.
    """

    ids: tuple[str, ...]
    event: Event | None
    state: str = ""
    error: str = ""
    intermediate: bool = False
    detail: str = ""


def read(pdu: DeliverSm | DataSm, receipt_states: Mapping[str, str] | None = None) -> ReceiptText | None:
    """The receipt in `pdu`, or None where it is a text from a person.

    A receipt is told by esm_class, by its TLVs, or by a text in the form of appendix B; one that
    esm_class announces is a receipt even where nothing in it can be read. `receipt_states` are the operator's
    meanings of state words, in any letter case, over the table's.
    """
    kind = pdu.esm_class & _TYPE
    tlv_id = _cleaned(pdu.tlv_string(Tag.RECEIPTED_MESSAGE_ID) or b"")
    number = pdu.tlv_int(Tag.MESSAGE_STATE)
    announced = kind in (_RECEIPT, _INTERMEDIATE) or bool(tlv_id) or number is not None
    content = _content(pdu)
    if not announced and not _BEGINS_LIKE_ONE.match(content):
        return None
    said = _pairs(content)
    text_id = _cleaned(said.get("id", ""))
    words_id = _cleaned(said.pop("id of words", ""))
    ids = tuple(dict.fromkeys(filter(None, (tlv_id, words_id, text_id))))
    word = said.get("stat", "").lstrip(_AROUND).partition("(")[0].rstrip(_AROUND).upper()
    if number_word := _STATE_NUMBER.fullmatch(word):
        word = STATES[int(number_word[1])]
    state, event, known = _settles(number, word, receipt_states)
    if not announced and not (text_id and word and (known or len(said) >= 3)):
        return None
    intermediate = kind == _INTERMEDIATE
    error = said.get("err", "")
    state = state if _WORD.fullmatch(state) and not _NUMBER.search(state) else "?" * bool(state)
    return ReceiptText(
        ids,
        None if intermediate else event,
        state,
        error if _CODE.fullmatch(error) and not _NUMBER.search(error) else "",
        intermediate,
        _detail(state, error, pdu.tlv(Tag.NETWORK_ERROR_CODE), intermediate),
    )


def _settles(number: int | None, word: str, configured: Mapping[str, str] | None) -> tuple[str, Event | None, bool]:
    """The state's name, what it settles, and whether a table has it.

    The operator's word counts first, then the TLV's state, then the text's; what settles something counts before
    what does not.
    """
    named = "" if number is None else STATES.get(number, str(number))
    if configured:
        upper = {name.upper(): status for name, status in configured.items()}
        for name in (word, named):
            if name and name in upper:
                return name, _CONFIGURED[upper[name]], True
    if EVENTS.get(named):
        return named, EVENTS[named], True
    # A TLV that settles nothing beside a word that does: the SMSC's table of states is short, its text is not.
    if EVENTS.get(word):
        return word, EVENTS[word], True
    return named or word, None, named in EVENTS or word in EVENTS


def _content(pdu: DeliverSm | DataSm) -> str:
    data = without_udh(pdu.user_data, pdu.esm_class)[:_LONGEST_SCANNED]
    # SMSCs write receipts in ASCII whatever data_coding says, but for those that write UCS-2.
    if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
        data = data[2:]
    # Two letters of UCS-2: one NUL is an end that was written with the text.
    if len(data) >= 4 and data[0] == data[2] == 0:
        content = data.decode("utf-16-be", "replace")
    elif len(data) >= 4 and data[1] == data[3] == 0:
        content = data.decode("utf-16-le", "replace")
    else:
        content = data.decode("latin-1")
    return content.replace("\0", " ").rstrip() if "\0" in content else content


def _pairs(content: str) -> dict[str, str]:
    """Values by the key's plain name; what follows `text:` echoes our own words and counts only where it must."""
    usual = _USUAL.match(content)
    if usual is not None:
        return dict(zip(("id", "stat", "err"), usual.groups(), strict=True))
    cut = _TEXT.search(content)
    head = content[: cut.start()] if cut else content
    found = _scan(head)
    if cut and not ("id" in found and "stat" in found):
        for name, value in _scan(content[cut.end() :]).items():
            found.setdefault(name, value)
    return found


def _scan(content: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in _PAIR.findall(content):
        name = key.lower()
        if name.startswith("stat"):
            name = "stat"
        elif name.startswith("err"):
            name = "err"
        found.setdefault(name, value)
    if "id" in found and (words := _ID_OF_WORDS.search(content)):
        found["id of words"] = words[1]
    return found


def _detail(state: str, error: str, network: bytes | None, intermediate: bool) -> str:
    said = ["intermediate"] if intermediate else []
    if state:
        said.append(f"stat:{state}")
    if error:
        said.append(f"err:{error}" if _CODE.fullmatch(error) else "err:?")
    if network is not None and len(network) == 3:
        said.append(f"network:{network[0]}/{network[1] << 8 | network[2]}")
    return _NUMBER.sub("#", " ".join(said))


_LONGEST_ID = 128  # characters
_DECIMAL = re.compile(r"[0-9]+", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_PREFIXED = re.compile(r"0[xX][0-9a-fA-F]+", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]+(?:-[0-9a-fA-F]+)+", re.ASCII)


def stored(message_id: bytes | str, rule: IdRule) -> str:
    """The one form under which a submit's answer is kept, so that `forms` of its receipt's id meet it.

    Empty where the answer brought no id.
    """
    plain = _plain(message_id)
    if rule == "decimal":
        return _to_decimal(plain) or plain
    if rule == "hex":
        return _to_hex(plain) or plain
    return plain


def forms(message_id: bytes | str, rule: IdRule, guess: IdRule = "auto") -> tuple[str, ...]:
    """The forms under which a receipt's id may have been kept, best first; none for an empty id.

    `rule` says how the ids in receipts are written: `decimal` where submit answers are hexadecimal, `hex` the other
    way round, `auto` where nobody knows: what `guess` says, as it is, then either conversion that is possible.
    """
    plain = _plain(message_id)
    if not plain:
        return ()
    if rule == "auto":
        converted = {"decimal": _to_hex(plain), "hex": _to_decimal(plain)}
        return tuple(dict.fromkeys(filter(None, (converted.get(guess), plain, *converted.values()))))
    if rule == "decimal" and not _DECIMAL.fullmatch(plain):
        # Not a decimal number after all: the answer's own form, as receipted_message_id often has it.
        return (_to_decimal(plain) or plain,)
    return (plain,)


def lookups(receipt: ReceiptText, rule: IdRule, guess: IdRule = "auto") -> tuple[str, ...]:
    """`forms` of all the ids in a receipt, those of the TLV before those of the text."""
    if len(receipt.ids) == 2 and rule in ("decimal", "hex"):
        in_tlv, in_text = receipt.ids
        if (stored(in_tlv, rule),) == forms(in_text, rule):
            # The TLV repeats the answer and the text has the receipt's form: read as the latter it could meet a
            # stranger's id.
            return (stored(in_tlv, rule),)
    return tuple(dict.fromkeys(form for one in receipt.ids for form in forms(one, rule, guess)))


class IdsSeen:
    """What one SMSC's ids were seen to look like, from which the rule is guessed where it is `auto`.

    Short hexadecimal and decimal numbers look alike: of two messages to one player, the id of one can be the other's
    in the other form. A letter in the answers and none in receipts, or the other way round, tells which form is whose.
    """

    def __init__(self) -> None:
        self._answers = self._receipts = False

    def answered(self, message_id: bytes) -> None:
        """A submit was answered with this id."""
        self._answers = self._answers or _has_hex_letters(message_id)

    def lookups(self, receipt: ReceiptText, rule: IdRule) -> tuple[str, ...]:
        """As `lookups`; this receipt is seen, too."""
        if rule != "auto":
            return lookups(receipt, rule)
        self._receipts = self._receipts or any(map(_has_hex_letters, receipt.ids))
        guess: IdRule = "auto"
        if self._answers is not self._receipts:
            guess = "decimal" if self._answers else "hex"
        return lookups(receipt, rule, guess)


def _has_hex_letters(message_id: bytes | str) -> bool:
    plain = _plain(message_id)
    return bool(_HEX.fullmatch(plain)) and not _DECIMAL.fullmatch(plain)


@lru_cache(maxsize=1024)
def _plain(message_id: bytes | str) -> str:
    """The id as it is compared. Of one submit it is asked several times, and its receipt comes soon."""
    return _canonical(_cleaned(message_id))


def _cleaned(message_id: bytes | str) -> str:
    text = message_id.decode("latin-1") if isinstance(message_id, bytes) else message_id
    # Ids are kept in lists with blanks between them. 0x11 is the underscore of GSM 03.38, as some write receipts.
    return "_".join(text.partition("\0")[0].replace("\x11", "_").strip(_AROUND).split())[:_LONGEST_ID]


def _canonical(message_id: str) -> str:
    """Without what SMSCs change between answer and receipt: leading zeros, 0x, letter case.

    The case of an id in both cases is kept: there it tells one id from another.
    """
    if not message_id:
        return ""
    if _PREFIXED.fullmatch(message_id):
        message_id = message_id[2:]
    if message_id.isupper() or _HEX.fullmatch(message_id) or _UUID.fullmatch(message_id):
        message_id = message_id.lower()
    return message_id.lstrip("0") or "0"


def _to_hex(message_id: str) -> str:
    return f"{int(message_id):x}" if _DECIMAL.fullmatch(message_id) else ""


def _to_decimal(message_id: str) -> str:
    return str(int(message_id, 16)) if _HEX.fullmatch(message_id) else ""
