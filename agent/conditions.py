"""State of the box around a run: heat, clock, throttling, load, power and free memory."""

from __future__ import annotations

from pathlib import Path

from agent.probes.clock import clock_mhz
from agent.probes.command import Run, run_command
from agent.probes.load import load_1m
from agent.probes.memory import read_memory
from agent.probes.power import read_power
from agent.probes.thermal import temperature_c
from agent.probes.throttle import Throttle, read_throttle
from contract.benchmark import Conditions


def read_conditions(
    root: Path,
    *,
    since: Throttle | None = None,
    run: Run = run_command,
) -> Conditions:
    """Conditions now; with `since`, throttling counts if it happened since that reading."""
    throttle = read_throttle(root, run)
    power = read_power(root, run)
    return Conditions(
        temperature_c=temperature_c(root),
        clock_mhz=clock_mhz(root),
        throttled=throttle.now if since is None else throttle.began_since(since),
        throttle_causes=throttle.causes,
        load_1m=load_1m(root),
        memory_available_bytes=read_memory(root).available_bytes,
        power_w=power.watts if power else None,
    )
