"""Pulls results out of a durable consumer, and acknowledges those that are stored."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from contract.access import Access
from fleet.jetstream.names import CONSUMER, STREAM
from fleet.jetstream.stream import ensure_consumer
from fleet.jetstream.subject import topic_of_subject
from fleet.mqtt.delivery import Delivery
from fleet.mqtt.frames import StreamOrder
from fleet.mqtt.inbox import Inbox

_log = logging.getLogger(__name__)

#: Results asked for at a time; a collector stores at most 2,000 in one transaction.
_BATCH = 1000
#: Results and bytes that one collector holds at most, given to it and not stored yet. While the
#: store is away it asks for no more, and the stream keeps the rest.
_HELD_AT_MOST = 4000
_HELD_BYTES_AT_MOST = 32 * 1024 * 1024
#: The least that is worth a question.
_ROOM_BYTES = 4 * 1024 * 1024
_EXPIRES_S = 10
_HEARTBEAT_S = 1
#: Longer without a heartbeat: the question was lost, with the server that had it or on the way.
_SILENCE_S = 2.5
_RETRY_S = 0.5
_FULL_S = 0.02
_FLUSH_S = 3
_CONNECT_S = 3
_NEXT = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}"
_ACK, _NAK = b"+ACK", b"-NAK"
#: Status of an answer that says nothing but that the consumer is there.
_ALIVE = "100"
#: How a question ends in an orderly way: it has expired, or its bytes are reached.
_EXPIRED, _FULL = "408", "Message Size Exceeds MaxBytes"


class _Held(msgspec.Struct, frozen=True, gc=False):
    """One result that is not stored yet: where its acknowledgement goes, and its size."""

    reply: str
    payload_bytes: int


class Puller:
    """A thread that moves results from the stream into an inbox, each with a ticket.

    Args:
        order: the servers.
        access: what proves this account, where there is TLS; its files are read at each connection.
        name: as the servers know it.
        inbox: where results go.
        on_ready: called once, as soon as the stream keeps what devices send.
        may_ask: whether results may be asked for just now.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        order: StreamOrder,
        *,
        access: Access,
        name: str,
        inbox: Inbox,
        on_ready: Callable[[], None],
        may_ask: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._order = order
        self._access = access
        self._name = name
        self._inbox = inbox
        self._on_ready = on_ready
        self._may_ask = may_ask
        self._clock = clock
        #: Why nothing comes, where the last try failed.
        self.problem: str | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._client = Client()
        self._held: dict[int, _Held] = {}
        self._held_bytes = 0
        self._last_ticket = 0
        #: Results that the present question may still bring.
        self._due = 0
        self._heard_at = 0.0
        #: Something happened that the question waits for.
        self._news = asyncio.Event()
        self._closing = False

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""
        self._thread.start()

    def settle(self, tickets: Sequence[int]) -> None:
        """These are stored: the stream may forget them."""
        asyncio.run_coroutine_threadsafe(self._settle(tickets), self._loop)

    def close(self) -> None:
        """Give back what is not stored, and disconnect."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._work())
        finally:
            if not self._closing:
                # Without its stream this process is of no use; the collector starts another.
                _log.exception("the stream's thread ended")
                os._exit(1)

    def _end(self) -> None:
        self._closing = True
        self._news.set()

    async def _work(self) -> None:
        connecting = asyncio.ensure_future(self._connect())
        while not connecting.done() and not self._closing:
            await asyncio.wait({connecting}, timeout=_RETRY_S)
        if not connecting.done():
            connecting.cancel()
            return
        connecting.result()
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox, cb=self._heard)
        is_ready = False
        while not self._closing:
            try:
                await ensure_consumer(self._client.jetstream())
                self._tell(None)
                if not is_ready:
                    is_ready = True
                    self._on_ready()
                await self._pull(inbox)
            except (Error, OSError) as error:
                self._tell(f"JetStream at {self._servers}: {error}")
                if self._client.is_closed:
                    # For good, as after a password that no longer holds.
                    raise
            if not self._closing:
                await asyncio.sleep(_RETRY_S)
        await self._give_back(subscription)

    async def _connect(self) -> None:
        context = self._access.tls_context() if self._order.tls else None
        named = self._order.tls and self._access.username is not None
        await self._client.connect(
            servers=self._order.servers,
            name=self._name,
            tls=context,
            user=self._username if named else None,
            password=self._password if named else None,
            connect_timeout=_CONNECT_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=self._failed,
            disconnected_cb=self._lost,
            reconnected_cb=self._back,
        )
        _log.info("connected stream=%s", self._at)

    async def _pull(self, inbox: str) -> None:
        """Ask for results, again and again, until the consumer does not answer."""
        while not self._closing:
            room = await self._room()
            if not room:
                continue
            question = {
                "batch": room,
                "max_bytes": _HELD_BYTES_AT_MOST - self._held_bytes,
                "expires": _EXPIRES_S * 1_000_000_000,
                "idle_heartbeat": _HEARTBEAT_S * 1_000_000_000,
            }
            self._due, self._heard_at = room, time.monotonic()
            await self._client.publish(_NEXT, json.dumps(question).encode(), inbox)
            while self._due > 0 and not self._closing:
                await self._wait()
                if time.monotonic() - self._heard_at > _SILENCE_S:
                    return

    async def _room(self) -> int:
        """How many results may be asked for; 0 after a while in which none may."""
        room = min(_BATCH, _HELD_AT_MOST - len(self._held))
        has_room = room > 0 and _HELD_BYTES_AT_MOST - self._held_bytes >= _ROOM_BYTES
        if has_room and self._may_ask():
            return room
        await self._wait()
        return 0

    async def _wait(self) -> None:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), _HEARTBEAT_S)
        except TimeoutError:
            return

    async def _heard(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if not message.reply.startswith("$JS.ACK."):
            self._status(message.headers or {})
            return
        self._last_ticket += 1
        self._held[self._last_ticket] = _Held(message.reply, len(message.data))
        self._held_bytes += len(message.data)
        delivery = Delivery(
            topic=topic_of_subject(message.subject),
            payload=message.data,
            retained=False,
            received_at=self._clock(),
            ticket=self._last_ticket,
        )
        # A thread makes room, which no event of this loop can tell.
        while not self._inbox.put(delivery, wait_s=0.0) and not self._closing:  # noqa: ASYNC110
            await asyncio.sleep(_FULL_S)
        self._due -= 1
        if self._due <= 0:
            self._news.set()

    def _status(self, headers: dict[str, str]) -> None:
        status = headers.get("Status")
        if status == _ALIVE:
            return
        if status != _EXPIRED and headers.get("Description") != _FULL:
            # No consumer, no leader of it, or too many questions: look what there is, then ask.
            self._heard_at = 0.0
        self._due = 0
        self._news.set()

    async def _settle(self, tickets: Sequence[int]) -> None:
        for ticket in tickets:
            held = self._held.pop(ticket, None)
            if held is not None:
                self._held_bytes -= held.payload_bytes
                # Without an answer: where it is lost, the result comes again and is recognised.
                await self._client.publish(held.reply, _ACK)
        self._news.set()

    async def _give_back(self, subscription: Subscription) -> None:
        """Let others have at once what is not stored here."""
        try:
            # First, or the open question would get it back.
            await subscription.unsubscribe()
            await self._client.flush(_FLUSH_S)
            for held in self._held.values():
                await self._client.publish(held.reply, _NAK)
            await self._client.flush(_FLUSH_S)
            await self._client.close()
        except (Error, OSError) as error:
            _log.info("left without a farewell stream=%s reason=%s", self._servers, error)

    async def _failed(self, error: Exception) -> None:
        self._tell(f"JetStream at {self._servers}: {error or type(error).__name__}")

    async def _lost(self) -> None:
        if not self._closing:
            _log.info("disconnected stream=%s", self._servers)

    async def _back(self) -> None:
        _log.info("connected stream=%s", self._at)
        self._tell(None)

    def _tell(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            _log.info("stream away, trying again reason=%s", problem)
        self.problem = problem

    @property
    def _servers(self) -> str:
        return ",".join(self._order.servers)

    @property
    def _at(self) -> str:
        url = self._client.connected_url
        return url.netloc if url is not None else "none"

    def _username(self) -> str:
        return self._access.username or ""

    def _password(self) -> str:
        return self._access.password() or ""
