"""Cooling down between two sustained runs."""

from __future__ import annotations

from pathlib import Path

from agent.cooling import cool_down
from support.trees import write

ZONE = "sys/class/thermal/thermal_zone0"


def zone(root: Path, temperature_c: float) -> None:
    """A box with a processor that hot."""
    write(root, {f"{ZONE}/type": "cpu-thermal", f"{ZONE}/temp": str(int(temperature_c * 1000))})


def test_it_rests_until_the_box_is_as_cool_as_at_the_start(tmp_path: Path) -> None:
    """Two degrees a look, from 60 down to near 45."""
    heat = [60.0]
    zone(tmp_path, heat[0])

    def rest(_seconds: float) -> None:
        heat[0] -= 2.0
        zone(tmp_path, heat[0])

    assert cool_down(tmp_path, to_c=45.0, rest=rest) == 12.0
    assert heat == [48.0]


def test_a_box_that_stays_hot_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """The hall may have got warmer since."""
    zone(tmp_path, 70.0)
    assert cool_down(tmp_path, to_c=40.0, rest=lambda _: None) == 120.0


def test_without_a_thermometer_nobody_waits(tmp_path: Path) -> None:
    """Neither where the start was not told, nor where now is not."""
    assert cool_down(tmp_path, to_c=40.0, rest=lambda _: None) == 0.0
    zone(tmp_path, 70.0)
    assert cool_down(tmp_path, to_c=None, rest=lambda _: None) == 0.0
