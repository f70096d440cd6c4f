"""One client of the embedded broker: reads what it says, and sends it what is for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from amqtt.adapters import BufferReader, StreamWriterAdapter
from amqtt.mqtt.connack import CONNECTION_ACCEPTED, ConnackPacket
from amqtt.mqtt.disconnect import DisconnectPacket
from amqtt.mqtt.pingresp import PingRespPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.subscribe import SubscribePacket
from amqtt.mqtt.unsuback import UnsubackPacket
from amqtt.mqtt.unsubscribe import UnsubscribePacket
from amqtt.session import Session

from edgewright.rate_limit import rate_limited_logger
from fleet.authority.rules import LARGEST_MESSAGE_BYTES
from fleet.broker.delivery_queue import DeliveryQueue
from fleet.broker.first_packet import PacketReader
from fleet.broker.flow_control import FlowControl, Publisher, WaitingMessage
from fleet.broker.packets import MALFORMED, Kind, Packet, Publish, answer_packet, publish_packet
from fleet.broker.retained_messages import RetainedMessage

if TYPE_CHECKING:
    from fleet.broker.routing_broker import RoutingBroker

_log = rate_limited_logger(__name__)

#: Messages that a client has and did not acknowledge yet; a collector that keeps up has fewer.
MOST_IN_FLIGHT = 500
#: Sent in one go: a system call costs more than a message.
_SENT_AT_ONCE_BYTES = 64 * 1024
#: A client that takes no answers is read no further. More than is sent at once, for it may
#: acknowledge what it takes slowly.
_UNTAKEN_BYTES = 4 * _SENT_AT_ONCE_BYTES
#: A client that takes nothing for so long, though there is something for it, is gone.
_STALLED_S = 60.0
#: Packets of one client before others have their turn.
TAKEN_AT_ONCE = 16
_LAST_PACKET_ID = 65535


class ClientConnection:
    """The connection of a session, in the place of amqtt's protocol handler.

    amqtt 0.12.1 makes a task for each packet that comes and for each message that goes, reads on
    however much is waiting, and gives up what is not acknowledged within 5 s. Here packets are
    done one after the other, and a connection sends as its client acknowledges.
    """

    def __init__(
        self,
        broker: RoutingBroker,
        session: Session,
        *,
        reader: PacketReader,
        writer: StreamWriterAdapter,
        flow: FlowControl,
        retained: Mapping[str, RetainedMessage],
    ) -> None:
        self.session = session
        self.queue = DeliveryQueue()
        self.publisher = Publisher(flow, self._write)
        #: Set once it is over, last will included.
        self.ended = asyncio.Event()
        self._broker, self._flow, self._retained = broker, flow, retained
        self._reader, self._writer = reader, writer
        self._transport: asyncio.WriteTransport = writer._writer.transport  # noqa: SLF001 - no other way
        self._is_aborted = False
        #: Rings when there may be something to send.
        self._changed = asyncio.Event()
        self._packet_id = 0
        self._in_flight: set[int] = set()
        #: Of QoS 2: numbers of messages that came and are not released yet.
        self._unreleased: set[int] = set()

    @property
    def has_room(self) -> bool:
        """Whether its client may be sent more before it acknowledges."""
        return len(self._in_flight) < MOST_IN_FLIGHT

    def greet(self) -> None:
        """Tell the client that it is in; its session begins now."""
        self._write(ConnackPacket.build(0, CONNECTION_ACCEPTED).to_bytes())

    async def run(self) -> DisconnectPacket | None:
        """Serve the client until it is gone; gives its farewell, None where it said none."""
        sending = asyncio.create_task(self._send())
        taken = 0
        try:
            while (packet := await self._reader.read_packet()) is not None:
                if packet.kind == Kind.DISCONNECT:
                    return DisconnectPacket()
                await self._take(packet)
                taken += 1
                if taken % TAKEN_AT_ONCE == 0:
                    # What was read at once may be thousands of packets, and others wait.
                    await asyncio.sleep(0)
                    if self._transport.is_closing():
                        break
                await self._drain(_UNTAKEN_BYTES)
                await self._flow.wait_for_room(self.publisher)
                if self._is_aborted:
                    break
        except MALFORMED as error:
            _log.info("connection ended client_id=%r reason=%r", self.session.client_id, error)
        finally:
            sending.cancel()
        return None

    def deliver(self) -> None:
        """Send what was put into the queue."""
        self._changed.set()

    def abort(self) -> None:
        """End the connection; whoever runs it notices."""
        self._is_aborted = True
        self._transport.abort()
        self._flow.release(self.publisher)

    def stop(self) -> None:
        """Give up what waits for the client; called once it is gone."""
        self.queue.clear()

    async def _take(self, packet: Packet) -> None:
        match packet.kind:
            case Kind.PUBLISH:
                self._take_publish(Publish(packet))
            case Kind.PUBACK:
                self._in_flight.discard(packet.packet_id)
                self._changed.set()
            case Kind.PUBREL:
                self._unreleased.discard(packet.packet_id)
                self._write(answer_packet(Kind.PUBCOMP, packet.packet_id))
            case Kind.PINGREQ:
                self._write(PingRespPacket.build().to_bytes())
            case Kind.SUBSCRIBE:
                await self._subscribe(packet)
            case Kind.UNSUBSCRIBE:
                await self._unsubscribe(packet)
            case _:
                message = f"packet of type {packet.kind}: expected none of it from a client"
                raise ValueError(message)

    def _take_publish(self, publish: Publish) -> None:
        if len(publish.payload) > LARGEST_MESSAGE_BYTES:
            problem = f"message of {len(publish.payload)} bytes: more than anybody may send"
            raise ValueError(problem)
        answer = b""
        if publish.qos:
            kind = Kind.PUBACK if publish.qos == 1 else Kind.PUBREC
            answer = answer_packet(kind, publish.packet_id)
        message = WaitingMessage(self.publisher, publish.payload, answer)
        if publish.packet_id not in self._unreleased:
            self._broker.publish(self.session, publish, message)
        if publish.qos == 2:  # noqa: PLR2004 - exactly once
            self._unreleased.add(publish.packet_id)
        self.publisher.accept(message)

    async def _subscribe(self, packet: Packet) -> None:
        asked = await SubscribePacket.from_stream(BufferReader(packet.whole))
        topics = asked.payload.topics
        codes = [await self._broker.add_subscription(one, self.session) for one in topics]
        self._write(SubackPacket.build(packet.packet_id, codes).to_bytes())
        for (topic_filter, _), code in zip(topics, codes, strict=True):
            if code <= 1:
                self._broker.send_retained(topic_filter, code, self)

    async def _unsubscribe(self, packet: Packet) -> None:
        asked = await UnsubscribePacket.from_stream(BufferReader(packet.whole))
        for topic_filter in asked.payload.topics:
            self._broker.remove_subscription(topic_filter, self.session)
        self._write(UnsubackPacket.build(packet.packet_id).to_bytes())

    async def _send(self) -> None:
        try:
            while True:
                while data := self._next_packets():
                    self._write(data)
                    await self._drain(_SENT_AT_ONCE_BYTES)
                self._changed.clear()
                # Acknowledgements ring, too.
                async with asyncio.timeout(None if self.has_room else _STALLED_S):
                    await self._changed.wait()
        except OSError as error:
            _log.info("connection ended client_id=%r reason=%r", self.session.client_id, error)
            self.abort()

    def _next_packets(self) -> bytes:
        packets, size = [], 0
        while len(self.queue) and self.has_room and size < _SENT_AT_ONCE_BYTES:
            delivery = self.queue.take()
            payload, qos = delivery.payload, delivery.qos
            if delivery.retained:
                kept = self._retained.get(delivery.topic)
                if kept is None:
                    continue
                payload, qos = kept.payload, min(qos, kept.qos)
            packet = publish_packet(
                delivery.topic,
                payload,
                qos=qos,
                retain=delivery.retained,
                packet_id=self._next_packet_id() if qos else 0,
            )
            packets.append(packet)
            size += len(packet)
            if delivery.waiting is not None:
                delivery.waiting.sent()
        return b"".join(packets)

    def _next_packet_id(self) -> int:
        # There are many more numbers than messages in flight.
        while True:
            self._packet_id = self._packet_id % _LAST_PACKET_ID + 1
            if self._packet_id not in self._in_flight:
                self._in_flight.add(self._packet_id)
                return self._packet_id

    def _write(self, data: bytes) -> None:
        # A connection that is lost is noticed where it is read.
        if data and not _is_lost(self._transport):
            self._writer.write(data)

    async def _drain(self, most_bytes: int) -> None:
        """Wait while the client has not taken so much of what was written.

        Raises:
            OSError: it does not, or is gone.
        """
        if self._transport.get_write_buffer_size() > most_bytes:
            async with asyncio.timeout(_STALLED_S):
                await self._writer.drain()


def _is_lost(transport: asyncio.WriteTransport) -> bool:
    """Whether nothing more can be sent.

    With TLS, Python 3.11 says so at a later turn of the loop only, and logs each write until then;
    the transport of the socket below it knows at once.
    """
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return transport.is_closing() or (below is not None and below.is_closing())
