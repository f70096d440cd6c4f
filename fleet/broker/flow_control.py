"""How much of what clients publish waits in the broker, and who has to wait for that.

A message for a subscriber of many topics, such as the collector, is answered (PUBACK) once it is
on its way to it, and a client that has too much waiting is read no further: its own messages wait
in its own memory then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

#: Of one connection: agents send 8 results at a time, and a message is 256 KiB at most.
MOST_WAITING_MESSAGES = 64
MOST_WAITING_BYTES = 1024 * 1024
#: Of all connections together; whoever has anything waiting is held up then.
MOST_WAITING_BYTES_OF_ALL = 32 * 1024 * 1024
#: What a message takes beside its payload, about.
_MESSAGE_BYTES = 500


class WaitingMessage:
    """One message from its arrival until it is on its way to each subscriber that it waits for."""

    __slots__ = ("answer", "publisher", "size", "subscribers")

    def __init__(self, publisher: Publisher, payload: bytes, answer: bytes) -> None:
        self.publisher = publisher
        self.size = _MESSAGE_BYTES + len(payload)
        #: What its publisher is sent then.
        self.answer = answer
        #: How many it waits for.
        self.subscribers = 0

    def sent(self) -> None:
        """One of the subscribers has it, or will never take it."""
        self.subscribers -= 1
        if not self.subscribers:
            self.publisher.settle(self)


class FlowControl:
    """Bytes that wait in the whole broker."""

    def __init__(self, most_bytes: int = MOST_WAITING_BYTES_OF_ALL) -> None:
        self._most_bytes = most_bytes
        self.waiting_bytes = 0
        self.waiting_messages = 0
        #: From when the most was reached until half of it is left, so that not each message
        #: that leaves wakes everybody.
        self.is_full = False
        self._held: dict[Publisher, asyncio.Future[None]] = {}

    @property
    def held_publishers(self) -> int:
        """How many connections are not read at this moment."""
        return len(self._held)

    def add(self, size: int) -> None:
        """A message came to wait."""
        self.waiting_bytes += size
        self.waiting_messages += 1
        if self.waiting_bytes >= self._most_bytes:
            self.is_full = True

    def remove(self, size: int, publisher: Publisher) -> None:
        """A message of this publisher waits no more."""
        self.waiting_bytes -= size
        self.waiting_messages -= 1
        if self.is_full and self.waiting_bytes <= self._most_bytes // 2:
            self.is_full = False
            for one in list(self._held):
                self._wake(one)
        else:
            self._wake(publisher)

    async def wait_for_room(self, publisher: Publisher) -> None:
        """Return once the publisher may send more."""
        while publisher.must_wait:
            room = self._held[publisher] = asyncio.get_running_loop().create_future()
            try:
                await room
            finally:
                self._held.pop(publisher, None)

    def release(self, publisher: Publisher) -> None:
        """Hold a publisher up no longer, for it is gone."""
        publisher.is_gone = True
        self._wake(publisher)

    def _wake(self, publisher: Publisher) -> None:
        room = self._held.get(publisher)
        if room is not None and not room.done() and not publisher.must_wait:
            room.set_result(None)


class Publisher:
    """One connection as the source of messages.

    Args:
        flow: of the broker.
        answer: sends it an answer; answers go out in the order of the messages.
    """

    def __init__(self, flow: FlowControl, answer: Callable[[bytes], None]) -> None:
        self._flow = flow
        self._answer = answer
        self._unanswered: deque[WaitingMessage] = deque()
        self.waiting_messages = 0
        self.waiting_bytes = 0
        self.is_gone = False

    @property
    def must_wait(self) -> bool:
        """Whether no more may be read from it; one message of anybody always may."""
        if not self.waiting_messages or self.is_gone:
            return False
        return (
            self._flow.is_full
            or self.waiting_messages >= MOST_WAITING_MESSAGES
            or self.waiting_bytes >= MOST_WAITING_BYTES
        )

    def accept(self, message: WaitingMessage) -> None:
        """Count a message that was handed to its subscribers' queues; answer it if none is left."""
        self._unanswered.append(message)
        if not message.subscribers:
            self._answer_settled()
            return
        self.waiting_messages += 1
        self.waiting_bytes += message.size
        self._flow.add(message.size)

    def settle(self, message: WaitingMessage) -> None:
        """A message is on its way to everybody that it waited for."""
        self.waiting_messages -= 1
        self.waiting_bytes -= message.size
        self._flow.remove(message.size, self)
        self._answer_settled()

    def _answer_settled(self) -> None:
        # In their order, as MQTT 3.1.1 asks (4.6), though they may be settled in another.
        answers = []
        while self._unanswered and not self._unanswered[0].subscribers:
            answers.append(self._unanswered.popleft().answer)
        self._answer(b"".join(answers))
