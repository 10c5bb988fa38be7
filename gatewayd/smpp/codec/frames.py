"""The stream of SMPP octets cut into PDUs (SMPP 3.4, 3.1 and 5.1), however it was split on its way.

Knows a PDU's length and nothing else of it.
"""

import struct

HEADER = 16
MAX_LENGTH = 0x20000
"""A message_payload alone may have 65535 octets. Text that is no SMPP begins with greater numbers, and so does TLS."""

_TLS_ALERT = 0x1503
"""The first octets of a record in which a TLS server says that it could make nothing of what it read."""

_U32 = struct.Struct(">I")


class FramingError(ValueError):
    """The stream is not SMPP (any more): answer generic_nack and close. `whole` are the PDUs before the trouble."""

    def __init__(self, reason: str, whole: tuple[bytes, ...] = ()) -> None:
        super().__init__(reason)
        self.whole = whole


class Framer:
    """Cuts a byte stream into PDUs, however it was split on its way."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._max_length = max_length
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of a PDU that is not whole yet are held."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The PDUs that `data` completes. Raises FramingError for a command_length under 16 or over the maximum."""
        rest = self._rest
        if rest:
            rest += data
        # Nearly every call brings whole PDUs: these are cut from `data` itself.
        source: bytes | bytearray = rest or data
        size = len(source)
        whole: list[bytes] = []
        at = 0
        while size - at >= 4:
            (length,) = _U32.unpack_from(source, at)
            if not HEADER <= length <= self._max_length:
                hint = ", as TLS begins: it may want tls = true" if length >> 16 == _TLS_ALERT else ""
                raise FramingError(f"command_length {length}{hint}", tuple(whole))
            if size - at < length:
                break
            whole.append(bytes(source[at : at + length]))
            at += length
        if source is rest:
            del rest[:at]
        else:
            rest += data[at:]
        return whole


def numbered(octets: bytes, sequence: int) -> bytes:
    """An encoded PDU with this sequence number."""
    return octets[:12] + sequence.to_bytes(4, "big") + octets[16:]
