"""Probes on boxes that are damaged, odd or absent: what is not told is None, never an exception."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.boxfacts import BoxFacts, read_box
from agent.conditions import read_conditions
from agent.probes.board import read_board
from agent.probes.cores import core_types, parse_cores
from agent.probes.disk import read_disks
from agent.probes.load import busy_seconds
from agent.probes.memory import read_memory
from agent.probes.power import read_power
from agent.probes.quota import cpu_quota_cores
from agent.probes.throttle import Throttle, read_throttle
from support.trees import NAMES, Commands, tree, write

FOLDERS = {"bundles": Path("/srv/bundles"), "state": Path("/var/lib/edgewright")}
GARBAGE = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: text.encode(errors="replace")),
    st.from_regex(r"[-0-9 :/,.=A-Za-z\n\\]{0,80}", fullmatch=True).map(str.encode),
    st.sampled_from([b"", b"nan", b"-1", b"1e999", b"9" * 5000, b"0::/\0x", b"a:b", b":::", b"/"]),
)


def read(root: Path) -> BoxFacts:
    """All facts, decoded again as a reader of the JSON would: None of it may be nonsense."""
    facts = read_box(root, FOLDERS, run=Commands(root), space=lambda _folder: None)
    busy_seconds(root)
    read_conditions(root, run=Commands(root))
    return msgspec.json.decode(msgspec.json.encode(facts), type=BoxFacts)


def test_a_box_that_tells_nothing_is_no_failure(tmp_path: Path) -> None:
    facts = read(tmp_path)
    assert facts.board is None
    assert facts.core_types == []
    assert facts.memory == msgspec.convert({}, type(facts.memory))
    assert facts.throttle == Throttle()
    assert (facts.power, facts.energy_source, facts.cpu_quota_cores) == (None, None, None)
    assert {disk.kind for disk in facts.disks} == {None}
    assert {"cores", "memory", "temperature", "throttling", "power"} <= {
        one.what for one in facts.untold
    }


@pytest.mark.parametrize("box", NAMES)
def test_a_box_whose_every_file_refuses_tells_nothing(box: str, tmp_path: Path) -> None:
    """A folder where a file should be refuses to be read, even to root."""
    for path in tree(box).rglob("*"):
        if path.is_file() and not path.is_symlink():
            (tmp_path / path.relative_to(tree(box))).mkdir(parents=True)
    facts = read(tmp_path)
    assert (facts.memory.total_bytes, facts.temperature_c, facts.power) == (None, None, None)


@settings(max_examples=40, deadline=None)
@given(box=st.sampled_from(NAMES), damage=st.data())
def test_garbage_in_any_file_raises_nothing_and_stays_valid(
    box: str, damage: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "box"
        shutil.copytree(tree(box), root, symlinks=True)
        files = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix != ".json")
        for path in damage.draw(st.lists(st.sampled_from(files), min_size=1, max_size=6)):
            path.write_bytes(damage.draw(GARBAGE))
        read(root)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("", []),
        ("0", [0]),
        ("0-3,6,8-9", [0, 1, 2, 3, 6, 8, 9]),
        ("3-1", []),
        ("0-999999999", []),
        ("-2", []),
        ("a-b", []),
    ],
)
def test_lists_of_cores(text: str, cores: list[int]) -> None:
    assert parse_cores(text) == cores


def test_cores_of_two_designs_are_told_apart_with_their_clocks(tmp_path: Path) -> None:
    """A big.LITTLE board, such as an RK3588: Cortex-A55 and Cortex-A76."""
    parts = ["0xd05", "0xd05", "0xd0b", "0xd0b"]
    blocks = [f"processor\t: {i}\nCPU part\t: {part}\n" for i, part in enumerate(parts)]
    clocks = {
        f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq": khz
        for core, khz in enumerate(["1800000", "1800000", "2400000", "2256000"])
    }
    write(tmp_path, {"proc/cpuinfo": "\n".join(blocks)} | clocks)
    assert [(one.name, one.cores, one.max_clock_mhz) for one in core_types(tmp_path)] == [
        ("Cortex-A76", [2], 2400.0),
        ("Cortex-A76", [3], 2256.0),
        ("Cortex-A55", [0, 1], 1800.0),
    ]


def test_the_tightest_group_of_version_1_limits_memory_and_processor(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/a/b\n3:cpu,cpuacct:/a\nnonsense\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000",
            "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "600",
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    memory = read_memory(tmp_path)
    assert (memory.limit_bytes, memory.limit_used_bytes) == (1000, 600)
    assert cpu_quota_cores(tmp_path) == 0.5


@pytest.mark.parametrize("line", ["0 100000", "max", "100000 0", "-1 100000", "x y", "1 2 3"])
def test_a_quota_that_is_none_or_no_number_is_none(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": line})
    assert cpu_quota_cores(tmp_path) is None


@pytest.mark.parametrize(
    "answer",
    [
        "",
        'error=1 error_msg="Command not registered"',
        " VDD_CORE_A current(7)=1.5A",
        " VDD_CORE_A current(7)=1.2.3A\n VDD_CORE_V volt(15)=0.8V",
        " VDD_CORE_A current(7)=1A\n 3V3_SYS_V volt(9)=3.3V",
    ],
)
def test_an_answer_of_the_pmic_without_a_whole_rail_is_no_power(
    tmp_path: Path, answer: str
) -> None:
    assert read_power(tmp_path, lambda _arguments: answer) is None


def test_a_meter_of_parts_alone_tells_no_power_of_the_whole(tmp_path: Path) -> None:
    """On a Jetson AGX Orin no channel is the board's input."""
    chip = "sys/class/hwmon/hwmon0"
    files = {"name": "ina3221", "in1_label": "VDD_GPU_SOC", "in1_input": "19000"}
    write(tmp_path, {f"{chip}/{name}": text for name, text in files.items()})
    write(tmp_path, {f"{chip}/curr1_input": "200"})
    assert read_power(tmp_path, Commands(tmp_path)) is None


@pytest.mark.parametrize("answer", ["", "throttled=", "throttled=0xzz", "temp=5", "throttled=-1"])
def test_an_answer_of_the_firmware_without_flags_is_unknown(tmp_path: Path, answer: str) -> None:
    assert read_throttle(tmp_path, lambda _arguments: answer) == Throttle()


def test_a_flag_that_the_firmware_remembers_anew_was_throttling_during_the_run() -> None:
    """It may have come and gone between the readings before and after a run."""
    before = Throttle(now=False, past_causes=["under-voltage"])
    after = Throttle(now=False, past_causes=["under-voltage", "throttled"])
    assert after.began_since(before) is True
    assert before.began_since(before) is False


def test_a_capped_clock_is_throttling_and_a_fan_is_not(tmp_path: Path) -> None:
    thermal = "sys/class/thermal"
    fan = {
        f"{thermal}/cooling_device0/type": "pwm-fan",
        f"{thermal}/cooling_device0/cur_state": "3",
    }
    assert read_throttle(write(tmp_path, fan), Commands(tmp_path)).now is None
    device = f"{thermal}/cooling_device1"
    write(tmp_path, {f"{device}/type": "thermal-cpufreq-0", f"{device}/cur_state": "0"})
    assert read_throttle(tmp_path, Commands(tmp_path)).now is False
    write(tmp_path, {f"{device}/cur_state": "2"})
    assert read_throttle(tmp_path, Commands(tmp_path)).causes == ["frequency capped"]


@pytest.mark.parametrize(
    ("disk", "files", "kind"),
    [
        ("mmcblk0", {"device/type": "MMC"}, "emmc"),
        ("mmcblk0", {}, None),
        ("sda", {"queue/rotational": "0"}, "ssd"),
        ("sda", {"queue/rotational": "1"}, "hdd"),
        ("sda", {}, None),
        ("vda", {}, "virtual"),
        ("md0", {}, None),
    ],
)
def test_kinds_of_disks(tmp_path: Path, disk: str, files: dict[str, str], kind: str | None) -> None:
    folder = f"sys/devices/platform/{disk}"
    write(tmp_path, {f"{folder}/{name}": text for name, text in files.items()})
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    write(tmp_path, {"proc/self/mountinfo": f"1 0 8:0 / / rw - ext4 /dev/{disk} rw\n"})
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/8:0").symlink_to(f"../../devices/platform/{disk}")
    (found,) = read_disks(tmp_path, FOLDERS, space=lambda _folder: None)
    assert (found.kind, found.holds) == (kind, ["bundles", "state"])


def test_the_later_of_two_mounts_at_one_place_counts_and_volumes_in_a_ring_end(
    tmp_path: Path,
) -> None:
    lines = [
        "1 0 8:0 / / rw - ext4 /dev/sda rw",
        "2 1 0:5 / / rw - nfs4 server:/share ro",
    ]
    write(tmp_path, {"proc/self/mountinfo": "\n".join(lines)})
    (found,) = read_disks(tmp_path, FOLDERS, space=lambda _folder: None)
    assert (found.kind, found.file_system, found.read_only) == ("network", "nfs4", True)
    write(tmp_path, {"proc/self/mountinfo": "1 0 253:0 / / rw - ext4 /dev/dm-0 rw"})
    block = tmp_path / "sys/class/block"
    (block / "dm-0/slaves").mkdir(parents=True)
    (block / "dm-0/slaves/dm-0").symlink_to("../../dm-0")
    (found,) = read_disks(tmp_path, FOLDERS, space=lambda _folder: None)
    assert found.kind is None


@pytest.mark.parametrize("release", ["", "# R36", "R36 (release), REVISION: x", "# R (release)"])
def test_a_release_of_another_form_is_not_told(tmp_path: Path, release: str) -> None:
    assert read_board(write(tmp_path, {"etc/nv_tegra_release": release})) is None
