"""What the SMSCs on a label's routes can carry: how many segments a text takes there, and which senders they take.

It answers before a message is taken on, so that what was accepted isn't refused later for its length or its sender.
Knows no connection: an SMSC is here what its configuration says of it.
"""

from collections.abc import Mapping

from gatewayd.config import Label, Smsc
from gatewayd.core.errors import PermanentFailure
from gatewayd.smpp import address, text


def form_of(smsc: Smsc) -> text.Form:
    """How this SMSC wants its texts."""
    codings = smsc.data_codings
    return text.Form(smsc.default_alphabet, smsc.long_messages, smsc.surrogates, codings.default, codings.ucs2)


class Fit:
    """Answers by the SMSCs in force; `reconfigure` puts others in force."""

    def __init__(self, smscs: Mapping[str, Smsc]) -> None:
        self.reconfigure(smscs)

    def reconfigure(self, smscs: Mapping[str, Smsc]) -> None:
        """Go by these from now on."""
        self._forms = {name: form_of(smsc) for name, smsc in smscs.items()}

    def segments(self, body: str, label: Label, route: str = "") -> int:
        """The submits that `body` takes on `route`; without one, the most segments on any route of the label.

        A text that goes whole in message_payload is one submit, and yet as many segments on the air.
        """
        if route:
            form = self._forms.get(route)
            if form is None or form.long_messages == "payload":
                # A provider cuts a long text itself, and names its parts in its answer.
                return 1
            forms = {form}
        else:
            forms = self._forms_of(label) or {text.PLAIN}
        return max(text.segments(body, form, transliterate=label.transliterate) for form in forms)

    def why_no_text(self, body: str, label: Label) -> str:
        """Why some SMSC of the label can't carry anything of `body`, or ""."""
        if all(text.sendable(body, form) for form in self._forms_of(label)):
            return ""
        return "body has only characters that an SMSC of this label does not take"

    def why_no_sender(self, sender: str, label: Label) -> str:
        """Why some SMSC of the label can't carry `sender`, or ""."""
        for form in self._forms_of(label):
            try:
                address.source(sender, default_alphabet=form.default_alphabet)
            except PermanentFailure as failure:
                return failure.reason
        return ""

    def _forms_of(self, label: Label) -> set[text.Form]:
        return {self._forms[name] for route in label.sms_routes for name in route.via if name in self._forms}
