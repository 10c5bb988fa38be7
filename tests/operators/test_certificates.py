"""The certificates of our own listeners: read again at a reload."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.web.server import Site

from certificates import Authority
from gatewayd.http.ports import Listener
from gatewayd.operators.certificates import ListenerCertificates
from memory_network import Reactor

ANOTHER = "of another one"


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest.mark.parametrize("file", ["certificate", "key"])
@pytest.mark.parametrize("content", ["", "-----BEGIN", ANOTHER])
def test_a_file_that_cannot_be_used_leaves_the_former_certificate(tmp_path: Path, file: str, content: str) -> None:
    """Whatever OpenSSL or Twisted calls it: nothing of a reload may be left half done for it."""
    authority = Authority(tmp_path)
    pair = dict(zip(("certificate", "key"), authority.files("go.amazing.co"), strict=True))
    endpoint = f"ssl:8443:privateKey={pair['key']}:certKey={pair['certificate']}"
    reactor = Reactor()
    listener = Listener(reactor, (endpoint,), Site(None))
    listener.privilegedStartService()
    listener.startService()
    shown = listener.certificates[0].certificate
    other = dict(zip(("certificate", "key"), authority.files("other.amazing.co"), strict=True))
    Path(pair[file]).write_text(Path(other[file]).read_text() if content is ANOTHER else content)
    with capturedLogs() as logged:
        ListenerCertificates(Clock(), {"public": listener}).reload()
    (said,) = map(formatEvent, logged)
    assert said is not None
    assert said.startswith("[public] shows the former certificate, valid until ")
    assert "can't be used: " in said
    assert listener.certificates[0].certificate == shown
