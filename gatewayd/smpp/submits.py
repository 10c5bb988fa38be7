"""A message as the submit_sm PDUs that an SMSC wants: alphabet, segments, addresses, validity."""

import zlib

from gatewayd.config import Smsc
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.model import Order, Sms
from gatewayd.smpp import address, text
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import RECEIPTS


def submits_of(
    order: Order, smsc: Smsc, form: text.Form, *, transliterate: bool, with_validity: bool, now: float
) -> list[bytes]:
    """The octets of the PDUs (SMPP 3.4 4.4.1), all of them checked before the first is written; sequence number 0.

    `now` counts where the validity is relative. Raises PermanentFailure where the message can't be sent so.
    """
    message, content = order.message, order.message.content
    if not isinstance(content, Sms):
        raise PermanentFailure("no SMS")
    try:
        plan = text.plan(content.body, form, transliterate=transliterate)
    except text.TooLongError as error:
        raise PermanentFailure(str(error)) from None
    # max_segments was looked at when the message was taken on (fit.py): what was accepted isn't refused for it.
    pdus = segments_of(
        plan,
        smsc,
        sender=content.from_number,
        number=order.address,
        validity=address.validity(message.deadline, now, smsc.validity if with_validity else ""),
        registered_delivery=RECEIPTS[smsc.receipts],
        reference=reference(message.id),
    )
    try:
        return [smpp.encode(pdu) for pdu in pdus]
    except smpp.EncodeError as error:
        raise PermanentFailure(f"SMPP has no place for it: {error}") from None


def segments_of(
    plan: text.Plan,
    smsc: Smsc,
    *,
    sender: str,
    number: str,
    validity: bytes,
    registered_delivery: int,
    reference: int,
) -> list[smpp.SubmitSm]:
    """A PDU for each segment, alike but for its text; sequence number 0. Raises PermanentFailure for the addresses."""
    source_ton, source_npi, source = address.source(sender, smsc.source_ton_npi, default_alphabet=smsc.default_alphabet)
    dest_ton, dest_npi, destination = address.destination(number, smsc.dest_ton_npi)
    return [
        smpp.SubmitSm(
            0,
            service_type=smsc.service_type.encode("latin-1"),
            source_addr_ton=source_ton,
            source_addr_npi=source_npi,
            source_addr=source,
            dest_addr_ton=dest_ton,
            dest_addr_npi=dest_npi,
            destination_addr=destination,
            esm_class=part.esm_class,
            validity_period=validity,
            registered_delivery=registered_delivery,
            data_coding=plan.data_coding,
            short_message=part.short_message,
            tlvs=(*part.tlvs, *smsc.tlvs),
        )
        for part in text.parts(plan, reference)
    ]


def reference(message_id: str) -> int:
    """What ties the segments of one message together: the same at every attempt, 16 bits."""
    return zlib.crc32(message_id.encode()) & 0xFFFF
