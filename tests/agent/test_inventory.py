"""The inventory of a device, on a tree of another box, as it goes over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.inventory import take_inventory
from contract.messages import Inventory, decode_message, encode_message
from contract.topics import Leaf, topic_for
from support.trees import Commands, tree


def announced(box: str, folder: Path, **settings: object) -> Inventory:
    config = AgentConfig(
        site="home",
        device="shelf",
        broker="mqtt://127.0.0.1",
        bundles=str(folder / "bundles"),
        state_dir=str(folder / "state"),
        **settings,  # type: ignore[arg-type]
    )
    inventory = take_inventory(
        config,
        root=tree(box),
        fingerprint="f00d",
        engines=["qnnpack"],
        shelf=None,
        run=Commands(tree(box)),
    )
    topic = topic_for("home", "shelf", Leaf.INVENTORY)
    _, message = decode_message(topic, encode_message(inventory))
    assert isinstance(message, Inventory)
    return message


def test_a_pi_5_announces_its_board_limits_meters_and_past_throttling(tmp_path: Path) -> None:
    told = announced("raspberry-pi-5", tmp_path)
    assert told.board is not None
    assert told.board.soc == "brcm,bcm2712"
    assert [one.name for one in told.core_types] == ["Cortex-A76"]
    assert told.memory is not None
    assert (told.memory_limit_bytes, told.memory.limit_bytes) == (2 << 30, 2 << 30)
    assert (told.power_source, told.energy_source) == ("pmic", None)
    assert (told.throttled, told.throttled_since_start) == (False, True)
    assert [disk.holds for disk in told.disks] == [["bundles", "state"]]
    assert told.disks[0].free_bytes


def test_the_tighter_of_the_configured_limit_and_the_groups_counts(tmp_path: Path) -> None:
    tight = announced("raspberry-pi-5", tmp_path, memory_limit_mb=100.0)
    assert tight.memory_limit_bytes == 100_000_000
    assert announced("x86-laptop", tmp_path).memory_limit_bytes is None


@pytest.mark.parametrize(
    ("box", "energy", "offline"),
    [("x86-laptop", "rapl", []), ("jetson-orin-nano", None, [4, 5]), ("container", None, [])],
)
def test_meters_and_cores_that_are_off_differ_by_box(
    box: str, energy: str | None, offline: list[int], tmp_path: Path
) -> None:
    told = announced(box, tmp_path)
    assert (told.energy_source, told.offline_cores) == (energy, offline)
