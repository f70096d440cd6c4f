"""The folder that builds fill, one finished variant at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.bundles.shelf import Shelf
from builder.outcome import Outcome
from contract.bundleset import SET_NAME, read_set
from contract.errors import BundleDamagedError

Build = Callable[..., list[Outcome]]

BASE_ONLY = 'name = "one"\n[[variants]]\n'


@pytest.fixture
def finished(build: Build, tmp_path: Path) -> tuple[Path, Outcome]:
    """A folder with one built variant."""
    recipe = tmp_path / "one.toml"
    recipe.write_text(BASE_ONLY)
    return tmp_path / "set", build("chain", out=tmp_path / "set", recipe=str(recipe))[0]


def test_a_variant_is_finished_when_its_inputs_and_its_bytes_are_the_same(
    finished: tuple[Path, Outcome],
) -> None:
    folder, outcome = finished
    assert outcome.manifest is not None
    inputs = outcome.manifest.provenance.inputs_sha256
    shelf = Shelf(folder, baseline="chain-base")

    assert shelf.finished("chain-base", inputs) == (outcome.member, outcome.manifest)
    assert shelf.finished("chain-base", "of something else") is None
    assert shelf.finished("chain-p10", inputs) is None


@pytest.mark.parametrize("damage", ["edited", "truncated", "gone"])
def test_a_variant_whose_file_was_damaged_is_not_finished(
    finished: tuple[Path, Outcome], damage: str
) -> None:
    folder, outcome = finished
    assert outcome.manifest is not None
    path = folder / "chain-base.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match damage:
        case "edited":
            path.write_bytes(content)
        case "truncated":
            path.write_bytes(content[:-1])
        case _:
            path.unlink()

    shelf = Shelf(folder, baseline="chain-base")

    assert shelf.finished("chain-base", outcome.manifest.provenance.inputs_sha256) is None


def test_a_set_that_is_there_keeps_its_baseline(finished: tuple[Path, Outcome]) -> None:
    folder, _ = finished
    (folder / "other-base.pt").write_bytes(b"bundle")

    Shelf(folder, baseline="other-base").add("other-base")

    bundle_set = read_set(folder)
    assert bundle_set.baseline == "chain-base"
    assert [member.variant for member in bundle_set.members] == ["chain-base", "other-base"]


def test_a_set_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / SET_NAME).write_text("{broken")

    with pytest.raises(BundleDamagedError):
        Shelf(tmp_path, baseline="chain-base")

    assert (tmp_path / SET_NAME).read_text() == "{broken"


def test_what_a_killed_build_left_is_cleared_for_that_variant_only(tmp_path: Path) -> None:
    mine, other = tmp_path / ".net-p10.pt.abc.part", tmp_path / ".net-p10-dq8.pt.abc.part"
    mine.touch()
    other.touch()

    Shelf(tmp_path, baseline="net-base").clear_leftovers("net-p10")

    assert list(tmp_path.iterdir()) == [other]


ADDING = """
import sys
from pathlib import Path
from builder.bundles.shelf import Shelf

folder, start = Path(sys.argv[1]), int(sys.argv[2])
shelf = Shelf(folder, baseline="net-base")
for number in range(start, start + 25):
    (folder / f"net-{number}.pt").write_bytes(b"bundle")
    shelf.add(f"net-{number}")
"""


def test_two_builds_into_one_folder_lose_nothing_of_each_other(tmp_path: Path) -> None:
    builds = [
        subprocess.Popen([sys.executable, "-c", ADDING, str(tmp_path), str(start)])
        for start in (0, 100)
    ]

    assert [process.wait(timeout=60) for process in builds] == [0, 0]
    assert len(read_set(tmp_path).members) == 50
