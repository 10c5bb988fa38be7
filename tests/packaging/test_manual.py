"""debian/manual: what it tells operators to write is valid, and every name in it is one that the product has."""

import re
import subprocess
import tomllib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from zope.interface.verify import verifyObject

from certificates import Authority
from config_world import with_secrets
from conftest import need
from gatewayd import config, ctl
from gatewayd.config.esp import ESP_NAMES
from gatewayd.core import errors, status
from gatewayd.core.interfaces import IRecipientDirectory, IRecipientDirectoryMaker
from gatewayd.directories.rows import COLUMNS
from gatewayd.operators.metrics import Metrics

TOP = Path(__file__).parent.parent.parent
MANUAL = TOP / "debian" / "manual"
CHAPTERS = sorted(MANUAL.glob("*.md"))

SMALL = """
[gatewayd]
secret_key = "0123456789012345678901234567890123456789"
[redis]
endpoint = "tcp:127.0.0.1:6379"
[public]
base_url = "https://go.amazing.co"
[bounces]
domain = "bounces.amazing.co"
[labels.amazing]
allow_from = ["203.0.113.0/24"]
authorization = ["secret"]
api_key = "key"
callback_hosts = ["*.smartico.ai"]
directory = "players"
[directories.players]
type = "http"
url = "https://pam.internal/{ext_user_id}"
[relays.main]
host = "127.0.0.1"
[smscs.world]
host = "127.0.0.1"
system_id = "gw"
password = "secret"
"""
"""What a block of the manual is laid over: it shows the keys that its chapter is about, and no others."""

OTHERS = frozenset(
    # Smartico's fields and answers, and what belongs to other programs.
    (
        *("ext_user_id", "activity_type", "to_email_address", "error_code", "ext_message_id"),
        *("connect_timeout", "init_command", "login_timeout", "ssl_ca", "ssl_verify_identity", "tcp_connect_timeout"),
        *("dlr_msgid", "keyed_hash", "smpps_throughput", "smtpd_discard_ehlo_keywords", "submit_sm"),
    )
)


def blocks(language: str) -> list[Any]:
    """All blocks of one language, each with the chapter and number that name it."""
    found = []
    for chapter in CHAPTERS:
        texts = re.findall(rf"(?ms)^```{language}\n(.*?)^```", chapter.read_text())
        found += [pytest.param(text, id=f"{chapter.stem}-{number}") for number, text in enumerate(texts, 1)]
    return found


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins; a directory that changes its type is another one."""
    made = dict(under)
    for name, value in over.items():
        below = made.get(name)
        if isinstance(value, dict) and isinstance(below, dict) and "type" not in value:
            made[name] = laid_over(below, value)
        else:
            made[name] = value
    return made


def prose() -> Iterator[tuple[str, str]]:
    """The chapters' names and texts."""
    for chapter in CHAPTERS:
        yield chapter.name, chapter.read_text()


def inline(text: str) -> list[str]:
    """What stands in backticks outside of blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))


def keys() -> dict[type[BaseModel], set[str]]:
    """Every table of the configuration with its keys."""
    tables = [value for value in vars(config).values() if isinstance(value, type) and issubclass(value, BaseModel)]
    return {table: set(table.model_fields) for table in tables}


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_configuration_is_valid(text: str, tmp_path: Path) -> None:
    """Each block, laid over a small configuration, is one that the daemon takes."""
    authority = Authority(tmp_path).ca_file
    block = with_secrets(text.replace("/etc/ssl/certs/internal-ca.pem", authority), tmp_path)
    raw = laid_over(tomllib.loads(SMALL), block)
    # Relays and SMSCs that a block only refers to are another block's.
    for label in raw["labels"].values():
        for relay in label.get("relays", ()):
            raw["relays"].setdefault(relay, {"host": "127.0.0.1"})
        for route in label.get("sms_routes", ()):
            for smsc in set(route["via"]) - raw.get("providers", {}).keys():
                raw["smscs"].setdefault(smsc, raw["smscs"]["world"])
    config.parse(raw, {})


def test_every_metric_is_one_of_ours() -> None:
    """Names that begin with gatewayd_ are metrics that the admin listener shows."""
    metrics = Metrics(CollectorRegistry())
    families = {metric.name for metric in metrics.registry.collect()}
    for name, text in prose():
        for metric in re.findall(r"\bgatewayd_[a-z_]+[a-z]", text.replace("gatewayd_recipients", "")):
            if metric.startswith(("gatewayd_public", "gatewayd_plugin")):
                continue
            family = re.sub(r"_(total|bucket|sum|count)$", "", metric)
            assert family in families, f"{name}: {metric}"


def test_every_command_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    """Each `gatewayctl VERB` has a verb that gatewayctl has, and options that this verb takes."""
    with pytest.raises(SystemExit):
        ctl.main(["--help"])
    verbs = set(re.findall(r"(?m)^    ([a-z-]+)(?: |$)", capsys.readouterr().out.partition("verbs:")[2]))
    said = set()
    for name, text in prose():
        for words in re.findall(r"gatewayctl((?: [^`\n#|&]+)?)", text):
            verb = re.match(r"(?: --(?:config|instance) \S+)* ([a-z-]+)\b", words)
            if verb is None or verb[1] in ("finds", "and"):
                continue
            assert verb[1] in verbs, f"{name}: gatewayctl{words}"
            said.add(verb[1])
            for option in set(re.findall(r"--[a-z-]+", words)) - {"--config", "--instance", "--json"}:
                with pytest.raises(SystemExit):
                    ctl.main([verb[1], *(action for action in ("retry-all", "verify") if action in words), "--help"])
                assert option in capsys.readouterr().out, f"{name}: gatewayctl{words}"
    assert said >= verbs - {"suppress", "sandbox"}


def test_every_key_is_one_of_ours() -> None:
    """A word with an underscore in backticks is a key of the configuration, or a name that others made."""
    known = {key for fields in keys().values() for key in fields}
    known |= {code.name.lower() for code in errors.ErrorCode} | {str(word) for word in status.Report} | set(COLUMNS)
    others = set()
    metrics = {metric.name for metric in Metrics(CollectorRegistry()).registry.collect()}
    for name, text in prose():
        for code in inline(text):
            words = re.findall(r"^\"?([a-z]+(?:_[a-z]+)+)\b(?! *\()", code)
            for word in words:
                if word.startswith("gatewayd_"):
                    assert re.sub(r"_total$", "", word) in metrics, f"{name}: {code}"
                elif word not in known:
                    others.add(word)
    assert others == OTHERS


def test_every_table_is_one_of_ours() -> None:
    """A table in brackets in backticks, and the key behind it, are there."""
    shapes = {
        "gatewayd": config.Gatewayd,
        "redis": config.Redis,
        "api": config.Api,
        "public": config.Public,
        "admin": config.Admin,
        "bounces": config.Bounces,
        "labels": config.Label,
        "relays": config.Relay,
        "smscs": config.Smsc,
        "directories": config.SqlDirectory,
        "esp": config.Esp,
        "providers": config.Provider,
    }
    found = 0
    for name, text in prose():
        for code in inline(text):
            match = re.match(r"\[([a-z]+)(?:\.[A-Za-z*]+)?\](?: ([a-z_]+))?$", code)
            if match and match[1] != "Service":
                found += 1
                assert match[1] in shapes, f"{name}: {code}"
                assert match[2] is None or match[2] in shapes[match[1]].model_fields, f"{name}: {code}"
    assert found > 20


def test_every_path_is_there() -> None:
    """Files and directories of the package are where the manual says; chapters that it points to exist."""
    docs = (TOP / "debian" / "gatewayd.docs").read_text().split()
    units = "\n".join(
        (TOP / "debian" / name).read_text() for name in ("gatewayd.service", "rules", "gatewayd.postinst")
    )
    for name, text in prose():
        for path in re.findall(r"/usr/share/doc/gatewayd/([\w./-]+\w)", text):
            made = {"NEWS.Debian.gz": "gatewayd.NEWS", "changelog.gz": "changelog"}.get(path)
            there = [doc for doc in docs if (TOP / doc).name == path.split("/")[0]]
            assert there or (made and (TOP / "debian" / made).exists()), f"{name}: {path}"
        for path in re.findall(r"(?<![\w/])(/(?:etc|usr/lib|var/lib|var/log|run)/gatewayd(?:/[\w.@-]+)?)", text):
            own = path.startswith(("/etc/gatewayd", "/usr/lib/gatewayd"))
            assert own or f"{path.split('/')[1]}" in ("var", "run"), f"{name}: {path}"
            if path.startswith("/etc/gatewayd/"):
                first = path.split("/")[3]
                assert first in (
                    "gatewayd.toml",
                    "b.toml",
                    "gatewayd.toml.installed",
                    "gatewayd.toml.dpkg-dist",
                    "secrets",
                    "tls",
                ), path
        if "/usr/lib/gatewayd/bin/" in text:
            assert "/usr/lib/gatewayd/bin/twistd" in units
        for link in re.findall(r"\]\(([^)]+\.md)\)", text):
            assert (MANUAL / link).exists(), f"{name}: {link}"


def test_the_contents_page_has_every_chapter() -> None:
    """README.md links to each chapter, in their order."""
    linked = re.findall(r"\]\((\d+-[a-z]+\.md)\)", (MANUAL / "README.md").read_text())
    there = [chapter.name for chapter in CHAPTERS if chapter.name != "README.md"]
    assert linked == sorted(there, key=lambda name: int(name.partition("-")[0]))


def test_every_error_code_is_explained() -> None:
    """The table for Smartico's support has each code with its name; troubleshooting has each but those for nobody."""
    text = (MANUAL / "3-smartico.md").read_text()
    told = {int(number): name for number, name in re.findall(r"(?m)^\| (\d+) \| ([a-z_]*) ?\|", text)}
    assert told == {code.value: "" if not code else code.name.lower() for code in errors.ErrorCode}
    help_text = (MANUAL / "11-troubleshooting.md").read_text()
    for code in errors.ErrorCode:
        if code.name not in ("TAKEN", "TOO_LARGE"):
            assert f"code {code.value}" in help_text, code


def test_every_status_is_explained() -> None:
    """The table of statuses has Smartico's seven words."""
    text = (MANUAL / "3-smartico.md").read_text()
    assert set(re.findall(r"(?m)^\| `([a-z]+)` \|", text)) == {str(word) for word in status.Report}


def test_every_provider_is_explained() -> None:
    """Each email service provider has a row and an example."""
    text = (MANUAL / "4-email.md").read_text()
    assert set(re.findall(r"(?m)^\| `([a-z0-9]+)` \| (?:`|your own)", text)) == set(ESP_NAMES)
    assert set(re.findall(r"(?m)^\[esp\.([a-z0-9]+)\]", text)) == set(ESP_NAMES)


@pytest.mark.parametrize("text", blocks("python"))
def test_the_example_of_a_plugin_is_one(text: str) -> None:
    """The plug-in as printed has the interfaces that it says it has, and names a wrong option."""
    module = types.ModuleType("printed")
    exec(compile(text, "manual", "exec"), module.__dict__)
    makers = [value for value in vars(module).values() if IRecipientDirectoryMaker.providedBy(value)]
    assert len(makers) == 1
    verifyObject(IRecipientDirectoryMaker, makers[0])
    verifyObject(IRecipientDirectory, makers[0].make(None, {"path": "/nowhere"}))
    with pytest.raises(ValueError, match="path"):
        makers[0].make(None, {})


def test_it_names_nothing_of_ours_alone() -> None:
    """Neither a path of the place where it was written, nor an address of a machine there."""
    for name, text in prose():
        assert not re.search(r"10\.9\.8\.7|amazing\.test", text), name


def proxied(language: str, directory: Path) -> str:
    """The manual's block for one proxy, with certificates that exist and ports that anybody may bind."""
    texts = [parameter.values[0] for parameter in blocks(language) if "2-proxy" in str(parameter.id)]
    assert len(texts) == 1
    certificate, key = Authority(directory).files("gateway.amazing.co")
    both = directory / "both.pem"
    both.write_text(Path(certificate).read_text() + Path(key).read_text())
    text = re.sub(r"/etc/ssl/private/\S+?\.key", key, texts[0])
    text = re.sub(r"/etc/ssl/\S+?\.crt", certificate, text).replace("/etc/haproxy/gateway.pem", str(both))
    return re.sub(r"(listen \[::\]:|listen |bind :)443", r"\g<1>8443", text)


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """nginx -t has nothing against the manual's servers."""
    site = tmp_path / "nginx.conf"
    site.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; "
        f"client_body_temp_path {tmp_path}; proxy_temp_path {tmp_path}; fastcgi_temp_path {tmp_path}; "
        f"uwsgi_temp_path {tmp_path}; scgi_temp_path {tmp_path};\n{proxied('nginx', tmp_path)}\n}}\n"
    )
    said = subprocess.run([need("nginx"), "-t", "-q", "-c", site], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_haproxy_takes_its_configurations(tmp_path: Path) -> None:
    """haproxy -c has nothing against the manual's proxies, the one for Redis included."""
    defaults = "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
    redis = next(parameter.values[0] for parameter in blocks("haproxy") if "8-scaling" in str(parameter.id))
    file = tmp_path / "haproxy.cfg"
    file.write_text(f"{defaults}{proxied('haproxy', tmp_path)}\n{redis}")
    said = subprocess.run([need("haproxy"), "-c", "-q", "-f", file], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
