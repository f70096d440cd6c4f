"""MQTT 3.1.1 packets that come and go by the thousand, as bytes; the rare ones are amqtt's."""

from __future__ import annotations

import enum
import struct

from amqtt.errors import AMQTTError, MQTTError, NoDataError

#: What amqtt's packets, and these, raise where bytes are none of theirs.
MALFORMED = (
    AMQTTError, MQTTError, NoDataError, OSError, EOFError, ValueError, LookupError, struct.error
)  # fmt: skip
_U16 = struct.Struct(">H")
#: Bytes of the remaining length (MQTT 3.1.1, 2.2.3).
_LONGEST_LENGTH = 4


class Kind(enum.IntEnum):
    """The type in the upper half of a packet's first byte (MQTT 3.1.1, table 2.1)."""

    CONNECT = 1
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    UNSUBSCRIBE = 10
    PINGREQ = 12
    DISCONNECT = 14


class Packet:
    """A packet as it came; its body is what follows the length."""

    __slots__ = ("body", "flags", "kind", "whole")

    def __init__(self, whole: bytes, begin: int) -> None:
        self.whole = whole
        self.kind = whole[0] >> 4
        self.flags = whole[0] & 0x0F
        self.body = whole[begin:]

    @property
    def packet_id(self) -> int:
        """Number of the message that an answer is about.

        Raises:
            ValueError: the packet holds none.
        """
        return _packet_id(self.body)


class Publish:
    """A PUBLISH packet, taken apart."""

    __slots__ = ("packet_id", "payload", "qos", "retain", "topic")

    def __init__(self, packet: Packet) -> None:
        """Read it.

        Raises:
            ValueError: it is not as MQTT 3.1.1, 3.3 has it, or its topic is none to publish to.
        """
        body = packet.body
        self.qos = packet.flags >> 1 & 0x03
        self.retain = bool(packet.flags & 0x01)
        end = 2 + _packet_id(body)
        self.topic = body[2:end].decode()
        if end > len(body) or not self.topic or set(self.topic) & {"+", "#", "\0"}:
            message = f"PUBLISH to '{self.topic[:80]}': expected a topic without wildcards"
            raise ValueError(message)
        if self.qos > 2:  # noqa: PLR2004 - MQTT knows no more
            message = f"PUBLISH at QoS {self.qos}: expected 0 to 2"
            raise ValueError(message)
        self.packet_id = _packet_id(body[end:]) if self.qos else 0
        self.payload = body[end + 2 :] if self.qos else body[end:]


def split_header(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """Where the body of the packet at `start` begins and ends; None: the header is not whole.

    Raises:
        ValueError: a length of more than four bytes.
    """
    length = 0
    for place in range(_LONGEST_LENGTH):
        at = start + 1 + place
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 0x7F) << 7 * place
        if buffer[at] < 0x80:  # noqa: PLR2004 - no byte of the length follows
            return at + 1, at + 1 + length
    message = "remaining length: expected four bytes at most"
    raise ValueError(message)


def publish_packet(topic: str, payload: bytes, *, qos: int, retain: bool, packet_id: int) -> bytes:
    """A PUBLISH; `packet_id` counts at QoS 1."""
    name = topic.encode()
    length = 2 + len(name) + len(payload) + (2 if qos else 0)
    return b"".join(
        (
            bytes((Kind.PUBLISH << 4 | qos << 1 | retain,)),
            _encoded_length(length),
            _U16.pack(len(name)),
            name,
            _U16.pack(packet_id) if qos else b"",
            payload,
        )
    )


def answer_packet(kind: Kind, packet_id: int) -> bytes:
    """A PUBACK, PUBREC or PUBCOMP."""
    return struct.pack(">BBH", kind << 4, 2, packet_id)


def _packet_id(body: bytes) -> int:
    if len(body) < _U16.size:
        message = f"packet of {len(body)} bytes: expected at least two"
        raise ValueError(message)
    number: int = _U16.unpack_from(body)[0]
    return number


def _encoded_length(length: int) -> bytes:
    encoded = bytearray()
    while length >= 0x80:  # noqa: PLR2004 - seven bits a byte
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
