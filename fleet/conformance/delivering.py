"""Checks of what every message needs: to arrive whole, in order, once, and where it should."""

from __future__ import annotations

import os

from contract.access import client_id_of, client_name_of
from contract.messages import MAX_MESSAGE_BYTES
from contract.topics import LONGEST_ID, Leaf
from fleet.conformance.check import Check
from fleet.conformance.finding import UnmetError
from fleet.conformance.stand import Stand

_IN_ORDER = 300
_IN_FLIGHT = 400
_DEVICES = (("north", "a"), ("north", "b"), ("south", "a"))
_REPORTED = (Leaf.STATE, Leaf.INVENTORY, Leaf.RESULT, Leaf.UPDATE)


def _connects(stand: Stand) -> str:
    stand.probe("device")
    return f"connected to {stand.address}"


def _client_ids(stand: Stand) -> str:
    longest = client_name_of("-" * LONGEST_ID, "_" * LONGEST_ID)
    client_id = client_id_of(longest, "nobody's")
    stand.probe("device", client_id=client_id)
    return f"{len(client_id)} characters, with the colons that agents have in theirs"


def _goes_round(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    fleet, device = stand.listener("fleet", topic), stand.probe("device")
    device.deliver(topic, b"result")
    fleet.wait("the message at the subscriber", lambda: bool(fleet.heard))
    got = fleet.heard[0]
    if (got.payload, got.qos, got.retained) != (b"result", 1, False):
        expected = "the same bytes at QoS 1, not marked as retained"
        raise UnmetError(expected, f"{got.payload!r} at QoS {got.qos}, retained: {got.retained}")
    return "acknowledged (PUBACK) and delivered at QoS 1"


def _filters(stand: Stand) -> str:
    fleet = stand.listener("fleet", *(stand.filter_of_all(leaf) for leaf in _REPORTED))
    device = stand.probe("device")
    expected = set()
    for site, name in _DEVICES:
        for leaf in Leaf:
            topic = stand.topic(leaf, site=site, device=name)
            device.publish(topic, topic.encode(), retain=leaf.retained)
            if leaf in _REPORTED:
                expected.add(topic)
    stand.fence(device, fleet, stand.topic(Leaf.RESULT, site="south", device="a"))
    heard = sorted(one.topic for one in fleet.heard if one.payload != b"fence")
    if heard != sorted(expected):
        more = sorted(set(heard) - expected) or "none"
        wanted = f"{len(expected)} messages, each once"
        got = f"{len(heard)}, of which {len(set(heard))} differ; uncalled for: {more}"
        raise UnmetError(wanted, got)
    return f"{len(expected)} messages of {len(_DEVICES)} devices by 4 filters, and no others"


def _large(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    fleet, device = stand.listener("fleet", topic), stand.probe("device")
    payload = os.urandom(MAX_MESSAGE_BYTES)
    device.deliver(topic, payload)
    fleet.wait(f"{MAX_MESSAGE_BYTES} bytes at the subscriber", lambda: bool(fleet.heard))
    if fleet.heard[0].payload != payload:
        expected = "the same bytes"
        raise UnmetError(expected, f"{len(fleet.heard[0].payload)} others")
    return f"{MAX_MESSAGE_BYTES // 1024} KiB arrived as they were sent"


def _order(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    fleet, device = stand.listener("fleet", topic), stand.probe("device")
    sent = [str(number).encode() for number in range(_IN_ORDER)]
    for payload in sent:
        device.publish(topic, payload)
    fleet.wait(f"{_IN_ORDER} messages", lambda: len(fleet.heard) >= _IN_ORDER)
    got = fleet.payloads()
    if got != sent:
        place = next(n for n, pair in enumerate(zip(got, sent, strict=False)) if len(set(pair)) > 1)
        expected = f"message {place} in place {place}"
        raise UnmetError(expected, f"message {got[place].decode()}")
    return f"{_IN_ORDER} messages of one publisher in their order"


def _many(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    fleet, device = stand.listener("fleet", topic), stand.probe("device")
    sent = {str(number).encode() for number in range(_IN_FLIGHT)}
    for payload in sent:
        device.publish(topic, payload)
    fleet.wait(f"{_IN_FLIGHT} messages", lambda: set(fleet.payloads()) == sent)
    return f"{_IN_FLIGHT} messages, up to 200 of them on their way at once"


def _takeover(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    fleet = stand.listener("fleet", topic)
    first, second = stand.probe("device"), stand.probe("device")
    stand.fence(second, fleet, topic)
    if not first.comes(lambda: first.is_lost):
        expected = "the older connection ended"
        raise UnmetError(expected, "both connections at once")
    return "the newer connection stays, the older one is ended"


DELIVERING = (
    Check(
        name="connect",
        required=True,
        asks="a connection with MQTT 3.1.1",
        means="agents and collectors cannot use this broker",
        attempt=_connects,
    ),
    Check(
        name="client-ids",
        required=True,
        asks="client ids as long as any agent's, and of the same characters",
        means="agents cannot connect",
        attempt=_client_ids,
    ),
    Check(
        name="qos-1",
        required=True,
        asks="a message at QoS 1 is acknowledged and delivered",
        means="results do not arrive. Most often the account may not use edgewright-conform/#: "
        "name one that may by --username and --password-file, or try a device's account by "
        "--as-device",
        attempt=_goes_round,
        is_basis=True,
    ),
    Check(
        name="filters",
        required=True,
        asks="the collector's wildcard filters bring what devices report, once, and nothing else",
        means="a collector on this broker misses devices, or stores what is not meant for it",
        attempt=_filters,
    ),
    Check(
        name="256-kib",
        required=True,
        asks="a message of the largest permitted size",
        means="results with many samples do not arrive: raise the broker's limit on packets",
        attempt=_large,
    ),
    Check(
        name="order",
        required=True,
        asks="messages of one publisher arrive in their order",
        means="a device may look offline, or show an older update, until its next message",
        attempt=_order,
    ),
    Check(
        name="in-flight",
        required=True,
        asks="many messages on their way at once",
        means="devices that come back from a long absence are held up, or lose their connection: "
        "raise the broker's limits on messages in flight",
        attempt=_many,
    ),
    Check(
        name="takeover",
        required=True,
        asks="a second connection with the same client id replaces the first",
        means="a device's dead connection lives on beside its new one, and its last will may come "
        "late; the fleet goes by the connection that a will names, so presence stays right",
        attempt=_takeover,
    ),
)
