"""Taking addresses out of other people's words."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoded_ways import LINK, RECORDS, WAYS
from gatewayd.core.redact import redact, whole_words, without_addresses

_WORDS = (
    *("2.0.0", "OK", "450", "0771", "123456", "1234567", "+", "+44 7700 900123", "07700 900 123", "(0)20 7946 0018"),
    *("queued as 4Zq000251w", "id=1abcde-00012f-3K", "deadbeefdeadbeefdeadbeef", "0x1f", "\u0663" * 7, ";", "<x>"),
    *("07700-900184", "(0161) 4960000", "0044 7700 900184", "44-7700-900-184", "06 12 34 56 78", "20"),
    "a540f662-45b3-41ee-be56-0242ac120002",
)


@given(st.lists(st.sampled_from(_WORDS)))
def test_numbers_are_taken_out_alike_with_and_without_an_address_beside_them(words: list[str]) -> None:
    """Words without an address are looked at by a shorter pattern, which must find the same numbers in them."""
    text = " ".join(words)
    assert redact(f"{text} jane@player.test") == f"{redact(text)} [redacted]"


def test_each_way_to_write_an_address_is_seen() -> None:
    """A way that is not looked for first would let an address through."""
    for written in (
        *("jane@player.test", "jane%40player.test", "jane=40player.test", '"j d"@[192.0.2.1]'),
        *("jane&#64;player.test", "jane&#x40;player.test", "jane&commat;player.test", "jane\uff20player.test"),
    ):
        assert redact(f"no such user {written} here") == "no such user [redacted] here"


@pytest.mark.parametrize(
    "number",
    [
        *("07700-900184", "07700 900184", "07700-900-184", "07700.900.184", "(07700) 900184", "07700/900184"),
        *("+44 7700 900184", "+44 (0)7700-900184", "+44.7700.900.184", "+44/7700/900184", "0044 7700 900184"),
        *("44 7700 900184", "44-7700-900184", "44 7700 900 184", "00447700900184", "0044-7700-900184"),
        *("07700\u00a0900\u202f184", "+44\u00a07700\u2011900184", "07700\u2010900\u2013184"),
        *("447,700,900,184", "447_700_900_184", "447'700'900'184", "447.700.900.184", "4 4 7 7 0 0 9 0 0 1 8 4"),
        *("4-4-7-7-0-0-9-0-0-1-8-4", "44 77 00 90 01 84", "44-77-00-90-01-84", "4477 0090 0184", "44\t7700\t900184"),
        *("44\n7700\n900184", "44  7700  900184", "44/7700/900184", "44*7700*900184", "7700 900184", "7700-900-184"),
        *("447700_900184", "0 7700 900 184", "+ 44 7700 900184", "0044(7700)900184", "44\u22127700\u2212900184"),
        *("44\u00b77700\u00b7900184", "\u200e+44\u200e 7700\u200e 900184", "+44\u200b7700\u200b900184"),
        *(
            "\u0660\u0667\u0667\u0660\u0660 \u0669\u0660\u0660 \u0661\u0668\u0664",
            "\u2463\u2463\u2466\u2466\u2460\u2460\u2460",
        ),
        *("1-415-555-2671", "415-555-2671", "(415) 555-2671", "020 7946 0018", "040-123456", "06 12 34 56 78"),
    ],
)
def test_a_number_is_seen_with_the_usual_separators(number: str) -> None:
    """As players and vendors write it; no two digits that belong to it are left together."""
    for text in (f"no route to {number} here", f"no route to {number}. Ask jane@player.test", number, f"<{number}>"):
        assert not re.search(r"\d\D?\d", redact(text)), redact(text)


@pytest.mark.parametrize(
    "words",
    [
        "550 5.1.1 no such user (in reply to RCPT TO command)",
        "552 5.2.2 quota 1024 MB, used 1025 MB, 35882 of 10240 bytes",
        "451 4.7.650 [192.0.2.110] rate limited until 2026-11-28 13:42:05 +0000 (S775)",
        "Sat, 28 Nov 2026 13:42:05 +0100, 28-11-2026 13:42, 28.11.2026, 11/28/2026, 01.02.2026 13:00",
        "250 id=1abcde-00012f-3K a540f662-45b3-41ee-be56-0242ac120002 queued as 4Zq000251w",
        "err:000 sub:001 dlvrd:001 0x000000b 2001:db8::25 198.51.100.200:2525 v3.10.0-1234",
        "a & b at 10 @ 12, refused at mail.x.example, at 3 @ 4.5 s, mailbox (at) home",
        "size 35882 10240, 1,024,000 bytes, 12 345.67, took 10-20-30 5.7.1 5.7.26, [10.11.12.13]:25 (10.11.12.14)",
        "2026/11/28 13:42:05 [error] 1234#5678, position 20-30, 25 52 101 4, v19.3.0.0.0 <b>550</b> <i>no</i>",
        "AB:CD:EF:12:34:56:78:9A ORA-12514 CONNECTION 97 of 100, 98 of 100; the mail is at mx.example dot",
    ],
)
def test_what_an_engineer_looks_for_stays(words: str) -> None:
    """Codes, sizes, dates, hosts' addresses and ids are nobody's number."""
    assert redact(words) == words


@pytest.mark.parametrize(
    "written",
    [
        *("user p170 not here", "P163 at players.example", "p164 (at) players.example", "p167&#64;players.example"),
        *("p169 @ players.example", "p177\r\n @players.example", "\uff1cp185\uff20players.example", "uucp!p195"),
        *("p164 [at] players.example", "p164\\@players.example", "mailbox:p164", "p1+spam is full", "p1 is full"),
        *("/var/mail/p164_players.example is full", "p167_at_players.example", "box_p169", "P170_archive"),
    ],
)
def test_nothing_stays_of_an_address_that_the_words_are_known_to_be_about(written: str) -> None:
    """Its local part alone is enough to find a player, and there is no end of ways to write it."""
    for local in ("p163", "p164", "p167", "p169", "p170", "p177", "p185", "p195", "p1+spam"):
        written = redact(written, about=(f"{local}@players.example",))
    assert not re.search(r"p1\d\d|spam", written, re.IGNORECASE)


def test_a_short_local_part_goes_only_where_its_domain_follows() -> None:
    """Two letters are found in many words that are about nobody."""
    said = redact("no jo at Players.Example, jo @players.example; no in", about=("jo@players.example", "no@x.test"))
    assert said == "no [redacted] at Players.Example, [redacted]; no in"


@pytest.mark.parametrize(
    "written",
    [
        *("jane dot p at players dot example", "jane.p [at] players [dot] example", "jane.p(at)players.example"),
        *("jane.p @ players.example", "jane.p  @  players.example", "jane.p{at}players{dot}example"),
    ],
)
def test_an_address_whose_signs_are_words_goes(written: str) -> None:
    """As people write it whom machines must not read."""
    assert redact(f"no {written} here") == "no [redacted] here"


@pytest.mark.parametrize(
    ("known", "written"),
    [
        *(
            ("+447700900184", words)
            for words in ("44:7700:900184", "07700x 900184"[:5] + "~900184", "[44] [7700] [900184]")
        ),
        *(("jane_the_player", words) for words in ("Jane_The_Player", "u-jane_the_player-7", "amFuZV90aGVfcGxheWVy")),
        *(("jane7", words) for words in ("jane7", "<jane7>", "%6aane7")),
    ],
)
def test_what_the_words_are_known_to_be_about_goes_without_a_domain_too(known: str, written: str) -> None:
    """Numbers however they are grouped, and names of instant messages."""
    said = redact(f"no {written} here", about=(known,))
    assert not re.search(r"900|184|jane|amF|6aane", said, re.IGNORECASE), said


@pytest.mark.parametrize("way", RECORDS)
@pytest.mark.parametrize("said", ["jane.player@players.example", "+447700900184"])
def test_an_address_in_a_programs_record_goes_with_it(way: str, said: str) -> None:
    """Octets that are no words stand before and behind it."""
    assert redact(f"550 5.1.1 <{RECORDS[way](said)}> not here") == "550 5.1.1 <[redacted]> not here"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("said", ["jane.player@players.example", "+447700900184", "+44 7700 900 184"])
def test_what_shows_only_once_it_is_decoded_goes_too(way: str, said: str) -> None:
    """Whoever reads the log can decode it; all else in the words stays."""
    written = WAYS[way](said)
    for text in (f"550 5.1.1 <{written}> not here", f"550 5.1.1 rfc822;{written} not here", f"550 5.1.1 {written}"):
        shown = "https:[redacted]" if LINK in written else "[redacted]"
        assert redact(text).replace(LINK, "https:") == text.replace(written, shown)


@pytest.mark.parametrize("way", ["a dump", "a dump of pairs", "a dump of C's", "a fingerprint", "an array", "Oracle's"])
@pytest.mark.parametrize("said", ["jane.player@players.example", "+447700900184"])
def test_octets_are_read_beside_numbers_too(way: str, said: str) -> None:
    """A reply's code in front and between is of another length, and one of theirs it may look like."""
    written = WAYS[way](said)
    shown = redact(f"bounce 550 {written} 550 5.1.1 {written} 250 of 10240")
    assert {"bounce", "of", "10240", "[redacted]"} <= set(shown.split())
    assert set(shown.split()) <= {"bounce", "550", "5.1.1", "250", "of", "10240", "[redacted]"}


@pytest.mark.parametrize("way", WAYS)
def test_a_known_local_part_goes_also_where_it_stands_encoded_and_alone(way: str) -> None:
    """No sign beside it tells that it is somebody's."""
    written = WAYS[way]("jane.player77")
    for take_out in (redact, without_addresses):
        said = take_out(f"no {written} here", about=("jane.player77@players.example",))
        assert said.replace(LINK, "") == "no [redacted] here"


def test_ids_stay_beside_what_is_taken_out() -> None:
    """Half of an id may look like an octet in some way to encode, and its other half like a number."""
    ids = "id=a540f662-45b3-41ee-be56-024211200012 id=30540f662a1234567bcdef012 queued as 3D1234567"
    assert redact(f"{ids} jane+40players.example") == f"{ids} [redacted]"
    assert redact(ids) == ids


def test_what_is_half_encoded_goes_as_a_whole() -> None:
    """An address that begins in an encoded word and ends beside it, and one within a number."""
    assert redact("to =?utf-8?B?amFuZUA=?=players.example now") == "to [redacted] now"
    assert redact("to +44 7700 900%31%38%34 now") == "to [redacted] now"


def test_words_are_cut_before_the_one_that_would_be_half() -> None:
    """Half an address could not be known for one."""
    assert whole_words("for jane@players.example", 10) == "for"
    assert whole_words("for jane@players.example", 3) == "for"
    assert whole_words("jane@players.example", 4) == "jane"
    assert whole_words("for jane", 8) == "for jane"


@pytest.mark.parametrize("sign", ["=40", "\\\\u0040", "&#64;"])
def test_what_is_not_kept_costs_nothing(sign: str) -> None:
    """A neighbour's answer of 60 kB took a second: ten times the words cost what these cost."""
    few, many = (min(_cost(sign * times) for _ in range(3)) for times in (2000, 20_000))
    assert many < 3 * few + 0.02


def _cost(words: str) -> float:
    began = time.thread_time()
    redact(words, 180)
    return time.thread_time() - began
