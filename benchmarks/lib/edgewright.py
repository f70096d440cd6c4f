"""Edgewright's own bundles: built by the builder, run as an agent runs them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path

from agent.protocol import Preparation
from agent.torchscript import TorchScriptRuntime
from benchmarks.lib.build_times import BuildTimes
from benchmarks.lib.contender import Contender, Framework
from benchmarks.lib.setup import Setup
from builder.bundles.shelf import Shelf
from builder.pipeline import BuildRequest, build_set
from builder.planning import VariantPlan

_TIMES = "build-seconds.json"
#: Frozen alone folds batch norms; optimised, convolutions also take oneDNN's weight layout.
_BASE_WAYS = {Preparation.FROZEN: "base frozen", Preparation.OPTIMIZED: "base optimised"}
BASE = _BASE_WAYS[Preparation.FROZEN]


def make_contenders(
    setup: Setup, request: BuildRequest, *, search_path: Path
) -> tuple[list[Contender], list[str]]:
    """Build the recipe's bundles and load them; also says what could not be built.

    A contender is named as its variant, without the network's name. The base comes twice:
    frozen, as ratios refer to it, and optimised for this processor.
    """
    request.out.mkdir(parents=True, exist_ok=True)
    times = BuildTimes(request.out / _TIMES)
    outcomes = build_set(
        request,
        search_path=search_path,
        now=lambda: datetime.now(UTC),
        progress=setup.progress,
    )
    plan = setup.subject.plan
    variants = {variant.name: variant for variant in plan.variants}
    shelf = Shelf(request.out, baseline=plan.base.name)
    finished, missed = [], []
    for outcome in times.watched(outcomes):
        if outcome.member is None or outcome.manifest is None:
            missed.append(f"{outcome.variant}: {outcome.reason}")
        else:
            finished.append((variants[outcome.variant], outcome.member, outcome.manifest))
    runtime = _agent_runtime()
    contenders = [
        Contender(
            name=name,
            framework=Framework.EDGEWRIGHT,
            scheme=variant.spec.quantize,
            rule=variant.rule,
            macs=manifest.macs,
            bytes=member.bytes,
            build_s=times.of(manifest.provenance.inputs_sha256),
            logits=runtime.load(shelf.path_of(variant.name), manifest.quantization, way).logits,
        )
        for variant, member, manifest in finished
        for way, name in _ways(variant, plan.architecture.name).items()
    ]
    return contenders, missed


@functools.cache
def _agent_runtime() -> TorchScriptRuntime:
    """Make the runtime once: torch takes its number of threads only before its first work."""
    return TorchScriptRuntime(threads=1)


def _ways(variant: VariantPlan, architecture: str) -> dict[Preparation, str]:
    if variant.spec.is_base:
        return _BASE_WAYS
    return {Preparation.FROZEN: variant.name.removeprefix(f"{architecture}-")}
