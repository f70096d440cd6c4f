"""Sensors on trees of files; these follow the kernel's documents, none was captured."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.conditions import read_conditions
from agent.probes import clock, cpu, host, load, memory, thermal, throttle

PI_CPUINFO = """\
processor\t: 0
Features\t: fp asimd crc32
CPU implementer\t: 0x41
CPU part\t: 0xd08

processor\t: 1
Features\t: fp asimd crc32
CPU implementer\t: 0x41
CPU part\t: 0xd08

Revision\t: c03114
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
X86_CPUINFO = """\
processor\t: 0
model name\t: Intel(R) Core(TM) i5
cpu MHz\t\t: 1200.000
physical id\t: 0
core id\t\t: 0
flags\t\t: sse2 avx2

processor\t: 1
model name\t: Intel(R) Core(TM) i5
cpu MHz\t\t: 1400.000
physical id\t: 0
core id\t\t: 0
flags\t\t: sse2 avx2
"""


def write(root: Path, files: dict[str, str]) -> Path:
    """A tree of small files."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """A Raspberry Pi 4 that is being throttled."""
    return write(
        tmp_path,
        {
            "proc/cpuinfo": PI_CPUINFO,
            "proc/loadavg": "0.52 0.58 0.59 1/597 2173\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-v8\n",
            "etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "61835\n",
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
            "sys/class/thermal/thermal_zone1/temp": "99000\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1800000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        },
    )


@pytest.fixture
def pc(tmp_path: Path) -> Path:
    """An x86 box with hwmon sensors, throttle counters and a limited control group."""
    return write(
        tmp_path,
        {
            "proc/cpuinfo": X86_CPUINFO,
            "proc/self/cgroup": "0::/system.slice/agent.service\n",
            "sys/fs/cgroup/system.slice/memory.max": "500000000\n",
            "sys/fs/cgroup/system.slice/agent.service/memory.max": "max\n",
            "sys/class/hwmon/hwmon0/name": "acpitz\n",
            "sys/class/hwmon/hwmon0/temp1_input": "90000\n",
            "sys/class/hwmon/hwmon1/name": "coretemp\n",
            "sys/class/hwmon/hwmon1/temp1_input": "47000\n",
            "sys/class/hwmon/hwmon1/temp2_input": "-273000\n",
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
            "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "4\n",
        },
    )


def test_a_raspberry_pi_is_recognised_with_heat_clock_and_throttling(pi: Path) -> None:
    """Board and core, the CPU's zone and not the GPU's, the mean clock, the present flag."""
    found = cpu.read_cpu(pi)
    assert found.model == "Raspberry Pi 4 Model B Rev 1.4, Cortex-A72"
    assert found.features == ["asimd", "crc32", "fp"]
    assert found.logical_cores == 2
    conditions = read_conditions(pi)
    assert conditions.temperature_c == 61.835
    assert conditions.clock_mhz == 1200.0
    assert conditions.throttled is True
    assert conditions.load_1m == 0.52
    assert clock.max_clock_mhz(pi) == 1800.0
    assert clock.governor(pi) == "ondemand"
    assert host.os_name(pi) == "Debian GNU/Linux 12 (bookworm)"
    assert host.kernel(pi) == "6.6.31+rpt-rpi-v8"


def test_throttling_in_the_past_is_not_throttling_now(pi: Path) -> None:
    """Only the low bits of the firmware's flags speak of the present."""
    write(pi, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50000"})
    assert throttle.read_throttle(pi).now is False


def test_an_x86_box_is_recognised_with_its_sensors(pc: Path) -> None:
    """Two threads of one core; coretemp and not the mainboard; clocks from cpuinfo."""
    found = cpu.read_cpu(pc)
    assert found.model == "Intel(R) Core(TM) i5"
    assert (found.logical_cores, found.physical_cores) == (2, 1)
    assert thermal.temperature_c(pc) == 47.0
    assert clock.clock_mhz(pc) == 1300.0
    assert memory.cgroup_limit_bytes(pc) == 500_000_000


def test_throttle_events_during_a_run_count_as_throttling(pc: Path) -> None:
    """x86 counts events since boot, so only their growth says something."""
    before = throttle.read_throttle(pc)
    assert read_conditions(pc).throttled is None
    assert read_conditions(pc, since=before).throttled is False
    write(pc, {"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "5"})
    assert read_conditions(pc, since=before).throttled is True


def test_a_box_that_tells_nothing_gives_none(tmp_path: Path) -> None:
    """Absence is not failure, and not zero."""
    conditions = read_conditions(tmp_path)
    assert conditions.temperature_c is None
    assert conditions.clock_mhz is None
    assert conditions.throttled is None
    assert conditions.load_1m is None
    assert memory.cgroup_limit_bytes(tmp_path) is None
    assert cpu.read_cpu(tmp_path, machine="riscv64").model == "riscv64"
    assert load.LoadMeter(tmp_path, cores={0}).foreign_share() is None


def test_work_of_others_is_told_from_our_own(tmp_path: Path) -> None:
    """Two busy seconds on one of two cores, of which we did one, leave one for others."""
    write(tmp_path, {"proc/stat": "cpu 0 0 0 0\ncpu0 100 0 0 900 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n"})
    own = iter([5.0, 6.0])
    meter = load.LoadMeter(tmp_path, cores={0, 1}, own_seconds=lambda: next(own))
    write(tmp_path, {"proc/stat": "cpu 0 0 0 0\ncpu0 300 0 0 900 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n"})
    share = meter.foreign_share()
    assert share is not None
    assert share == 1.0  # a second of others in next to no time, capped


def test_the_idlest_cores_are_picked(tmp_path: Path) -> None:
    """The cores with the least work during the look win."""
    stat = "cpu0 {} 0 0 0\ncpu1 {} 0 0 0\ncpu2 {} 0 0 0\n"
    write(tmp_path, {"proc/stat": stat.format(100, 100, 100)})
    meter = load.LoadMeter(tmp_path, cores={0, 1, 2})
    write(tmp_path, {"proc/stat": stat.format(150, 101, 100)})
    assert meter.idlest(2) == {1, 2}
