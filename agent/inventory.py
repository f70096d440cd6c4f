"""What this device is, as the fleet gets to know it."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import psutil

from agent.affinity import usable_cores
from agent.boxfacts import read_box
from agent.bundles import Shelf
from agent.config import AgentConfig
from agent.probes.command import Run, run_command
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
    folders = {
        "bundles": Path(config.bundles).resolve(),
        "state": Path(config.state_dir).resolve(),
    }
    box = read_box(root, folders, run=run)
    limits = (config.memory_limit_bytes, box.memory.limit_bytes)
    return Inventory(
        site=config.site,
        device=config.device,
        at=time.time(),
        agent=agent_version(),
        cpu_model=box.cpu.model,
        arch=platform.machine(),
        physical_cores=psutil.cpu_count(logical=False) or box.cpu.physical_cores,
        logical_cores=psutil.cpu_count() or box.cpu.logical_cores or 1,
        usable_cores=len(usable_cores()),
        ram_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=min((limit for limit in limits if limit is not None), default=None),
        threads=config.threads,
        os=box.os,
        kernel=box.kernel,
        python=platform.python_version(),
        torch=torch_version(),
        engines=engines,
        cpu_features=box.cpu.features,
        max_clock_mhz=box.max_clock_mhz,
        governor=box.governor,
        temperature_c=box.temperature_c,
        throttled=box.throttle.now,
        throttle_causes=box.throttle.causes,
        throttled_since_start=box.throttle.since_start,
        board=box.board,
        core_types=box.core_types,
        offline_cores=box.offline_cores,
        cpu_quota_cores=box.cpu_quota_cores,
        memory=box.memory,
        disks=box.disks,
        power_source=box.power.source if box.power else None,
        energy_source=box.energy_source,
        groups=config.groups,
        emulates=config.emulates,
        fingerprint=fingerprint,
        set_id=shelf.bundle_set.set_id if shelf else None,
        variants=[b.member.variant for b in shelf.bundles] if shelf else [],
    )
