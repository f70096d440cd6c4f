"""Golden vectors of every bundle of a set on every quantized engine, as JSON lines.

Runs where the agent runs, with the agent's own code: `arm64_numerics.py FOLDER`. The agent
itself takes one engine for a bundle; here each one is tried that this torch has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from agent import images
from agent.bundles import Bundle, open_shelf
from agent.errors import AgentError
from agent.golden import compare, read_golden
from agent.protocol import Preparation
from agent.torchscript import TorchScriptRuntime, choose_engine
from contract.numerics import golden_tolerance


class OneEngine(TorchScriptRuntime):
    """A torch that has no quantized engine but the one held."""

    held: str | None = None

    def engines(self) -> list[str]:
        """The one held, or all."""
        return super().engines() if self.held is None else [self.held]


def main(folder: Path) -> None:
    """Print one line for every bundle and engine."""
    runtime = OneEngine(threads=1)
    engines = runtime.engines()
    for bundle in open_shelf(folder).bundles:
        built_for = bundle.manifest.quantization.engine
        chosen = choose_engine(built_for, engines) if built_for else None
        for engine in engines if built_for else [None]:
            runtime.held = engine
            row = _row(runtime, folder, bundle) | {"engine": engine, "is_chosen": engine == chosen}
            print(json.dumps(row), flush=True)


def _row(runtime: TorchScriptRuntime, folder: Path, bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    named = {
        "variant": manifest.variant,
        "scheme": manifest.quantization.scheme.value,
        "built_for": manifest.quantization.engine,
    }
    path = folder / bundle.member.file
    vectors = read_golden(path, manifest)
    inputs = images.standardize(vectors.images, manifest.preprocessing)
    try:
        network = runtime.load(path, manifest.quantization, Preparation.AS_BUILT)
        logits = [network.logits(inputs[i : i + 1]) for i in range(len(inputs))]
    except AgentError as error:
        return named | {"error": str(error)}
    tolerance = golden_tolerance(
        manifest.quantization.scheme,
        built_for=manifest.quantization.engine,
        runs_on=network.engine,
    )
    verdict = compare(vectors.logits, np.concatenate(logits), tolerance=tolerance)
    return named | {
        "max_error": verdict.max_error,
        "tolerance": verdict.tolerance,
        "ok": verdict.ok,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
