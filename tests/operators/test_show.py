"""What gatewayctl prints of what others wrote: as it is, and in good time."""

import pytest

from gatewayd.operators import show

ODD = ("a:boom:b", "x\\", "x\\\\", "[bold]x", "[/]", "a\\[b]", "http://[::1]:8080/", "{task}")


def letter(text: str) -> dict[str, str]:
    """A dead letter that is `text` all over."""
    return dict.fromkeys(("ext_message_id", "label", "status", "given_up_at", "reason"), text)


@pytest.mark.parametrize("text", ODD)
def test_ids_and_reasons_are_printed_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in them is markup, an emoji's name or an escape: what is copied from there is asked for again."""
    show.findings([("ok", text, text)])
    assert capsys.readouterr().out == f"ok    {text}: {text}\n"
    show.dead_letters({"dead_letters": [letter(text)]})
    assert capsys.readouterr().out.splitlines()[-1].split("  ")[0].rstrip() == text
    show.trouble(text)
    assert capsys.readouterr().err == f"gatewayctl: {text}\n"
    with show.Progress(text, None) as progress:
        progress.step(1)
