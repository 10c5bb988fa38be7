"""debian/: what a build would find out late, and what no build finds out."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gatewayd

TOP = Path(__file__).parent.parent.parent
DEBIAN = TOP / "debian"


def named(requirement: str) -> str:
    """The normalised name of a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()  # type: ignore[index]


def lines_of(unit: str) -> list[str]:
    """The settings of a unit, without comments."""
    return [line for line in (DEBIAN / unit).read_text().splitlines() if line and not line.startswith("#")]


def test_every_requirement_is_pinned_by_hash() -> None:
    """What setup.cfg asks for is in debian/requirements.txt; each pin has a hash and none names where to get it."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(TOP / "setup.cfg")
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["mysql"]
    wanted += "\n" + setup["options.extras_require"]["postgres"]
    text = (DEBIAN / "requirements.txt").read_text()
    pins = re.findall(r"(?m)^([a-z0-9-]+)==\S+ (?:;[^\\]*)?\\\n    --hash=sha256:", text)
    assert {named(line) for line in wanted.split("\n") if line} <= set(pins)
    assert len(pins) == len(re.findall(r"(?m)^[a-z]", text))
    assert "://" not in text


def test_the_far_ends_of_an_upgrade_find_all_that_they_import(tmp_path: Path) -> None:
    """deb_upgrade.sh copies them into a machine that has nothing of ours, and would say so after minutes."""
    script = (TOP / "tests" / "packaging" / "deb_upgrade.sh").read_text()
    copied = re.search(r"for module in (.+); do", script)
    assert copied is not None
    words = ["bash", "-c", f"printf '%s\\n' {copied[1]}"]
    for module in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split():
        shutil.copy(TOP / "tests" / f"{module}.py", tmp_path)
    imports = re.findall(r"(?m)^(?:from|import) .+", (tmp_path / "far_ends.py").read_text())
    line = "\n".join(["import sys", "sys.path.insert(0, '.')", *imports])
    subprocess.run([sys.executable, "-I", "-c", line], cwd=tmp_path, check=True)


def test_the_changelog_has_our_version() -> None:
    """The package's version is the program's."""
    newest = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert newest.startswith(f"gatewayd ({gatewayd.__version__}) ")


def test_the_news_are_of_versions_of_the_changelog() -> None:
    """What apt shows before an upgrade belongs to a version that there is."""
    entry = re.compile(r"(?m)^gatewayd \((\S+)\) ")
    news = entry.findall((DEBIAN / "gatewayd.NEWS").read_text())
    assert news
    assert set(news) <= set(entry.findall((DEBIAN / "changelog").read_text()))


def test_units_never_forbid_tls() -> None:
    """MemoryDenyWriteExecute= would break every TLS connection and look healthy."""
    for unit in ("gatewayd.service", "gatewayd@.service"):
        assert not [line for line in lines_of(unit) if line.startswith("MemoryDenyWriteExecute")]


_RELOAD = (
    "ExecReload=/bin/sh -c "
    "'said=$$(CREDENTIALS_DIRECTORY=%d /usr/lib/gatewayd/bin/twistd gatewayd --config /etc/gatewayd/gatewayd.toml{0}"
    " --check); good=$$?;"
    " kill -HUP $MAINPID;"
    " ! /usr/lib/gatewayd/bin/gatewayctl --config /etc/gatewayd/gatewayd.toml{0} status"
    ' | grep "configuration file was refused" &&'
    """ {{ [ $$good = 0 ] || ! echo "$$said" | grep -v ": cannot read secret file %d/.*: Permission denied"; }}'"""
)


@pytest.mark.parametrize(
    ("said", "status", "answers", "fails"),
    [
        ("ok", 0, "ready", False),
        ("ok", 0, "", False),
        (
            "ok",
            0,
            "    the configuration file was refused, all labels go by the former one: labels.a.api_key: no",
            True,
        ),
        ("labels.a.api_key: cannot read secret file /run/c/x: Permission denied", 1, "ready", False),
        ("labels.a.api_key: cannot read secret file /etc/x: Permission denied", 1, "ready", True),
        ("labels.a.api_key: cannot read secret file /run/c/x: Permission denied\nlabels.b: unknown key", 1, "", True),
        ("", 1, "ready", True),
    ],
)
def test_a_reload_fails_where_the_file_has_an_error(
    said: str, status: int, answers: str, fails: bool, tmp_path: Path
) -> None:
    """And not for a credential, which only the daemon itself can read; the daemon is told of a new file in any case,
    and asked behind that what it thinks of it."""
    twistd, gatewayctl, heard = tmp_path / "twistd", tmp_path / "gatewayctl", tmp_path / "heard"
    told = '[ "$CREDENTIALS_DIRECTORY" = /run/c ] || exit 9'
    twistd.write_text(f"#!/bin/sh\n{told}\nprintf '%b' '{said.encode('unicode_escape').decode()}'\nexit {status}\n")
    gatewayctl.write_text(f"#!/bin/sh\ntest -e {heard} && echo '{answers}'\n")
    for program in (twistd, gatewayctl):
        program.chmod(0o755)
    line = next(line for line in lines_of("gatewayd.service") if line.startswith("ExecReload="))
    script = shlex.split(line.partition("=")[2])[2].replace("$$", "$").replace("%d", "/run/c")
    for name in ("twistd", "gatewayctl"):
        script = script.replace(f"/usr/lib/gatewayd/bin/{name}", str(tmp_path / name))
    script = script.replace("kill -HUP $MAINPID", f"touch {heard}")
    assert (subprocess.run(["/bin/sh", "-c", script], check=False, stdout=subprocess.DEVNULL).returncode != 0) is fails
    assert heard.exists()


def test_the_page_names_the_directories_that_the_unit_hides() -> None:
    """gatewayd(8) says where a players' database in a file is not found: what ProtectHome and PrivateTmp take away."""
    page = (DEBIAN / "man" / "gatewayd.8").read_text()
    sentence = page.partition("A players' database in a file")[2].partition(";")[0]
    hidden = {"ProtectHome=yes": {"home"}, "PrivateTmp=yes": {"/tmp", "/var/tmp"}}
    places = set[str]().union(*(hidden.get(line, set()) for line in lines_of("gatewayd.service")))
    assert places <= set(re.findall(r"[/\w]+", sentence))


def test_a_worker_is_shut_in_like_the_first() -> None:
    """The two units differ in their names, in --instance and in whom they belong to, and in nothing else."""
    one, more = set(lines_of("gatewayd.service")), set(lines_of("gatewayd@.service"))
    assert one - more == {
        "Description=gatewayd, email and SMS gateway for Smartico",
        "ExecStart=/usr/lib/gatewayd/bin/twistd -n --pidfile= gatewayd --config /etc/gatewayd/gatewayd.toml",
        _RELOAD.format(""),
        "WantedBy=multi-user.target",
    }
    assert more - one == {
        "Description=gatewayd, further worker %i",
        "ExecStart=/usr/lib/gatewayd/bin/twistd -n --pidfile= gatewayd --config /etc/gatewayd/gatewayd.toml"
        " --instance %i",
        _RELOAD.format(" --instance %i"),
        "PartOf=gatewayd.service",
        "ReloadPropagatedFrom=gatewayd.service",
        "WantedBy=gatewayd.service",
    }


def test_the_copyright_has_a_paragraph_for_each_package_and_each_licence() -> None:
    """What the package carries is named, package by package, and no licence is named without its text."""
    text = (DEBIAN / "copyright").read_text()
    paragraphs = [block for block in text.split("\n\n") if block]
    wheels = (DEBIAN / "requirements.txt").read_text()
    pins = re.findall(r"(?m)^([a-z0-9-]+)==(?![^\\\n]*win32)", wheels)
    named = re.findall(r"(?m)^Files: usr/lib/gatewayd/lib/\*/site-packages/(\w+)\*$", text)
    assert sorted(named) == sorted(name.replace("-", "_") for name in pins)
    used = {word for line in re.findall(r"(?m)^License: (.+)$", text) for word in re.split(r" or | and ", line)}
    texts = {block.partition("\n")[0].removeprefix("License: ") for block in paragraphs if block.startswith("License:")}
    assert used == texts
    assert all("\nCopyright:" in block for block in paragraphs if block.startswith("Files:"))


def test_nobody_is_promised_an_address_that_does_not_exist() -> None:
    """The maintainer's mail address leads nowhere, and says so (RFC 2606)."""
    for name in ("control", "changelog"):
        for address in re.findall(r"<([^<>]+@[^<>]+)>", (DEBIAN / name).read_text()):
            assert address.endswith(".invalid"), address


def test_the_package_is_named_after_the_release_whose_python_it_carries() -> None:
    """~deb12u1 or ~deb13u1, by the builder's own /etc/os-release."""
    rules = (DEBIAN / "rules").read_text()
    assert "~deb$${VERSION_ID}u1" in rules
    assert "-v$$(dpkg-parsechangelog -S Version)$(RELEASE)" in rules
