"""Where each message travels: `edgewright/v1/{site}/{device}/{leaf}`."""

from __future__ import annotations

import enum
import re
from typing import Annotated

import msgspec

from contract.errors import TopicError

#: Characters of a site or device identifier, at most.
LONGEST_ID = 64
_ID = rf"[a-z0-9_-]{{1,{LONGEST_ID}}}"
ID_PATTERN = f"^{_ID}$"

#: A site or device identifier; it equals the one in the topic of the message it stands in.
#: In Python `$` alone takes a line feed at the end.
Id = Annotated[str, msgspec.Meta(pattern=rf"{ID_PATTERN}(?!\n)")]

_PREFIX = "edgewright/v1"
_PARTS = 5


class Leaf(enum.StrEnum):
    """The last level of a topic: what kind of message it carries."""

    STATE = "state"
    INVENTORY = "inventory"
    RESULT = "result"
    UPDATE = "update"
    DESIRED = "desired"
    ACK = "ack"
    REQUEST = "request"
    ANSWER = "answer"

    @property
    def from_device(self) -> bool:
        """Whether devices write this leaf (and the fleet reads it)."""
        return self not in (Leaf.DESIRED, Leaf.ACK, Leaf.REQUEST)

    @property
    def retained(self) -> bool:
        """Whether the broker keeps the last message of this leaf for late readers."""
        return self not in (Leaf.RESULT, Leaf.REQUEST, Leaf.ANSWER)


_LEAVES = {leaf.value: leaf for leaf in Leaf}
_TOPIC = re.compile(
    rf"{_PREFIX}/({_ID})/({_ID})/({'|'.join(_LEAVES)})",
)


class Topic(msgspec.Struct, frozen=True):
    """One parsed topic."""

    site: str
    device: str
    leaf: Leaf

    def __str__(self) -> str:
        """Render the topic as it stands on the wire."""
        return f"{_PREFIX}/{self.site}/{self.device}/{self.leaf.value}"


def check_id(kind: str, value: str) -> str:
    """Return `value` unchanged when it is a valid identifier.

    Raises:
        TopicError: anything but 1 to 64 of a-z, 0-9, underscore and hyphen.
    """
    if re.fullmatch(_ID, value) is None:
        message = f"{kind} '{value[:80]}': expected 1 to 64 of a-z, 0-9, '_' and '-'; rename it"
        raise TopicError(message)
    return value


def parse_name(name: str) -> tuple[str, str]:
    """Site and device of a full name, `SITE/DEVICE`.

    Raises:
        TopicError: another form, or one of them is not a valid identifier.
    """
    site, slash, device = name.partition("/")
    if not slash:
        message = f"device '{name[:80]}': expected SITE/DEVICE, such as plant-7/press-03"
        raise TopicError(message)
    return check_id("site", site), check_id("device", device)


def topic_for(site: str, device: str, leaf: Leaf) -> str:
    """Topic of one leaf of one device.

    Raises:
        TopicError: `site` or `device` is not a valid identifier.
    """
    return str(Topic(check_id("site", site), check_id("device", device), leaf))


def parse_topic(topic: str) -> Topic:
    """Split a topic into site, device and leaf.

    Raises:
        TopicError: not of the form `edgewright/v1/{site}/{device}/{leaf}`.
    """
    match = _TOPIC.fullmatch(topic)
    if match is not None:
        site, device, leaf = match.groups()
        return Topic(site, device, _LEAVES[leaf])
    # What is wrong with it.
    parts = topic.split("/")
    if len(parts) != _PARTS or "/".join(parts[:2]) != _PREFIX:
        message = f"topic '{topic[:200]}': expected {_PREFIX}/SITE/DEVICE/LEAF"
        raise TopicError(message)
    site, device, leaf = parts[2:]
    try:
        known = Leaf(leaf)
    except ValueError:
        message = f"topic leaf '{leaf[:80]}': expected one of {', '.join(Leaf)}"
        raise TopicError(message) from None
    return Topic(check_id("site", site), check_id("device", device), known)


def topics_of_all(leaf: Leaf) -> str:
    """Filter that matches one leaf of every device."""
    return f"{_PREFIX}/+/+/{leaf.value}"


def topics_of_device(site: str = "+", device: str = "+") -> str:
    """Filter that matches every topic of one device, or of all."""
    return f"{_PREFIX}/{site}/{device}/+"


def device_filters() -> list[str]:
    """Subscriptions that cover everything devices report, one per leaf.

    Answers are not among it: they are for whoever asked.
    """
    reported = (leaf for leaf in Leaf if leaf.from_device and leaf is not Leaf.ANSWER)
    return [topics_of_all(leaf) for leaf in reported]
