"""An SMSC on the npm package `smpp` for tests that are no coroutines: the carrier behind another's gateway."""

import json
import os
import subprocess
from typing import Any

from smpp_peers import HERE, npm_modules

from conftest import need


class NpmCarrier:
    """Listens on `port`; its keywords are its behaviour, as smpp_npm_peer.js names it."""

    def __init__(self, **behaviour: Any) -> None:
        self._peer = subprocess.Popen(
            [need("node"), str(HERE / "smpp_npm_peer.js"), json.dumps(behaviour)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"NODE_PATH": str(npm_modules())},
            text=True,
        )
        assert self._peer.stdout is not None
        self.port: int = json.loads(self._peer.stdout.readline())["port"]

    def report(self, **behaviour: Any) -> dict[str, Any]:
        """What it took, after it took on `behaviour`."""
        assert self._peer.stdin is not None
        assert self._peer.stdout is not None
        self._peer.stdin.write(json.dumps(behaviour) + "\n")
        self._peer.stdin.flush()
        found: dict[str, Any] = json.loads(self._peer.stdout.readline())
        return found

    def stop(self) -> None:
        """End it."""
        self._peer.kill()
        self._peer.wait()
        for pipe in (self._peer.stdin, self._peer.stdout):
            if pipe is not None:
                pipe.close()
