"""Which logical cores are alike, on big.LITTLE boards and on hybrid x86."""

from __future__ import annotations

from pathlib import Path

from agent.probes.clock import core_max_clock_mhz
from agent.probes.cpu import arm_core, processors
from agent.probes.files import as_count, read_text
from contract.box import CoreType

#: Performance monitors of hybrid x86 list the cores of each type: `/sys/devices/cpu_core/cpus`,
#: Linux source, tools/perf/Documentation/intel-hybrid.txt.
_HYBRID = {"cpu_core": "performance", "cpu_atom": "efficiency"}
#: No box that this runs on has more; a damaged list must not fill the memory.
_MOST_CORES = 4096


def core_types(root: Path) -> list[CoreType]:
    """Groups of cores of one design and one highest clock, fastest first.

    Empty where the box lists no cores. Cores that differ in their highest clock alone (Intel's
    favoured cores) are groups of their own: a thread is faster on one than on the other.
    """
    hybrid = {
        core: name
        for monitor, name in _HYBRID.items()
        for core in parse_cores(read_text(root / "sys/devices" / monitor / "cpus") or "")
    }
    groups: dict[tuple[str | None, float | None], list[int]] = {}
    for core, listed in processors(root).items():
        kind = (arm_core(listed) or hybrid.get(core), core_max_clock_mhz(root, core))
        groups.setdefault(kind, []).append(core)
    types = [
        CoreType(name=name, cores=sorted(cores), max_clock_mhz=clock)
        for (name, clock), cores in groups.items()
    ]
    return sorted(types, key=lambda one: (-(one.max_clock_mhz or 0.0), one.cores))


def offline_cores(root: Path) -> list[int]:
    """Cores that are there but switched off, by hand or by a power mode."""
    return parse_cores(read_text(root / "sys/devices/system/cpu/offline") or "")


def parse_cores(text: str) -> list[int]:
    """Core numbers of a list such as `0-3,5`; empty for what is no such list."""
    cores: set[int] = set()
    for part in filter(None, text.split(",")):
        first_text, _, last_text = part.partition("-")
        first = as_count(first_text)
        last = as_count(last_text) if last_text else first
        if first is None or last is None or not first <= last < _MOST_CORES:
            return []
        cores.update(range(first, last + 1))
    return sorted(cores)
