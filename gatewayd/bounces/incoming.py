"""The bytes of one mail after DATA: where they end, how many there were, what to keep of them. Pure."""

_END = b"\r\n.\r\n"


class IncomingMail:
    """The bytes of one mail as they come: the first `kept` of them, and how many there were."""

    def __init__(self, kept: int) -> None:
        self._left = kept
        self._chunks: list[bytes] = []
        # The end is looked for across chunks; a mail may also be nothing but its end.
        self._tail = b"\r\n"
        self.size = -2

    def feed(self, data: bytes) -> bytes | None:
        """None while the mail goes on; else what came after its end."""
        window = self._tail + data
        end = window.find(_END)
        if end < 0:
            self._keep(window[:-4])
            self._tail = window[-4:]
            return None
        self._keep(window[: end + 2])
        return window[end + 5 :]

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if self._left > 0 and data:
            self._chunks.append(data[: self._left])
            self._left -= len(data)

    def content(self) -> bytes:
        """What was kept, without the dots that transport added (RFC 5321 section 4.5.2)."""
        return b"".join(self._chunks).replace(b"\r\n..", b"\r\n.")[2:]
