"""A relay, an SMSC and a Smartico around an installed gatewayd, for deb-check.sh: standard library, nothing of ours.

    python3 far_ends.py DIRECTORY

Every status that Smartico hears becomes a line "ID STATUS" of DIRECTORY/heard, every mail a line of mails (its
subject), every SMS a line of submits (its text). The SMSC sends no receipt for a text with "later" before
DIRECTORY/receipts is there. It needs the outside_*.py of tests/integration that it imports beside it.
"""

import sys
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

from outside_smartico import Heard, Smartico
from outside_smsc import Smsc, Submit

RELAY, SMSC, SMARTICO = 2525, 2775, 8099


def note(file: str, line: str) -> None:
    """One more line of a file of ours."""
    with (directory / file).open("a") as out:
        out.write(line + "\n")


class Mails(StreamRequestHandler):
    """RFC 5321 without extensions, which takes all."""

    def handle(self) -> None:
        """One connection."""
        self.wfile.write(b"220 relay ESMTP\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                note("mails", mail.partition(b"\nSubject: ")[2].partition(b"\r\n")[0].decode())
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
            if verb == b"QUIT":
                return


class Relay(ThreadingTCPServer):
    """Listens at once again after it ended."""

    allow_reuse_address = daemon_threads = True


def submitted(submit: Submit) -> None:
    """The SMSC takes it; its receipt comes at once or later."""
    note("submits", submit.text)
    smsc.ok(submit)
    if "later" in submit.text and not (directory / "receipts").exists():
        late.append(submit)
    else:
        smsc.receipt(submit)


def answer(heard: Heard) -> tuple[int, bytes, dict[str, str]]:
    """Smartico hears it."""
    note("heard", f"{heard.message_id} {heard.status}")
    return 200, b'{"error_code": 0}', {}


directory = Path(sys.argv[1])
late: list[Submit] = []
smsc = Smsc(SMSC)
smsc.submitted = submitted
smartico = Smartico(port=SMARTICO)
smartico.answer = answer
relay = Relay(("127.0.0.1", RELAY), Mails)
note("heard", "listening")
relay.timeout = 0.1
while True:
    relay.handle_request()
    if late and smsc.links and (directory / "receipts").exists():
        smsc.receipt(late.pop())
