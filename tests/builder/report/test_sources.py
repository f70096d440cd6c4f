"""What a report is made from, on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from builder.pruning.sensitivity import LayerSensitivity, Sensitivity
from builder.report.sources import read_studies, readable_rows
from builder.workspace import Workspace
from contract.bundleset import BundleSet, Member


def test_studies_are_read_as_the_builder_writes_them(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.sensitivities.mkdir()
    study = Sensitivity(
        architecture="chain", input_size=16, importance="l1", images=8,
        layers=[
            LayerSensitivity(layer="a", channels=8, macs=9, ratios=[0.5], loss_increase=[0.1])
        ],
    )  # fmt: skip
    (workspace.sensitivities / "chain.json").write_bytes(msgspec.json.encode(study))
    (workspace.sensitivities / "chain-quantization.json").write_bytes(
        b'[{"layer": "a", "kl_nats": 0.25, "macs": 9}]'
    )

    studies = read_studies(workspace)

    assert [s.architecture for s in studies.sensitivities] == ["chain"]
    assert studies.sensitivities[0].layers[0].loss_increase == [0.1]
    assert [(d.network, d.layers[0].kl_nats) for d in studies.damages] == [("chain", 0.25)]


def test_a_workspace_that_is_not_there_holds_no_studies(tmp_path: Path) -> None:
    studies = read_studies(Workspace(tmp_path / "nowhere"))

    assert (studies.sensitivities, studies.damages) == ([], [])


def test_a_study_that_cannot_be_read_is_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path)
    workspace.sensitivities.mkdir()
    (workspace.sensitivities / "half.json").write_text('{"architecture": "chain"')

    with caplog.at_level(logging.WARNING):
        assert read_studies(workspace).sensitivities == []

    assert "half.json" in caplog.text


def test_bundles_that_cannot_be_read_are_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.pt").write_bytes(b"no bundle")
    member = Member(variant="x", file="x.pt", bytes=9, sha256="0" * 64)

    with caplog.at_level(logging.WARNING):
        rows = readable_rows(tmp_path, BundleSet(baseline="x", members=[member]))

    assert rows == []
    assert "variant=x" in caplog.text
