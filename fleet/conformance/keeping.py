"""Checks of what the broker keeps: retained messages, last wills, and sessions."""

from __future__ import annotations

from contract.topics import Leaf
from fleet.conformance.check import Check
from fleet.conformance.finding import UnmetError
from fleet.conformance.probe import Habits, Probe
from fleet.conformance.stand import Stand

_KEPT = 100
_KEEPALIVE_S = 1
#: A broker waits for one and a half keepalives (MQTT 3.1.1, 3.1.2.10); Mosquitto 2.0 looks every
#: five seconds.
_MISSED_S = 8.0
_SOON_S = 0.5
_WILL = b"offline"


def _retained(stand: Stand) -> str:
    leaves = (Leaf.STATE, Leaf.ACK, Leaf.DESIRED)
    topics = [stand.topic(leaf) for leaf in leaves]
    early, sender = stand.listener("early", *topics), stand.probe("sender")
    for payload in (b"old", b"new"):
        for topic in topics:
            sender.deliver(topic, payload, retain=True)
    early.wait("6 messages as they were sent", lambda: len(early.heard) >= len(topics) * 2)
    if any(one.retained for one in early.heard):
        expected = "no mark of a retained message for who was there when it was sent"
        raise UnmetError(expected, "such a mark")
    late = stand.listener("late", *topics)
    late.wait("3 retained messages", lambda: len(late.heard) >= len(topics))
    got = {one.topic: (one.payload, one.retained) for one in late.heard}
    if got != dict.fromkeys(topics, (b"new", True)):
        expected = "the last message of each topic, marked as retained"
        raise UnmetError(expected, str(sorted(got.values())))
    by_filter = stand.listener("by-filter", stand.filter_of_all(Leaf.STATE))
    by_filter.wait("a retained message by a wildcard filter", lambda: bool(by_filter.heard))
    return "state, ack and desired reach a late subscriber, the last of each"


def _cleared(stand: Stand) -> str:
    topic = stand.topic(Leaf.STATE)
    sender = stand.probe("sender")
    sender.deliver(topic, b"online", retain=True)
    sender.deliver(topic, b"", retain=True)
    late = stand.listener("late", topic)
    stand.fence(sender, late, topic)
    if late.payloads() != [b"fence"]:
        expected = "nothing retained after an empty message"
        raise UnmetError(expected, f"{late.payloads()[0]!r}")
    return "an empty message clears what was retained"


def _will_of(stand: Stand, keepalive_s: int = 30) -> tuple[Probe, Probe, str]:
    """A listener, a device that has a will, and its topic."""
    topic = stand.topic(Leaf.STATE)
    fleet = stand.listener("fleet", topic)
    device = stand.probe("device", Habits(will=(topic, _WILL), keepalive_s=keepalive_s))
    device.deliver(topic, b"online", retain=True)
    fleet.wait("the device's state", lambda: fleet.payloads() == [b"online"])
    return fleet, device, topic


def _will(stand: Stand) -> str:
    fleet, device, topic = _will_of(stand)
    device.vanish()
    fleet.wait("the last will", lambda: _WILL in fleet.payloads())
    late = stand.listener("late", topic)
    late.wait("the last will, retained", lambda: bool(late.heard))
    if (late.heard[0].payload, late.heard[0].retained) != (_WILL, True):
        expected = "the last will retained in the place of the state before"
        raise UnmetError(expected, f"{late.heard[0].payload!r}")
    return "said when the connection broke, and retained"


def _farewell(stand: Stand) -> str:
    fleet, device, topic = _will_of(stand)
    device.close()
    stand.fence(stand.probe("other"), fleet, topic)
    if fleet.comes(lambda: _WILL in fleet.payloads(), within_s=_SOON_S):
        expected = "no last will after a farewell (DISCONNECT)"
        raise UnmetError(expected, "the last will")
    return "not said after a farewell"


def _silence(stand: Stand) -> str:
    fleet, device, _ = _will_of(stand, _KEEPALIVE_S)
    device.fall_silent()
    within_s = _MISSED_S + stand.timeout_s
    if not fleet.comes(lambda: _WILL in fleet.payloads(), within_s=within_s):
        expected = f"the last will of a client that is silent beyond {_KEEPALIVE_S} s of keepalive"
        raise UnmetError(expected, f"nothing within {within_s:g} s")
    return "said when the keepalive had passed in silence"


def _session(stand: Stand) -> str:
    topic, kept = stand.topic(Leaf.RESULT), Habits(clean=False)
    stand.listener("fleet", stand.filter_of_all(Leaf.RESULT), habits=kept).vanish()
    sender = stand.probe("sender")
    sent = [str(number).encode() for number in range(_KEPT)]
    for payload in sent:
        sender.publish(topic, payload)
    sender.deliver(stand.topic(Leaf.REQUEST), b"the last one is through")
    back = stand.probe("fleet", kept)
    if not back.session_present:
        expected = "a session that outlives its connection"
        raise UnmetError(expected, "a new one (session present: 0)")
    back.comes(lambda: len(set(back.payloads())) >= _KEPT)
    got = len(set(back.payloads()))
    if got != _KEPT:
        expected = f"{_KEPT} messages that came meanwhile"
        raise UnmetError(expected, f"{got}")
    return f"{_KEPT} messages waited for a collector that was away"


KEEPING = (
    Check(
        name="retained",
        required=True,
        asks="retained messages for a late subscriber",
        means="devices that come back do not learn what is stored and what is desired",
        attempt=_retained,
    ),
    Check(
        name="clear-retained",
        required=True,
        asks="an empty retained message clears",
        means="removed devices come back as ghosts at every start of a collector",
        attempt=_cleared,
    ),
    Check(
        name="last-will",
        required=True,
        asks="the last will of a device whose connection breaks, retained",
        means="dead devices stay online in the fleet's eyes",
        attempt=_will,
    ),
    Check(
        name="farewell",
        required=True,
        asks="no last will after a farewell",
        means="devices that were ended on purpose look as if they had died",
        attempt=_farewell,
    ),
    Check(
        name="silent-death",
        required=True,
        asks="the last will of a device that has lost its power",
        means="boxes without power stay online in the fleet's eyes",
        attempt=_silence,
    ),
    Check(
        name="session",
        required=True,
        asks="a session keeps messages while the collector is away",
        means="what devices send while the collector is away comes only when they send it again. "
        "The broker that 'serve --listen' brings along keeps none, and needs none: it lives and "
        "dies with the collector",
        attempt=_session,
    ),
)
