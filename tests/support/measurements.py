"""Runs, results and inventories as a device would report them."""

from __future__ import annotations

from contract.benchmark import BenchRun, Golden, RunStatus
from contract.manifest import AccuracyKind
from contract.messages import Inventory, Result
from fleet.choosing.candidate import Candidate, Provenance, candidate_of


def make_run(variant: str = "net-base", **changes: object) -> BenchRun:
    """A run that ended well, with figures that hang together."""
    p50 = float(changes.pop("p50_ms", 10.0))  # type: ignore[arg-type]
    figures = {
        "run_id": f"run-{variant}",
        "sweep_id": "sweep-1",
        "variant": variant,
        "family": "net",
        "architecture": "net",
        "baseline": "net-base",
        "set_id": "0123456789abcdef",
        "sha256": "ab" * 32,
        "scheme": "fp32",
        "input_size": 32,
        "status": RunStatus.OK,
        "started_at": 1_700_000_000.0,
        "duration_s": 2.0,
        "mode": "quick",
        "threads": 1,
        "engine": "x86",
        "fingerprint": "fp-1",
        "n": 500,
        "p50_ms": p50,
        "p90_ms": p50 * 1.05,
        "p95_ms": p50 * 1.1,
        "ci_low_ms": p50 * 0.998,
        "ci_high_ms": p50 * 1.002,
        "load_ms": 30.0,
        "first_ms": p50 * 3,
        "speedup": 1.0,
        "peak_rss_bytes": 300_000_000,
        "bytes": 44_000_000,
        "parameters": 11_000_000,
        "active_parameters": 11_000_000,
        "macs": 37_000_000,
        "top1": 0.98,
        "top3": 0.999,
        "top1_drop": 0.0,
        "accuracy_kind": AccuracyKind.LABELS,
        "accuracy_images": 10_000,
        "dataset": "digits",
        "golden": Golden(ok=True, max_error=0.0001, tolerance=0.001),
    }
    return BenchRun(**(figures | changes))  # type: ignore[arg-type]


def make_result(seq: int = 1, run: BenchRun | None = None, **place: str) -> Result:
    """A result message of one outbox place."""
    return Result(
        site=place.get("site", "lab"),
        device=place.get("device", "box"),
        epoch=place.get("epoch", "e-1"),
        seq=seq,
        run=run or make_run(),
    )


def make_inventory(device: str = "box", **changes: object) -> Inventory:
    """An inventory that fits `make_run`."""
    figures = {
        "site": "lab",
        "device": device,
        "at": 1_700_000_000.0,
        "agent": "0.1.0",
        "cpu_model": "Cortex-A72",
        "arch": "aarch64",
        "logical_cores": 4,
        "usable_cores": 4,
        "ram_bytes": 4_000_000_000,
        "os": "Debian 12",
        "kernel": "6.1",
        "python": "3.11",
        "fingerprint": "fp-1",
        "set_id": "0123456789abcdef",
    }
    return Inventory(**(figures | changes))  # type: ignore[arg-type]


def make_candidate(
    variant: str = "net-base",
    provenance: Provenance | None = None,
    **changes: object,
) -> Candidate:
    """A candidate as a run of `make_run` gives it."""
    return candidate_of(make_run(variant, **changes), None, provenance)
