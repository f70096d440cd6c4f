"""What clients of the embedded broker send, read within limits, and its first packet twice."""

from __future__ import annotations

import asyncio
import io

from amqtt.adapters import BufferReader, StreamReaderAdapter
from amqtt.mqtt.connect import ConnectPacket

from fleet.authority.rules import LARGEST_MESSAGE_BYTES
from fleet.broker.doorkeeper import Caller
from fleet.broker.packets import MALFORMED, Packet, split_header
from fleet.errors import NoCallerError

#: Who is not let in yet gets little memory and little time.
_LARGEST_STRANGERS_READ_BYTES = 16 * 1024
_PATIENCE_S = 10
#: Read in one go; some thirty results.
_PIECE_BYTES = 64 * 1024
#: With its length and the message's number.
_LARGEST_TOPIC_BYTES = 1024
#: How much longer than its keepalive a client may be silent (MQTT 3.1.1, 3.1.2.10).
_KEEPALIVES = 1.5


class PacketReader(StreamReaderAdapter):  # type: ignore[misc] # amqtt ships no types
    """Refuses to read a packet that no message of ours can need."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._largest_bytes = LARGEST_MESSAGE_BYTES
        self._buffer = bytearray()
        #: Where the next packet begins in it.
        self._start = 0
        #: What is read once more.
        self._again = io.BytesIO()
        #: How long the client may be silent; None: for ever.
        self._silence_s: float | None = None

    def expect_within(self, keepalive_s: int) -> None:
        """End reads of a client that says nothing within its keepalive and half of it; 0: none."""
        self._silence_s = keepalive_s * _KEEPALIVES if keepalive_s else None

    async def read(self, n: int = -1) -> bytes:
        """Bytes of the first packet, for whoever reads it once more."""
        return self._again.read(n)

    async def read_packet(self) -> Packet | None:
        """The next packet, whole; None where the client has hung up.

        Reads what is there and takes packets from that: amqtt 0.12.1 reads each packet in some
        ten pieces and makes a task and a timer for it.

        Raises:
            ValueError: more than anybody may send, or no MQTT.
            ConnectionError: the client has been silent for too long.
        """
        while (packet := self._take_packet()) is None:
            del self._buffer[: self._start]
            self._start = 0
            try:
                async with asyncio.timeout(self._silence_s):
                    piece = await self._reader.read(_PIECE_BYTES)
            except TimeoutError as error:
                message = f"silent for {self._silence_s:g} s"
                raise ConnectionError(message) from error
            if not piece:
                return None
            self._buffer += piece
        return packet

    async def read_caller(self) -> Caller:
        """Who a client says it is; its packet is read once more by whoever reads next.

        Raises:
            NoCallerError: what comes first is no CONNECT, too large, or too slow.
        """
        self._largest_bytes = _LARGEST_STRANGERS_READ_BYTES
        try:
            async with asyncio.timeout(_PATIENCE_S):
                packet = await self.read_packet()
            if packet is None:
                message = "nothing at all"
                raise NoCallerError(message)
            connect = await ConnectPacket.from_stream(BufferReader(packet.whole))
        except MALFORMED as error:
            message = f"no CONNECT: {error!r}"
            raise NoCallerError(message) from error
        self._again = io.BytesIO(packet.whole)
        self._largest_bytes = LARGEST_MESSAGE_BYTES
        return Caller(
            client_id=connect.client_id or "",
            username=connect.username,
            password=connect.password,
            will_topic=connect.will_topic if connect.will_flag else None,
        )

    def _take_packet(self) -> Packet | None:
        place = split_header(self._buffer, self._start)
        if place is None:
            return None
        begin, end = place
        if end - begin > self._largest_bytes + _LARGEST_TOPIC_BYTES:
            message = f"message of {end - begin} bytes: expected at most {self._largest_bytes}"
            raise ValueError(message)
        if end > len(self._buffer):
            return None
        packet = Packet(bytes(self._buffer[self._start : end]), begin - self._start)
        self._start = end
        return packet
