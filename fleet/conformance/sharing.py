"""Checks of shared subscriptions, and what becomes of messages that a dying member holds."""

from __future__ import annotations

from contract.topics import Leaf
from fleet.conformance.check import Check
from fleet.conformance.finding import UnmetError
from fleet.conformance.probe import Habits, Probe
from fleet.conformance.stand import Stand

_MEMBERS = 3
_SPREAD = 300
_SENT = 60
_SOON_S = 0.5
#: What a broker may take to give a dead member's messages to others.
_AGAIN_S = 2.0
_MQTT5 = Habits(mqtt5=True)


def _shared(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    member = stand.listener("member", stand.shared(topic), habits=_MQTT5)
    sender = stand.probe("sender")
    sender.deliver(topic, b"result")
    member.wait("a message by a shared subscription", lambda: bool(member.heard))
    return "a member of a group gets what is published"


def _spread(stand: Stand) -> str:
    topic = stand.topic(Leaf.RESULT)
    members = [
        stand.listener(f"member-{number}", stand.shared(topic), habits=_MQTT5)
        for number in range(_MEMBERS)
    ]
    sender = stand.probe("sender")
    sent = sorted(str(number).encode() for number in range(_SPREAD))
    for payload in sent:
        sender.publish(topic, payload)
    members[0].wait(
        f"{_SPREAD} messages", lambda: sum(len(one.heard) for one in members) >= _SPREAD
    )
    members[0].comes(lambda: sum(len(one.heard) for one in members) > _SPREAD, within_s=_SOON_S)
    shares = [len(one.heard) for one in members]
    got = sorted(payload for one in members for payload in one.payloads())
    said = f"{' + '.join(map(str, shares))} of {_SPREAD} messages"
    if got != sent or not all(shares):
        expected = f"each message at one of {_MEMBERS} members, some at each"
        raise UnmetError(expected, said)
    return said


def _retained_to_shared(stand: Stand) -> str:
    topic = stand.topic(Leaf.STATE)
    sender = stand.probe("sender")
    sender.deliver(topic, b"retained", retain=True)
    member = stand.listener("member", stand.shared(topic), habits=_MQTT5)
    stand.fence(sender, member, topic)
    if b"retained" not in member.payloads():
        expected = "a retained message by a shared subscription"
        raise UnmetError(expected, "none, as MQTT 5 asks for (4.8.2)")
    return "a new member is sent what was retained"


def _dying(stand: Stand) -> str:
    held, again = _death(stand, "ended", _MQTT5)[:2]
    if not again and not held:
        expected = "messages held by a member that does not acknowledge"
        raise UnmetError(expected, "none")
    kept = Habits(mqtt5=True, clean=False)
    kept_held, kept_again, stranded = _death(stand, "kept", kept)
    said = (
        f"a session that ends with its connection held {held}: {again} given to another, "
        f"{held - again} lost; a session that is kept held {kept_held}: {kept_again} given to "
        f"another, {stranded} stranded until it came back, "
        f"{kept_held - kept_again - stranded} lost"
    )
    if again < held:
        expected = "everything that a dying member held given to another"
        raise UnmetError(expected, said)
    return said


def _death(stand: Stand, name: str, session: Habits) -> tuple[int, int, int]:
    """Of what a dying member held: how many, how many another got, how many it got when back."""
    topic = stand.topic(Leaf.RESULT, device=name)
    shared = stand.shared(topic)
    dying = stand.listener(f"{name}-dying", shared, habits=_holding(session))
    other = stand.listener(f"{name}-other", shared, habits=_MQTT5)
    sender = stand.probe(f"{name}-sender")
    sent = {str(number).encode() for number in range(_SENT)}
    for payload in sorted(sent):
        sender.publish(topic, payload)
    # What a broker does not hand out before the dying one acknowledges counts as held too.
    sender.deliver(stand.topic(Leaf.REQUEST, device=name), b"the last one is through")
    _settles(other)
    before = set(other.payloads())
    held = sent - before
    dying.vanish()
    other.comes(lambda: set(other.payloads()) >= sent, within_s=_AGAIN_S)
    again = set(other.payloads()) - before
    if session.clean:
        return len(held), len(again), 0
    back = stand.probe(f"{name}-dying", session)
    back.comes(lambda: set(back.payloads()) >= held - again, within_s=_AGAIN_S)
    return len(held), len(again), len(set(back.payloads()) & (held - again))


def _holding(session: Habits) -> Habits:
    return Habits(mqtt5=True, clean=session.clean, holds=True)


def _settles(probe: Probe) -> None:
    """Wait until nothing more comes for a moment."""
    seen = [-1]
    while seen[-1] != len(probe.heard):
        seen.append(len(probe.heard))
        probe.comes(lambda: len(probe.heard) > seen[-1], within_s=_SOON_S)


SHARING = (
    Check(
        name="shared",
        required=False,
        asks="shared subscriptions ($share, MQTT 5)",
        means="serve --shared is not possible; one collector does without, and several collectors "
        "share a NATS cluster with serve --jetstream",
        attempt=_shared,
        needs=("mqtt-5",),
    ),
    Check(
        name="shared-spread",
        required=False,
        asks="a group's messages are spread, each to one member",
        means="more collectors do not store more results with serve --shared",
        attempt=_spread,
        needs=("shared",),
    ),
    Check(
        name="shared-death",
        required=False,
        asks="what a dying member held is given to another",
        means="nothing is lost to the fleet: it was not acknowledged to the devices, which send it "
        "again; serve --shared ends sessions with their connections, so that nothing is stranded",
        attempt=_dying,
        needs=("shared",),
    ),
    Check(
        name="shared-retained",
        required=False,
        asks="retained messages by a shared subscription",
        means="Edgewright does not need it: serve --shared shares results alone",
        attempt=_retained_to_shared,
        needs=("shared",),
    ),
)
