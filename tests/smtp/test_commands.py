"""Commands and content: nothing that is given breaks out of its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.smtp.commands import Envelope, Offer, mail_and_rcpt, stuffed
from smtp_world import ONE

OFFER = Offer({"SIZE": "", "DSN": "", "SMTPUTF8": ""})


def test_parameters_go_only_where_they_were_offered() -> None:
    """Without DSN and SIZE in the EHLO answer, or when asked to be bare, the commands have no parameters."""
    plain = (b"MAIL FROM:<b+token@bounces.test>\r\n", b"RCPT TO:<jane@player.test>\r\n")
    assert mail_and_rcpt(ONE, Offer({}), 7, bare=False) == plain
    assert mail_and_rcpt(ONE, OFFER, 7, bare=True) == plain


def test_orcpt_is_xtext() -> None:
    """Plus and equals signs are encoded (RFC 3461 4)."""
    rcpt = mail_and_rcpt(Envelope("", "a+b=c@x.test", "id=1"), OFFER, 7, bare=False)
    assert rcpt[0] == b"MAIL FROM:<> SIZE=7 RET=HDRS ENVID=id+3D1\r\n"
    assert rcpt[1].endswith(b"ORCPT=rfc822;a+2Bb+3Dc@x.test\r\n")


def test_orcpt_of_an_address_beyond_ascii_is_utf_8() -> None:
    """RFC 6533 3: in an SMTPUTF8 command the characters stand as they are, but for \\, + and =."""
    mail, rcpt = mail_and_rcpt(Envelope("", "jörg+x@x.test", "id", smtputf8=True), OFFER, 7, bare=False)
    assert mail.endswith(b" SMTPUTF8\r\n")
    assert rcpt.decode().endswith("ORCPT=utf-8;jörg\\x{2B}x@x.test\r\n")


@pytest.mark.parametrize("address", ["a b@c", "a@c>\r\nRSET", "<a@c", "a@c\x00", "a\u0085@c", "a@c\n"])
def test_no_address_breaks_out_of_its_command(address: str) -> None:
    """Spaces, controls and angle brackets never reach the wire."""
    with pytest.raises(ValueError, match="command"):
        mail_and_rcpt(Envelope("", address), OFFER, 1, bare=False)
    with pytest.raises(ValueError, match="command"):
        mail_and_rcpt(Envelope(address, "a@b.test"), OFFER, 1, bare=False)


@given(st.lists(st.sampled_from([b".", b"..", b"", b".\x00", b"x", b"MAIL FROM:<e@x>", b"x" * 70]), max_size=50))
def test_no_line_of_the_content_is_a_single_dot(lines: list[bytes]) -> None:
    """Dots are doubled over the whole message, and taking the doubled ones away gives the content back."""
    content = b"".join(line + b"\r\n" for line in lines)
    wire = stuffed(content)
    assert b".\r\n" not in wire.split(b"\r\n")
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    undone = b"".join(line.removeprefix(b".") + b"\r\n" for line in wire.split(b"\r\n")[:-1])
    assert undone == (content or b"\r\n")


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"a\n\r\n"])
def test_bare_newlines_are_refused(content: bytes) -> None:
    """A bare CR or LF could end the data for a relay that is not strict (SMTP smuggling)."""
    with pytest.raises(ValueError, match="bare"):
        stuffed(content)
