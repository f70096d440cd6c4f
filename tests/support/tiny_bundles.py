"""Bundle sets of tiny networks, made with torch itself: good ones and every kind of bad one."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch.ao.quantization import get_default_qconfig_mapping, quantize_dynamic
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from contract.bundle import GOLDEN_NAME, LABELS_NAME, MANIFEST_NAME
from contract.bundleset import BundleSet, Member, write_set
from contract.evalset import Evalset
from contract.files import sha256_of
from contract.interval import pack_hits
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

CLASSES = 4
_LABELS = ("ant", "bee", "cat", "dog")
SIZE = 16
ENGINE = "x86" if "x86" in torch.backends.quantized.supported_engines else "onednn"


def tiny_network() -> torch.nn.Module:
    """Two convolutions and a Linear; the weights are the same in every test."""
    torch.manual_seed(7)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(32, CLASSES),
    ).eval()


class Hungry(torch.nn.Module):
    """Asks for 2 GiB when it is called."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits that cost far too much memory."""
        waste = torch.ones(512 * 1024 * 1024)
        return images.mean(dim=(2, 3)) + waste.sum()


class Endless(torch.nn.Module):
    """Never answers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Loop for as long as anybody would wait."""
        total = images.mean(dim=(2, 3))
        for _ in range(1_000_000_000):
            total = total + 1.0
        return total


class Raising(torch.nn.Module):
    """Fails on every input."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raise from within the network."""
        if images.size(0) > 0:
            raise ValueError("this network cannot be run")
        return images


class Brightest(torch.nn.Module):
    """Answers with the brightest channel: `ant` for red, `bee` for green, `cat` for blue."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Mean of each channel, and something dark as fourth."""
        return torch.nn.functional.pad(images.mean(dim=(2, 3)), (0, 1), value=-9.0)


class Fragile(torch.nn.Module):
    """Fails on a white image; every other one is a `cat`. To be scripted, with `LOGITS`."""

    LOGITS = np.array([[0.0, 1.0, 5.0, 2.0]] * 4, np.float32)

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.from_numpy(self.LOGITS[:1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Raise where every pixel is white."""
        if float(images.min()) > 1.9:
            raise ValueError("too bright")
        return self.answer.expand(images.size(0), -1)


class Greedy(Fragile):
    """Asks for 1 GiB when it sees a white image. To be scripted, with the logits of `Fragile`."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits that cost far too much memory where every pixel is white."""
        logits = self.answer.expand(images.size(0), -1)
        if float(images.min()) > 1.9:
            # From the image, or it would be computed once for all when the network is frozen.
            waste = images.min().expand(256 * 1024 * 1024).clone()
            logits = logits + 0.0 * waste.sum()
        return logits


@dataclass
class SetMaker:
    """Writes bundles into a folder, then the set that vouches for them."""

    folder: Path
    members: list[Member] = field(default_factory=list)
    evalset: Evalset | msgspec.UnsetType = msgspec.UNSET

    def add(
        self,
        variant: str,
        module: torch.nn.Module | None = None,
        *,
        scheme: Scheme = Scheme.FP32,
        wrong_golden: bool = False,
        schema: int = 1,
        top1: float = 0.9,
        logits: np.ndarray | None = None,
        script: bool = False,
        hits: Sequence[bool] | None = None,
        words: str = "",
    ) -> Path:
        """Write one bundle and remember it for the set; `words` stand in every text it brings."""
        module = module or tiny_network()
        rng = np.random.default_rng(3)
        images = rng.integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
        rule = Preprocessing(
            input_size=SIZE,
            resize_size=SIZE,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
        )
        inputs = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        inputs = (inputs / 255.0 - 0.5) / 0.25
        module = quantized(module, scheme, inputs)
        with torch.no_grad():
            if script:
                built = torch.jit.script(module)
            else:
                built = torch.jit.trace(module, inputs[:1])
                logits = torch.cat([built(inputs[i : i + 1]) for i in range(4)]).numpy()
        if logits is None:
            logits = rng.normal(size=(4, CLASSES)).astype(np.float32)
        golden = io.BytesIO()
        np.savez(golden, images=images, logits=logits[::-1] if wrong_golden else logits)
        manifest = Manifest(
            schema=schema,
            variant=variant,
            family=f"tiny{words}",
            architecture=f"tiny{words}",
            recipe=variant.rpartition("-")[2],
            quantization=Quantization(
                scheme=scheme,
                engine=None if scheme is Scheme.FP32 else ENGINE,
            ),
            preprocessing=rule,
            classes=CLASSES,
            parameters=1000,
            active_parameters=900,
            macs=100_000,
            state_dict_bytes=4000,
            accuracy=Accuracy(
                kind=AccuracyKind.LABELS,
                top1=top1,
                top3=0.99,
                top5=1.0,
                images=100 if hits is None else len(hits),
                dataset=f"noise{words}",
                hits=None if hits is None else pack_hits(hits),
            ),
            blocks=[Block(name=words, parameters=1, bytes=4, macs=1)] if words else [],
            torch_versions=[str(torch.__version__)],
            provenance=Provenance(
                built_at="2026-01-01T00:00:00Z",
                edgewright="0.1.0",
                torch=str(torch.__version__),
                torchvision=None,
                weights=f"none{words}",
                data=f"noise{words}",
                seed=7,
                inputs_sha256="0" * 64,
            ),
        )
        extra = {
            MANIFEST_NAME: msgspec.json.encode(manifest),
            LABELS_NAME: msgspec.json.encode([f"{one}{words}" for one in _LABELS]),
            GOLDEN_NAME: golden.getvalue(),
        }
        path = self.folder / f"{variant}.pt"
        torch.jit.save(built, str(path), _extra_files=extra)
        self.members.append(
            Member(
                variant=variant,
                file=path.name,
                bytes=path.stat().st_size,
                sha256=sha256_of(path),
            ),
        )
        return path

    def finish(self, baseline: str = "tiny-base") -> Path:
        """Write set.json and return the folder."""
        members, evalset = self.members, self.evalset
        write_set(self.folder, BundleSet(baseline=baseline, members=members, evalset=evalset))
        return self.folder


def quantized(
    module: torch.nn.Module,
    scheme: Scheme,
    inputs: torch.Tensor,
) -> torch.nn.Module:
    """The module in a scheme, as the builder would make it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.quantized.engine = ENGINE
        if scheme is Scheme.DYNAMIC_INT8:
            return quantize_dynamic(module, {torch.nn.Linear}, torch.qint8)
        if scheme is Scheme.STATIC_INT8:
            mapping = get_default_qconfig_mapping(ENGINE)
            prepared = prepare_fx(module, mapping, (inputs[:1],))
            prepared(inputs)
            return convert_fx(prepared)
    return module
