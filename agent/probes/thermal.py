"""The processor's temperature, from thermal zones or hwmon."""

from __future__ import annotations

from pathlib import Path

from agent.probes.files import read_integer, read_text

_MILLI = 1000.0
#: Zone types and hwmon names that are a processor's: kernel documentation, driver-api/thermal.
_CPU_WORDS = ("cpu", "x86_pkg_temp", "soc", "coretemp", "k10temp")
#: Sensors that are switched off report nonsense such as -273 or 0 degrees.
_PLAUSIBLE_C = (-40.0, 150.0)


def temperature_c(root: Path) -> float | None:
    """Temperature of the hottest processor sensor, in degrees Celsius."""
    zones = _readings(root / "sys/class/thermal", "thermal_zone*", "type", "temp")
    chips = _readings(root / "sys/class/hwmon", "hwmon*", "name", "temp*_input")
    for found in (zones, chips):
        if found:
            return max(found)
    return None


def zone_temperatures_c(root: Path) -> dict[str, float]:
    """Every thermal zone by its type, the processor's and others; in degrees Celsius.

    Of two zones of one type the hotter one counts.
    """
    low, high = _PLAUSIBLE_C
    found: dict[str, float] = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, value = read_text(zone / "type"), read_integer(zone / "temp")
        if name and value is not None and low <= value / _MILLI <= high:
            found[name] = max(value / _MILLI, found.get(name, low))
    return found


def _readings(folder: Path, pattern: str, name_file: str, value_pattern: str) -> list[float]:
    found = []
    for sensor in sorted(folder.glob(pattern)):
        name = (read_text(sensor / name_file) or "").lower()
        if not any(word in name for word in _CPU_WORDS):
            continue
        values = (read_integer(path) for path in sorted(sensor.glob(value_pattern)))
        found += [value / _MILLI for value in values if value is not None and value != 0]
    low, high = _PLAUSIBLE_C
    return [value for value in found if low <= value <= high]
