"""Bounds how long HTTP clients may take and how many connect at once; needs uvicorn (ADR 28).

uvicorn bounds the time between two requests alone: a head or a body that drips in, a TLS handshake
that never ends and an answer that nobody reads hold their connection for ever, and each counts as
one of `limit_concurrency`, beyond which everybody gets 503. Here each phase of a connection has a
time for the whole of it, and what waits for its client takes nobody's place.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from edgewright.connections import (
    AcceptedSocket,
    ConnectionLimits,
    Connections,
    LimitedListener,
)
from edgewright.rate_limit import rate_limited_logger

_log = rate_limited_logger(__name__)


class HttpLimits(ConnectionLimits, frozen=True, kw_only=True):
    """How long clients may take, how many may be connected, and how many are answered at once."""

    #: For the whole body, however slowly it drips.
    body_s: float = 30.0
    #: Between two requests of one connection.
    idle_s: float = 75.0
    #: For a client to take what waits to be sent.
    write_s: float = 30.0
    head_bytes: int = 16 * 1024
    #: Requests that are answered at once; one more gets 503.
    requests: int = 256


class _Phase(enum.Enum):
    """Whom a connection waits for."""

    HEAD = "header"
    BODY = "body"
    ANSWERING = "answer"
    IDLE = "next request"
    CLOSING = "end"


class _Config(uvicorn.Config):
    """uvicorn's configuration, with what is common to all connections of this server."""

    def __init__(self, app: Any, limits: HttpLimits, **options: Any) -> None:  # noqa: ANN401 - ASGI
        super().__init__(
            app,
            # The protocol is h11's also where httptools is installed, and sockets are Python's.
            http=_LimitedProtocol,
            loop="asyncio",
            ws="none",
            log_config=None,
            # A stranger's malformed request is no line in the log.
            log_level=logging.ERROR,
            access_log=False,
            server_header=False,
            # Nobody in front is trusted to say who a client is.
            proxy_headers=False,
            h11_max_incomplete_event_size=limits.head_bytes,
            timeout_keep_alive=math.ceil(limits.idle_s),
            **options,
        )
        self.limits = limits
        self.connections = Connections(limits)


class _LimitedProtocol(H11Protocol):
    """One connection, each phase of which ends in its time."""

    config: _Config
    _accepted: AcceptedSocket
    _phase = _Phase.CLOSING
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: _Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections, self._limits = config.connections, config.limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._accepted = self._connections.found(transport)
        self._enter(_Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the times."""
        super().connection_lost(exc)
        self._cancel(self._timer)
        self._cancel(self._write_timer)

    def handle_events(self) -> None:
        """Take what came; a request that is one too many gets uvicorn's own 503."""
        self.limit_concurrency = 0 if self._is_busy() else None
        super().handle_events()
        self._follow()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """Give the client its time to take what waits."""
        super().pause_writing()
        self._cancel(self._write_timer)
        self._write_timer = self.loop.call_later(self._limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It took enough of it."""
        super().resume_writing()
        self._cancel(self._write_timer)

    def _is_busy(self) -> bool:
        """Whether one more request is one too many."""
        if self._connections.answering < self._limits.requests:
            return False
        _log.warning("requests refused at_most=%d", self._limits.requests)
        return True

    def _follow(self) -> None:
        phase = self._present_phase()
        if phase is not self._phase:
            self._enter(phase)

    def _present_phase(self) -> _Phase:
        if self.transport.is_closing():
            return _Phase.CLOSING
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.BODY
        if self.conn.their_state is not h11.IDLE:
            return _Phase.ANSWERING
        begun, _ = self.conn.trailing_data
        return _Phase.HEAD if begun else _Phase.IDLE

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._cancel(self._timer)
        self._connections.note(self._accepted, is_answering=phase is _Phase.ANSWERING)
        self._timer = self.loop.call_later(self._seconds(phase), self._expire)

    def _seconds(self, phase: _Phase) -> float:
        limits = self._limits
        return {
            _Phase.HEAD: limits.head_s,
            _Phase.BODY: limits.body_s,
            _Phase.IDLE: limits.idle_s,
            # An application that failed ends a connection and says nothing: it is looked after.
            _Phase.ANSWERING: limits.write_s,
            # What was written before may still wait for a client that does not read.
            _Phase.CLOSING: limits.write_s,
        }[phase]

    def _expire(self) -> None:
        """End a phase that took its whole time."""
        if self.transport.is_closing():
            self.transport.abort()
            return
        if self._phase is _Phase.ANSWERING:
            self._enter(_Phase.ANSWERING)
            return
        is_answered = self.cycle is not None and self.cycle.response_started
        if self._phase is _Phase.HEAD or (self._phase is _Phase.BODY and not is_answered):
            self.transport.write(_too_slow(self._phase, self._seconds(self._phase)))
        if self._phase is _Phase.BODY:
            # The application waits for the body: it is told that nobody is there any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
        self._enter(_Phase.CLOSING)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class LimitedServer(uvicorn.Server):
    """uvicorn within limits; `run` serves until `should_exit` is set, or a signal comes.

    Args:
        app: ASGI application.
        listener: socket to serve at, bound; it is closed in the end.
        limits: for clients.
        on_start: called once requests are answered.
        options: further ones of `uvicorn.Config`.
    """

    def __init__(
        self,
        app: Any,  # noqa: ANN401 - uvicorn's type of an application is not public
        listener: socket.socket,
        *,
        limits: HttpLimits,
        on_start: Callable[[], None] = lambda: None,
        **options: Any,  # noqa: ANN401 - uvicorn's
    ) -> None:
        config = _Config(app, limits, **options)
        super().__init__(config)
        self._on_start = on_start
        self._listener = LimitedListener.of(listener, config.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer at the listener that was given; `sockets` are not taken."""
        del sockets
        await super().startup([self._listener])
        if self.started:
            self._on_start()


def _too_slow(phase: _Phase, seconds: float) -> bytes:
    body = f"{phase.value}: expected within {seconds:g} s\n".encode()
    return (
        b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body)
    )
