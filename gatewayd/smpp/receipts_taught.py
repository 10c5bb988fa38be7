"""What the receipts of a probe's submits teach of an SMSC: their form, words and ids, and how many a long text gets.

Values in and values out: it knows no connection and waits for nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from gatewayd.core.lesson import Learned
from gatewayd.smpp import receipt, remote_ids
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Tag

_RULES: tuple[remote_ids.IdRule, ...] = ("as-is", "decimal", "hex")
_NO_ENDS = ("ENROUTE", "ACCEPTD", "SCHEDULED")

Brought = smpp.DeliverSm | smpp.DataSm


class IdsGiven(Struct, frozen=True):
    """The ids that the SMSC gave to submits, those of the long text alone, and how many were taken without our hearing
    of it."""

    ids: Sequence[bytes]
    long_ids: Sequence[bytes]
    nameless: int

    @property
    def count(self) -> int:
        """Of all that were taken."""
        return len(self.ids) + self.nameless


class Said(Struct, frozen=True):
    """One receipt, and how it came."""

    brought: Brought
    text: receipt.ReceiptText

    @property
    def is_final(self) -> bool:
        """Whether it says what became of the text."""
        return not self.text.intermediate and self.text.state not in _NO_ENDS


def said(requests: Iterable[Brought], receipt_states: Mapping[str, str], taken: IdsGiven) -> list[Said]:
    """The receipts among what the SMSC brought; a final one that was brought before is left out."""
    read = [(request, receipt.read(request, receipt_states, notifies=False)) for request in requests]
    receipts = [Said(request, text) for request, text in read if text is not None]
    open_ids = Counter(remote_ids.stored(remote_id, "auto") for remote_id in taken.ids)
    return [one for one in receipts if not one.is_final or _is_news(one, open_ids)]


def _is_news(final: Said, open_ids: Counter[str]) -> bool:
    """Whether a submit of this id has none yet, which it has then; of an id that was given to none nobody knows."""
    given = next((form for form in remote_ids.lookups(final.text.ids, "auto") if form in open_ids), None)
    if given is None:
        return True
    open_ids[given] -= 1
    return open_ids[given] >= 0


def taught(receipts: Sequence[Said], taken: IdsGiven) -> Learned:
    """What can be learned of all that came."""
    finals = [one for one in receipts if one.is_final]
    count = f"{len(finals)} of {taken.count} receipts came"
    if not finals:
        return Learned(True, (count, _why_none(receipts)))
    forms = sorted({_form(one.brought) for one in finals})
    story = [count, f"receipts come as {', '.join(forms)}, first state {finals[0].text.state or 'not named'}"]
    lines = []
    if unknown := sorted({one.text.state for one in finals if one.text.state and not one.text.is_known}):
        words = ", ".join(f'{word} = "failed"' for word in unknown)
        lines.append(f"receipt_states = {{{words}}}  # decide what each means")
    texts = [one.text for one in finals]
    for learned in (_rule(texts, taken), _of_the_long_text(texts, taken)):
        story += learned.story
        lines += learned.lines
    return Learned(True, tuple(story), tuple(lines))


def _why_none(receipts: Sequence[Said]) -> str:
    if states := sorted({one.text.state or "nothing" for one in receipts}):
        return f"others came, which say {', '.join(states)} and not what became of it: ask for final receipts"
    return (
        "without receipts an SMS stays `accepted`: is the number reachable, are receipts switched on, is a running"
        " gatewayd bound here, too, and takes them?"
    )


def _rule(receipts: Sequence[receipt.ReceiptText], taken: IdsGiven) -> Learned:
    """By which rule do the ids of receipts meet those of answers?"""
    ids = [remote_id for remote_id in taken.ids if remote_id]
    if not ids:
        return Learned(True, ())
    for rule in _RULES:
        stored = {remote_ids.stored(remote_id, rule) for remote_id in ids}
        strange = [one for one in receipts if stored.isdisjoint(remote_ids.lookups(one.ids, rule))]
        if len(strange) <= taken.nameless and len(strange) < len(receipts):
            example = next((one.ids[0] for one in receipts if one.ids), "")
            story = f"ids: answer {shown(ids[0])}, receipt {shown(example.encode())}: {rule}"
            return Learned(True, (story,), (f'message_ids = "{rule}"',))
    return Learned(True, ("ids: receipts name other ids than answers do, by no rule that gatewayd knows",))


def _of_the_long_text(receipts: Sequence[receipt.ReceiptText], taken: IdsGiven) -> Learned:
    """Is a receipt for each segment of it, or one for the whole?"""
    told = {form for one in receipts for form in remote_ids.lookups(one.ids, "auto")}
    count = sum(remote_ids.stored(remote_id, "auto") in told for remote_id in taken.long_ids if remote_id)
    if not 0 < count < len(taken.long_ids):
        return Learned(True, ())
    story = f"of the long text's {len(taken.long_ids)} segments only {count} got a receipt"
    return Learned(True, (story,), ('long_receipts = "one"',))


def _form(request: Brought) -> str:
    command: Literal["deliver_sm", "data_sm"] = "deliver_sm" if isinstance(request, smpp.DeliverSm) else "data_sm"
    parts = []
    if request.user_data:
        parts.append("text")
    if request.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None:
        parts.append("TLVs")
    return f"{command} with {' and '.join(parts) or 'nothing'}"


def shown(message_id: bytes) -> str:
    """An id for people."""
    return repr(message_id.decode("latin-1")[:70])
