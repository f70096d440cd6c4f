"""Notices that the fleet acknowledges other outboxes of this device, and never this one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IgnoredAfter:
    """Time and confirmed resends after which an outbox that is never named is given up."""

    seconds: float = 3600.0
    resends: int = 10


class IgnoredOutbox:
    """Follows one outbox: what the broker confirmed of it, and which acknowledgements came since.

    A fleet that says nothing is no reason to do anything: it may be away for weeks. One that
    answers, hour after hour, and names every outbox but this one will never free it.
    """

    def __init__(self, after: IgnoredAfter) -> None:
        self._after = after
        self._resends_in_flight: set[int] = set()
        self._in_flight: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """Begin anew: the outbox was named, or is another one."""
        self._is_confirmed = False
        self._since: float | None = None
        self._resends = 0

    def connected(self) -> None:
        """Forget what was on its way by the connection before."""
        self._in_flight.clear()
        self._resends_in_flight.clear()

    def sent(self, message_id: int, *, is_resend: bool) -> None:
        """Note a message of this outbox that was handed to the broker."""
        (self._resends_in_flight if is_resend else self._in_flight).add(message_id)

    def confirmed(self, message_ids: Collection[int]) -> None:
        """Note messages that the broker has since acknowledged, of this outbox or not."""
        resends = self._resends_in_flight.intersection(message_ids)
        first = self._in_flight.intersection(message_ids)
        self._resends_in_flight -= resends
        self._in_flight -= first
        if resends or first:
            self._is_confirmed = True
        if self._since is not None:
            self._resends += len(resends)

    def passed_over(self, *, now: float) -> bool:
        """Note a live acknowledgement of other outboxes; whether this one is to be given up.

        Args:
            now: seconds by a clock that only rises.
        """
        if not self._is_confirmed:
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= self._after.seconds and self._resends >= self._after.resends
