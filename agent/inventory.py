"""What this device is, as the fleet gets to know it."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import psutil

from agent.affinity import usable_cores
from agent.bundles import Shelf
from agent.config import AgentConfig
from agent.probes.board import read_board
from agent.probes.clock import governor, max_clock_mhz
from agent.probes.command import Run, run_command
from agent.probes.cores import core_types, offline_cores
from agent.probes.cpu import read_cpu
from agent.probes.disk import read_disks
from agent.probes.host import kernel, os_name
from agent.probes.memory import read_memory
from agent.probes.power import read_power
from agent.probes.quota import cpu_quota_cores
from agent.probes.rapl import SOURCE, EnergyMeter
from agent.probes.thermal import temperature_c
from agent.probes.throttle import read_throttle
from agent.versions import agent_version, torch_version
from contract.messages import Inventory


def take_inventory(
    config: AgentConfig,
    *,
    root: Path,
    fingerprint: str,
    engines: list[str],
    shelf: Shelf | None,
    run: Run = run_command,
) -> Inventory:
    """Facts about the box, its software and its bundle set.

    Args:
        config: names, groups and limits of the device.
        root: where `/proc` and `/sys` are found.
        fingerprint: as every run states it.
        engines: quantized engines of the installed torch.
        shelf: the bundle set, or None where it cannot be read.
        run: runs the commands that tell what no file does.
    """
    cpu = read_cpu(root)
    memory = read_memory(root)
    throttle = read_throttle(root, run)
    power = read_power(root, run)
    limits = (config.memory_limit_bytes, memory.limit_bytes)
    return Inventory(
        site=config.site,
        device=config.device,
        at=time.time(),
        agent=agent_version(),
        cpu_model=cpu.model,
        arch=platform.machine(),
        physical_cores=psutil.cpu_count(logical=False) or cpu.physical_cores,
        logical_cores=psutil.cpu_count() or cpu.logical_cores or 1,
        usable_cores=len(usable_cores()),
        ram_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=min((limit for limit in limits if limit is not None), default=None),
        threads=config.threads,
        os=os_name(root),
        kernel=kernel(root),
        python=platform.python_version(),
        torch=torch_version(),
        engines=engines,
        cpu_features=cpu.features,
        max_clock_mhz=max_clock_mhz(root),
        governor=governor(root),
        temperature_c=temperature_c(root),
        throttled=throttle.now,
        throttle_causes=throttle.causes,
        throttled_since_start=throttle.since_start,
        board=read_board(root),
        core_types=core_types(root),
        offline_cores=offline_cores(root),
        cpu_quota_cores=cpu_quota_cores(root),
        memory=memory,
        disks=read_disks(
            root,
            {
                "bundles": Path(config.bundles).resolve(),
                "state": Path(config.state_dir).resolve(),
            },
        ),
        power_source=power.source if power else None,
        energy_source=SOURCE if EnergyMeter(root).is_told else None,
        groups=config.groups,
        emulates=config.emulates,
        fingerprint=fingerprint,
        set_id=shelf.bundle_set.set_id if shelf else None,
        variants=[b.member.variant for b in shelf.bundles] if shelf else [],
    )
