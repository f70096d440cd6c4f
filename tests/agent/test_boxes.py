"""What the probes find on whole boxes: each tree's SOURCE.txt says where it comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.boxfacts import BoxFacts, read_box
from agent.conditions import read_conditions
from agent.facts_text import facts_lines
from agent.fingerprint import fingerprint
from support.processes import program
from support.trees import NAMES, TREES, Commands, tree

KIB = 1024
#: What the file system of every folder says of its space.
FREE, TOTAL = 5_000_000_000, 32_000_000_000


class Expected(msgspec.Struct, frozen=True):
    """Written by hand beside each tree: the agent's folders there, and what must be found."""

    folders: dict[str, str]
    facts: dict[str, Any]


def expected(box: str) -> Expected:
    content = (tree(box) / "expected.json").read_bytes()
    return msgspec.json.decode(content, type=Expected)


def facts_of(box: str) -> BoxFacts:
    return read_box(
        tree(box),
        {holds: Path(folder) for holds, folder in expected(box).folders.items()},
        run=Commands(tree(box)),
        space=lambda _folder: (FREE, TOTAL),
    )


@pytest.mark.parametrize("box", NAMES)
def test_each_box_tells_exactly_this(box: str) -> None:
    facts = facts_of(box)
    told = msgspec.to_builtins(facts)
    told["untold"] = [one.what for one in facts.untold]
    if facts.power:
        told["power"]["watts"] = round(facts.power.watts, 6)
    wanted = expected(box).facts
    assert {key: told[key] for key in wanted} == wanted


def test_the_captured_machine_tells_its_processor_and_memory() -> None:
    """Control groups of version 1 write "no limit" as a number, and that is no limit."""
    facts = facts_of("virtual-machine")
    assert (facts.cpu.model, facts.cpu.logical_cores, facts.cpu.physical_cores) == (
        "AMD EPYC",
        2,
        2,
    )
    assert {"avx2", "fma", "f16c"} <= set(facts.cpu.features)
    assert facts.memory.total_bytes == 24684096 * KIB
    assert facts.memory.swap_total_bytes == 0
    assert facts.memory.limit_bytes is None


@pytest.mark.parametrize("box", NAMES)
def test_every_tree_says_whether_it_was_captured_or_reconstructed(box: str) -> None:
    source = (TREES / box / "SOURCE.txt").read_text()
    kind = "captured" if box == "virtual-machine" else "reconstructed"
    assert source.startswith(f"{kind}: ")
    if kind == "reconstructed":
        assert "kernel documentation" in source


@pytest.mark.parametrize("box", NAMES)
def test_every_box_reads_as_lines_and_names_what_it_does_not_tell(box: str) -> None:
    facts = facts_of(box)
    lines = facts_lines(facts)
    assert f"processor     {facts.cpu.model}" in lines
    told = [line for line in lines if line.startswith("not told here: ")]
    assert len(told) == len(facts.untold) > 0
    assert not any("None" in line for line in lines)


def test_conditions_of_a_run_carry_power_memory_and_the_cause_of_throttling() -> None:
    hot = read_conditions(tree("raspberry-pi-4"), run=Commands(tree("raspberry-pi-4")))
    assert (hot.throttled, hot.throttle_causes) == (True, ["under-voltage", "throttled"])
    assert hot.power_w is None
    metered = read_conditions(tree("jetson-orin-nano"), run=Commands(tree("jetson-orin-nano")))
    assert metered.power_w == pytest.approx(6.0)
    assert metered.memory_available_bytes == 5242880 * KIB


def test_the_firmware_is_asked_about_throttling_only_where_the_kernel_has_no_file() -> None:
    commands = Commands(tree("raspberry-pi-4"))
    read_conditions(tree("raspberry-pi-4"), run=commands)
    assert "vcgencmd get_throttled" not in commands.asked
    commands = Commands(tree("raspberry-pi-5"))
    read_conditions(tree("raspberry-pi-5"), run=commands)
    assert "vcgencmd get_throttled" in commands.asked


def test_another_quota_or_power_mode_makes_another_fingerprint(tmp_path: Path) -> None:
    """Old runs are stale then; a box with neither keeps its fingerprint."""

    def taken(files: dict[str, str]) -> str:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        return fingerprint(root, usable_cores=1, memory_limit_bytes=None)

    group = {"proc/self/cgroup": "0::/\n"}
    prints = [
        taken(group),
        taken(group | {"sys/fs/cgroup/cpu.max": "50000 100000"}),
        taken(group | {"sys/fs/cgroup/cpu.max": "60000 100000"}),
        taken(group | {"var/lib/nvpmodel/status": "pmode:0000"}),
        taken(group | {"var/lib/nvpmodel/status": "pmode:0001"}),
    ]
    assert len(set(prints)) == len(prints)
    assert taken(group | {"sys/fs/cgroup/cpu.max": "max 100000"}) == prints[0]


def probe(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("edgewright-agent"), "probe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_one_json_object_of_this_box(tmp_path: Path) -> None:
    """Whatever box the test runs on: it has cores and memory, and a disk with space."""
    done = probe("--json", "--bundles", tmp_path, "--state-dir", tmp_path / "not-yet")
    assert done.returncode == 0, done.stderr
    facts = msgspec.json.decode(done.stdout, type=BoxFacts)
    assert facts.cpu.logical_cores
    assert facts.memory.total_bytes
    assert [disk.holds for disk in facts.disks] == [["bundles", "state"]]
    assert facts.disks[0].total_bytes


def test_the_command_reads_a_copy_of_another_box_and_asks_nothing_of_this_one() -> None:
    done = probe("--root", tree("raspberry-pi-4"), "--bundles", "/srv/bundles")
    assert done.returncode == 0, done.stderr
    assert "board         Raspberry Pi 4 Model B Rev 1.4, brcm,bcm2711" in done.stdout
    assert "throttling    now (under-voltage, throttled), since the start: " in done.stdout
    assert "not told here: power (" in done.stdout
    assert " free" not in done.stdout
