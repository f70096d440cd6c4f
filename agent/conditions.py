"""State of the box around a run: heat, clock, throttling and load."""

from __future__ import annotations

from pathlib import Path

from agent.probes.clock import clock_mhz
from agent.probes.load import load_1m
from agent.probes.thermal import temperature_c
from agent.probes.throttle import Throttle, read_throttle
from contract.benchmark import Conditions


def read_conditions(root: Path, *, since: Throttle | None = None) -> Conditions:
    """Conditions now; with `since`, throttling counts if it happened since that reading."""
    throttle = read_throttle(root)
    throttled = throttle.now
    if since is not None and since.events is not None and throttle.events is not None:
        throttled = throttle.events > since.events
    return Conditions(
        temperature_c=temperature_c(root),
        clock_mhz=clock_mhz(root),
        throttled=throttled,
        load_1m=load_1m(root),
    )
