"""Stop words as players write them."""

import time

import pytest

from gatewayd.evidence.stop_words import is_stop_word, plain


@pytest.mark.parametrize(
    ("word", "text"),
    [
        *(("İPTAL", "iptal"), ("İPTAL", "Iptal"), ("iptal", "İPTAL"), ("ÇIK", "çık"), ("çık", "CIK")),
        *(("ΤΕΛΟΣ", "τέλος"), ("Τέλος", "ΤΕΛΟΣ"), ("ΤΕΛΟΣ", "TEΛOΣ"), ("arrêt", "ARRET")),
        *(("ЗУПИНІТЬ", "зупиніть"), ("СТОЙ", "стои"), ("หยุด", "หยุด"), ("ストップ", "ｽﾄｯﾌﾟ")),
    ],
)
def test_a_stop_word_is_known_as_a_phone_writes_it(word: str, text: str) -> None:
    """Without the accents that capitals and the hurried leave out, Turkish or Greek, in GSM 03.38 as in UCS-2."""
    assert is_stop_word(plain(text), [word])


@pytest.mark.parametrize(("word", "text"), [("หยุด", "หยด"), ("ストップ", "ストッフ"), ("СТОП", "CTOII")])
def test_another_word_is_no_stop_word(word: str, text: str) -> None:
    """A mark that makes another letter of it counts."""
    assert not is_stop_word(plain(text), [word])


@pytest.mark.parametrize("piece", ["!", " ", "\u0301\u0323", "\ufdfa", "! a", "stop ", "\U0001f6d1"])
def test_a_long_text_keeps_nobody_waiting(piece: str) -> None:
    """It is no stop word, whatever it is made of, and looking at it costs next to nothing."""
    texts = [(piece * (size // len(piece) + 1))[:size] + "a" for size in (499, 32_000)]

    def spent(text: str) -> float:
        began = time.thread_time()
        for _ in range(10):
            assert not is_stop_word(plain(text), ["..."])
        return time.thread_time() - began

    short, long = (min(spent(text) for _ in range(3)) for text in texts)
    assert long <= 3 * short + 0.01
