"""A set of two architectures and twelve variants, as its manifests and timings tell of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from builder.measuring.timing import HostTiming, TimingStatus
from builder.report.document import Report, make_report
from builder.studies.damage import LayerDamage, NetworkDamage
from builder.studies.sensitivity import LayerSensitivity, Sensitivity
from builder.studies.store import Studies
from contract.bundleset import BundleSet, Member
from contract.interval import pack_hits
from contract.manifest import (
    Accuracy,
    AccuracyKind,
    Block,
    Manifest,
    Preprocessing,
    Provenance,
    Pruning,
    Quantization,
    Scheme,
    Tuning,
)

IMAGES = 1000
BASELINE = "resnet18-base"

#: Variant: right answers of 1000, megabytes, million MACs, p50 in ms.
FIGURES = {
    "resnet18-base": (904, 44.9, 1814, 20.0),
    "resnet18-dq8": (904, 44.9, 1814, 20.6),
    "resnet18-p10": (901, 37.1, 1650, 19.9),
    "resnet18-p30": (886, 24.0, 1100, 14.0),
    "resnet18-p50": (842, 13.0, 700, 10.2),
    "resnet18-sq8": (899, 11.4, 1814, 8.1),
    "resnet18-p30-sq8": (881, 6.3, 1100, 5.7),
    "resnet18-bf16": (903, 22.6, 1814, 33.0),
    "resnet34-base": (911, 85.5, 3664, 41.0),
    "resnet34-sq8": (908, 21.7, 3664, 15.2),
    "resnet34-p30": (906, 45.0, 2300, 28.6),
    "resnet34-p30-sq8": (902, 12.1, 2300, 10.3),
}


def _scheme(variant: str) -> Scheme:
    endings = {"sq8": Scheme.STATIC_INT8, "dq8": Scheme.DYNAMIC_INT8, "bf16": Scheme.BF16}
    return endings.get(variant.rpartition("-")[2], Scheme.FP32)


@pytest.fixture(scope="session")
def manifest() -> Callable[..., Manifest]:
    """A manifest of a variant of `FIGURES`."""

    def make(variant: str, *, hits: bool = True, images: int = IMAGES) -> Manifest:
        right, _, million_macs, _ = FIGURES[variant]
        architecture, scheme = variant.partition("-")[0], _scheme(variant)
        is_pruned = "-p" in variant
        is_integer = scheme in {Scheme.STATIC_INT8, Scheme.DYNAMIC_INT8}
        blocks = 9 if architecture == "resnet18" else 17
        ratio = int(variant.partition("-p")[2][:2]) / 100 if is_pruned else 0.0
        return Manifest(
            variant=variant,
            family="resnet",
            architecture=architecture,
            recipe="edgewright",
            pruning=Pruning(ratio=ratio, importance="l1", layers=[]) if is_pruned else None,
            quantization=Quantization(
                scheme=scheme,
                engine="x86" if is_integer else None,
                int8_mac_share={Scheme.STATIC_INT8: 1.0, Scheme.DYNAMIC_INT8: 0.001}.get(scheme, 0),
            ),
            tuning=Tuning(epochs=3, optimizer="adamw", learning_rate=1e-4, images=9000)
            if is_pruned
            else None,
            preprocessing=Preprocessing(
                input_size=224, resize_size=256, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
            ),
            classes=10,
            parameters=million_macs * 6000,
            active_parameters=million_macs * 6000,
            macs=million_macs * 1_000_000,
            state_dict_bytes=1,
            accuracy=Accuracy(
                kind=AccuracyKind.LABELS,
                top1=right / IMAGES,
                top3=0.99,
                top5=1.0,
                images=images,
                dataset="imagenette",
                hits=pack_hits([n < right for n in range(IMAGES)]) if hits else None,
            ),
            torch_versions=["2.13.0"],
            blocks=[Block(name=f"block{n}", parameters=1, bytes=4, macs=1) for n in range(blocks)],
            provenance=Provenance(
                built_at="2026-01-02T03:04:05+00:00",
                edgewright="0.1.0",
                torch="2.13.0",
                torchvision=None,
                weights="none",
                data="d",
                seed=0,
                inputs_sha256="0" * 64,
            ),
        )

    return make


@pytest.fixture(scope="session")
def member() -> Callable[[str], Member]:
    """What the set vouches for of a variant of `FIGURES`."""

    def make(variant: str) -> Member:
        size = int(FIGURES[variant][1] * 1_000_000)
        return Member(variant=variant, file=f"{variant}.pt", bytes=size, sha256="0" * 64)

    return make


@pytest.fixture(scope="session")
def timing() -> Callable[..., HostTiming]:
    """A timing of a variant of `FIGURES`, sure to 1 %."""

    def make(variant: str, *, p50_ms: float | None = None, cpu_share: float = 1.0) -> HostTiming:
        own_ms = FIGURES[variant][3] if p50_ms is None else p50_ms
        speedup = FIGURES[BASELINE][3] / own_ms
        doubt = 0.0 if variant == BASELINE else 0.01
        return HostTiming(
            variant=variant,
            sha256="0" * 64,
            base_sha256="0" * 64,
            cpu="Some Processor",
            torch="2.13.0",
            threads=1,
            clock="thread-time",
            p50_ms=own_ms,
            ci_low_ms=own_ms * 0.99,
            ci_high_ms=own_ms * 1.01,
            samples=20,
            base_p50_ms=FIGURES[BASELINE][3],
            speedup=speedup,
            speedup_low=speedup * (1 - doubt),
            speedup_high=speedup * (1 + doubt),
            cpu_share=cpu_share,
        )

    return make


@pytest.fixture(scope="session")
def failed_timing(timing: Callable[..., HostTiming]) -> Callable[[str, str], HostTiming]:
    """A variant that could not be timed, and why."""

    def make(variant: str, reason: str) -> HostTiming:
        whole = timing(variant)
        return HostTiming(
            variant=variant,
            sha256=whole.sha256,
            base_sha256=whole.base_sha256,
            cpu=whole.cpu,
            torch=whole.torch,
            threads=whole.threads,
            clock=whole.clock,
            status=TimingStatus.FAILED,
            reason=reason,
        )

    return make


@pytest.fixture(scope="session")
def studies() -> Studies:
    """Two groups of one network, and two layers of another."""
    groups = [
        LayerSensitivity(
            layer=name, coupled=["layer1.0.conv2"], channels=64, macs=macs,
            ratios=[0.25, 0.5], loss_increase=losses,
        )
        for name, macs, losses in (
            ("conv1", 118_000_000, [0.2, 1.5]), ("layer1.0.conv1", 115_000_000, [0.0, 0.04]),
        )
    ]  # fmt: skip
    return Studies(
        sensitivities=[
            Sensitivity(
                architecture="resnet18", input_size=224, importance="l1", images=256, layers=groups
            )
        ],
        damages=[
            NetworkDamage(
                network="resnet34",
                layers=[
                    LayerDamage(layer="conv1", macs=118_000_000, kl_nats=0.03),
                    LayerDamage(layer="fc", macs=512_000, kl_nats=0.0004),
                ],
            )
        ],
    )


@pytest.fixture(scope="session")
def make(
    manifest: Callable[..., Manifest],
    member: Callable[[str], Member],
    timing: Callable[..., HostTiming],
    studies: Studies,
) -> Callable[..., Report]:
    """A report on some or all of `FIGURES`, timed or not."""

    def report(
        *variants: str,
        is_timed: bool = True,
        name: str = "bundles",
        timings: dict[str, HostTiming] | None = None,
        hits: bool = True,
        baseline: str = BASELINE,
    ) -> Report:
        chosen = variants or tuple(FIGURES)
        rows = [(member(variant), manifest(variant, hits=hits)) for variant in chosen]
        made = {variant: timing(variant) for variant in chosen} if is_timed else {}
        return make_report(
            name,
            BundleSet(baseline=baseline, members=[row[0] for row in rows]),
            rows,
            timings={**made, **(timings or {})},
            studies=studies,
            made_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )

    return report
