"""A connection that does one thing at the broker and ends."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from contract.access import Access
from contract.address import BrokerAddress
from contract.messages import Desired, encode_message
from contract.topics import Leaf, topic_for
from fleet.errors import BrokerAwayError, BrokerRefusedError
from fleet.mqtt.client import client_id_for, connect, make_client, refused

_QOS = 1


def publish_once(
    address: BrokerAddress,
    messages: Sequence[Desired],
    *,
    access: Access,
    client_name: str,
    timeout_s: float,
) -> None:
    """Publish retained messages and wait until the broker has them all.

    Raises:
        BrokerAwayError: it cannot be reached or trusted, refuses us, or did not take them
            within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    client_id = client_id_for(client_name, access)
    with _connected(address, access, client_id=client_id, timeout_s=timeout_s) as client:
        pending = [
            client.publish(
                topic_for(one.site, one.device, Leaf.DESIRED),
                encode_message(one),
                _QOS,
                retain=True,
            )
            for one in messages
        ]
        for info in pending:
            info.wait_for_publish(max(0.0, deadline - time.monotonic()))
            if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS or not info.is_published():
                message = f"broker {address}: took no message within {timeout_s:g} s"
                raise BrokerAwayError(message)


def end_session(
    address: BrokerAddress, access: Access, client_id: str, *, timeout_s: float
) -> None:
    """End the session that the broker keeps for a client id, and whoever is connected with it.

    Does nothing where there is none.

    Raises:
        BrokerAwayError: the broker cannot be reached or trusted, refuses us, or does not answer
            within `timeout_s`.
    """
    # A connection with a clean session discards the one before (MQTT 3.1.1, section 3.1.2.4).
    with _connected(address, access, client_id=client_id, timeout_s=timeout_s):
        pass


@contextlib.contextmanager
def _connected(
    address: BrokerAddress, access: Access, *, client_id: str, timeout_s: float
) -> Iterator[mqtt.Client]:
    """A client that the broker has let in with a clean session, until the block ends.

    Raises:
        BrokerAwayError: the broker cannot be reached or trusted, refuses us, or does not answer
            within `timeout_s`.
    """
    client = make_client(address, access, client_id=client_id, clean=True)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.on_connect = lambda _client, _userdata, _flags, reason, _properties: answers.put(reason)
    try:
        connect(client, address)
        reason = answers.get(timeout=timeout_s)
        if reason.is_failure:
            message = f"broker {address}: refused: {refused(reason)}"
            raise BrokerRefusedError(message)
        yield client
    except queue.Empty as error:
        message = f"broker {address}: no answer within {timeout_s:g} s; is that a broker?"
        raise BrokerAwayError(message) from error
    except (ValueError, RuntimeError) as error:
        message = f"broker {address}: {error}"
        raise BrokerAwayError(message) from error
    finally:
        client.disconnect()
        client.loop_stop()
