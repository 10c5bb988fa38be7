"""The house rules that a machine can check: layers, types, style, and what the packaging must not forget."""

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import distribution
from conftest import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SOURCES = sorted((ROOT / "gatewayd").rglob("*.py"))


def run(*words: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run([str(BIN / words[0]), *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_imports_follow_the_layers() -> None:
    """A lower layer never imports a higher one, and the pure modules import no I/O."""
    assert "0 broken" in run("lint-imports")


def test_types() -> None:
    """mypy in strict mode, with mypy-zope, finds nothing."""
    assert "Success" in run("mypy")


def test_style() -> None:
    """ruff finds nothing to say and nothing to lay out anew."""
    # Its cache knows files by their content, and whether an import is our own by where another file lies.
    run("ruff", "check", "--no-cache", ".")
    run("ruff", "format", "--check", ".")


def test_three_doors_stand_at_the_top() -> None:
    """A new module goes into a room; import-linter's exhaustive layers do the same for a new room."""
    doors = {path.name for path in (ROOT / "gatewayd").glob("*.py")}
    assert doors == {"__init__.py", "service.py", "ctl.py", "reload.py"}


def test_each_room_has_its_tests() -> None:
    """tests/ mirrors the folders, so that who changes a room knows where its tests are."""
    rooms = {str(path.parent.relative_to(ROOT / "gatewayd")) for path in SOURCES} - {"."}
    without_own = {
        "assembly": "what it puts together is the daemon, which tests/integration starts",
        "core/interfaces": "types only",
        "core/model": "values only",
    }
    assert {room for room in rooms if not any((ROOT / "tests" / room).glob("test_*.py"))} == set(without_own)


def test_whoever_says_that_it_is_pure_is_held_to_it() -> None:
    """The import contract names each module whose docstring says so; some need the types of one that does I/O."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    held = set(config["importlinter:contract:pure"]["source_modules"].split())
    need_types = {
        "gatewayd.intake.request_json",
        "gatewayd.intake.rules",
        "gatewayd.operators.shapes",
        "gatewayd.smtp.dkim",
    }
    for path in SOURCES:
        says_so = re.search(r"\bPure\b", ast.get_docstring(ast.parse(path.read_text())) or "")
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        is_held = any(name == one or name.startswith(f"{one}.") for one in held)
        assert is_held or not says_so or name in need_types, name


def test_setup_cfg_lists_every_package() -> None:
    """The list of packages is written by hand (the finder cannot deal with plugins/), so it is checked here."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("gatewayd/**/__init__.py")}
    assert listed == found | {"twisted.plugins"}
    assert not (ROOT / "plugins" / "__init__.py").exists()


def test_only_the_top_touches_the_global_reactor() -> None:
    """service.py, ctl.py and the sandbox import the global reactor or read the environment; nothing else does."""
    allowed = {"service.py", "ctl.py"}
    for path in SOURCES:
        if path.name in allowed or path.parent.name == "sandbox":
            continue
        text = path.read_text()
        assert not re.search(r"^\s*from twisted\.internet import .*\breactor\b", text, re.M), path
        assert not re.search(r"\bos\.environ\b|\btime\.(time|monotonic)\(|\bdatetime\.now\(", text), path


def test_ci_installs_what_a_test_may_need() -> None:
    """Whatever package a skip names, .ci/run brings."""
    wanted = re.search(r"wanted=\((.*?)\)", (ROOT / ".ci" / "run").read_text(), re.S)
    assert wanted is not None
    assert set(PACKAGES.values()) <= set(wanted[1].split())


def test_nothing_is_left_for_later() -> None:
    """No module holds a note to do something later."""
    for path in SOURCES:
        assert not re.search(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b", path.read_text()), path


def test_no_test_sleeps() -> None:
    """Tests wait for what they need; time passes by itself in one waiting function, and in an SMSC that is slow."""
    allowed = {"outside_ports.py", "smpp34_peer.py", "test_house.py"}
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name not in allowed:
            assert not re.search(r"\b(sleep|deferLater|sigtimedwait)\(", path.read_text()), path


def test_no_test_module_is_imported() -> None:
    """What several tests share has a module of its own, in tests/ or tests/integration; one name, so one copy of it."""
    for path in (ROOT / "tests").rglob("*.py"):
        found = re.findall(r"(?m)^\s*(?:from|import) (tests\.|integration\.|(?:\w+\.)*test_\w+)", path.read_text())
        assert not found, (path, found)


def test_modules_are_not_too_long() -> None:
    """A module of more than 480 lines does a second thing."""
    assert [path.name for path in SOURCES if len(path.read_text().splitlines()) > 480] == []


def test_a_class_name_stands_for_one_thing() -> None:
    """Whoever looks for a class finds one; a leading underscore makes no second name of it.

    Only the tables of the configuration are called as the file calls them.
    """
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        if path.parent.name != "config":
            for name in re.findall(r"^class _*(\w+)", path.read_text(), re.MULTILINE):
                places.setdefault(name, []).append(path.name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_map_names_what_is_there() -> None:
    """Every file and folder that gatewayd/README.md names exists, seen from gatewayd/ or from the top."""
    text = (ROOT / "gatewayd" / "README.md").read_text()
    named = set(re.findall(r"`([\w./-]+(?:\.(?:py|lua|toml|yml|json|cfg)|/))`", text))
    scripts = {path.name for path in (ROOT / "gatewayd").rglob("*.lua")}
    tests = {path.name for path in (ROOT / "tests").rglob("*.py")}
    for name in named - scripts - tests:
        inside = [ROOT / "gatewayd" / name, ROOT / name]
        beside = [room / name for room in [*(ROOT / "gatewayd").rglob("*/"), ROOT / "tests" / "bench"]]
        assert any(path.exists() for path in [*inside, *beside]), name


def test_what_the_map_names_is_called_so() -> None:
    """Each class, function, test and word in backticks of gatewayd/README.md is there by that name."""
    text = (ROOT / "gatewayd" / "README.md").read_text()
    everything = "\n".join(path.read_text() for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))])
    words = set(re.findall(r"\w+", everything))
    named = re.findall(r"`([A-Za-z_]+(?:\.[a-z_]+)?)(?:\(\))?`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert [name for name in named if not set(name.split(".")) <= words] == []


def test_the_order_of_the_tests_names_what_is_there() -> None:
    """A file that is called otherwise now would begin late, and all would wait for it."""
    files = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = {*distribution.SLOWEST, *distribution.COSTLY, *distribution.SLOWEST_TO_MEASURE}
    assert named <= files, named - files
