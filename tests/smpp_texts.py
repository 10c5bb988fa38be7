"""Texts that the tests of SMS go through: each alphabet's characters, and mixtures of what breaks cutting."""

from typing import get_args

from hypothesis import strategies as st

from gatewayd.smpp.text import DefaultAlphabet, LongMessages

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
GSM = st.text(st.sampled_from(BASIC + EXTENSION), max_size=700)
LATIN1 = st.text(st.characters(max_codepoint=0xFF), max_size=700)
ANY = st.text(max_size=500) | st.text(st.sampled_from("aя€😀👩🏽‍🚀é\u0301“…"), max_size=700) | GSM | LATIN1
METHODS: list[LongMessages] = list(get_args(LongMessages))
DEFAULTS: list[DefaultAlphabet] = list(get_args(DefaultAlphabet))
