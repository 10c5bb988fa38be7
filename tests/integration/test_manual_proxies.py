"""The proxies of the manual's second chapter, in front of a real daemon: who gets in, and whose address counts."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_twisted
from daemon import SECRET, World, free_port
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from certificates import Authority
from conftest import need
from redis_server import until

CHAPTER = Path(__file__).parent.parent.parent / "debian" / "manual" / "2-proxy.md"
Command = Callable[[Path, dict[str, int], str], list[str]]
SMARTICO, STRANGER = "127.0.0.7", "127.0.0.8"
"""Two addresses of this machine."""


def block(language: str, directory: Path, ports: dict[str, int], networks: str) -> str:
    """The manual's block with files, ports and Smartico's networks of our own."""
    (text,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```", CHAPTER.read_text())
    certificate, key = Authority(directory).files("gateway.amazing.co")
    both = directory / "both.pem"
    both.write_text(Path(certificate).read_text() + Path(key).read_text())
    text = re.sub(r"/etc/ssl/private/\S+?\.key", key, text)
    text = re.sub(r"/etc/ssl/\S+?\.crt", certificate, text).replace("/etc/haproxy/gateway.pem", str(both))
    text = re.sub(r"\n *listen \[::\]:443[^\n]*", "", text).replace("203.0.113.0/24", networks)
    for name, port in ports.items():
        text = re.sub(rf"(?<=[: ]){name}\b", str(port), text)
    return text


def nginx(directory: Path, ports: dict[str, int], networks: str) -> list[str]:
    """The command that runs nginx with the manual's servers."""
    places = " ".join(f"{kind}_temp_path {directory};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = directory / "nginx.conf"
    file.write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log stderr; events {{}}\n"
        f"http {{ {places}\n{block('nginx', directory, ports, networks)}\n}}\n"
    )
    return [need("nginx"), "-c", str(file)]


def haproxy(directory: Path, ports: dict[str, int], networks: str) -> list[str]:
    """The command that runs HAProxy with the manual's frontend."""
    file = directory / "haproxy.cfg"
    file.write_text(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
        + block("haproxy", directory, ports, networks).replace("go.amazing.co", f"go.amazing.co:{ports['443']}")
    )
    return [need("haproxy"), "-db", "-f", str(file)]


@pytest.mark.parametrize("proxy", [nginx, haproxy])
@pytest.mark.parametrize("wide", [False, True], ids=["the proxy's list", "gatewayd's list"])
@pytest_twisted.ensureDeferred
async def test_who_gets_in(proxy: Command, wide: bool, tmp_path: Path) -> None:
    """Smartico does; a stranger who claims to be Smartico in X-Forwarded-For does not; the world sees its paths only.

    With a wide list in the proxy it is gatewayd's own that keeps the stranger out.
    """
    need(proxy.__name__)
    curl = need("curl")
    async with World(reactor) as world:
        ports = {"443": free_port(), "8080": world.api, "8081": free_port(), "9090": world.admin}
        command = proxy(tmp_path, ports, "127.0.0.0/8" if wide else f"{SMARTICO}/32")
        world.settings["api"]["trusted_proxies"] = ["127.0.0.1/32"]
        world.settings["public"] = {
            "base_url": "https://go.amazing.co",
            "listen": [f"tcp:{ports['8081']}:interface=127.0.0.1"],
        }
        world.label["allow_from"] = [f"{SMARTICO}/32"]
        await world.start()

        async def ask(source: str, host: str, path: str, *more: str) -> tuple[str, str]:
            """Status and body."""
            words = [curl, "-sk", "--interface", source, "-w", "\n%{http_code}", *more]
            words += ["--resolve", f"{host}:{ports['443']}:127.0.0.1", f"https://{host}:{ports['443']}{path}"]
            said = await deferToThread(subprocess.run, words, capture_output=True, encoding="latin-1", check=False)
            body, _, status = said.stdout.rpartition("\n")
            return status, body

        message = '{"ext_user_id": "hhu234556", "body": "Hello", "im_uid": "by proxy"}'
        post = ("-H", f"Authorization: {SECRET}", "-d", message)
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:

            async def is_up() -> bool:
                status, _ = await ask(SMARTICO, "gateway.amazing.co", "/amazing/sms", *post)
                return status == "200"

            await until(is_up)
            status, body = await ask(SMARTICO, "gateway.amazing.co", "/amazing/sms", *post)
            assert (status, '"error_code":0' in body) == ("200", True)
            claim = ("-H", f"X-Forwarded-For: {SMARTICO}")
            status, body = await ask(STRANGER, "gateway.amazing.co", "/amazing/sms", *post, *claim)
            assert (status, '"error_code":4' in body) == ("403", wide)
            for path in ("/o/nonsense.gif", "/u/nonsense"):
                assert (await ask(STRANGER, "go.amazing.co", path))[0] == "200", path
            assert (await ask(STRANGER, "go.amazing.co", "/amazing/sms"))[0] == "404"
        finally:
            running.terminate()
            running.wait()
