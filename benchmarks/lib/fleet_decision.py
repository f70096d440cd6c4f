"""The section `decision`: how long choosing for one device takes."""

from __future__ import annotations

import random
import statistics
import time

import msgspec
from rich.table import Table

from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.measured_fleet import POLICY, VARIANTS
from benchmarks.lib.result_stream import run_of
from benchmarks.lib.tables import measured_table
from fleet.choosing.candidate import candidate_of
from fleet.choosing.decision import Evidence
from fleet.choosing.policy import parse_policy
from fleet.choosing.selection import decide

_DEVICES, _QUICK_DEVICES = 2000, 200


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time of single decisions, in milliseconds."""

    devices: int
    variants: int
    p50_ms: float
    p99_ms: float


def measure_decision(occasion: FleetOccasion) -> Finding:
    """Decide once for each of many devices whose figures differ by chance."""
    count = _QUICK_DEVICES if occasion.quick else _DEVICES
    took_ms = []
    for number in range(count):
        evidence = _evidence(number)
        began_ns = time.thread_time_ns()
        decide(evidence)
        took_ms.append((time.thread_time_ns() - began_ns) / 1e6)
        occasion.progress.update("deciding", number + 1, count)
    took_ms.sort()
    found = Decisions(
        devices=count,
        variants=VARIANTS,
        p50_ms=statistics.median(took_ms),
        p99_ms=took_ms[int(0.99 * count)],
    )
    remark = f"{count:,} devices with {VARIANTS} variants each; three limits, two objectives"
    return Finding(document=found, tables=[_table(found)], remarks=[remark])


def _evidence(number: int) -> Evidence:
    draw = random.Random(number)  # noqa: S311 - figures, no secret
    candidates = []
    for variant in range(VARIANTS):
        p50_ms = draw.uniform(10.0, 200.0)
        run = msgspec.structs.replace(
            run_of(f"d-{number}", variant),
            variant=f"resnet50-v{variant:02}",
            p50_ms=p50_ms,
            p95_ms=p50_ms * 1.1,
            ci_low_ms=p50_ms * 0.98,
            ci_high_ms=p50_ms * 1.02,
            peak_rss_bytes=draw.randint(200_000_000, 600_000_000),
            top1=draw.uniform(0.7, 0.8),
            top1_drop=draw.uniform(0.0, 0.1),
        )
        candidates.append(candidate_of(run, None))
    policy = parse_policy(POLICY, source="the benchmark's policy")
    return Evidence(
        site="bench",
        device=f"d-{number}",
        terms=policy.terms_for("bench", f"d-{number}", []),
        candidates=tuple(candidates),
        stale_runs=0,
    )


def _table(found: Decisions) -> Table:
    table = measured_table("One device's decision", ("p50 ms", "p99 ms"))
    table.add_row(f"{found.variants} variants", f"{found.p50_ms:.2f}", f"{found.p99_ms:.2f}")
    return table
