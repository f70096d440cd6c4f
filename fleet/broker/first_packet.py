"""What clients of the embedded broker send, read within limits, and its first packet twice."""

from __future__ import annotations

import asyncio
import logging

from amqtt.adapters import StreamReaderAdapter
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connect import ConnectPacket

from fleet.authority.rules import LARGEST_MESSAGE_BYTES
from fleet.broker.doorkeeper import Caller
from fleet.errors import NoCallerError

_log = logging.getLogger(__name__)

#: Who is not let in yet gets little memory and little time.
_LARGEST_STRANGERS_READ_BYTES = 16 * 1024
_PATIENCE_S = 10


class PacketReader(StreamReaderAdapter):  # type: ignore[misc] # amqtt ships no types
    """Refuses to read a packet that no message of ours can need."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._largest_bytes = LARGEST_MESSAGE_BYTES
        self._seen: bytearray | None = None
        self._again = b""

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes.

        Raises:
            ValueError: more than anybody may send in one piece.
        """
        if n > self._largest_bytes:
            _log.warning("connection closed reason=message of %d bytes", n)
            message = f"message of {n} bytes: expected at most {self._largest_bytes}"
            raise ValueError(message)
        head, self._again = self._again[:n], self._again[n:]
        data: bytes = head if len(head) == n else head + await super().read(n - len(head))
        if self._seen is not None:
            self._seen += data
        return data

    async def read_caller(self) -> Caller:
        """Who a client says it is; its packet is read once more by whoever reads next.

        Raises:
            NoCallerError: what comes first is no CONNECT, too large, or too slow.
        """
        self._seen, self._largest_bytes = bytearray(), _LARGEST_STRANGERS_READ_BYTES
        try:
            async with asyncio.timeout(_PATIENCE_S):
                connect = await ConnectPacket.from_stream(self)
        except (AMQTTError, MQTTError, NoDataError, OSError, EOFError, ValueError) as error:
            message = f"no CONNECT: {error!r}"
            raise NoCallerError(message) from error
        self._again, self._seen = bytes(self._seen), None
        self._largest_bytes = LARGEST_MESSAGE_BYTES
        return Caller(
            client_id=connect.client_id or "",
            username=connect.username,
            password=connect.password,
            will_topic=connect.will_topic if connect.will_flag else None,
        )
