"""What gatewayctl prints of what others wrote: as it is, and in good time."""

import re

import pytest
from rich.cells import cell_len

from gatewayd.operators import show

ODD = ("a:boom:b", "x\\", "x\\\\", "[bold]x", "[/]", "a\\[b]", "http://[::1]:8080/", "{task}")

STOP = {
    "channel": "sms",
    "kind": "player",
    "keyed_hash": "0" * 32,
    "since": "2026-01-31T12:00:00.000Z",
    "until": "2027-01-31T12:00:00.000Z",
    "reason": "operator",
}


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


@pytest.mark.parametrize("many", [20, 2000])
def test_very_many_dead_letters_are_laid_out_as_a_few(many: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns begin at the same place in each line; what rich does in a minute for 100,000 takes a second."""
    letters = [letter(f"{number}-\N{GRINNING FACE}" if number % 2 else str(number)) for number in range(many)]
    letters[0]["reason"] = "two\nlines"
    show.dead_letters({"dead_letters": letters})
    title, head, *lines = capsys.readouterr().out.splitlines()
    assert (title.rstrip(), head.split()[0], len(lines)) == ("Dead letters", "message", many + (many == 20))
    wide = [line for line in lines if "\N{GRINNING FACE}" in line][-1]
    assert cell_len(wide.split("  ")[0] + "  ") <= head.index("label")
    assert cell_len(wide[: wide.rindex(f"{many - 1}")]) == head.index("why")


def test_a_narrow_terminal_breaks_names_and_cuts_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that begin alike can be told apart, and so can numbers."""
    names = "x" * 20, "x" * 19 + "y"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    show.stops("amazing", [STOP | {"ext_user_id": f"a-player-with-a-long-id-{name}"} for name in names])
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "\N{HORIZONTAL ELLIPSIS}" not in out
    head, *lines = out.splitlines()[1:]
    column = "".join(line[: head.index("channel")].strip() for line in lines)
    assert column == "".join(f"a-player-with-a-long-id-{name}" for name in names)


def test_where_there_is_nothing_no_empty_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """An erased message has no timeline any more; a stop list may have no entry, and there may be no dead letter."""
    erased = {"ext_message_id": "m", "state": "delivered", "channel": "im", "label": "amazing", "timeline": []}
    show.trace(erased | {"ext_user_id": "", "uid": "", "reports": []})
    assert "Timeline" not in capsys.readouterr().out
    show.stops("amazing", [])
    assert capsys.readouterr().out == "No stops\n"
    show.dead_letters({"dead_letters": []})
    assert capsys.readouterr().out == "No dead letters\n"
