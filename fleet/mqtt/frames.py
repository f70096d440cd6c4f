"""What the collector and its link process say to each other, as frames over pipes.

A frame is its length in four bytes, little-endian, and as many bytes of MessagePack.
"""

from __future__ import annotations

import os
import select
import struct
import time

import msgspec

from fleet.logs import LogFormat

_HEAD = struct.Struct("<I")
_CHUNK_BYTES = 1 << 20


class StreamOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Where a link process consumes a stream of results; its account is that of the broker."""

    #: URLs of servers of one cluster.
    servers: list[str]
    tls: bool


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect: the first frame that a link process gets. Secrets stay in their files."""

    host: str
    port: int
    tls: bool
    ca_file: str | None
    username: str | None
    password_file: str | None
    client_name: str
    session: str
    topics: list[str]
    former_ids: list[str] = []
    log_level: int
    #: How often it is to say that it lives, where nothing comes.
    alive_every_s: float
    stream: StreamOrder | None = None
    log_format: LogFormat = LogFormat.TEXT


class Say(msgspec.Struct, frozen=True, tag=True):
    """Publish these, retained: topics and payloads."""

    messages: list[tuple[str, bytes]]


class Settled(msgspec.Struct, frozen=True, tag=True):
    """The deliveries with these tickets are stored."""

    tickets: list[int]


class Arrived(msgspec.Struct, frozen=True, tag=True):
    """Deliveries in their order: topic, payload, retained, received at, ticket.

    None: subscribed. Without any, it says that the link process lives.
    """

    items: list[tuple[str, bytes, bool, float, int | None] | None]


class SessionKept(msgspec.Struct, frozen=True, tag=True):
    """The broker keeps our session, under this client id."""

    client_id: str


class Trouble(msgspec.Struct, frozen=True, tag=True):
    """Why there is no connection; None: there is one."""

    problem: str | None


def frame(message: msgspec.Struct) -> bytes:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    return _HEAD.pack(len(body)) + body


def write_all(fd: int, data: bytes, *, patience_s: float | None = None) -> None:
    """Write all of `data`; waits while the other side does not read.

    Args:
        fd: the pipe; with `patience_s` it does not block.
        data: what to write.
        patience_s: how long the other side may read nothing at all; None: for ever.

    Raises:
        BrokenPipeError: there is no other side any more.
        TimeoutError: it has read nothing for so long.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError as error:
            room = select.poll()
            room.register(fd, select.POLLOUT)
            if not room.poll(None if patience_s is None else patience_s * 1000):
                message = f"nothing was read for {patience_s:g} s"
                raise TimeoutError(message) from error


class Frames:
    """Frames as they come out of a pipe.

    Args:
        fd: the pipe.
        patience_s: how long a frame that has begun is waited for; None: for ever.
    """

    def __init__(self, fd: int, *, patience_s: float | None = None) -> None:
        self._fd = fd
        self._patience_s = patience_s
        # Not select(): where the broker comes along, its clients take the numbers below 1,024.
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._buffer = bytearray()
        #: Whether the other side has closed the pipe.
        self.ended = False

    def read(self, *, wait_s: float | None) -> bytes | None:
        """Body of the next frame; None where none begins within `wait_s`, or the pipe ended.

        A frame that has begun is waited for, within the patience. With None it waits for ever.
        """
        until = None if wait_s is None else time.monotonic() + wait_s
        while True:
            body = self._take()
            if body is not None:
                return body
            if self.ended:
                return None
            # The other side writes a frame in one go, so what has begun also ends; unless it hangs.
            if self._buffer:
                left_s = self._patience_s
            else:
                left_s = None if until is None else max(0.0, until - time.monotonic())
            if left_s is not None and not self._poll.poll(left_s * 1000):
                return None
            chunk = os.read(self._fd, _CHUNK_BYTES)
            self.ended = not chunk
            self._buffer += chunk

    def _take(self) -> bytes | None:
        if len(self._buffer) < _HEAD.size:
            return None
        (length,) = _HEAD.unpack_from(self._buffer)
        end = _HEAD.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return body
