"""What has come from the broker and waits to be taken, bounded in bytes and in age."""

from __future__ import annotations

import threading
import time
from collections import deque

from fleet.mqtt.delivery import Delivery, Subscribed

#: A full one stops reading from the broker until the store keeps up.
_LARGEST_BYTES = 16 * 1024 * 1024
#: It is full, too, once the oldest item waits for so long: what is read earlier is late when it
#: is stored, and lost to a collector that dies.
LONGEST_S = 0.25
#: A batch, so that the store never waits, and a pause of the store leaves the connection alone.
FEWEST_ITEMS = 1000
#: What one item takes beside its payload, about.
_ITEM_BYTES = 500


class Inbox:
    """A queue for one that puts and one that takes many at once."""

    def __init__(self) -> None:
        #: With the time by the monotonic clock.
        self._items: deque[tuple[Delivery | Subscribed, float]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, item: Delivery | Subscribed, *, wait_s: float) -> bool:
        """Add an item; False where there was no room for `wait_s`."""
        now = time.monotonic()
        until = now + wait_s
        with self._changed:
            while self._is_full(now):
                left_s = until - now
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
                now = time.monotonic()
            self._items.append((item, now))
            self._bytes += _size(item)
            if len(self._items) == 1:
                self._changed.notify()
        return True

    def take(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What waits, at most so many; waits `wait_s` for the first, then for none."""
        until = time.monotonic() + wait_s
        with self._changed:
            while not self._items:
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return []
                self._changed.wait(left_s)
            count = min(at_most, len(self._items))
            taken = [self._items.popleft()[0] for _ in range(count)]
            self._bytes -= sum(map(_size, taken))
            # Whoever puts may wait for room.
            self._changed.notify()
        return taken

    def _is_full(self, now: float) -> bool:
        if self._bytes >= _LARGEST_BYTES:
            return True
        return len(self._items) >= FEWEST_ITEMS and now - self._items[0][1] > LONGEST_S


def _size(item: Delivery | Subscribed) -> int:
    return _ITEM_BYTES + (len(item.payload) if isinstance(item, Delivery) else 0)
