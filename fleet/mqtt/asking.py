"""One question to one device, and its answers as they come."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt

from contract.access import Access
from contract.address import BrokerAddress
from contract.errors import ContractError
from contract.messages import decode_message, encode_message
from contract.question import Answer, Request
from contract.topics import Leaf, topic_for
from fleet.errors import BrokerAwayError
from fleet.mqtt.client import client_id_for, connect, make_client, refused

_QOS = 1
_BROKER_PATIENCE_S = 10.0
#: What an answer that was ready at the deadline may take to get here.
_GRACE_S = 5.0


def ask(
    address: BrokerAddress, access: Access, request: Request, *, client_name: str
) -> Iterator[Answer]:
    """Yield each answer once, as it comes; ends with the last, or soon after the deadline.

    Raises:
        BrokerAwayError: the broker cannot be reached, refuses us, or goes away meanwhile.
    """
    conversation = _Conversation(address, access, request, client_id_for(client_name, access))
    try:
        yield from conversation.answers()
    finally:
        conversation.close()


class _Conversation:
    """A connection that asks once it is sure to hear the answers."""

    def __init__(
        self, address: BrokerAddress, access: Access, request: Request, client_id: str
    ) -> None:
        self._address = address
        self._request = request
        self._payload = encode_message(request)
        #: None once the broker has the request; answers; or what went wrong.
        self._heard: queue.SimpleQueue[Answer | str | None] = queue.SimpleQueue()
        self._client = make_client(
            address, access, client_id=client_id, clean=True, reconnects=False
        )
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_publish = lambda *_: self._heard.put(None)
        self._client.on_message = self._received
        self._client.on_disconnect = self._disconnected
        connect(self._client, address)

    def answers(self) -> Iterator[Answer]:
        until = time.monotonic() + _BROKER_PATIENCE_S
        asked = False
        numbers: set[int] = set()
        while True:
            try:
                heard = self._heard.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                if asked:
                    return
                message = f"broker {self._address}: took no request in {_BROKER_PATIENCE_S:g} s"
                raise BrokerAwayError(message) from None
            if isinstance(heard, str):
                message = f"broker {self._address}: {heard}"
                raise BrokerAwayError(message)
            if not asked:
                asked = True
                until = time.monotonic() + self._request.deadline_s + _GRACE_S
            if isinstance(heard, Answer) and heard.number not in numbers:
                numbers.add(heard.number)
                yield heard
                if len(numbers) == heard.of:
                    return

    def close(self) -> None:
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: Any,  # noqa: ANN401 - paho's ReasonCode ships without annotations
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._heard.put(f"refused: {refused(reason)}")
        else:
            client.subscribe(self._topic(Leaf.ANSWER), _QOS)

    def _subscribed(
        self,
        client: mqtt.Client,
        _userdata: object,
        _message_id: int,
        reasons: list[Any],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._heard.put(f"does not let us hear the answers of {self._request.device}")
        else:
            client.publish(self._topic(Leaf.REQUEST), self._payload, _QOS)

    def _disconnected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: object,
        _properties: object,
    ) -> None:
        self._heard.put(f"the connection ended: {reason}")

    def _received(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            _, answer = decode_message(message.topic, bytes(message.payload))
        except (ContractError, UnicodeDecodeError, RecursionError):
            # Not an answer to this question, whatever it is; the deadline goes on.
            return
        if isinstance(answer, Answer) and answer.id == self._request.id:
            self._heard.put(answer)

    def _topic(self, leaf: Leaf) -> str:
        return topic_for(self._request.site, self._request.device, leaf)
