"""Where a collector's messages come from, and go: a broker, or a stream beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from contract.messages import Ack, Desired
from fleet.mqtt.delivery import Delivery, Subscribed


class Source(Protocol):
    """What a collector needs of whatever brings it messages.

    It may bring a message twice, in any order with others, and lose one: the store recognises
    what it has, and devices send again what was not acknowledged to them.
    """

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting, at most `at_most`; waits `wait_s` for the first, then for none.

        `Subscribed` says that from here on messages are delivered, and that retained ones of
        the fleet's may be gone.
        """

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        """These are stored for good; a source that keeps them until then may forget them."""

    def publish(self, messages: Sequence[Ack | Desired]) -> None:
        """Have retained messages handed to the devices' broker; skipped while it is away."""

    def close(self) -> None:
        """Disconnect; what was received before stays in `receive`."""
