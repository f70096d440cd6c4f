"""From a network in memory to a bundle on disk that was proven by loading it back."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from builder.bundles.torchscript import ScriptedNetwork
from builder.data.images import Pixels, to_input
from builder.errors import ExportError
from contract.bundle import (
    GOLDEN_IMAGES,
    GOLDEN_LOGITS,
    GOLDEN_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
)
from contract.files import replacing
from contract.manifest import Manifest, Preprocessing
from contract.numerics import golden_tolerance


def export_bundle(
    path: Path,
    network: nn.Module,
    *,
    golden: Pixels,
    rule: Preprocessing,
    labels: Sequence[str],
    weight_bytes: int,
    describe: Callable[[ScriptedNetwork], Manifest],
) -> Manifest:
    """Write `network` with its papers to `path`, which appears whole or not at all.

    The file is loaded back twice: to be measured, and with its papers to reproduce the golden
    logits. Quantized networks need their engine selected.

    Args:
        path: the bundle's file; its name without suffix is the name inside the zip too.
        network: the variant, in evaluation mode.
        golden: images for the golden vectors, uint8 [N, H, W, 3]; their logits are computed
            one image at a time from the file as loaded back.
        rule: how the network's images become input.
        labels: of its outputs, in order.
        weight_bytes: what the network's tensors take, to claim space on the disk.
        describe: measures the exported network and writes its manifest.

    Raises:
        ExportError: the network cannot be traced, or its file answers otherwise than it does.
        OSError: the disk is full or the folder cannot be written; what `path` held stays.
    """
    inputs = to_input(golden, rule)
    with replacing(path) as scratch:
        traced = ScriptedNetwork.traced(network, inputs[:1])
        expected = _one_by_one(lambda batch: _plain_logits(network, batch), inputs)
        traced.save(scratch, name=path.stem, extra_files={}, at_least_bytes=weight_bytes)
        del traced
        exported = ScriptedNetwork.load(scratch)
        logits = _one_by_one(exported.logits, inputs)
        manifest = describe(exported)
        _check_same(expected, logits, manifest, "the exported file")
        papers = {
            MANIFEST_NAME: msgspec.json.encode(manifest),
            LABELS_NAME: msgspec.json.encode(list(labels)),
            GOLDEN_NAME: _golden_file(golden, logits),
        }
        size = scratch.stat().st_size
        exported.save(scratch, name=path.stem, extra_files=papers, at_least_bytes=size)
        # Only one loaded copy at a time: networks may be large.
        del exported
        again = _one_by_one(ScriptedNetwork.load(scratch).logits, inputs)
        _check_same(logits, again, manifest, "the finished file")
    return manifest


def _plain_logits(network: nn.Module, inputs: Tensor) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(inputs)
    return logits


def _one_by_one(logits_of: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    return torch.cat([logits_of(image[None]) for image in inputs])


def _check_same(expected: Tensor, got: Tensor, manifest: Manifest, what: str) -> None:
    if not bool(torch.isfinite(expected).all()):
        message = "the network gives logits that are not finite; check its weights"
        raise ExportError(message)
    engine = manifest.quantization.engine
    tolerance = golden_tolerance(manifest.quantization.scheme, built_for=engine, runs_on=engine)
    span = float(expected.max() - expected.min())
    error = float((expected - got).abs().max())
    # Written so that a NaN fails too.
    if not error <= tolerance * span:
        message = (
            f"{what} differs from the network by {error:.3g} (range of the logits {span:.3g}); "
            "tracing records one path only: does its forward depend on the values it is given?"
        )
        raise ExportError(message)


def _golden_file(images: Pixels, logits: Tensor) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {GOLDEN_IMAGES: images, GOLDEN_LOGITS: logits.float().numpy()}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
