"""Checks of what a device's account may do, made with the password of one.

They use the leaf `answer` alone, which no collector listens to, and nothing that would do harm
on a broker that allows it.
"""

from __future__ import annotations

import msgspec

from contract.access import Access, client_name_of
from contract.topics import Leaf, topic_for, topics_of_all
from fleet.conformance.check import Check
from fleet.conformance.finding import UnmetError
from fleet.conformance.probe import Habits, Probe
from fleet.conformance.stand import Stand

_MEANS = (
    "whoever has this device's password can speak for other devices or hear them: give each "
    "device an account of its own with the rules that 'edgewright-fleet broker-config' writes"
)
_FORGED = b"forged"
_SOON_S = 1.0
_HEARD = (Leaf.ACK, Leaf.DESIRED, Leaf.REQUEST)


class DeviceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolled device, and how it connects."""

    site: str
    device: str
    access: Access


def device_checks(account: DeviceAccount) -> tuple[Check, ...]:
    """The checks of one device's account."""
    attempt = _Attempts(account)
    return (
        Check(
            name="device-own",
            required=True,
            asks="a device's account publishes its own leaves, and subscribes to the fleet's",
            means="no agent can work with this account. Is the device enrolled, is this its "
            "present password, and does the broker have what 'broker-config' wrote since?",
            attempt=attempt.own,
        ),
        Check(
            name="device-publish",
            required=True,
            asks="it publishes nothing of another device",
            means=_MEANS,
            attempt=attempt.publish,
            needs=("device-own",),
        ),
        Check(
            name="device-will",
            required=True,
            asks="its last will says nothing of another device",
            means=_MEANS,
            attempt=attempt.will,
            needs=("device-own",),
        ),
        Check(
            name="device-hear",
            required=True,
            asks="it hears nothing of other devices, nor of the server",
            means=_MEANS,
            attempt=attempt.hear,
            needs=("device-own",),
        ),
    )


class _Attempts:
    def __init__(self, account: DeviceAccount) -> None:
        self._account = account

    def own(self, stand: Stand) -> str:
        fleet = self._fleet(stand)
        device = self._device(stand)
        topics = [topic_for(self._account.site, self._account.device, leaf) for leaf in _HEARD]
        granted = device.subscribe(*topics)
        if not all(granted):
            denied = [
                one for one, is_granted in zip(topics, granted, strict=True) if not is_granted
            ]
            expected = "its subscriptions granted"
            raise UnmetError(expected, f"denied: {', '.join(denied)}")
        stand.fence(device, fleet, self._topic)
        return f"published and subscribed as {self._account.site}/{self._account.device}"

    def publish(self, stand: Stand) -> str:
        fleet = self._fleet(stand)
        topics = [
            topic_for(self._account.site, stand.stranger, Leaf.ANSWER),
            topic_for(stand.stranger, self._account.device, Leaf.ANSWER),
            # A gateway of NATS takes these for wildcards and levels.
            f"edgewright/v1/{self._account.site}/*/{Leaf.ANSWER}",
            f"edgewright.v1.{self._account.site}.{stand.stranger}.{Leaf.ANSWER}",
        ]
        for topic in topics:
            # On its own connection: a broker may end it by that.
            self._device(stand).publish(topic, _FORGED)
        stand.fence(self._device(stand), fleet, self._topic)
        self._expect_unheard(fleet)
        return f"nothing heard of {len(topics)} attempts"

    def will(self, stand: Stand) -> str:
        fleet = self._fleet(stand)
        topic = topic_for(self._account.site, stand.stranger, Leaf.ANSWER)
        try:
            self._device(stand, Habits(will=(topic, _FORGED), is_will_retained=False)).vanish()
        except UnmetError:
            return "refused at the connection"
        honest = Habits(will=(self._topic, b"honest"), is_will_retained=False)
        self._device(stand, honest).vanish()
        fleet.wait("its own last will", lambda: b"honest" in fleet.payloads())
        self._expect_unheard(fleet)
        return "its own was heard, and another's was not"

    def hear(self, stand: Stand) -> str:
        fleet = self._fleet(stand)
        others = topic_for(self._account.site, stand.stranger, Leaf.ACK)
        filters = ["#", topics_of_all(Leaf.ACK), topics_of_all(Leaf.ANSWER), others, "$SYS/#"]
        filters += ["$JS/#", "$MQTT/#", "$MQTT/sub/#", ">", "edgewright/v1/*/*/ack"]
        spies = [self._device(stand) for _ in filters]
        for spy, one in zip(spies, filters, strict=True):
            # Granted or not: what counts is what comes.
            spy.subscribe(one)
        fleet.deliver(others, b"for another device")
        stand.fence(self._device(stand), fleet, self._topic)
        fleet.comes(lambda: any(spy.heard for spy in spies), within_s=_SOON_S)
        heard = {one.topic for spy in spies for one in spy.heard}
        if heard:
            expected = "nothing heard"
            raise UnmetError(expected, f"messages under {', '.join(sorted(heard)[:5])}")
        return f"nothing heard by {len(filters)} filters"

    @property
    def _topic(self) -> str:
        return topic_for(self._account.site, self._account.device, Leaf.ANSWER)

    def _device(self, stand: Stand, habits: Habits | None = None) -> Probe:
        name = client_name_of(self._account.site, self._account.device)
        return stand.probe_of(self._account.access, name, habits)

    def _fleet(self, stand: Stand) -> Probe:
        return stand.listener("fleet", topics_of_all(Leaf.ANSWER))

    def _expect_unheard(self, fleet: Probe) -> None:
        heard = {one.topic for one in fleet.heard if one.payload == _FORGED}
        if heard:
            expected = "nothing heard"
            raise UnmetError(expected, f"messages under {', '.join(sorted(heard))}")
