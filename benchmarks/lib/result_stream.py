"""Results of many devices, as they come: each device its own outbox, all of them in turn."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contract.benchmark import BenchRun, Conditions, Golden, RunStatus
from contract.manifest import AccuracyKind
from contract.messages import Result
from contract.topics import Leaf, topic_for

SITE, EPOCH = "bench", "e-1"
_VARIANTS = tuple(
    f"resnet50-{pruned}{quantized}{size}"
    for pruned in ("base", "p30")
    for quantized in ("", "-dq8", "-sq8")
    for size in ("", "-r192", "-r160", "-r128")
)


def results(devices: int, each: int) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of `each` results of `devices` devices; a payload has about 1 KB."""
    for number in range(1, each + 1):
        for device in range(devices):
            yield result_of(f"d-{device:06}", number)


def result_of(device: str, number: int) -> tuple[str, bytes]:
    """Topic and payload of a device's result of that number, which is its place too."""
    run = run_of(device, number)
    message = Result(site=SITE, device=device, epoch=EPOCH, seq=number, run=run)
    return topic_for(SITE, device, Leaf.RESULT), _lean(message)


def _lean(message: Result) -> bytes:
    """A payload without what a box does not tell; readers take it for null."""
    document = msgspec.to_builtins(message)
    document["run"] = {
        name: value for name, value in document["run"].items() if value not in (None, [])
    }
    for name in ("before", "after"):
        document["run"][name] = {
            key: value for key, value in document["run"][name].items() if value not in (None, [])
        }
    return msgspec.json.encode(document)


def run_of(device: str, number: int) -> BenchRun:
    """A run that went well; `number` tells a device's runs apart."""
    variant = _VARIANTS[number % len(_VARIANTS)]
    p50_ms = 20.0 + number % 7 + len(device)
    now = Conditions(temperature_c=51.5, clock_mhz=1500.0, load_1m=0.31, throttled=False)
    return msgspec.structs.replace(
        _TEMPLATE,
        run_id=f"{device}-{number}",
        variant=variant,
        p50_ms=p50_ms,
        p90_ms=p50_ms * 1.04,
        p95_ms=p50_ms * 1.07,
        ci_low_ms=p50_ms * 0.97,
        ci_high_ms=p50_ms * 1.03,
        before=now,
        after=now,
    )


_TEMPLATE = BenchRun(
    run_id="",
    sweep_id="5f0c1c0e6d8c4f0e9a51c1f7f6a3f0aa",
    variant="resnet50-base",
    family="resnet50",
    architecture="resnet50",
    baseline="resnet50-base",
    set_id="8c4f0e9a51c1f7f6",
    sha256="ab" * 32,
    scheme="static-int8",
    input_size=224,
    status=RunStatus.OK,
    started_at=1_700_000_000.0,
    duration_s=6.4,
    mode="quick",
    threads=1,
    engine="x86",
    preparation="frozen",
    fingerprint="1f7f6a3f0aa5f0c1",
    n=64,
    processes=2,
    repeatability=0.021,
    load_ms=211.0,
    first_ms=95.2,
    preprocess_ms=4.1,
    postprocess_ms=0.05,
    speedup=2.9,
    baseline_rss_bytes=181_000_000,
    loaded_rss_bytes=241_000_000,
    steady_rss_bytes=262_000_000,
    peak_rss_bytes=268_000_000,
    bytes=25_700_000,
    parameters=25_600_000,
    active_parameters=25_600_000,
    macs=4_089_000_000,
    top1=0.761,
    top3=0.901,
    top1_drop=0.004,
    accuracy_kind=AccuracyKind.LABELS,
    accuracy_images=5_000,
    dataset="photographs",
    golden=Golden(ok=True, max_error=0.0004, tolerance=0.002),
)
