"""Everything that the probes find on a box, and what it does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from agent.probes import rapl
from agent.probes.board import read_board
from agent.probes.clock import clock_mhz, governor, max_clock_mhz
from agent.probes.command import Run, run_command
from agent.probes.cores import core_types, offline_cores
from agent.probes.cpu import Cpu, read_cpu
from agent.probes.disk import Space, read_disks, space_of
from agent.probes.host import kernel, os_name
from agent.probes.load import load_1m
from agent.probes.memory import read_memory
from agent.probes.power import read_power
from agent.probes.quota import cpu_quota_cores
from agent.probes.thermal import temperature_c, zone_temperatures_c
from agent.probes.throttle import Throttle, read_throttle
from contract.box import Board, CoreType, Disk, Memory, Power


class Untold(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that this box does not tell, and where it would stand."""

    what: str
    why: str


class BoxFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes find; None where the box does not tell, and `untold` says why."""

    os: str
    kernel: str
    board: Board | None
    cpu: Cpu
    core_types: list[CoreType]
    offline_cores: list[int]
    cpu_quota_cores: float | None
    clock_mhz: float | None
    max_clock_mhz: float | None
    governor: str | None
    load_1m: float | None
    memory: Memory
    temperature_c: float | None
    zones_c: dict[str, float]
    throttle: Throttle
    power: Power | None
    energy_source: str | None
    disks: list[Disk]
    untold: list[Untold]


def read_box(
    root: Path,
    folders: Mapping[str, Path],
    *,
    run: Run = run_command,
    space: Space = space_of,
) -> BoxFacts:
    """Facts of the box whose `/proc` and `/sys` stand under `root`.

    Args:
        root: `/`, or a tree of files from another box.
        folders: whose file systems to look at, by what they hold.
        run: runs the commands that tell what no file does.
        space: tells the space of a folder's file system.
    """
    facts = BoxFacts(
        os=os_name(root),
        kernel=kernel(root),
        board=read_board(root),
        cpu=read_cpu(root),
        core_types=core_types(root),
        offline_cores=offline_cores(root),
        cpu_quota_cores=cpu_quota_cores(root),
        clock_mhz=clock_mhz(root),
        max_clock_mhz=max_clock_mhz(root),
        governor=governor(root),
        load_1m=load_1m(root),
        memory=read_memory(root),
        temperature_c=temperature_c(root),
        zones_c=zone_temperatures_c(root),
        throttle=read_throttle(root, run),
        power=read_power(root, run),
        energy_source=rapl.SOURCE if rapl.EnergyMeter(root).is_told else None,
        disks=read_disks(root, folders, space=space),
        untold=[],
    )
    return msgspec.structs.replace(facts, untold=_untold(facts, refused=rapl.refuses(root)))


def _untold(facts: BoxFacts, *, refused: bool) -> list[Untold]:
    """What is missing among the facts that a measurement is judged by."""
    throttle, memory = facts.throttle, facts.memory
    no_throttling = throttle.now is None and throttle.events is None
    places = [
        ("cores", facts.cpu.logical_cores, "no /proc/cpuinfo"),
        ("clock now", facts.clock_mhz, "neither cpufreq nor a clock in /proc/cpuinfo"),
        ("highest clock", facts.max_clock_mhz, "no cpufreq"),
        ("governor", facts.governor, "no cpufreq"),
        ("memory", memory.total_bytes, "no /proc/meminfo"),
        ("memory limit", memory.limit_bytes, "no control group of the agent has one"),
        ("processor quota", facts.cpu_quota_cores, "no control group of the agent has one"),
        ("temperature", facts.temperature_c, "no thermal zone or hwmon chip of a processor"),
        (
            "throttling",
            None if no_throttling else True,
            "no firmware, counter or cooling device that says so",
        ),
        ("power", facts.power, "no INA3221 at the input, no Pi 5 PMIC through vcgencmd"),
        (
            "energy per inference",
            facts.energy_source,
            "its RAPL counters are for root alone" if refused else "no RAPL counters",
        ),
    ]
    missing = [Untold(what=what, why=why) for what, value, why in places if value is None]
    return missing + [
        Untold(what=f"kind of the disk of {', '.join(disk.holds)}", why="no block device in /sys")
        for disk in facts.disks
        if disk.kind is None
    ]
