"""Whether what was replaced is used again: the sign that two boxes share one identity.

A device leaves an outbox, or a boot of its agent, for good: a box whose disk was put back or
whose agent was started anew goes on with the next one and never returns to the one before.
What is still on its way when that happens arrives within seconds, or minutes where a broker
held it; so a return counts only where the later one is settled, and returns that follow
closely are one.
"""

from __future__ import annotations

import msgspec

#: The later one is there for so long, and so far apart are two returns that count.
SETTLED_S = 60.0


class Returns(msgspec.Struct, frozen=True):
    """How often something was used again after what replaced it, and when last."""

    times: int = 0
    at: float | None = None

    def again(self, now: float) -> Returns:
        """Return what is known after one more, at `now` in seconds since the epoch."""
        if self.at is not None and now - self.at < SETTLED_S:
            return self
        return Returns(self.times + 1, now)


class Turns:
    """Which of one device's outboxes was used last; of devices with several.

    Args:
        last_id: number of the one used last; later outboxes have higher numbers.
        settled: whether the newest one is there for long enough.
    """

    __slots__ = ("last_id", "settled")

    def __init__(self, last_id: int, *, settled: bool) -> None:
        self.last_id = last_id
        self.settled = settled

    def take(self, outbox_id: int) -> bool:
        """Note that an outbox is used; whether it is one that a later one had replaced."""
        is_return = self.settled and self.last_id > outbox_id
        self.last_id = outbox_id
        return is_return
