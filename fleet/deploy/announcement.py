"""Hears a device announce itself: the fleet's own account listens at the broker."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator

from contract.access import Access
from contract.address import BrokerAddress
from contract.messages import Inventory, Presence, State
from contract.topics import Leaf, topic_for
from fleet.deploy.interrupt import Interrupt
from fleet.errors import BrokerAwayError
from fleet.mqtt.delivery import Accepted, Delivery, Subscribed, read_delivery
from fleet.mqtt.link import Link, Session

_LOOK_S = 0.5
#: What a broker had kept comes right after it confirmed to deliver.
_RETAINED_S = 1.0
_BATCH = 100


class Ear:
    """What one device says of itself from now on; made by `listening`."""

    def __init__(self, link: Link, interrupt: Interrupt) -> None:
        self._link = link
        self._interrupt = interrupt
        self.state: State | None = None
        self.inventory: Inventory | None = None
        #: Of the inventory: whether it was said while we listened.
        self.is_fresh = False

    @property
    def boot_id(self) -> str | None:
        """Of the agent that spoke last; None where none ever did."""
        return self.state.boot_id if self.state is not None else None

    @property
    def is_online(self) -> bool:
        """Whether the device said last that it is there."""
        return self.state is not None and self.state.presence is Presence.ONLINE

    def hear(self, wait_s: float) -> None:
        """Take up what the device says within `wait_s`."""
        for item in self._link.receive(at_most=_BATCH, wait_s=wait_s):
            if isinstance(item, Delivery):
                self._take(item)

    def await_boot(self, *, other_than: str | None, timeout_s: float) -> Inventory | None:
        """Inventory of an agent that started since; None where none announced itself in time."""
        deadline = time.monotonic() + timeout_s
        self.is_fresh = False
        while time.monotonic() < deadline:
            self._interrupt.check()
            self.hear(_LOOK_S)
            if self.is_online and self.boot_id != other_than and self.is_fresh:
                return self.inventory
        return None

    def await_online(self, *, timeout_s: float) -> bool:
        """Whether the device is there, or comes in time."""
        deadline = time.monotonic() + timeout_s
        while not self.is_online and time.monotonic() < deadline:
            self._interrupt.check()
            self.hear(_LOOK_S)
        return self.is_online

    def _take(self, delivery: Delivery) -> None:
        read = read_delivery(delivery)
        if not isinstance(read, Accepted):
            return
        if isinstance(read.message, State):
            self.state = read.message
        elif isinstance(read.message, Inventory):
            self.inventory = read.message
            self.is_fresh = not delivery.retained


@contextlib.contextmanager
def listening(
    address: BrokerAddress,
    *,
    access: Access,
    site: str,
    device: str,
    timeout_s: float,
    interrupt: Interrupt,
) -> Iterator[Ear]:
    """Listen to one device at a broker.

    Raises:
        BrokerAwayError: the broker cannot be reached, or refuses the fleet's account.
    """
    link = Link(
        address,
        access=access,
        client_name=f"edgewright-deploy-{uuid.uuid4().hex[:12]}",
        session=Session.CLEAN,
        topics=[topic_for(site, device, leaf) for leaf in (Leaf.STATE, Leaf.INVENTORY)],
    )
    link.open()
    try:
        ear = Ear(link, interrupt)
        _await_subscribed(link, address, timeout_s, interrupt)
        ear.hear(_RETAINED_S)
        ear.hear(_RETAINED_S / 2)
        yield ear
    finally:
        link.close()


def _await_subscribed(
    link: Link, address: BrokerAddress, timeout_s: float, interrupt: Interrupt
) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        interrupt.check()
        if any(isinstance(one, Subscribed) for one in link.receive(at_most=1, wait_s=_LOOK_S)):
            return
    reason = link.problem or "it did not answer"
    message = (
        f"broker {address}: {reason}. The collector must be there before a device joins: start "
        "'edgewright-fleet serve', or name the broker with --broker"
    )
    raise BrokerAwayError(message)
