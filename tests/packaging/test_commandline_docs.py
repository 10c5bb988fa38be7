"""Man pages and completion name what the commands take, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import IN_CI, need
from gatewayd import ctl

TOP = Path(__file__).parent.parent.parent
COMPLETION = TOP / "etc" / "completion" / "gatewayctl"

MAN = frozenset("B BI BR I IB IP IR PP RB RE RI RS SH SS TH TP fi nf".split())  # noqa: SIM905
"""The requests of man(7) that a page may use."""


def verbs_of_program(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The verbs that gatewayctl's own help lists."""
    with pytest.raises(SystemExit):
        ctl.main(["--help"])
    text = capsys.readouterr().out.partition("verbs:")[2]
    return set(re.findall(r"(?m)^    ([a-z-]+)(?: |$)", text))


def complete(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    script = (
        f"source {COMPLETION}; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
        f"COMP_CWORD={len(words) - 1}; _gatewayctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_every_verb_is_completed(capsys: pytest.CaptureFixture[str]) -> None:
    """Completion offers the very verbs that gatewayctl has."""
    offered = {word for word in complete("gatewayctl", "") if not word.startswith("-")}
    assert offered == verbs_of_program(capsys)


def test_every_verb_is_in_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """gatewayctl(1) has a paragraph for each verb."""
    page = (TOP / "debian" / "man" / "gatewayctl.1").read_text().replace("\\-", "-")
    described = set(re.findall(r'(?m)^\.TP\n\.B[IR]? "?([a-z-]+)', page))
    assert described >= verbs_of_program(capsys)


def test_the_page_names_the_verbs_that_need_no_daemon() -> None:
    """gatewayctl(1) says of the very verbs that gatewayctl does by itself that they need no daemon."""
    page = (TOP / "debian" / "man" / "gatewayctl.1").read_text().replace("\\-", "-")
    sentence = page.partition(".SH DESCRIPTION")[2].partition("in the configuration.")[2].partition(".SH")[0]
    own = {verb for verb, does in ctl.VERBS.items() if does.__module__ == ctl.__name__}
    assert set(re.findall(r"(?m)^\.B[R]? ([a-z-]+)", sentence)) == own


def test_options_are_completed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option that completion offers for a verb is one that the verb takes."""
    for verb in verbs_of_program(capsys):
        offered = {word for word in complete("gatewayctl", verb, "x", "--") if word.startswith("--")}
        with pytest.raises(SystemExit):
            ctl.main([verb, "--help"])
        assert offered <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out)), verb


def test_labels_are_completed(tmp_path: Path) -> None:
    """The labels of the configuration that is named are offered."""
    config = tmp_path / "c.toml"
    config.write_text(
        "[labels.amazing]\n[labels.amazing.dkim]\n[labels.other-1]\n[labels.'x'.dkim]\n[labels.\"b.co\"]\n"
    )
    assert complete("gatewayctl", "--config", str(config), "pause", "a") == ["amazing"]
    assert complete("gatewayctl", "--config", str(config), "pause", "b") == ["b.co"]
    assert complete("gatewayctl", "--config", str(config), "pause", "amazing", "--channel", "") == [
        "email",
        "sms",
        "im",
    ]


@pytest.mark.parametrize("page", ["gatewayd.8", "gatewayctl.1", "gatewayd.toml.5"])
def test_pages_are_clean_roff(page: str, tmp_path: Path) -> None:
    """groff has nothing to say about them; where there is none, each request is at least one of man(7)."""
    source = TOP / "debian" / "man" / page
    if page == "gatewayd.toml.5":
        source = tmp_path / page
        text = (TOP / "etc" / "gatewayd.toml").read_bytes()
        done = subprocess.run(
            [sys.executable, TOP / "debian/man/toml5.py"], input=text, capture_output=True, check=True
        )
        source.write_bytes(done.stdout)
    groff = need("groff") if IN_CI else shutil.which("groff")
    if groff is None:
        requests = {line.split()[0] for line in source.read_text().splitlines() if line.startswith((".", "'"))}
        assert {word.lstrip(".'") for word in requests} <= MAN | {'\\"'}
        return
    said = subprocess.run([groff, "-man", "-ww", "-z", "-Tutf8", source], capture_output=True, text=True, check=True)
    assert said.stderr == ""
