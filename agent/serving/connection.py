"""One client's connection: requests in, answers out, each within its time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TypeVar

from agent.serving.front import Front
from agent.serving.patience import Limits, Patience
from agent.serving.request import Head, parse_head
from agent.serving.response import HttpError, Response

_END_OF_HEAD = b"\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 << 20
_CHUNK = 1 << 16

Result = TypeVar("Result")


class Budget:
    """Bytes of bodies that all clients together may have in our hands."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def take(self, size_bytes: int) -> bool:
        """Reserve bytes; False where there are not as many left."""
        if size_bytes > self._left:
            return False
        self._left -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """Free what was reserved."""
        self._left += size_bytes


class Connection:
    """Answers one client's requests in their order.

    Args:
        reader: from the client; its limit is that of a head.
        writer: to the client.
        front: what answers.
        budget: shared by all connections.
        limits: what clients may send.
        patience: how long is waited for them.
        closing: set when no further request is to be taken.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        front: Front,
        *,
        budget: Budget,
        limits: Limits,
        patience: Patience,
        closing: asyncio.Event,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._front = front
        self._budget = budget
        self._limits = limits
        self._patience = patience
        self._closing = closing
        self._taken_bytes = 0
        #: Whether bytes that belong to the request may still be on their way.
        self._is_unread = False
        #: Whether nothing would be lost if it were closed now.
        self.is_idle = True
        #: Whether it goes on when the client sends something, or takes its answer.
        self.waits_for_client = True

    async def serve(self) -> None:
        """Answer until the client leaves, errs or is too slow, or no request is to be taken."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            is_first = True
            while await self._serve_one(is_first=is_first):
                is_first = False
        self.is_idle = True
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._patience.write_s):
                await self._writer.wait_closed()

    async def refuse(self, error: HttpError) -> None:
        """Answer with an error, whatever the client wants, and close."""
        self._is_unread = True
        self._front.count("", error.status)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._write(error.response, with_body=True, close=True)
        self._writer.close()

    async def _serve_one(self, *, is_first: bool) -> bool:
        """Answer one request; False where the connection ends."""
        self.is_idle = self.waits_for_client = True
        if self._closing.is_set():
            return False
        try:
            content = await self._read_head(is_first=is_first)
            if content is None:
                return False
            self.is_idle = False
            head = parse_head(content)
            self.waits_for_client = False
        except HttpError as error:
            self._is_unread = True
            self._front.count("", error.status)
            await self._write(error.response, with_body=True, close=True)
            return False
        self._is_unread = head.may_have_body
        try:
            response = await self._front.respond(head, lambda: self._read_body(head))
            close = self._closing.is_set() or self._is_unread or not head.keeps_alive
            await self._write(response, with_body=head.method != "HEAD", close=close)
        finally:
            self._budget.give_back(self._taken_bytes)
            self._taken_bytes = 0
        return not close

    async def _read_head(self, *, is_first: bool) -> bytes | None:
        """Bytes of a head; None where the client has no further request."""
        patience = self._patience
        try:
            async with asyncio.timeout(patience.head_s if is_first else patience.idle_s):
                first = await self._reader.read(1)
                # Some clients end a body with a line break too many (RFC 9112, section 2.2).
                while first in {b"\r", b"\n"}:
                    first = await self._reader.read(1)
        except TimeoutError as error:
            if is_first:
                message = "request"
                raise _slow(message, patience.head_s) from error
            return None
        if not first:
            return None
        self.is_idle = False
        try:
            rest = self._reader.readuntil(_END_OF_HEAD)
            return first + await _timely(rest, patience.head_s, "header")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            message = f"header: expected at most {self._limits.head_bytes:,} bytes"
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise HttpError(status, "header-too-large", message) from error

    async def _read_body(self, head: Head) -> bytes:
        """Body of a request whose head was found acceptable."""
        length = head.content_length or 0
        if not self._budget.take(length):
            message = "other clients are sending as much as this box takes at a time"
            retry = {"Retry-After": "1"}
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message, retry)
        self._taken_bytes = length
        self.waits_for_client = True
        if head.expects_continue:
            self._writer.write(_CONTINUE)
        try:
            body = self._reader.readexactly(length)
            content = await _timely(body, self._patience.body_s, "body")
        except asyncio.IncompleteReadError as error:
            message = f"body: expected {length:,} bytes, got {len(error.partial):,}"
            raise HttpError(HTTPStatus.BAD_REQUEST, "incomplete-body", message) from error
        finally:
            self.waits_for_client = False
        self._is_unread = False
        return content

    async def _write(self, response: Response, *, with_body: bool, close: bool) -> None:
        self.waits_for_client = True
        self._writer.write(response.rendered(with_body=with_body, close=close))
        async with asyncio.timeout(self._patience.write_s):
            await self._writer.drain()
        if close and self._is_unread:
            await self._linger()

    async def _linger(self) -> None:
        """Let the client finish sending: closed at once, it might never see its answer.

        A socket that is closed with bytes unread is reset, and the reset may overtake what
        was written (RFC 9112, section 9.6).
        """
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()
        left = _LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while left > 0 and (chunk := await self._reader.read(_CHUNK)):
                    left -= len(chunk)


async def _timely(waiting: Awaitable[Result], seconds: float, what: str) -> Result:
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    except TimeoutError as error:
        raise _slow(what, seconds) from error


def _slow(what: str, seconds: float) -> HttpError:
    message = f"{what}: expected within {seconds:g} s"
    return HttpError(HTTPStatus.REQUEST_TIMEOUT, "too-slow", message)
