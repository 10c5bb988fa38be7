"""What README and manual say of speed and size: the same, and what the scripts print that they name."""

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
CHAPTER = (TOP / "debian" / "manual" / "8-scaling.md").read_text("utf-8")


def printed(*options: str) -> dict[str, str]:
    """The rows of the script's table."""
    words = [sys.executable, str(TOP / "tests" / "bench" / "sizing.py"), *options]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    rows = [line.strip("| ").split(" | ") for line in said.splitlines() if line.startswith("| ")]
    return dict(rows[1:])


def test_the_manual_has_the_scripts_table() -> None:
    """By its defaults; and what the text draws from it."""
    rows = printed()
    for name, figure in rows.items():
        assert f"| {name} | {figure} |" in CHAPTER
    assert f"One label ends with its master: {rows['million messages a day that a label may have']} million" in CHAPTER
    assert f"and {rows['the same where memory sets no end']} million in" in CHAPTER
    least = printed("--retention-days", "2.05")
    assert f"makes it {least['Redis masters, labels spread over them']} masters and {least['hosts']} hosts" in CHAPTER


def test_without_replicas_there_is_one_copy_of_all() -> None:
    """And nobody is waited for."""
    rows = printed("--replicas", "0", "--per-day", "1e6")
    assert (rows["Redis servers, replicas among them"], rows["hosts"]) == ("1", "1")
    assert rows["processes of gatewayd"] == "2"


def test_readme_and_manual_have_the_same_figures() -> None:
    """What a message costs."""
    head = "| work | CPU of gatewayd a message |"
    tables = [
        text[text.index(head) :].partition("\n\n")[0] for text in (CHAPTER, (TOP / "README.md").read_text("utf-8"))
    ]
    assert tables[0] == tables[1]
