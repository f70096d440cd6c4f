"""Edgewright's own bundles, run as an agent runs them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from agent.protocol import Preparation
from agent.torchscript import TorchScriptRuntime
from benchmarks.lib.bundles import Built, Bundle
from benchmarks.lib.contender import Contender, Framework

#: Frozen alone folds batch norms; optimised, convolutions also take oneDNN's weight layout.
_BASE_WAYS = {Preparation.FROZEN: "base frozen", Preparation.OPTIMIZED: "base optimised"}
BASE = _BASE_WAYS[Preparation.FROZEN]


def make_contenders(built: Built) -> Iterator[Contender]:
    """Load the bundles, each named as its variant without the network's name.

    The base comes twice: frozen, as ratios refer to it, and optimised for this processor.
    """
    runtime = _agent_runtime()
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


@functools.cache
def _agent_runtime() -> TorchScriptRuntime:
    """Make the runtime once: torch takes its number of threads only before its first work."""
    return TorchScriptRuntime(threads=1)


def _ways(bundle: Bundle, base: Bundle) -> dict[Preparation, str]:
    if bundle is base:
        return _BASE_WAYS
    manifest = bundle.manifest
    return {Preparation.FROZEN: manifest.variant.removeprefix(f"{manifest.architecture}-")}
