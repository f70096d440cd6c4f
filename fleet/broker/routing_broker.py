"""amqtt's broker with ways of its own from a publisher to the subscribers."""

from __future__ import annotations

import asyncio

from amqtt.adapters import StreamWriterAdapter
from amqtt.broker import Broker, Server
from amqtt.contexts import Action, BrokerConfig
from amqtt.session import Session

from fleet.authority.rules import may_read, may_write
from fleet.broker.client_connection import ClientConnection
from fleet.broker.delivery_queue import QueuedDelivery
from fleet.broker.first_packet import PacketReader
from fleet.broker.flow_control import FlowControl, WaitingMessage
from fleet.broker.packets import Publish
from fleet.broker.retained_messages import RetainedMessage, RetainedMessages
from fleet.broker.subscriptions import MOST_LEVELS, Subscriptions

#: Deliveries are at QoS 0 or 1; a broker may grant less than was asked for.
_MOST_QOS = 1
_REFUSED = 0x80


class RoutingBroker(Broker):  # type: ignore[misc] # amqtt ships no types
    """Keeps amqtt's sessions, retained messages and last wills, and hands messages on itself.

    amqtt 0.12.1 holds every message against every subscription and every subscription against
    every retained message, prints all subscriptions at each SUBSCRIBE, asks for rights by a task,
    and puts no bound on what waits. 1,000 simulated devices at 60 results a second for 20 s with
    one storm of reconnects cost `serve` 30 s of processor time with it, and 7 s with this.

    At a connect with a known client id it lets the older connection live on; here it ends first,
    and no session outlives its connection.

    Args:
        config: of amqtt.
        is_guarded: whether the topic rules hold for each session's account.
    """

    def __init__(
        self, config: BrokerConfig, loop: asyncio.AbstractEventLoop, *, is_guarded: bool
    ) -> None:
        super().__init__(config, loop)
        self._is_guarded = is_guarded
        self.flow = FlowControl()
        self._is_ending = False
        self._connections: dict[str, ClientConnection] = {}
        self._index = Subscriptions()
        self._retained_messages = RetainedMessages()

    @property
    def connections(self) -> list[ClientConnection]:
        """Those of all clients that are in."""
        return list(self._connections.values())

    def end_connections(self) -> None:
        """End all of them, and the broker with them: nobody is left to hear last wills."""
        self._is_ending = True
        for connection in self.connections:
            connection.abort()

    async def end_connection(self, client_id: str) -> None:
        """End the connection of a client, and wait until its last will is said."""
        while (connection := self._connections.get(client_id)) is not None:
            connection.abort()
            await connection.ended.wait()

    def publish(self, session: Session, publish: Publish, message: WaitingMessage) -> None:
        """Hand a message of a client to the subscribers, and retain it where it is to be."""
        topic = publish.topic
        if topic.startswith("$") or not self._may(session, topic, Action.PUBLISH):
            return
        if publish.retain:
            self._retain(topic, publish.payload, publish.qos)
        self._route(topic, publish.payload, publish.qos, message)

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Subscribe a session; gives the granted QoS, or that it was refused."""
        topic_filter, qos = subscription
        levels = topic_filter.split("/")
        is_well_formed = (
            "#" not in levels[:-1]
            and len(levels) <= MOST_LEVELS
            and all(level in {"+", "#"} or not set(level) & {"+", "#"} for level in levels)
        )
        if not is_well_formed or not self._may(session, topic_filter, Action.SUBSCRIBE):
            return _REFUSED
        granted = min(qos, _MOST_QOS)
        self._index.add(session, topic_filter, granted)
        return granted

    def remove_subscription(self, topic_filter: str, session: Session) -> None:
        """Unsubscribe a session."""
        self._index.remove(session.client_id, topic_filter)

    def send_retained(self, topic_filter: str, qos: int, to: ClientConnection) -> None:
        """Send a client what is retained under its new subscription."""
        topics = self._retained_messages.matching(topic_filter)
        to.queue.put_retained(topics, topic_filter, qos)
        to.deliver()

    async def _handle_client_session(  # noqa: PLR0917 - as amqtt calls it
        self,
        reader: PacketReader,
        writer: StreamWriterAdapter,
        client_session: Session,
        handler: object,
        server: Server,
        listener_name: str,
    ) -> None:
        del handler, server, listener_name
        client_id = client_session.client_id
        reader.expect_within(client_session.keep_alive)
        # Again, for another may have come since.
        await self.end_connection(client_id)
        client_session.transitions.connect()
        connection = ClientConnection(
            self,
            client_session,
            reader=reader,
            writer=writer,
            flow=self.flow,
            retained=self._retained_messages,
        )
        self._connections[client_id] = connection
        is_will_due = client_session.will_flag
        try:
            connection.greet()
            if await connection.run() is not None:
                is_will_due = False
        finally:
            del self._connections[client_id]
            self._index.remove_all(client_id)
            connection.stop()
            if is_will_due and not self._is_ending:
                self._say_will(client_session, connection)
            connection.ended.set()

    def _say_will(self, session: Session, connection: ClientConnection) -> None:
        message = WaitingMessage(connection.publisher, session.will_message, b"")
        if session.will_retain:
            self._retain(session.will_topic, session.will_message, session.will_qos)
        self._route(session.will_topic, session.will_message, session.will_qos, message)
        connection.publisher.accept(message)

    def _route(self, topic: str, payload: bytes, qos: int, message: WaitingMessage) -> None:
        for found in self._index.matching(topic):
            if not self._may(found.session, topic, Action.RECEIVE):
                continue
            connection = self._connections.get(found.session.client_id)
            if connection is None:
                continue
            # Who asks for one topic is a device, which may be slow; nobody waits for it.
            waiting = message if found.is_wildcard else None
            if waiting is not None:
                waiting.subscribers += 1
            delivery = QueuedDelivery(topic, payload, qos=min(qos, found.qos), waiting=waiting)
            connection.queue.put(delivery, message.publisher)
            connection.deliver()

    def _retain(self, topic: str, payload: bytes, qos: int) -> None:
        if payload:
            self._retained_messages[topic] = RetainedMessage(payload, qos)
        elif topic in self._retained_messages:
            del self._retained_messages[topic]

    def _may(self, session: Session, topic: str, action: Action) -> bool:
        if not self._is_guarded:
            return True
        if not session.username:
            return False
        rule = may_write if action is Action.PUBLISH else may_read
        return rule(session.username, topic)

    async def _delete_session(self, client_id: str) -> None:
        """Do nothing: at a connect, the older session of the client id has ended before."""
