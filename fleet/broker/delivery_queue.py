"""What waits to be sent to one subscriber; publishers take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from fleet.broker.flow_control import WaitingMessage

#: Of messages that no publisher waits for: acknowledgements and desired states for a device
#: that does not take them. Of one topic, the latest is what counts.
MOST_MESSAGES = 1000
MOST_BYTES = 4 * 1024 * 1024


class QueuedDelivery:
    """One message for one subscriber; `waiting` is told when it is sent, where somebody waits.

    Of a retained message only the topic waits: it is looked up when its turn has come, for a
    later one may have overtaken it.
    """

    __slots__ = ("payload", "qos", "retained", "topic", "waiting")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retained: bool = False,
        waiting: WaitingMessage | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retained = retained
        self.waiting = waiting

    @property
    def is_droppable(self) -> bool:
        """Whether it may be given up for a later one."""
        return self.waiting is None and not self.retained


class DeliveryQueue:
    """Queues by publisher, served one message each in turn.

    A result of a quiet device waits for one message of each other publisher, however much those
    sent before. What one publisher sent stays in its order.
    """

    def __init__(self) -> None:
        #: In the order of their turns.
        self._by_publisher: dict[object, deque[QueuedDelivery]] = {}
        self._messages = 0
        self._droppable_messages = self._droppable_bytes = 0
        #: Messages that were given up for later ones.
        self.dropped = 0

    def __len__(self) -> int:
        """How many messages wait."""
        return self._messages

    def put(self, delivery: QueuedDelivery, publisher: object) -> None:
        """Add a message; where too many wait that nobody waits for, older ones are given up."""
        queue = self._by_publisher.get(publisher)
        if queue is None:
            queue = self._by_publisher[publisher] = deque()
        if delivery.is_droppable:
            self._make_room(queue, delivery)
        queue.append(delivery)
        self._count(delivery, 1)

    def put_retained(self, topics: Iterable[str], topic_filter: str, qos: int) -> None:
        """Add the retained messages of a filter in the place of those that wait from before."""
        for old in self._by_publisher.pop(topic_filter, ()):
            self._count(old, -1)
        for topic in topics:
            self.put(QueuedDelivery(topic, b"", qos=qos, retained=True), topic_filter)

    def take(self) -> QueuedDelivery:
        """Remove the next message.

        Raises:
            StopIteration: none waits.
        """
        publisher = next(iter(self._by_publisher))
        queue = self._by_publisher.pop(publisher)
        delivery = queue.popleft()
        if queue:
            self._by_publisher[publisher] = queue
        self._count(delivery, -1)
        return delivery

    def clear(self) -> None:
        """Give up all; who waits for them is told."""
        while self._messages:
            waiting = self.take().waiting
            if waiting is not None:
                waiting.sent()

    def _make_room(self, queue: deque[QueuedDelivery], delivery: QueuedDelivery) -> None:
        """Give up an older state of the topic, else the oldest that this publisher sent."""
        while self._is_full(delivery) and queue:
            same = (n for n, older in enumerate(queue) if older.topic == delivery.topic)
            index = next(same, 0)
            self._count(queue[index], -1)
            del queue[index]
            self.dropped += 1

    def _is_full(self, delivery: QueuedDelivery) -> bool:
        return (
            self._droppable_messages >= MOST_MESSAGES
            or self._droppable_bytes + len(delivery.payload) > MOST_BYTES
        )

    def _count(self, delivery: QueuedDelivery, by: int) -> None:
        self._messages += by
        if delivery.is_droppable:
            self._droppable_messages += by
            self._droppable_bytes += by * len(delivery.payload)
