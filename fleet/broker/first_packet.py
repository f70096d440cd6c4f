"""What clients of the embedded broker send, read within limits, and its first packet twice."""

from __future__ import annotations

import asyncio
import logging
import time

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
#: How much longer than its keepalive a client may be silent (MQTT 3.1.1, 3.1.2.10).
_KEEPALIVES = 1.5


class PacketReader(StreamReaderAdapter):  # type: ignore[misc] # amqtt ships no types
    """Refuses to read a packet that no message of ours can need."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._largest_bytes = LARGEST_MESSAGE_BYTES
        self._seen: bytearray | None = None
        self._again = b""
        self._heard_at = time.monotonic()
        #: How long the client may be silent; None: for ever.
        self._silence_s: float | None = None

    def expect_within(self, keepalive_s: int) -> None:
        """End reads of a client that says nothing within its keepalive and half of it; 0: none."""
        self._silence_s = keepalive_s * _KEEPALIVES if keepalive_s else None

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes.

        Raises:
            ValueError: more than anybody may send in one piece.
            ConnectionError: the client has been silent for too long.
        """
        if n > self._largest_bytes:
            _log.warning("connection closed reason=message of %d bytes", n)
            message = f"message of {n} bytes: expected at most {self._largest_bytes}"
            raise ValueError(message)
        head, self._again = self._again[:n], self._again[n:]
        data: bytes = head if len(head) == n else head + await self._rest(n - len(head))
        if self._seen is not None:
            self._seen += data
        return data

    async def _rest(self, n: int) -> bytes:
        until = None if self._silence_s is None else self._heard_at + self._silence_s
        left_s = None if until is None else max(0.0, until - time.monotonic())
        try:
            async with asyncio.timeout(left_s):
                data: bytes = await super().read(n)
        except TimeoutError as error:
            message = f"silent for {self._silence_s:g} s"
            raise ConnectionError(message) from error
        self._heard_at = time.monotonic()
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
