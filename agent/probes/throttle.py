"""Whether the box slows its clock down to protect itself."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.probes.files import read_integer

#: Bits of the present state (under-voltage, frequency capped, throttled, soft temperature
#: limit); the higher ones remember the past: Raspberry Pi documentation, vcgencmd.
_PI_NOW = 0b1111
_PI_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
_HEXADECIMAL = 16


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """Throttling now, and events since boot; None where the box does not tell."""

    now: bool | None = None
    events: int | None = None


def read_throttle(root: Path) -> Throttle:
    """Throttling of a Raspberry Pi by its firmware, of others by their event counters."""
    flags = read_integer(root / _PI_FILE, _HEXADECIMAL)
    if flags is not None:
        return Throttle(now=bool(flags & _PI_NOW))
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    counts = [
        count
        for folder in cores
        for name in ("core_throttle_count", "package_throttle_count")
        if (count := read_integer(folder / name)) is not None
    ]
    return Throttle(events=sum(counts) if counts else None)
