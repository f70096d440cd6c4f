"""Energy counters of x86 processors: Running Average Power Limit, through powercap.

Kernel documentation, power/powercap/powercap.rst. Since Linux 5.10 only root reads them
(CVE-2020-8694), unless the box's owner says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from agent.probes.files import read_count, read_text

SOURCE = "rapl"
_MICROJOULES_PER_JOULE = 1e6
_MJ_PER_JOULE = 1e3
#: Whole packages alone: their parts (core, uncore, dram) have zones below them, and `psys` and
#: `intel-rapl-mmio` count the same energy again.
_PACKAGE = re.compile(r"package-\d+")


class _Reading(msgspec.Struct, frozen=True):
    microjoules: int
    #: Where the counter starts again from 0.
    range_microjoules: int | None


class EnergyMeter:
    """Energy of all processor packages since the meter was made.

    It includes what the packages draw whoever causes it: idle power and the work of other
    processes too. It does not include memory modules, disks or losses of the supply.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._start = _read(root)

    @property
    def is_told(self) -> bool:
        """Whether the box lets us read its counters."""
        return bool(self._start)

    def joules(self) -> float | None:
        """Energy so far; None where a counter is missing, refuses or did not move.

        A counter may start again from 0 once; it takes hours of full load to do so twice.
        """
        now = _read(self._root)
        if not self._start or now.keys() != self._start.keys():
            return None
        total = 0
        for zone, start in self._start.items():
            difference = now[zone].microjoules - start.microjoules
            if difference < 0:
                if start.range_microjoules is None:
                    return None
                difference += start.range_microjoules
            # A counter that stands still is a hypervisor's, and one beyond its range a fault.
            if difference <= 0:
                return None
            total += difference
        return total / _MICROJOULES_PER_JOULE


def per_inference_mj(joules: float | None, inferences: int) -> float | None:
    """Millijoules of one of `inferences`; None where the energy is unknown."""
    return None if joules is None else joules * _MJ_PER_JOULE / inferences


def refuses(root: Path) -> bool:
    """Whether the box has counters that it does not let this user read."""
    return bool(_packages(root)) and not _read(root)


def _packages(root: Path) -> list[Path]:
    zones = sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*"))
    return [zone for zone in zones if _PACKAGE.fullmatch(read_text(zone / "name") or "")]


def _read(root: Path) -> dict[str, _Reading]:
    """Counters by zone; empty where one of them refuses, for a part is not the whole."""
    readings = {}
    for zone in _packages(root):
        microjoules = read_count(zone / "energy_uj")
        if microjoules is None:
            return {}
        readings[zone.name] = _Reading(microjoules, read_count(zone / "max_energy_range_uj"))
    return readings
