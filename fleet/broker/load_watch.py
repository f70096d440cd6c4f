"""Tells when clients send more than the embedded broker, or its collector, carries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from fleet.broker.routing_broker import RoutingBroker

_log = logging.getLogger(__name__)

_EVERY_S = 1.0
#: A moment's rush is none: devices that come back send what they have.
_SAMPLES_IN_A_ROW = 10
#: A loop that comes so late to its timer has as much to do elsewhere.
_LATE_S = 0.5
_SAY_AGAIN_S = 300.0
_USE_ANOTHER = "a broker of its own carries more: edgewright-fleet broker-config, serve --broker"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker had to do at one moment."""

    clients: int
    waiting_messages: int
    waiting_bytes: int
    #: Clients that are not read until something of theirs is handed on.
    held_publishers: int
    #: How much later than planned the broker's loop looked.
    late_s: float

    @property
    def problem(self) -> str | None:
        """What is too much of it; None: nothing."""
        if self.late_s > _LATE_S:
            return f"the broker that comes along is at its limit; {_USE_ANOTHER}"
        if self.held_publishers:
            return "clients send more than the collector takes; they are held up"
        return None


class LoadWatch:
    """Decides when to speak: after many samples in a row, and not again for a while."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._silent_until_s = float("-inf")

    def takes(self, load: Load, now_s: float) -> str | None:
        """What to tell the operator after this sample; None: nothing."""
        problem = load.problem
        self._in_a_row = 0 if problem is None else self._in_a_row + 1
        if self._in_a_row < _SAMPLES_IN_A_ROW or now_s < self._silent_until_s:
            return None
        self._silent_until_s = now_s + _SAY_AGAIN_S
        return problem


async def watch_load(broker: RoutingBroker, on_behind: Callable[[int, str], None]) -> None:
    """Sample the load of a broker for ever, and tell the operator where it is too much.

    Args:
        broker: which.
        on_behind: called in a thread of its own with the number of clients and the reason, beside
            the warning in the log.
    """
    loop, watch = asyncio.get_running_loop(), LoadWatch()
    while True:
        due_s = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        load = Load(
            clients=len(broker.connections),
            waiting_messages=broker.flow.waiting_messages,
            waiting_bytes=broker.flow.waiting_bytes,
            held_publishers=broker.flow.held_publishers,
            late_s=loop.time() - due_s,
        )
        problem = watch.takes(load, loop.time())
        if problem is not None:
            _log.warning(
                "embedded broker behind clients=%d waiting_messages=%d waiting_bytes=%d "
                "held_clients=%d late_ms=%d reason=%s",
                load.clients,
                load.waiting_messages,
                load.waiting_bytes,
                load.held_publishers,
                round(load.late_s * 1000),
                problem,
            )
            await asyncio.to_thread(on_behind, load.clients, problem)
