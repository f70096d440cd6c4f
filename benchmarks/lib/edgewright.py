"""Edgewright's own bundles, run as an agent runs them."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator

from agent.errors import AgentError
from agent.protocol import Preparation
from agent.torchscript import TorchNetwork, TorchScriptRuntime
from benchmarks.lib.bundles import Built, Bundle
from benchmarks.lib.contender import Contender, Floats, Framework
from benchmarks.lib.rounds import Pace, Work, latency, time_in_rounds
from builder.errors import BuilderError
from contract.manifest import Scheme

#: Frozen alone folds batch norms; optimised, convolutions also take oneDNN's weight layout.
_BASE_WAYS = {Preparation.FROZEN: "base frozen", Preparation.OPTIMIZED: "base optimised"}
BASE = _BASE_WAYS[Preparation.FROZEN]
#: torch.jit profiles, then compiles: what goes wrong there goes wrong in these calls.
_PROFILED_CALLS = 3
_CHOOSING = Pace(rounds=6)


def make_contenders(built: Built) -> Iterator[Contender]:
    """Load the bundles, each named as its variant without the network's name.

    The base comes twice: frozen, as ratios refer to it, and optimised for this processor.
    """
    runtime = agent_runtime()
    for bundle in built.bundles:
        manifest = bundle.manifest
        for way, name in _ways(bundle, built.base).items():
            network = runtime.load(bundle.path, manifest.quantization, way)
            yield Contender(
                name=name,
                framework=Framework.EDGEWRIGHT,
                scheme=manifest.quantization.scheme,
                rule=manifest.preprocessing,
                macs=manifest.macs,
                bytes=bundle.member.bytes,
                build_s=bundle.build_s,
                logits=network.logits,
            )


def fastest_way(bundle: Bundle, image: Floats) -> Work:
    """Inference of one bundle, prepared the way that is faster here, as the search times it.

    Static INT8 has nothing to rewrite; of the others both ways are tried.

    Raises:
        BuilderError: it cannot run here.
    """
    quantization = bundle.manifest.quantization
    ways = [Preparation.FROZEN, Preparation.OPTIMIZED]
    if quantization.scheme is Scheme.STATIC_INT8:
        ways = [Preparation.FROZEN]
    works: dict[str, Work] = {}
    trouble = "no preparation fits"
    for way in ways:
        try:
            network = agent_runtime().load(bundle.path, quantization, way)
            for _ in range(_PROFILED_CALLS):
                network.logits(image)
        except AgentError as error:
            # Seen with torch 2.13: VGG at 64 px fails when rewritten, and runs when frozen.
            trouble = str(error)
            continue
        works[way] = _inference(network, image)
    if not works:
        message = f"{bundle.manifest.variant} cannot run here: {trouble}"
        raise BuilderError(message)
    if len(works) == 1:
        return next(iter(works.values()))
    samples = time_in_rounds(
        works, _CHOOSING, seed=0, on_round=lambda _: None, clock_ns=time.thread_time_ns
    )
    return works[min(works, key=lambda way: latency(samples[way]).p50_ms)]


def _inference(network: TorchNetwork, image: Floats) -> Work:
    return lambda: network.logits(image)


@functools.cache
def agent_runtime() -> TorchScriptRuntime:
    """One runtime for all networks: torch takes its thread count before its first work alone."""
    return TorchScriptRuntime(threads=1)


def _ways(bundle: Bundle, base: Bundle) -> dict[Preparation, str]:
    if bundle is base:
        return _BASE_WAYS
    manifest = bundle.manifest
    return {Preparation.FROZEN: manifest.variant.removeprefix(f"{manifest.architecture}-")}
