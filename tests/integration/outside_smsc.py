"""A message centre of struct and sockets, read from SMPP 3.4 alone: it shares no line with gatewayd's codec."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from outside_ports import free_port, noted

GENERIC_NACK, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x80000000, 4, 5, 6, 0x15
BINDS = {1: "receiver", 2: "transmitter", 9: "transceiver"}
ANSWER = 0x80000000
GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_ESCAPED = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}


def cstring(data: bytes, at: int) -> tuple[str, int]:
    """The C-octet string at `at`, and where the next field begins."""
    end = data.index(0, at)
    return data[at:end].decode("latin-1"), end + 1


@dataclass
class Submit:
    """One submit_sm as SMPP 3.4 4.4.1 lays it out."""

    at: float
    sequence: int
    service_type: str
    source_ton: int
    source_npi: int
    source: str
    dest_ton: int
    dest_npi: int
    dest: str
    esm_class: int
    validity: str
    registered_delivery: int
    data_coding: int
    short_message: bytes
    tlvs: dict[int, bytes]
    link: Any = None
    answered_id: str = ""

    @property
    def content(self) -> bytes:
        """The text's bytes: short_message without header, or message_payload."""
        if 0x0424 in self.tlvs:
            return self.tlvs[0x0424]
        return self.short_message[self.short_message[0] + 1 :] if self.esm_class & 0x40 else self.short_message

    @property
    def text(self) -> str:
        """The text as a telephone shows it."""
        if self.data_coding == 8:
            return self.content.decode("utf-16-be")
        text, escaped = "", False
        for byte in self.content:
            if byte == 0x1B:
                escaped = True
            else:
                text += GSM_ESCAPED[byte] if escaped else GSM[byte]
                escaped = False
        return text


def read_submit(sequence: int, body: bytes) -> Submit:
    """The fields of a submit_sm."""
    service_type, at = cstring(body, 0)
    source_ton, source_npi = body[at], body[at + 1]
    source, at = cstring(body, at + 2)
    dest_ton, dest_npi = body[at], body[at + 1]
    dest, at = cstring(body, at + 2)
    esm_class = body[at]
    _, at = cstring(body, at + 3)
    validity, at = cstring(body, at)
    registered, _, coding, _, length = body[at : at + 5]
    short = body[at + 5 : at + 5 + length]
    at += 5 + length
    tlvs = {}
    while at < len(body):
        tag, size = struct.unpack_from(">HH", body, at)
        tlvs[tag] = body[at + 4 : at + 4 + size]
        at += 4 + size
    return Submit(
        time.time(),
        sequence,
        service_type,
        source_ton,
        source_npi,
        source,
        dest_ton,
        dest_npi,
        dest,
        esm_class,
        validity,
        registered,
        coding,
        short,
        tlvs,
    )


class Link:
    """One bound ESME."""

    def __init__(self, smsc: "Smsc", connection: socket.socket) -> None:
        self.smsc = smsc
        self.connection = connection
        self.kind = ""
        self.system_id = ""
        self.unbound = False
        self.sequence = 0
        self.unanswered: set[int] = set()
        """The deliver_sm of ours that it has not answered."""
        self._lock = threading.Lock()

    def send(self, command: int, status: int, sequence: int, body: bytes = b"") -> None:
        """One PDU."""
        with self._lock, suppress(OSError):
            self.connection.sendall(struct.pack(">IIII", 16 + len(body), command, status, sequence) + body)

    def ask(self, command: int, body: bytes = b"") -> int:
        """One PDU of ours; its sequence number."""
        self.sequence += 1
        if command == DELIVER_SM:
            self.unanswered.add(self.sequence)
        self.send(command, 0, self.sequence, body)
        return self.sequence

    def close(self) -> None:
        """Without a word."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Until it closes."""
        buffer = b""
        with suppress(OSError):
            while True:
                while len(buffer) < 16 or len(buffer) < struct.unpack_from(">I", buffer)[0]:
                    data = self.connection.recv(65536)
                    if not data:
                        return
                    buffer += data
                length, command, status, sequence = struct.unpack_from(">IIII", buffer)
                body, buffer = buffer[16:length], buffer[length:]
                self._take(command, status, sequence, body)
                noted()

    def _take(self, command: int, status: int, sequence: int, body: bytes) -> None:
        smsc = self.smsc
        if command in BINDS:
            self.system_id, at = cstring(body, 0)
            password, _ = cstring(body, at)
            smsc.binds.append((time.time(), BINDS[command], self.system_id, password))
            verdict = smsc.bind(self.system_id, password)
            self.send(command | ANSWER, verdict, sequence, b"outside\0" if not verdict else b"")
            if not verdict:
                self.kind = BINDS[command]
                smsc.links.append(self)
        elif command == SUBMIT_SM:
            submit = read_submit(sequence, body)
            submit.link = self
            submit.answered_id = smsc.new_id()
            smsc.submits.append(submit)
            smsc.submitted(submit)
        elif command == ENQUIRE_LINK:
            smsc.enquiries.append(time.time())
            if smsc.answers_enquiries:
                self.send(ENQUIRE_LINK | ANSWER, 0, sequence)
        elif command == ENQUIRE_LINK | ANSWER:
            smsc.enquiry_answers.append(sequence)
        elif command == UNBIND:
            self.unbound = True
            smsc.unbinds += 1
            self.send(UNBIND | ANSWER, 0, sequence)
        elif command == DELIVER_SM | ANSWER:
            self.unanswered.discard(sequence)
            smsc.deliver_answers.append((sequence, status))


class Smsc:
    """A message centre. `submitted(submit)` decides on each; as it comes it answers ok and sends a DELIVRD receipt."""

    def __init__(self, port: int = 0) -> None:
        self.binds: list[tuple[float, str, str, str]] = []
        self.links: list[Link] = []
        self.submits: list[Submit] = []
        self.enquiries: list[float] = []
        self.enquiry_answers: list[int] = []
        self.deliver_answers: list[tuple[int, int]] = []
        self.unbinds = 0
        self.answers_enquiries = True
        self.bind: Callable[[str, str], int] = lambda system_id, password: 0
        self.submitted: Callable[[Submit], None] = self.deliver_at_once
        self.prefix = "id"
        self._number = 0
        self.port = port or free_port()
        self._listener: socket.socket | None = None
        self._all: list[Link] = []
        self.start()

    def new_id(self) -> str:
        """The next message id."""
        self._number += 1
        return f"{self.prefix}{self._number}"

    def start(self) -> None:
        """Listen."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(50)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, connection)
            self._all.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: Link) -> None:
        link.run()
        link.connection.close()
        if link in self.links:
            self.links.remove(link)

    def stop(self) -> None:
        """Nobody listens any more, and the links close without a word."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for link in self._all:
            link.close()
        self._all.clear()

    def ok(self, submit: Submit, status: int = 0) -> None:
        """Answer it."""
        body = submit.answered_id.encode() + b"\0" if not status else b""
        submit.link.send(SUBMIT_SM | ANSWER, status, submit.sequence, body)

    def receipt(
        self, submit: Submit, state: str = "DELIVRD", *, message_id: str = "", error: str = "000", tlv: bool = False
    ) -> None:
        """A delivery receipt as SMPP 3.4 appendix B words it, on any link that receives."""
        name = message_id or submit.answered_id
        text = (
            f"id:{name} sub:001 dlvrd:001 submit date:2401010000 done date:2401010001 stat:{state} err:{error} text:x"
        ).encode()
        tlvs = struct.pack(">HH", 0x001E, len(name) + 1) + name.encode() + b"\0" if tlv else b""
        self.deliver(submit.dest, submit.source, text, esm_class=4, tlvs=tlvs, ton=submit.dest_ton)

    def deliver(
        self,
        source: str,
        dest: str,
        text: bytes,
        *,
        esm_class: int = 0,
        tlvs: bytes = b"",
        ton: int = 1,
        coding: int = 0,
    ) -> int:
        """A deliver_sm; its sequence number."""
        body = (
            b"\0" + bytes((ton, 1)) + source.encode("latin-1") + b"\0" + bytes((5, 0)) + dest.encode("latin-1") + b"\0"
        )
        body += bytes((esm_class, 0, 0)) + b"\0\0" + bytes((0, 0, coding, 0, len(text))) + text + tlvs
        link = next(link for link in reversed(self.links) if link.kind != "transmitter")
        return link.ask(DELIVER_SM, body)

    def all_answered(self) -> bool:
        """Whether every deliver_sm on a link that still stands was answered."""
        return not any(link.unanswered for link in list(self.links))

    def deliver_at_once(self, submit: Submit) -> None:
        """Answer, then send its receipt."""
        self.ok(submit)
        self.receipt(submit)
