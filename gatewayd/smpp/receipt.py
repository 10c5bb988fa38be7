"""Delivery receipts: what one says of a submit.

Owns the receipt's text and TLVs (SMPP 3.4 appendix B, 5.2.12, 5.3.2.12, .26, .31, .35) and the table of states. It
knows no store, no link and no message of ours; under which id the submit is found, remote_ids.py knows.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from gatewayd.core.status import Event
from gatewayd.smpp.codec.gsm import decode_gsm, unpack
from gatewayd.smpp.codec.pdu import DataSm, DeliverSm, Tag
from gatewayd.smpp.incoming import without_udh
from gatewayd.smpp.remote_ids import AROUND, cleaned

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
    # What carriers document beside them: their queue, our credit, a number that is barred or in no use.
    "ACKED": None,
    "BUFFRED": None,
    "BUFFERED": None,
    "QUEUED": None,
    "PENDING": None,
    "NOCRED": Event.REJECTED,
    "SYSERR": Event.FAILED,
    "BARRED": Event.FAILED,
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
_WORD_OF_AN_ID = r"[^\s:=]+"
_ID_OF_WORDS = re.compile(
    rf"(?<![^\s,;|&])(?:message[ _-]?|msg[ _-]?)?id[ ]?[:=][ ]*({_WORD_OF_AN_ID}(?: {_WORD_OF_AN_ID})*)"
    rf"(?<![,;|&])(?= (?:{_KEYS})[ ]?[:=])",
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
_LONGEST_SCANNED = 1024  # octets of a text

_WORD = re.compile(r"[0-9A-Z_-]{1,24}", re.ASCII)
_CODE = re.compile(r"[0-9A-Za-z_.-]{1,12}", re.ASCII)
_NUMBER = re.compile(r"(?:[0-9][_.-]?){7,}")


class ReceiptText(Struct, frozen=True):
    """What one delivery receipt says.

    `ids` are the ids in it as they were written, the TLV's before the text's; none where it names no submit.
    `event` is None where it settles nothing; where `is_known` is false, too, nobody knows what its state means.
    `intermediate` marks a notification on the way. `detail` is for the support engineer and holds no number of a
    person.
    """

    ids: tuple[str, ...]
    event: Event | None
    state: str = ""
    error: str = ""
    intermediate: bool = False
    detail: str = ""
    is_known: bool = True


def read(
    pdu: DeliverSm | DataSm, receipt_states: Mapping[str, str] | None = None, *, notifies: bool = True
) -> ReceiptText | None:
    """The receipt in `pdu`, or None where it is a text from a person.

    A receipt is told by esm_class, by its TLVs, or by a text in the form of appendix B; one that
    esm_class announces is a receipt even where nothing in it can be read. `receipt_states` are the operator's
    meanings of state words, in any letter case, over the table's. Where the SMSC was not asked for notifications on the
    way (`notifies`), one that says "delivered" is no such thing: SMSCs mix up the two bits.
    """
    kind = pdu.esm_class & _TYPE
    tlv_id = cleaned(pdu.tlv_string(Tag.RECEIPTED_MESSAGE_ID) or b"")
    number = pdu.tlv_int(Tag.MESSAGE_STATE)
    announced = kind in (_RECEIPT, _INTERMEDIATE) or bool(tlv_id) or number is not None
    content = _content(pdu)
    if not announced and not _BEGINS_LIKE_ONE.match(content):
        return None
    said = _pairs(content)
    if not said and not tlv_id:
        # Written in septets, as all that this SMSC writes in GSM 03.38.
        said = _pairs(decode_gsm(unpack(pdu.user_data[:_LONGEST_SCANNED])))
    text_id = cleaned(said.get("id", ""))
    words_id = cleaned(said.pop("id of words", ""))
    ids = tuple(dict.fromkeys(filter(None, (tlv_id, words_id, text_id))))
    word = said.get("stat", "").lstrip(AROUND).partition("(")[0].rstrip(AROUND).upper()
    if number_word := _STATE_NUMBER.fullmatch(word):
        word = STATES[int(number_word[1])]
    state, event, known = _settles(number, word, receipt_states)
    if not announced and not (text_id and word and (known or len(said) >= 3)):
        return None
    intermediate = kind == _INTERMEDIATE and (notifies or event is not Event.DELIVERED)
    error = said.get("err", "")
    state = state if _WORD.fullmatch(state) and not _NUMBER.search(state) else "?" * bool(state)
    return ReceiptText(
        ids,
        None if intermediate else event,
        state,
        error if _CODE.fullmatch(error) and not _NUMBER.search(error) else "",
        intermediate,
        _detail(state, error, pdu.tlv(Tag.NETWORK_ERROR_CODE), kind == _INTERMEDIATE),
        known or intermediate,
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
    user_data = pdu.user_data
    content = _characters(user_data, pdu.esm_class)
    if isinstance(pdu, DeliverSm) and user_data is not pdu.short_message and not _BEGINS_LIKE_ONE.match(content):
        # Two texts: one may be what was sent, and the other what is said of it.
        short = _characters(pdu.short_message, pdu.esm_class)
        return short if _BEGINS_LIKE_ONE.match(short) else content
    return content


def _characters(user_data: bytes, esm_class: int) -> str:
    data = without_udh(user_data, esm_class)[:_LONGEST_SCANNED]
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
