"""Checks of what a broker may have beyond MQTT 3.1.1."""

from __future__ import annotations

import time

from contract.topics import Leaf
from fleet.conformance.check import Check
from fleet.conformance.finding import UnmetError
from fleet.conformance.probe import Habits
from fleet.conformance.stand import Stand

_MQTT5 = Habits(mqtt5=True)
_TOLD = ("ReceiveMaximum", "MaximumPacketSize", "MaximumQoS", "RetainAvailable")
_AT_ONCE, _SENT = 4, 20
_EXPIRY_S = 1
#: Brokers count in whole seconds.
_EXPIRED_S = 2.5
_SOON_S = 0.5


def _tls(stand: Stand) -> str:
    if not stand.address.tls:
        expected = "mqtts://"
        raise UnmetError(expected, f"{stand.address}")
    stand.probe("device")
    return "connected with TLS, and the broker's certificate holds"


def _mqtt5(stand: Stand) -> str:
    probe = stand.probe("device", _MQTT5)
    told = [f"{name} {probe.properties[name]}" for name in _TOLD if name in probe.properties]
    return "connected" + (f"; the broker tells {', '.join(told)}" if told else "")


def _receive_maximum(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    habits = Habits(mqtt5=True, holds=True, receive_maximum=_AT_ONCE)
    fleet, sender = stand.listener("fleet", topic, habits=habits), stand.probe("sender")
    for number in range(_SENT):
        sender.publish(topic, str(number).encode())
    sender.deliver(stand.topic(Leaf.REQUEST), b"the last one is through")
    fleet.wait(f"{_AT_ONCE} messages", lambda: len(fleet.heard) >= _AT_ONCE)
    if fleet.comes(lambda: len(fleet.heard) > _AT_ONCE, within_s=_SOON_S):
        expected = f"{_AT_ONCE} messages at once"
        raise UnmetError(expected, f"{len(fleet.heard)}")
    return f"no more than {_AT_ONCE} unacknowledged messages, as the client asked"


def _expiry(stand: Stand) -> str:
    topic, kept = stand.topic(Leaf.RESULT), Habits(mqtt5=True, clean=False)
    stand.listener("fleet", topic, habits=kept).vanish()
    sender = stand.probe("sender", _MQTT5)
    sender.publish(topic, b"short-lived", MessageExpiryInterval=_EXPIRY_S)
    sender.deliver(topic, b"lasting")
    time.sleep(_EXPIRED_S)
    back = stand.probe("fleet", kept)
    back.wait("the message without an expiry", lambda: b"lasting" in back.payloads())
    if b"short-lived" in back.payloads():
        expected = "a message gone after its expiry"
        raise UnmetError(expected, "delivered all the same")
    return "a message that nobody fetched in time is gone"


FEATURES = (
    Check(
        name="tls",
        required=False,
        asks="TLS",
        means="passwords and results are readable on the network: use mqtts:// off loopback",
        attempt=_tls,
    ),
    Check(
        name="mqtt-5",
        required=False,
        asks="a connection with MQTT 5",
        means="serve --shared is not possible; agents and a single collector do not need it",
        attempt=_mqtt5,
    ),
    Check(
        name="receive-maximum",
        required=False,
        asks="a client's limit on unacknowledged messages (MQTT 5)",
        means="Edgewright does not need it",
        attempt=_receive_maximum,
        needs=("mqtt-5",),
    ),
    Check(
        name="message-expiry",
        required=False,
        asks="messages that expire (MQTT 5)",
        means="Edgewright does not need it: a request carries its own deadline",
        attempt=_expiry,
        needs=("mqtt-5",),
    ),
)
