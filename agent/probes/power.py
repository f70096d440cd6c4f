"""Power drawn at this moment, where the board has a meter for it."""

from __future__ import annotations

import re
from pathlib import Path

from agent.probes.command import Run, run_command
from agent.probes.files import as_number, read_integer, read_text
from contract.box import Power

_MILLI_TIMES_MILLI = 1e-6
#: Channels before all others: NVIDIA's Jetson Linux Developer Guide, power monitors. Boards
#: without such a channel measure parts, and parts add up to nothing in particular.
_INPUT_LABELS = ("VDD_IN", "POM_5V_IN")
_JETSON_CHIP = "ina3221"
_PI_COMMAND = ("vcgencmd", "pmic_read_adc")
#: `VDD_CORE_A current(7)=1.50000000A` and `VDD_CORE_V volt(15)=0.87654321V`; currents and
#: voltages of a rail belong together by its name, not by the numbers in brackets.
_PI_READING = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$")


def read_power(root: Path, run: Run = run_command) -> Power | None:
    """Power by an INA3221 at the board's input, else by the Pi 5's PMIC; None without both."""
    return _jetson_power(root) or _pi_power(run)


def _jetson_power(root: Path) -> Power | None:
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read_text(chip / "name") != _JETSON_CHIP:
            continue
        for path in sorted(chip.glob("in*_label")):
            label = read_text(path)
            channel = path.name.removeprefix("in").removesuffix("_label")
            millivolts = read_integer(chip / f"in{channel}_input")
            milliamperes = read_integer(chip / f"curr{channel}_input")
            if label not in _INPUT_LABELS or millivolts is None or milliamperes is None:
                continue
            watts = millivolts * milliamperes * _MILLI_TIMES_MILLI
            if watts >= 0:
                return Power(watts=watts, source=f"{_JETSON_CHIP} {label}")
    return None


def _pi_power(run: Run) -> Power | None:
    """Sum over the rails with both a current and a voltage.

    The 5 V input has a voltage alone, and what USB devices draw passes no measured rail: the
    sum is less than the board draws.
    """
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for line in (run(_PI_COMMAND) or "").splitlines():
        reading = _PI_READING.match(line)
        value = as_number(reading[3]) if reading else None
        if reading and value is not None:
            (amperes if reading[2] == "A" else volts)[reading[1]] = value
    rails = amperes.keys() & volts.keys()
    if not rails:
        return None
    return Power(watts=sum(amperes[rail] * volts[rail] for rail in sorted(rails)), source="pmic")
