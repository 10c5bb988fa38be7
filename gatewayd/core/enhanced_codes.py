"""What decides about an address in a relay's reply, a bounce, an ESP's event: its code (RFC 3463) and words. Pure."""

from gatewayd.core.phrases import Phrases, plain

HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""The address does not exist, or not any more. Full boxes, policy, content and authentication never count."""

_ANOTHER_REASON = Phrases(
    (
        r"\bquota\b|\b(?:mail)?box (?:\w+ )?(?:is )?full|\bdisk (?:is )?full",
        r"\binsufficient (?:disk|storage|system)",
        r"\bblack-?list|\bblock-?list|\bspam\b|\bspf\b|\bdkim\b|\bdmarc\b|\bpolicy\b|\breputation\b",
        r"\brelay(?:ing)? (?:access )?(?:denied|prohibited|not)",
        r"\brecipient preferences|\bpreferences of the (?:recipient|person)|\bnot accepting mail from",
        r"\bsender (?:\w+ ){0,2}(?:rejected|denied|unknown)",
        r"\bexceed\w* (?:\w+ ){0,3}(?:storage|size|space)\b|\btemporar(?:y|ily)\b",
        r"\b(?:postfach|boîte(?: aux lettres)?|buzón|casella|caixa(?: postal)?) (?:\S{1,100} )?(?:ist |est |está |è )?"
        r"(?:voll|pleine|lleno|piena|cheia)\b|переполнен|przepełnion|邮箱(?:空间)?已满|容量|용량",
        r"\bunsolicited\b|\bdnsbl\b|\brbl\b|\bgr[ae]y-?list|\bvirus (?:found|detected)|\binfected\b",
        # It is our own name or address that they could not find, or us whom they do not let in.
        r"\bsender (?:(?:address|domain|e-?mail|host)(?: name)? )?(?:verif|not found|invalid|does(?: not|n't) exist)",
        r"\b(?:invalid|unknown|unverified|bad) sender\b|\bverification failed for\b",
        r"\b(?:helo|ehlo|client host|client address)\b[^.]{0,60}(?:rejected|denied|refused|invalid|not found)",
        r"\bblocked (?:using|by|due|because|for)\b|\breverse (?:dns|lookup|host)|\brdns\b|\bptr record",
        # Gmail says so under 5.2.1, as it does of a mailbox that is disabled.
        r"\b(?:receiving|sending|received|sent) (?:\w+ ){0,2}(?:e-?)?(?:mails?|messages) (?:\w+ )?"
        r"(?:at a rate|too (?:quickly|fast|often))",
        r"\brate[- ]limit|\btoo many (?:\w+ ){0,2}(?:e-?mails|messages|connections)\b",
    )
)


def spares_the_address(words: str) -> bool:
    """Whether the words name another reason, whatever the code says: many systems answer 5.1.1 or 550 for policy."""
    return _ANOTHER_REASON.search(plain(words)) is not None
