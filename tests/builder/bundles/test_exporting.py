"""Bundles on disk: proven, complete, and there at once or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from builder.bundles.exporting import export_bundle
from builder.bundles.torchscript import ScriptedNetwork
from builder.data.images import Pixels, to_input
from builder.errors import ExportError
from contract.bundle import GOLDEN_NAME, read_extra, read_labels, read_manifest
from contract.manifest import (
    Accuracy,
    AccuracyKind,
    Manifest,
    Preprocessing,
    Provenance,
    Quantization,
    Scheme,
)

Make = Callable[..., nn.Module]


@pytest.fixture
def golden() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


def _manifest(rule: Preprocessing) -> Manifest:
    return Manifest(
        variant="chain-base",
        family="tiny",
        architecture="chain",
        recipe="test",
        quantization=Quantization(scheme=Scheme.FP32),
        preprocessing=rule,
        classes=3,
        parameters=1,
        active_parameters=1,
        macs=1,
        state_dict_bytes=4,
        accuracy=Accuracy(
            kind=AccuracyKind.LABELS, top1=1, top3=1, top5=1, images=1, dataset="none"
        ),
        torch_versions=["2"],
        provenance=Provenance(
            built_at="now", edgewright="0", torch="2", torchvision=None, weights="random",
            data="none", seed=0, inputs_sha256="0",
        ),
    )  # fmt: skip


def _export(path: Path, network: nn.Module, golden: Pixels, rule: Preprocessing) -> Manifest:
    return export_bundle(
        path,
        network,
        golden=golden,
        rule=rule,
        labels=["a", "b", "c"],
        weight_bytes=1000,
        describe=lambda _exported: _manifest(rule),
    )


def test_a_bundle_carries_its_papers_where_the_contract_reads_them(
    make_tiny: Make, tmp_path: Path, golden: Pixels, rule: Preprocessing
) -> None:
    path = tmp_path / "chain-base.pt"

    manifest = _export(path, make_tiny("chain"), golden, rule)

    assert read_manifest(path) == manifest
    assert read_labels(path) == ["a", "b", "c"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["chain-base.pt"]


def test_golden_logits_are_those_of_the_file_one_image_at_a_time(
    make_tiny: Make, tmp_path: Path, golden: Pixels, rule: Preprocessing
) -> None:
    path = tmp_path / "chain-base.pt"
    _export(path, make_tiny("chain"), golden, rule)

    with np.load(io.BytesIO(read_extra(path, GOLDEN_NAME)), allow_pickle=False) as archive:
        images, logits = archive["images"], archive["logits"]

    assert (images == golden).all()
    assert (logits.dtype, logits.shape) == (np.float32, (4, 3))
    network = ScriptedNetwork.load(path)
    again = torch.cat([network.logits(image[None]) for image in to_input(images, rule)])
    assert np.allclose(logits, again.numpy(), atol=1e-6)


def test_a_network_that_a_trace_cannot_be_true_to_is_refused_and_the_old_file_stays(
    make_tiny: Make, tmp_path: Path, golden: Pixels, rule: Preprocessing
) -> None:
    path = tmp_path / "chain-base.pt"
    path.write_bytes(b"older")
    golden[0, 8, 8, 0], golden[1, 8, 8, 0] = 255, 0

    with (
        pytest.warns(torch.jit.TracerWarning),
        pytest.raises(ExportError, match="tracing records one path only"),
    ):
        _export(path, make_tiny("fickle"), golden, rule)

    assert [entry.name for entry in tmp_path.iterdir()] == ["chain-base.pt"]
    assert path.read_bytes() == b"older"


def test_logits_that_are_not_finite_are_refused(
    make_tiny: Make, tmp_path: Path, golden: Pixels, rule: Preprocessing
) -> None:
    network = make_tiny("chain")
    with torch.no_grad():
        network.get_submodule("5.fc").bias[0] = float("nan")

    with pytest.raises(ExportError, match="not finite"):
        _export(tmp_path / "chain-base.pt", network, golden, rule)
