"""Studies on disk: what was kept is found again, by those who measure and by the report."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from builder.studies.damage import LayerDamage, NetworkDamage
from builder.studies.sensitivity import LayerSensitivity, Sensitivity
from builder.studies.store import Studies, StudyStore

SENSITIVITY = Sensitivity(
    architecture="chain", input_size=16, importance="l2-norm", images=8,
    layers=[LayerSensitivity(layer="a", channels=8, macs=9, ratios=[0.5], loss_increase=[0.1])],
)  # fmt: skip
DAMAGE = LayerDamage(layer="a", macs=9, kl_nats=0.25)


def test_what_was_kept_is_all_found_again(tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "new")
    store.keep_sensitivity("chain-1", SENSITIVITY)
    store.keep_damages("chain-p10-sq8", (DAMAGE,))

    assert store.sensitivity("chain-1") == SENSITIVITY
    assert store.everything() == Studies(
        sensitivities=[SENSITIVITY],
        damages=[NetworkDamage(network="chain-p10-sq8", layers=[DAMAGE])],
    )


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "nowhere")

    assert store.everything() == Studies()
    assert store.sensitivity("chain") is None


def test_a_study_that_cannot_be_read_is_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = StudyStore(tmp_path)
    store.keep_sensitivity("whole", SENSITIVITY)
    (tmp_path / "half.json").write_text('{"architecture": "chain"')
    (tmp_path / "odd-quantization.json").write_text("{}")

    with caplog.at_level(logging.WARNING):
        studies = store.everything()

    assert studies == Studies(sensitivities=[SENSITIVITY])
    assert store.sensitivity("half") is None
    assert "half.json" in caplog.text
    assert "odd-quantization.json" in caplog.text


def test_studies_are_read_without_torch() -> None:
    check = (
        "import sys\n"
        "from builder.studies.store import StudyStore\n"
        "StudyStore(__import__('pathlib').Path('nowhere')).everything()\n"
        "assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
