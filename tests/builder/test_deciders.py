"""Digests of the program's own sources: what decides a result changes them, nothing else does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.deciders import Stage, sources_sha256

PROGRAM = Path(__file__).parents[2]
#: What plans, counts, times, shows or reports, and decides no bundle.
BYSTANDERS = {
    "__init__.py", "__main__.py", "cli.py", "commands", "deciders.py", "errors.py", "evalset",
    "exploration.py", "front.py", "groundwork.py", "outcome.py", "pipeline.py", "planning.py",
    "progress.py", "progress_bar.py", "recipes", "report", "request.py", "search", "studies",
    "tables.py", "training.py", "workbench.py", "workspace.py",
}  # fmt: skip

Change = Callable[[str], set[Stage]]


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """Change one source of a copy of the program; which stages' digests notice?"""
    ignored = shutil.ignore_patterns("__pycache__")
    before = {stage: sources_sha256(stage) for stage in Stage}

    def noticed(name: str) -> set[Stage]:
        copy = tmp_path / name.replace("/", "-")
        for package in ("builder", "contract"):
            shutil.copytree(PROGRAM / package, copy / package, ignore=ignored)
        with (copy / name).open("a") as source:
            source.write("\nCHANGED = True\n")
        return {stage for stage in Stage if sources_sha256(stage, copy) != before[stage]}

    return noticed


def test_the_same_sources_elsewhere_have_the_same_digest(change: Change) -> None:
    assert change("builder/cli.py") == set()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("builder/networks/weights.py", {Stage.NETWORK}),
        ("contract/preprocess.py", {Stage.NETWORK}),
        ("builder/pruning/surgery.py", {Stage.PRUNING}),
        ("builder/tuning/trainer.py", {Stage.TUNING}),
        ("builder/stems/maker.py", {Stage.PRUNING, Stage.TUNING}),
        ("builder/quantization/calibration.py", {Stage.QUANTIZATION}),
        ("builder/bundles/exporting.py", {Stage.BUNDLE}),
        ("builder/measuring/race.py", {Stage.TIMING}),
    ],
)
def test_a_changed_method_is_noticed_where_it_decides(
    change: Change, name: str, stages: set[Stage]
) -> None:
    assert change(name) == stages


@pytest.mark.parametrize(
    "name", ["report/page.py", "commands/build.py", "search/strategy.py", "progress_bar.py"]
)
def test_what_decides_no_result_is_not_noticed(change: Change, name: str) -> None:
    assert change(f"builder/{name}") == set()


def test_a_new_file_in_a_folder_of_methods_is_noticed(change: Change) -> None:
    assert change("builder/pruning/new.py") == {Stage.PRUNING}


def test_every_source_is_known_either_to_decide_or_not_to() -> None:
    names = {path.name for path in (PROGRAM / "builder").iterdir()} - {"__pycache__"}
    sources = {source for stage in Stage for source in stage.value}
    deciding = {source.split("/")[1] for source in sources if source.startswith("builder/")}

    assert all((PROGRAM / source).exists() for source in sources)
    # A new module belongs to a stage, or among the bystanders above.
    assert names - deciding == BYSTANDERS
