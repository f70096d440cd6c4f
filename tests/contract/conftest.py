"""Documents that every test of the contract may use."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from contract.manifest import (
    Accuracy,
    AccuracyKind,
    Block,
    Manifest,
    Preprocessing,
    Provenance,
    Quantization,
    Scheme,
)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        variant="tiny-base",
        family="tiny",
        architecture="tiny",
        recipe="five",
        quantization=Quantization(scheme=Scheme.FP32),
        preprocessing=Preprocessing(
            input_size=32,
            resize_size=36,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        ),
        classes=2,
        parameters=10,
        active_parameters=9,
        macs=1000,
        state_dict_bytes=40,
        accuracy=Accuracy(
            kind=AccuracyKind.LABELS, top1=0.9, top3=1.0, top5=1.0, images=10, dataset="toy"
        ),
        torch_versions=["2.13.0"],
        blocks=[Block(name="conv", parameters=10, bytes=40, macs=1000)],
        provenance=Provenance(
            built_at="2026-01-01T00:00:00Z",
            edgewright="0.1.0",
            torch="2.13.0",
            torchvision=None,
            weights="none",
            data="toy",
            seed=0,
            inputs_sha256="0" * 64,
        ),
    )


@pytest.fixture
def write_bundle(tmp_path: Path, manifest: Manifest) -> Callable[..., Path]:
    """Write a zip laid out as torch.jit.save does, with the given extra members."""

    def write(name: str = "tiny-base.pt", **extra: bytes) -> Path:
        members = {
            "manifest.json": msgspec.json.encode(manifest),
            "labels.json": b'["cat","dog"]',
        } | {key.replace("_json", ".json"): value for key, value in extra.items()}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, content in members.items():
                archive.writestr(f"tiny-base/extra/{member}", content)
        path = tmp_path / name
        path.write_bytes(buffer.getvalue())
        return path

    return write
