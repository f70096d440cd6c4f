"""Whether the box slows its clock down to protect itself, and why."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.probes.command import Run, run_command
from agent.probes.files import as_integer, read_count, read_integer, read_text

#: Bits of the present state; sixteen higher the same bits remember it since the start:
#: Raspberry Pi documentation, "vcgencmd", get_throttled.
_PI_CAUSES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_PI_PAST = 16
_PI_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
_PI_COMMAND = ("vcgencmd", "get_throttled")
_HEXADECIMAL = 16
#: Over-current events of a Jetson: Jetson Linux Developer Guide, platform power.
_JETSON_CHIP = "soctherm_oc"
#: Cooling devices that cap the clock: kernel documentation, driver-api/thermal/sysfs-api.
_CAPPING = ("cpufreq-", "thermal-cpufreq-")


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """Throttling now, and since the start; None where the box does not tell."""

    now: bool | None = None
    #: Whether the box remembers throttling since its start.
    since_start: bool | None = None
    #: What slows it down now, where the box says so.
    causes: list[str] = []
    past_causes: list[str] = []
    #: Events counted since the start, of boxes that count.
    events: int | None = None

    def began_since(self, earlier: Throttle) -> bool | None:
        """Whether it throttles now or did so after `earlier`; None where unknown."""
        if self.now or set(self.past_causes) - set(earlier.past_causes):
            return True
        if self.events is not None and earlier.events is not None:
            return self.events > earlier.events
        return self.now


def read_throttle(root: Path, run: Run = run_command) -> Throttle:
    """Throttling of a Raspberry Pi by its firmware, of others by counters and cooling devices."""
    flags = _pi_flags(root, run)
    if flags is not None:
        past = _names(flags >> _PI_PAST)
        causes = _names(flags)
        return Throttle(now=bool(causes), since_start=bool(past), causes=causes, past_causes=past)
    counts = _x86_counts(root) + _jetson_counts(root)
    capped = _capped(root)
    return Throttle(
        now=capped,
        since_start=sum(counts) > 0 if counts else None,
        causes=["frequency capped"] if capped else [],
        events=sum(counts) if counts else None,
    )


def _pi_flags(root: Path, run: Run) -> int | None:
    """The firmware's flags from the kernel's file, or by asking the firmware itself."""
    flags = read_integer(root / _PI_FILE, _HEXADECIMAL)
    if flags is None:
        name, _, value = (run(_PI_COMMAND) or "").strip().partition("=")
        flags = as_integer(value, _HEXADECIMAL) if name == "throttled" else None
    return flags if flags is not None and flags >= 0 else None


def _names(flags: int) -> list[str]:
    return [name for bit, name in enumerate(_PI_CAUSES) if flags >> bit & 1]


def _x86_counts(root: Path) -> list[int]:
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    return [
        count
        for folder in cores
        for name in ("core_throttle_count", "package_throttle_count")
        if (count := read_count(folder / name)) is not None
    ]


def _jetson_counts(root: Path) -> list[int]:
    chips = (root / "sys/class/hwmon").glob("hwmon*")
    return [
        count
        for chip in chips
        if read_text(chip / "name") == _JETSON_CHIP
        for path in chip.glob("oc*_event_cnt")
        if (count := read_count(path)) is not None
    ]


def _capped(root: Path) -> bool | None:
    """Whether a cooling device caps the clock of a core; None where there is none."""
    states = [
        state
        for device in (root / "sys/class/thermal").glob("cooling_device*")
        if (read_text(device / "type") or "").startswith(_CAPPING)
        and (state := read_integer(device / "cur_state")) is not None
    ]
    return any(state > 0 for state in states) if states else None
