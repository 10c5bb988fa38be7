"""The characters of GSM 03.38, the alphabet of SMS (3GPP TS 23.038, 6.2.1): what takes more is written in UCS-2."""

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

CHARACTERS = frozenset(BASIC.replace("\x1b", "")) | frozenset(EXTENSION.values())
"""All that it has; the escape is none."""

LOCKED: dict[int, dict[int, int]] = {
    1: str.maketrans("èìØøÆæ¡¿", "€ıĞğŞşİç"),
    3: str.maketrans("èùìòÇØøÅåΦΓΛΩΠΨΣΘΞÆæß¤¡ÄÖÑ¿äöñ", "êúíóçÔôÁáªÇÀ∞^\\€Ó|ÂâÊºÍÃÕÚ~ãõ`"),
}
"""What phones write in place of BASIC's characters, by language: Turkish and Portuguese (6.2.1.2.4, annex A.3)."""
