"""What an account may read and write: a pure decision, said to each broker in its own way.

A device writes its own leaves that come from devices, and reads its own others. The fleet
does the opposite for all devices, and tries a broker by topics that no fleet uses. Nobody may do
anything else.
"""

from __future__ import annotations

from contract.access import username_of
from contract.errors import TopicError
from contract.messages import MAX_MESSAGE_BYTES
from contract.topics import Leaf, parse_topic, topic_for, topics_of_all

FLEET = "fleet"
#: Below it `conform` tries what a broker does; nobody else listens or speaks there.
TRIALS = "edgewright-conform"
#: Messages over the contract's limit still pass up to here, so that they reach quarantine
#: and are seen; a larger one is dropped, or costs the sender its connection.
LARGEST_MESSAGE_BYTES = 4 * MAX_MESSAGE_BYTES


def may_write(account: str, topic: str) -> bool:
    """Whether an account may publish to a topic, in a message or in its last will."""
    if account == FLEET and _is_trial(topic):
        return True
    try:
        parsed = parse_topic(topic)
    except TopicError:
        return False
    if account == FLEET:
        return not parsed.leaf.from_device
    return parsed.leaf.from_device and account == username_of(parsed.site, parsed.device)


def may_read(account: str, topic_filter: str) -> bool:
    """Whether an account may subscribe to a filter, and be sent what it matches.

    A device may name its own topics one by one; wildcards are for the fleet.
    """
    if account == FLEET and (topic_filter in _FLEET_FILTERS or _is_trial(topic_filter)):
        return True
    try:
        parsed = parse_topic(topic_filter)
    except TopicError:
        return False
    if account == FLEET:
        return parsed.leaf.from_device
    return not parsed.leaf.from_device and account == username_of(parsed.site, parsed.device)


def mosquitto_acl() -> str:
    """The same rules as a file for Mosquitto's `acl_file`."""
    lines = [
        "# Made by edgewright-fleet. A device's account is SITE/DEVICE: it writes its own topics",
        "# and reads what the fleet says to it. The fleet does the opposite for all devices.",
        f"user {FLEET}",
    ]
    lines += [
        f"topic {'read' if leaf.from_device else 'write'} {topics_of_all(leaf)}" for leaf in Leaf
    ]
    lines += [f"topic readwrite {TRIALS}/#", ""]
    lines += [
        f"pattern {'write' if leaf.from_device else 'read'} {_own_topic(leaf)}" for leaf in Leaf
    ]
    return "\n".join(lines) + "\n"


def _is_trial(topic: str) -> bool:
    return topic.startswith(f"{TRIALS}/")


def _own_topic(leaf: Leaf) -> str:
    # Mosquitto puts the account in the place of %u.
    return topic_for("site", "device", leaf).replace("site/device", "%u")


_FLEET_FILTERS = frozenset(topics_of_all(leaf) for leaf in Leaf if leaf.from_device)
