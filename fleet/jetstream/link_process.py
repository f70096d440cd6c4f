"""A link process that takes results from a stream: `python -m fleet.jetstream.link_process`.

Everything else, in both directions, goes through the cluster's MQTT gateway as with any broker.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleet.errors import AddressError
from fleet.jetstream.puller import Puller
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import Order
from fleet.mqtt.inbox import Inbox
from fleet.mqtt.link_process import access_in, carry, plain_link


class StreamLink:
    """Results with tickets from a stream, and a plain link beside it, in one queue."""

    def __init__(self, order: Order) -> None:
        if order.stream is None:
            message = "jetstream: expected the servers of a stream, got none"
            raise AddressError(message)
        inbox = Inbox()
        self._link = plain_link(order, inbox)
        self._puller = Puller(
            order.stream,
            access=access_in(order),
            name=order.client_name,
            inbox=inbox,
            # Not before: what devices send then would be kept nowhere.
            on_ready=self._link.open,
            # Who cannot tell devices that their results are stored leaves them to others.
            may_ask=lambda: self._link.is_connected,
        )

    @property
    def problem(self) -> str | None:
        """Why one of both has no connection."""
        return self._puller.problem or self._link.problem

    @property
    def kept_client_id(self) -> str | None:
        """The client id under which the gateway keeps our session; None where it keeps none."""
        return self._link.kept_client_id

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""
        self._puller.open()

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting, at most `at_most`; waits `wait_s` for the first, then for none."""
        return self._link.receive(at_most=at_most, wait_s=wait_s)

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a retained message to the gateway; skipped while it is away."""
        self._link.publish(topic, payload)

    def settle(self, tickets: Sequence[int]) -> None:
        """These results are stored: the stream may forget them."""
        self._puller.settle(tickets)

    def close(self) -> None:
        """Give the stream back what is not stored, and disconnect."""
        self._puller.close()
        self._link.close()


def main() -> None:
    """Carry a stream's results, and the other messages of its cluster's gateway."""
    carry(StreamLink)


if __name__ == "__main__":
    main()
