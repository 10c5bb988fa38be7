"""What the sender of an SMS may look like, in the file and in a request alike. Pure."""

import re

_SMS_SENDER = re.compile(r"\+?[0-9]{3,15}|(?![+\s])[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,11}")


def why_no_sms_sender(text: str) -> str:
    """Why `text` can be nobody's sender, to stand behind the name of its field or key; "" for a number or a name."""
    return "" if _SMS_SENDER.fullmatch(text) else "is neither a number nor a name of at most 11 characters"
