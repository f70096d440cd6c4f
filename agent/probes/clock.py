"""Clock frequencies and the governor that sets them, from cpufreq or `/proc/cpuinfo`."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

from agent.probes.files import as_number, read_count, read_text

_KHZ_PER_MHZ = 1000.0
_CPUINFO_CLOCK = re.compile(r"^cpu MHz\s*:\s*([0-9.]+)$", re.MULTILINE)


def clock_mhz(root: Path) -> float | None:
    """Mean of the cores' present frequencies."""
    found = _per_core(root, "scaling_cur_freq")
    if found:
        return fmean(found)
    texts = _CPUINFO_CLOCK.findall(read_text(root / "proc/cpuinfo") or "")
    listed = [mhz for text in texts if (mhz := as_number(text)) is not None]
    return fmean(listed) if listed else None


def max_clock_mhz(root: Path) -> float | None:
    """Highest frequency of any core."""
    return max(_per_core(root, "cpuinfo_max_freq"), default=None)


def core_max_clock_mhz(root: Path, core: int) -> float | None:
    """Highest frequency of one logical core."""
    khz = read_count(root / f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq")
    return None if khz is None else khz / _KHZ_PER_MHZ


def governor(root: Path) -> str | None:
    """Governor of the first core that has one."""
    for folder in _cpufreq_folders(root):
        if text := read_text(folder / "scaling_governor"):
            return text
    return None


def _per_core(root: Path, name: str) -> list[float]:
    values = (read_count(folder / name) for folder in _cpufreq_folders(root))
    return [value / _KHZ_PER_MHZ for value in values if value is not None]


def _cpufreq_folders(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
