"""What typesetting adds to a text that a keyboard of the GSM alphabet has too.

Letters are not here: dropping an accent changes words.
"""

TYPOGRAPHY: dict[int, str] = {
    ord(char): plain
    for chars, plain in (
        ("\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u2035\u02bc\u02b9\u00b4\u0060", "'"),
        ("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u2036\u02ba", '"'),
        ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043", "-"),
        ("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),
        ("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
        ("\u2028\u2029", "\n"),
        ("\u2026", "..."),
        ("\u2025", ".."),
        ("\u2022\u2023\u25cf\u25e6\u2219", "*"),
        ("\u00b7\u2024", "."),
        ("\u00d7", "x"),
        ("\u2044\u2215", "/"),
        ("\u00a6", "|"),
        ("\u2122", "TM"),
        ("\u00ae", "(R)"),
        ("\u00a9", "(C)"),
        ("\u2116", "No"),
        ("\u00bc", "1/4"),
        ("\u00bd", "1/2"),
        ("\u00be", "3/4"),
        ("\ufb00", "ff"),
        ("\ufb01", "fi"),
        ("\ufb02", "fl"),
        ("\ufb03", "ffi"),
        ("\ufb04", "ffl"),
    )
    for char in chars
}
"""For str.translate: each character and its plain form."""

INVISIBLE: dict[int, str] = {0x00AD: "", 0xFEFF: ""}
"""In any script these two show nothing (a joiner or a zero width space may)."""
